"""How a run's scores, lengths and ranks spread, and what each of its steps kept: numbers for charts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from minerkit.search import DECIMALS, exact_score

__all__ = ["count_verdicts", "gaps", "histograms", "yields"]

#: The least number of bars a histogram has.
BARS = 30
#: Lengths above this quantile share the last bar, so that a few long texts do not squeeze all others.
LONG = 0.99
#: The highest rank of each bar.
RANKS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
#: The largest number of positives of each bar.
POSITIVES = (1, 2, 3, 4, 5, 10, 20)


def gaps(positives: pl.DataFrame, negatives: pl.DataFrame) -> pl.Series:
    """Return the gap of every query: the smallest score of its positives minus that of its hardest negative.

    Args:
        positives: query_id, score: the rows of the candidates that are such.
        negatives: The artefact, hardest first within each query.

    Returns:
        float64, in no order.
    """
    lowest = positives.group_by("query_id").agg(lowest=exact_score(pl.col("score").min()))
    first = negatives["query_id"].rle_id().is_first_distinct()
    hardest = negatives.filter(first).select("query_id", hardest=exact_score(pl.col("score")))
    found = lowest.join(hardest, on="query_id").select(gap=pl.col("lowest") - pl.col("hardest"))
    return found["gap"].round(DECIMALS)


def histograms(frames: Mapping[str, pl.DataFrame], gap: pl.Series, corpus: pl.LazyFrame) -> dict[str, Any]:
    """Count how scores, gaps, lengths, ranks and positives spread.

    Args:
        frames: queries, corpus (of which doc_id, ascending, is enough), qrels, negatives, and `positives`,
            the rows of the candidates that are such.
        gap: What `gaps` gives.
        corpus: The artefact corpus, whose texts are read in pieces.

    Returns:
        A JSON-ready mapping. Histograms have `from` (the lower edge of the first bar), `step` and one list of
        counts a series; a length above the last edge counts in `beyond`.
    """
    positives, negatives = frames["positives"], frames["negatives"]
    ids = frames["corpus"]["doc_id"]
    sizes = corpus.select(pl.col("text").str.len_chars()).collect(engine="streaming").to_series()
    lengths = {
        name: sizes.gather(ids.search_sorted(rows["doc_id"]))
        for name, rows in (("positives", positives), ("negatives", negatives))
    }
    query_lengths = {"queries": frames["queries"]["text"].str.len_chars()}
    per_query = frames["qrels"].filter(pl.col("relevance") > 0)["query_id"].value_counts()["count"]
    return {
        "scores": _scores({"positives": positives["score"], "negatives": negatives["score"]}),
        "gaps": _scores({"queries": gap}) | {"not_positive": int((gap <= 0).sum())},
        "characters": {"queries": _lengths(query_lengths), "documents": _lengths(lengths)},
        "ranks": _bars(negatives["rank"].drop_nulls(), RANKS) | {"unranked": negatives["rank"].null_count()},
        "sources": negatives.group_by("source", "fill")
        .len("negatives")
        .sort("source", "fill")
        .rows(named=True),
        "positives_per_query": _bars(per_query, POSITIVES),
    }


def count_verdicts(judged: pl.DataFrame, negatives: pl.DataFrame, split: str) -> pl.DataFrame:
    """Count what became of the judged candidates of a split, or of a part of it.

    Args:
        judged: The judged artefact.
        negatives: The negatives artefact, drawn from it.
        split: train or dev.

    Returns:
        split, reason (null: eligible), taken (became a negative), documents.
    """
    mined = negatives.filter(pl.col("fill") == "mined").with_columns(reason=pl.lit(None, pl.String))
    others = negatives.filter(pl.col("fill") != "mined")  # few or none, so that few rows are looked for
    others = others.join(judged.select("query_id", "doc_id", "reason"), on=["query_id", "doc_id"])
    count = pl.len().cast(pl.Int64)
    taken = (
        pl.concat([mined.select("reason"), others.select("reason")])
        .group_by("reason")
        .agg(count.alias("taken"))
    )
    counts = judged.group_by("reason").agg(count.alias("all")).join(taken, "reason", "left", nulls_equal=True)
    yes = pl.col("taken").fill_null(0)
    rows = [
        counts.select("reason", pl.lit(value).alias("taken"), number.alias("documents"))
        for value, number in ((False, pl.col("all") - yes), (True, yes))
    ]
    found = pl.concat(rows).filter(pl.col("documents") > 0).sort("reason", "taken")
    return found.select(pl.lit(split).alias("split"), "reason", "taken", "documents")


def yields(frames: Mapping[str, pl.DataFrame], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Follow a run from raw rows to training rows.

    Args:
        frames: queries, corpus (of which doc_id is enough), qrels, negatives, rejected, `positives`,
            `accounts`, and `verdicts`.
        facts: What the stage ingest noted.

    Returns:
        A JSON-ready mapping that adds up: readable_rows = raw_rows - unreadable, and they give `pairs_read`
        (judgements, and documents without one); pairs = pairs_read - unusable, and they give queries and
        documents; queries = kept_queries + dropped_queries, for too few negatives or for the round trip;
        candidates = mined + backfilled + unused + refused.
    """
    rejected = (
        frames["rejected"].group_by("stage", "reason").len("rows").sort("rows", "reason", descending=True)
    )
    judged = (
        frames["verdicts"]
        .group_by("reason", "taken")
        .agg(pl.col("documents").sum())
        .sort("documents", "reason", descending=True)
    )
    eligible = pl.col("reason").is_null()
    # Queries that the round trip drops have no account.
    accounts = frames["accounts"].filter(~pl.col("dropped"))
    kept = frames["queries"].join(accounts, on="query_id", how="semi")

    def lost(stage: str) -> dict[str, int]:
        return dict(rejected.filter(pl.col("stage") == stage).select("reason", "rows").rows())

    def documents(condition: pl.Expr) -> int:
        return int(judged.filter(condition)["documents"].sum())

    # What is left out of reports and captions on reading is no row of its own: it has no place in the sum.
    unreadable = lost("read")
    if sum(unreadable.values()) != facts["bad"]:
        unreadable = {"cannot be read": facts["bad"]} if facts["bad"] else {}
    return {
        "raw_rows": facts["rows"],
        "unreadable": unreadable,
        "readable_rows": facts["rows"] - sum(unreadable.values()),
        "pairs_read": facts["entries"],
        "unusable": lost("clean"),
        "pairs": len(frames["qrels"]) + facts["documents"],
        "loose_documents": facts["documents"],
        "documents": len(frames["corpus"]),
        "queries": len(frames["queries"]),
        "kept_queries": dict(kept["split"].value_counts().sort("split", descending=True).rows()),
        "dropped_queries": len(frames["queries"]) - len(kept),
        "candidates": int(judged["documents"].sum()),
        "mined": documents(eligible & pl.col("taken")),
        "backfilled": documents(~eligible & pl.col("taken")),
        "unused": documents(eligible & ~pl.col("taken")),
        "refused": dict(judged.filter(~eligible & ~pl.col("taken")).select("reason", "documents").rows()),
        "positives": len(frames["positives"].join(kept, "query_id", how="semi")),
        "negatives": len(frames["negatives"]),
    }


