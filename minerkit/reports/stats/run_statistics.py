"""The account of a run: what came in, what was kept, what the rules did; and how it is shown."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from minerkit.pipeline.context import SPLITS
from minerkit.reports.stats.column_stats import dataset_stats
from minerkit.reports.stats.details import run_details, score_quantiles
from minerkit.reports.stats.distributions import gaps, histograms, yields

__all__ = ["render", "run_stats"]


def run_stats(
    frames: Mapping[str, pl.DataFrame],
    files: Mapping[str, pl.LazyFrame],
    facts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Count a run.

    Args:
        frames: The artefacts queries, corpus (of which doc_id is enough), qrels, negatives and rejected;
            `positives`, the rows of the candidates that are such; `accounts` (query_id, found, wanted,
            dropped) and `verdicts`.
        files: What is read in pieces: corpus and pairs, and the training rows of each split.
        facts: What the stages ingest and search noted.

    Returns:
        A JSON-ready mapping; every number shown anywhere comes from it.
    """
    queries = frames["queries"]
    split_of = queries.select("query_id", "split")
    rejected = (
        frames["rejected"]
        .group_by("stage", "reason")
        .len("rows")
        .sort("stage", "rows", descending=[False, True])
    )
    parts = ("accounts", "verdicts", "positives")
    gap = gaps(frames["positives"], frames["negatives"])
    written = {split: dataset_stats(files[split], None) for split in SPLITS}
    return {
        "input": {"rows": facts["ingest"]["rows"], "entries": facts["ingest"]["entries"]},
        "rejected": rejected.rows(named=True),
        "queries": dict(queries["split"].value_counts().sort("split", descending=True).rows()),
        "documents": len(frames["corpus"]),
        "qrels": len(frames["qrels"]),
        "retrieval": facts["search"]["retrieval"],
        "search": facts["search"]["search"],
        "encoder_note": facts["search"]["note"],
        "splits": {
            split: _split(*(_of(frames[name], split_of, split) for name in parts))
            | {"rows": written[split]["size"]}
            for split in queries["split"].unique().sort(descending=True)
        },
        "scores": score_quantiles(frames, gap),
        "yield": yields(frames, facts["ingest"]) | {"rows": sum(found["size"] for found in written.values())},
        "histograms": histograms(frames, gap, files["corpus"]),
        **written,
        **run_details(frames, files),
    }


def _of(frame: pl.DataFrame, split_of: pl.DataFrame, split: str) -> pl.DataFrame:
    if "split" in frame.columns:
        return frame.filter(pl.col("split") == split)
    return frame.join(split_of.filter(pl.col("split") == split).select("query_id"), on="query_id", how="semi")


def _split(accounts: pl.DataFrame, verdicts: pl.DataFrame, positives: pl.DataFrame) -> dict[str, Any]:
    kept = accounts.filter(~pl.col("dropped"))
    positives = positives.join(kept, on="query_id", how="semi")
    taken, documents = verdicts.filter("taken"), pl.col("documents").sum()
    eligible = taken.filter(pl.col("reason").is_null())
    mined, negatives = (int(rows.select(documents).item()) for rows in (eligible, taken))
    skipped = (
        verdicts.drop_nulls("reason")
        .group_by("reason")
        .agg(documents)
        .sort("documents", "reason", descending=[True, False])
    )
    wanted = int(accounts["wanted"].sum())
    return {
        "queries": len(accounts),
        "wanted": wanted,
        "mined": mined,
        "backfilled": negatives - mined,
        "missing": int(kept.select((pl.col("wanted") - pl.col("found")).clip(0).sum()).item()),
        "short_queries": len(kept.filter(pl.col("found") < pl.col("wanted"))),
        "dropped_queries": int(accounts["dropped"].sum()),
        "filled": mined / wanted if wanted else 0.0,
        "positives": len(positives),
        "negatives": negatives,
        "positive_share": len(positives) / max(1, len(positives) + negatives),
        "skipped": dict(skipped.rows()),
    }


def render(stats: dict[str, Any], folder: str) -> RenderableType:
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
        "queries dropped": lambda s: f"{s['dropped_queries']:,}",
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
