"""What was made, how well it ranks and what to do next, for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from minerkit.reports.stats.run_summary import RANKING_METRIC

__all__ = ["render_run_summary"]


def render_run_summary(found: Mapping[str, Any]) -> RenderableType:
    """Set the account of a run from end to end for a terminal.

    Args:
        found: What `summarise_run` returns.

    Returns:
        Something rich can print.
    """
    model = found["model"]
    parts: list[RenderableType] = [Text(f"{found['recipe']}: what was made")]
    for split, made in found["data"]["splits"].items():
        share = f"{made['positive_share']:.2%} / {1 - made['positive_share']:.2%} positive/negative"
        parts.append(Text(f"  {made['rows']:,} {split} rows of {made['queries']:,} queries, {share}"))
    start = "made from the run's text" if model["base"] == "scratch" else f"from {model['base']}"
    parts += [
        Text(f"  a {model['kind']}, {start}; loss {model['loss']}, trained in {model['seconds']:,.0f} s"),
        Text(),
    ]
    if found["scores"]:
        parts += [_table(found["scores"]), *_advice(found["scores"][RANKING_METRIC], model["base"]), Text()]
    parts += [Text("Where it lies"), *(Text(f"  {name}") for name in found["files"])]
    parts += [Text(f"  {made['url']}") for made in found["pushed"]]
    parts += [Text(), Text("What next"), *(Text(f"  {line}") for line in (*model["load"], *found["next"]))]
    return Group(*parts)


def _table(scores: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = Table(title="How the dev split is ranked", title_justify="left", box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for metric in scores:
        table.add_column(metric, justify="right", no_wrap=True)
    names = {
        "encoder": "retrieved by the encoder",
        "lexical": "BM25",
        "untrained": "before training",
        "trained": "after training",
    }
    for kind, name in names.items():
        table.add_row(name, *(_cell(found, kind) for found in scores.values()))
    return table


def _advice(ranking: Mapping[str, float | None], base: str) -> list[Text]:
    """Describe what helps where what was there before ranks better than the model."""
    encoder, words = (ranking[kind] or 0.0 for kind in ("encoder", "lexical"))
    if ranking["trained"] is None or ranking["trained"] >= max(encoder, words):
        return []
    better = "The encoder" if encoder >= words else "BM25"
    start = "a pretrained model as train.base" if base == "scratch" else "a larger train.base"
    return [
        Text(f"{better} alone ranks better than the trained model: try {start}, or more rows and epochs.")
    ]


def _cell(found: Mapping[str, float | None], kind: str) -> str:
    value, before = found[kind], found["untrained"]
    if value is None:
        return ""
    gained = f" ({value - before:+.4f})" if kind == "trained" and before is not None else ""
    return f"{value:.4f}{gained}"
