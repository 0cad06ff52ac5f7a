"""The numbers behind charts: histograms of scores, lengths and ranks, and the yield of each step of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from minerkit.search import DECIMALS, exact_score

__all__ = ["compute_yield", "count_verdicts", "histograms", "score_gaps"]

#: The minimum number of bins of a histogram.
MIN_BINS = 30
#: Lengths above this quantile count in one last bin, so that a few long texts do not stretch the axis.
LONG_QUANTILE = 0.99
#: The highest rank of each bin.
RANK_BINS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
#: The largest number of positives of each bin.
POSITIVE_BINS = (1, 2, 3, 4, 5, 10, 20)


def score_gaps(positives: pl.DataFrame, negatives: pl.DataFrame) -> pl.Series:
    """Compute the gap of each query: its lowest positive score minus the score of its hardest negative.

    Args:
        positives: query_id, score of the positives.
        negatives: The artefact negatives, hardest first within each query.

    Returns:
        float64, one value per query that has both, in no particular order.
    """
    lowest = positives.group_by("query_id").agg(lowest=exact_score(pl.col("score").min()))
    first = negatives["query_id"].rle_id().is_first_distinct()
    hardest = negatives.filter(first).select("query_id", hardest=exact_score(pl.col("score")))
    joined = lowest.join(hardest, on="query_id").select(gap=pl.col("lowest") - pl.col("hardest"))
    return joined["gap"].round(DECIMALS)


def histograms(frames: Mapping[str, pl.DataFrame], gap: pl.Series, corpus: pl.LazyFrame) -> dict[str, Any]:
    """Compute histograms of scores, gaps, lengths, ranks and positives per query.

    Args:
        frames: queries, corpus (at least doc_id, ascending), qrels, negatives, and `positives` (the
            candidates that are positives).
        gap: The result of `score_gaps`.
        corpus: The artefact corpus; its texts are streamed.

    Returns:
        A JSON-ready mapping. Histograms have `from` (the lower edge of the first bin), `step` (the width of a
        bin) and one list of counts per series; lengths above the last edge count in `beyond`.
    """
    positives, negatives = frames["positives"], frames["negatives"]
    ranks = negatives["rank"]
    ids = frames["corpus"]["doc_id"]
    doc_lengths = corpus.select(pl.col("text").str.len_chars()).collect(engine="streaming").to_series()
    lengths = {
        name: doc_lengths.gather(ids.search_sorted(rows["doc_id"]))
        for name, rows in (("positives", positives), ("negatives", negatives))
    }
    query_lengths = {"queries": frames["queries"]["text"].str.len_chars()}
    per_query = frames["qrels"].filter(pl.col("relevance") > 0)["query_id"].value_counts()["count"]
    return {
        "scores": _scores({"positives": positives["score"], "negatives": negatives["score"]}),
        "gaps": _scores({"queries": gap}) | {"not_positive": int((gap <= 0).sum())},
        "characters": {"queries": _lengths(query_lengths), "documents": _lengths(lengths)},
        "ranks": _uneven_bins(ranks.drop_nulls(), RANK_BINS) | {"unranked": ranks.null_count()},
        "sources": negatives.group_by("source", "fill")
        .len("negatives")
        .sort("source", "fill")
        .rows(named=True),
        "positives_per_query": _uneven_bins(per_query, POSITIVE_BINS),
    }


def count_verdicts(filtered: pl.DataFrame, negatives: pl.DataFrame, split: str) -> pl.DataFrame:
    """Count the filtered candidates of a split, or of a shard of it, by verdict.

    Args:
        filtered: The artefact judged: query_id, doc_id, reason (null: eligible).
        negatives: The artefact negatives, drawn from `filtered`.
        split: train or dev.

    Returns:
        split, reason (null: eligible), taken (whether it became a negative), documents.
    """
    mined = negatives.filter(pl.col("fill") == "mined").with_columns(reason=pl.lit(None, pl.String))
    others = negatives.filter(pl.col("fill") != "mined")  # few or none, which keeps the join small
    others = others.join(filtered.select("query_id", "doc_id", "reason"), on=["query_id", "doc_id"])
    count = pl.len().cast(pl.Int64)
    taken = (
        pl.concat([mined.select("reason"), others.select("reason")])
        .group_by("reason")
        .agg(count.alias("taken"))
    )
    counts = (
        filtered.group_by("reason").agg(count.alias("all")).join(taken, "reason", "left", nulls_equal=True)
    )
    taken_count = pl.col("taken").fill_null(0)
    rows = [
        counts.select("reason", pl.lit(value).alias("taken"), documents.alias("documents"))
        for value, documents in ((False, pl.col("all") - taken_count), (True, taken_count))
    ]
    verdicts = pl.concat(rows).filter(pl.col("documents") > 0).sort("reason", "taken")
    return verdicts.select(pl.lit(split).alias("split"), "reason", "taken", "documents")


def compute_yield(frames: Mapping[str, pl.DataFrame], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Count the yield of each step from raw rows to training rows.

    Args:
        frames: queries, corpus (at least doc_id), qrels, negatives, rejected, `positives`, `accounts` and
            `verdicts` (see `run_stats`).
        facts: The facts that the stage ingest recorded.

    Returns:
        A JSON-ready mapping whose counts add up: readable_rows = raw_rows - unreadable; `pairs_read` counts
        the judgements, and documents without one, that readable rows hold; pairs = pairs_read - unusable;
        queries = kept_queries + dropped_queries (too few negatives, or no round trip); candidates = mined +
        backfilled + unused + refused.
    """
    rejected = (
        frames["rejected"].group_by("stage", "reason").len("rows").sort("rows", "reason", descending=True)
    )
    verdicts = (
        frames["verdicts"]
        .group_by("reason", "taken")
        .agg(pl.col("documents").sum())
        .sort("documents", "reason", descending=True)
    )
    eligible = pl.col("reason").is_null()
    # Queries that the round trip drops have no row in accounts.
    accounts = frames["accounts"].filter(~pl.col("dropped"))
    kept = frames["queries"].join(accounts, on="query_id", how="semi")

    def rejected_by(stage: str) -> dict[str, int]:
        return dict(rejected.filter(pl.col("stage") == stage).select("reason", "rows").rows())

    def documents(condition: pl.Expr) -> int:
        return int(verdicts.filter(condition)["documents"].sum())

    # Parts of reports and captions that reading leaves out are not raw rows, so they cannot be in the sum.
    unreadable = rejected_by("read")
    if sum(unreadable.values()) != facts["bad"]:
        unreadable = {"cannot be read": facts["bad"]} if facts["bad"] else {}
    return {
        "raw_rows": facts["rows"],
        "unreadable": unreadable,
        "readable_rows": facts["rows"] - sum(unreadable.values()),
        "pairs_read": facts["entries"],
        "unusable": rejected_by("clean"),
        "pairs": len(frames["qrels"]) + facts["documents"],
        "loose_documents": facts["documents"],
        "documents": len(frames["corpus"]),
        "queries": len(frames["queries"]),
        "kept_queries": dict(kept["split"].value_counts().sort("split", descending=True).rows()),
        "dropped_queries": len(frames["queries"]) - len(kept),
        "candidates": int(verdicts["documents"].sum()),
        "mined": documents(eligible & pl.col("taken")),
        "backfilled": documents(~eligible & pl.col("taken")),
        "unused": documents(eligible & ~pl.col("taken")),
        "refused": dict(verdicts.filter(~eligible & ~pl.col("taken")).select("reason", "documents").rows()),
        "positives": len(frames["positives"].join(kept, "query_id", how="semi")),
        "negatives": len(frames["negatives"]),
    }