def _scores(series: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Count scores on one scale, from the lowest to the highest."""
    values = {name: part.cast(pl.Float64).round(DECIMALS).to_numpy() for name, part in series.items()}
    everything = np.concatenate(list(values.values()))
    medians = {"median": {name: _median(part) for name, part in series.items()}}
    if not len(everything):
        return {"from": 0.0, "step": 1.0, **{name: [] for name in values}, **medians}
    step = _step(float(np.ptp(everything)))
    # Rounding keeps 0.3 / 0.1 from falling short of 3.
    places = {name: np.floor(np.round(part / step, 9)).astype(np.int64) for name, part in values.items()}
    first = min(int(part.min()) for part in places.values() if len(part))
    bars = max(int(part.max()) for part in places.values() if len(part)) - first + 1
    counts = {name: np.bincount(part - first, minlength=bars).tolist() for name, part in places.items()}
    return {"from": round(first * step, 9), "step": step, **counts, **medians}


def _lengths(series: Mapping[str, pl.Series]) -> dict[str, Any]:
    """Count lengths in characters on one scale, from nought to the length that few exceed."""
    everything = pl.concat([part.cast(pl.Int64) for part in series.values()])
    step = max(1, int(_step(float(everything.quantile(LONG, "nearest") or 0))))
    bars = int(everything.quantile(LONG, "nearest") or 0) // step + 1
    counts = {name: np.bincount(part.to_numpy() // step, minlength=bars) for name, part in series.items()}
    return {
        "from": 0,
        "step": step,
        **{name: part[:bars].tolist() for name, part in counts.items()},
        "beyond": {name: int(part[bars:].sum()) for name, part in counts.items()},
        "median": {name: _median(part) for name, part in series.items()},
    }


def _bars(numbers: pl.Series, edges: tuple[int, ...]) -> dict[str, int]:
    """Count whole numbers from 1 in uneven bars; the last one is open, and named only if it is needed."""
    bars = {}
    for low, high in zip((0, *edges), edges, strict=False):
        name = str(high) if high == low + 1 else f"{low + 1} to {high}"
        bars[name] = int(((numbers > low) & (numbers <= high)).sum())
    above = int((numbers > edges[-1]).sum())
    while len(bars) > 1 and not above and not bars[list(bars)[-1]]:
        bars.popitem()
    return bars | ({f"above {edges[-1]}": above} if above else {})


def _step(span: float) -> float:
    """Return the widest bars, 1, 2 or 5 times a power of ten, that divide a span into at least BARS."""
    if span <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(span / BARS))
    found = max(power * nice for nice in (1, 2, 5) if power * nice * BARS <= span * 1.001)
    return float(f"{found:.6g}")


def _median(numbers: pl.Series) -> float | None:
    middle = numbers.cast(pl.Float64).quantile(0.5, "nearest")
    return None if middle is None else round(middle, 4)
