"""The account of a run, as tables for the terminal."""

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["render_run_stats"]


def render_run_stats(stats: dict[str, Any], folder: str) -> RenderableType:
    """Set the account of a run as tables.

    Args:
        stats: What `run_stats` gives.
        folder: The run folder.

    Returns:
        Something rich can print.
    """
    splits = stats["splits"]
    counts = Table(title="Training rows", title_justify="left", box=None, header_style="bold")
    counts.add_column("")
    for split in splits:
        counts.add_column(split, justify="right")
    lines: dict[str, Callable[[dict[str, Any]], str]] = {
        "queries": lambda s: f"{s['queries']:,}",
        "positives": lambda s: f"{s['positives']:,}",
        "negatives": lambda s: f"{s['negatives']:,}",
        "positive / negative": lambda s: f"{s['positive_share']:.2%} / {1 - s['positive_share']:.2%}",
        "negatives mined": lambda s: f"{s['mined']:,} of {s['wanted']:,} ({s['filled']:.1%})",
        "backfilled": lambda s: f"{s['backfilled']:,}",
        "queries left short": lambda s: f"{s['short_queries']:,}",
        "dropped for too few": lambda s: f"{s['dropped_queries']:,}",
        "rows written": lambda s: f"{s['rows']:,}",
    }
    for name, cell in lines.items():
        counts.add_row(name, *(cell(split) for split in splits.values()))
    reasons = sorted({reason for split in splits.values() for reason in split["skipped"]})
    for reason in reasons:
        counts.add_row(
            f"skipped by {reason}", *(f"{split['skipped'].get(reason, 0):,}" for split in splits.values())
        )
    scores = Table(title="Scores", title_justify="left", box=None, header_style="bold")
    scores.add_column("")
    for name in stats["scores"]["positives"]:
        scores.add_column({"0%": "min", "100%": "max"}.get(name, name), justify="right")
    for name, values in stats["scores"].items():
        scores.add_row(name, *(f"{value:.3f}" for value in values.values()))
    raw, kept, documents = stats["input"]["rows"], stats["qrels"], stats["documents"]
    dropped = [f"{row['rows']:,} {row['reason']}" for row in stats["rejected"]]
    found = stats["retrieval"]
    lines_below = [
        f"Input: {raw:,} raw rows, {kept:,} pairs kept, {documents:,} documents"
        + (f"; rejected: {', '.join(dropped)}" if dropped else ""),
        f"Retrieval ({found['queries']} queries, all documents): "
        + ", ".join(f"{name} {value:.3f}" for name, value in found.items() if name != "queries"),
        f"Search: {stats['search']['mode']}, recall {stats['search']['recall']:.3f}",
        f"Files: {folder}/train.parquet, dev.parquet, negatives.parquet, rejected.parquet, manifest.json",
    ]
    return Group(counts, Text(), scores, Text(), *(Text(line) for line in lines_below))