def _scores(series: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Count scores in bins of equal width, from the lowest score to the highest of all series."""
    scores = {name: values.cast(pl.Float64).round(DECIMALS).to_numpy() for name, values in series.items()}
    all_scores = np.concatenate(list(scores.values()))
    medians = {"median": {name: _median(values) for name, values in series.items()}}
    if not len(all_scores):
        return {"from": 0.0, "step": 1.0, **{name: [] for name in scores}, **medians}
    step = _bin_width(float(np.ptp(all_scores)))
    # Rounding keeps 0.3 / 0.1 from falling short of 3.
    bins = {name: np.floor(np.round(values / step, 9)).astype(np.int64) for name, values in scores.items()}
    first = min(int(indices.min()) for indices in bins.values() if len(indices))
    count = max(int(indices.max()) for indices in bins.values() if len(indices)) - first + 1
    counts = {name: np.bincount(indices - first, minlength=count).tolist() for name, indices in bins.items()}
    return {"from": round(first * step, 9), "step": step, **counts, **medians}


def _lengths(series: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Count lengths in characters, in bins of equal width from 0 to `LONG_QUANTILE` of all series."""
    all_lengths = pl.concat([lengths.cast(pl.Int64) for lengths in series.values()])
    longest = all_lengths.quantile(LONG_QUANTILE, "nearest") or 0
    step = max(1, int(_bin_width(float(longest))))
    bins = int(longest) // step + 1
    counts = {
        name: np.bincount(lengths.to_numpy() // step, minlength=bins) for name, lengths in series.items()
    }
    return {
        "from": 0,
        "step": step,
        **{name: binned[:bins].tolist() for name, binned in counts.items()},
        "beyond": {name: int(binned[bins:].sum()) for name, binned in counts.items()},
        "median": {name: _median(lengths) for name, lengths in series.items()},
    }


def _uneven_bins(numbers: pl.Series, edges: tuple[int, ...]) -> dict[str, int]:
    """Count integers from 1 in bins of uneven width; trailing empty bins are left out."""
    bins = {}
    for low, high in zip((0, *edges), edges, strict=False):
        name = str(high) if high == low + 1 else f"{low + 1} to {high}"
        bins[name] = int(((numbers > low) & (numbers <= high)).sum())
    above = int((numbers > edges[-1]).sum())
    while len(bins) > 1 and not above and not bins[list(bins)[-1]]:
        bins.popitem()
    return bins | ({f"above {edges[-1]}": above} if above else {})


def _bin_width(span: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that divides a span into MIN_BINS bins or more."""
    if span <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(span / MIN_BINS))
    width = max(power * factor for factor in (1, 2, 5) if power * factor * MIN_BINS <= span * 1.001)
    return float(f"{width:.6g}")


def _median(numbers: pl.Series) -> float | None:
    median = numbers.cast(pl.Float64).quantile(0.5, "nearest")
    return None if median is None else round(median, 4)
