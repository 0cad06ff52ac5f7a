"""The statistics of a run: its input, yield, texts and splits, and what each rule did."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from minerkit.reports.stats.column_stats import counted, dataset_stats
from minerkit.reports.stats.dataset_profile import quantiles, text_profile
from minerkit.reports.stats.distributions import gaps, histograms, yields
from minerkit.storage import SPLITS
from minerkit.text import normalise_text

__all__ = ["run_details", "run_stats", "score_quantiles", "split_statistics"]


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
        .sort("stage", "rows", "reason", descending=[False, True, False])
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
            split: split_statistics(*(_of(frames[name], split_of, split) for name in parts))
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


def split_statistics(
    accounts: pl.DataFrame, verdicts: pl.DataFrame, positives: pl.DataFrame
) -> dict[str, Any]:
    """Count the queries, positives and negatives of a split, and what the rules left out.

    Args:
        accounts: query_id, found, wanted, dropped: of every query of the split.
        verdicts: How many candidates each rule refused, and how many were drawn.
        positives: query_id of every positive of the split.

    Returns:
        A JSON-ready mapping.
    """
    kept = accounts.filter(~pl.col("dropped"))
    positives = positives.join(kept, on="query_id", how="semi")
    taken, documents = verdicts.filter("taken"), pl.col("documents").sum()
    eligible = taken.filter(pl.col("reason").is_null())
    mined, negatives = (int(rows.select(documents).item()) for rows in (eligible, taken))
    skipped = (
        verdicts.filter(~pl.col("taken"))
        .drop_nulls("reason")
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
    """Return the quantiles of the encoder's scores.

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
    text = normalise_text(pl.col("text")).hash()
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
