"""The account of an ingest, as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["render_ingest"]

#: Pairs shown, and how much of each text.
CHARS = 300


def render_ingest(account: Mapping[str, Any], folder: str) -> RenderableType:
    """Set the account of an ingest for a terminal.

    Args:
        account: What `ingest_statistics` returns.
        folder: The run folder.

    Returns:
        Something rich can print.
    """
    lines = [
        ("raw rows", f"{account['rows']:,}"),
        ("queries", _by_split(account, "queries")),
        ("documents", _by_split(account, "documents")),
        ("positives", f"{account['positives']:,}"),
    ]
    optional = {
        "judged_negatives": "judged negatives",
        "partly_relevant": "partly relevant",
        "unjudged_documents": "documents without a query",
    }
    lines += [(label, f"{account[key]:,}") for key, label in optional.items() if account[key]]
    if account["groups"]:
        lines.append(("groups", _by_split(account, "groups", account["groups"])))
    kept = Table(title="What came in", title_justify="left", box=None, show_header=False)
    for label, value in lines:
        kept.add_row(label, value)
    parts: list[RenderableType] = [kept, Text()]
    if account["rejected"]:
        lost = Table(title="What was rejected", title_justify="left", box=None, header_style="bold")
        lost.add_column("rows", justify="right")
        lost.add_column("reason")
        lost.add_column("first")
        for row in account["rejected"]:
            lost.add_row(f"{row['rows']:,}", Text(row["reason"]), Text(row["first"]))
        parts += [lost, Text()]
    parts.append(Text(f"{len(account['pairs'])} random pairs", style="italic"))
    for pair in account["pairs"]:
        parts.append(Text(f"  Q  {_short(pair['query'])}\n  D  {_short(pair['positive'])}\n"))
    parts.append(Text(f"Files: {folder}/queries.parquet, corpus.parquet, qrels.parquet, pairs.parquet"))
    return Group(*parts)


def _by_split(account: Mapping[str, Any], key: str, total: int | None = None) -> str:
    train, dev = (account["splits"][split][key] for split in ("train", "dev"))
    whole = account[key] if total is None else total
    return f"{whole:,}" + (f" ({train:,} train, {dev:,} dev)" if dev else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CHARS else f"{line[: CHARS - 1]}…"
