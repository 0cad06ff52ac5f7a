"""The account of a run in depth: texts, documents a query, overlap of the splits, what each rule did."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from minerkit.reports.stats.column_stats import counted, dataset_stats
from minerkit.reports.stats.dataset_profile import quantiles, text_profile
from minerkit.text.normalise import normalised

__all__ = ["run_details", "score_quantiles"]

SPLITS = ("train", "dev")


def run_details(frames: Mapping[str, pl.DataFrame], files: Mapping[str, pl.LazyFrame]) -> dict[str, Any]:
    """Describe a run's texts, splits and rules.

    Args:
        frames: queries, corpus (of which doc_id, ascending, is enough), qrels, negatives; `positives`, the
            rows of the candidates that are such; `accounts` (query_id, found, wanted, dropped); `verdicts`.
        files: The artefacts corpus and pairs, whose texts are read in pieces.

    Returns:
        A JSON-ready mapping: texts, per_query, overlap, rules and subsets.
    """
    split_of = frames["queries"].select("query_id", "split")
    splits = [split for split in SPLITS if split in split_of["split"]]
    return {
        "texts": {
            "queries": text_profile(frames["queries"].select(value="text")),
            "documents": text_profile(files["corpus"].select(value="text")),
        },
        "per_query": {split: _per_query(frames, _ids(split_of, split)) for split in splits},
        "overlap": _overlap(frames, split_of, files["corpus"]),
        "rules": {split: _rules(frames, split) for split in splits},
        "subsets": {
            name: dataset_stats(files[name] if name in files else frames[name], None)
            for name in ("pairs", "queries", "corpus", "qrels")
        },
    }


def score_quantiles(frames: Mapping[str, pl.DataFrame], gap: pl.Series) -> dict[str, dict[str, float]]:
    """Give the quantiles of the encoder's scores.

    Args:
        frames: `positives`, the rows of the candidates that are such, and the artefact negatives.
        gap: What `minerkit.reports.stats.distributions.gaps` gives.

    Returns:
        Quantiles of positives, of negatives and of the gap.
    """
    found = {name: frames[name]["score"] for name in ("positives", "negatives")} | {"gap": gap}
    # Few scores are the same: they are sorted, and not counted.
    counts = {name: pl.select(value=scores.sort(), rows=pl.lit(1)) for name, scores in found.items()}
    return {name: quantiles(rows) for name, rows in counts.items()}


def _ids(split_of: pl.DataFrame, split: str) -> pl.DataFrame:
    return split_of.filter(pl.col("split") == split).select("query_id")


def _per_query(frames: Mapping[str, pl.DataFrame], ids: pl.DataFrame) -> dict[str, Any]:
    """Count the positives and negatives of every query that was not dropped."""
    kept = frames["accounts"].filter(~pl.col("dropped")).join(ids, on="query_id", how="semi")
    positives = frames["positives"].group_by("query_id").agg(pl.len().alias("value"))
    counts = {
        "positives": kept.join(positives, on="query_id", how="left").select(pl.col("value").fill_null(0)),
        "negatives": kept.select(value="found"),
    }
    return {name: quantiles(counted(values.lazy()).collect()) for name, values in counts.items()}


def _overlap(
    frames: Mapping[str, pl.DataFrame], split_of: pl.DataFrame, corpus: pl.LazyFrame
) -> dict[str, int]:
    """Count the texts (normalised) that stand in the rows of both splits."""
    if split_of["split"].n_unique() < len(SPLITS):
        return {"queries": 0, "documents": 0}
    text = normalised(pl.col("text")).hash()
    ids, keys = frames["corpus"]["doc_id"], corpus.select(text).collect(engine="streaming").to_series()
    used = pl.concat([frames[name].select("query_id", "doc_id") for name in ("positives", "negatives")])
    used = used.join(split_of, on="query_id").select("split", "doc_id").unique()
    documents = used.select("split", text=keys.gather(ids.search_sorted(used["doc_id"])))
    sides = {"queries": frames["queries"].select("split", text), "documents": documents}
    return {
        name: rows.group_by("text").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
        for name, rows in sides.items()
    }


def _rules(frames: Mapping[str, pl.DataFrame], split: str) -> dict[str, Any]:
    """Count what the rules left of the candidates, and what was drawn from them."""
    counts = frames["verdicts"].filter(pl.col("split") == split)
    documents = pl.col("documents").sum()
    refused = counts.drop_nulls("reason").group_by("reason").agg(documents)
    return {
        "candidates": int(counts["documents"].sum()),
        "refused": dict(refused.sort("documents", "reason", descending=[True, False]).rows()),
        "eligible": int(counts.filter(pl.col("reason").is_null())["documents"].sum()),
        "chosen": int(counts.filter("taken")["documents"].sum()),
    }
