"""The statistics of a run: its input, yield, texts and splits, and the effect of each rule.

Several functions take frames of a mined run besides its artefacts: `positives` (the candidates that are
positives), `accounts` (one row a query: query_id, how many negatives were found and wanted, whether it was
dropped) and `verdicts` (counts of filtered candidates, see `count_verdicts`).
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from minerkit.reports.stats.column_stats import count_values, dataset_stats
from minerkit.reports.stats.dataset_profile import quantiles, text_profile
from minerkit.reports.stats.distributions import compute_yield, histograms, score_gaps
from minerkit.storage import SPLITS
from minerkit.text import normalise_text

__all__ = ["run_details", "run_stats", "score_quantiles", "split_statistics"]


def run_stats(
    frames: Mapping[str, pl.DataFrame],
    files: Mapping[str, pl.LazyFrame],
    facts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Compute the statistics of a run.

    Args:
        frames: The artefacts queries, corpus (at least doc_id, ascending), qrels, negatives and rejected;
            `positives`, `accounts` and `verdicts`.
        files: Frames that are streamed: corpus and pairs, and the training rows of each split.
        facts: The facts that the stages ingest and search recorded.

    Returns:
        A JSON-ready mapping, written as stats.json; every number in tables, cards and page comes from it.
    """
    queries = frames["queries"]
    split_of = queries.select("query_id", "split")
    rejected = (
        frames["rejected"]
        .group_by("stage", "reason")
        .len("rows")
        .sort("stage", "rows", "reason", descending=[False, True, False])
    )
    by_split = ("accounts", "verdicts", "positives")
    gap = score_gaps(frames["positives"], frames["negatives"])
    rows = {split: dataset_stats(files[split], None) for split in SPLITS}
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
            split: split_statistics(*(_of_split(frames[name], split_of, split) for name in by_split))
            | {"rows": rows[split]["size"]}
            for split in queries["split"].unique().sort(descending=True)
        },
        "scores": score_quantiles(frames, gap),
        "yield": compute_yield(frames, facts["ingest"])
        | {"rows": sum(split_rows["size"] for split_rows in rows.values())},
        "histograms": histograms(frames, gap, files["corpus"]),
        **rows,
        **run_details(frames, files),
    }


def _of_split(frame: pl.DataFrame, split_of: pl.DataFrame, split: str) -> pl.DataFrame:
    if "split" in frame.columns:
        return frame.filter(pl.col("split") == split)
    return frame.join(split_of.filter(pl.col("split") == split).select("query_id"), on="query_id", how="semi")


def split_statistics(
    accounts: pl.DataFrame, verdicts: pl.DataFrame, positives: pl.DataFrame
) -> dict[str, Any]:
    """Count the queries, positives and negatives of a split, and the candidates each rule refused.

    Args:
        accounts: query_id, found, wanted, dropped of every query of the split.
        verdicts: The verdicts of the split: reason, taken, documents.
        positives: query_id of every positive of the split.

    Returns:
        A JSON-ready mapping of counts; `filled` and `positive_share` are shares of 1, `skipped` counts the
        refused candidates by reason, without those that were backfilled.
    """
    kept = accounts.filter(~pl.col("dropped"))
    positives = positives.join(kept, on="query_id", how="semi")
    drawn, documents = verdicts.filter("taken"), pl.col("documents").sum()
    eligible = drawn.filter(pl.col("reason").is_null())
    mined, negatives = (int(rows.select(documents).item()) for rows in (eligible, drawn))
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
    """Compute statistics of a run's texts, queries, splits, rules and subsets.

    Args:
        frames: queries, corpus (at least doc_id, ascending), qrels, negatives; `positives`, `accounts` and
            `verdicts`.
        files: The artefacts corpus and pairs; their texts are streamed.

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
    """Compute the quantiles of the encoder's scores.

    Args:
        frames: `positives`, and the artefact negatives.
        gap: The result of `minerkit.reports.stats.distributions.score_gaps`.

    Returns:
        Quantiles of the scores of positives and negatives, and of the gap.
    """
    scores = {name: frames[name]["score"] for name in ("positives", "negatives")} | {"gap": gap}
    # Scores hardly repeat, so sorting them is cheaper than counting them.
    counts = {name: pl.select(value=values.sort(), rows=pl.lit(1)) for name, values in scores.items()}
    return {name: quantiles(rows) for name, rows in counts.items()}


def _ids(split_of: pl.DataFrame, split: str) -> pl.DataFrame:
    return split_of.filter(pl.col("split") == split).select("query_id")


def _per_query(frames: Mapping[str, pl.DataFrame], ids: pl.DataFrame) -> dict[str, Any]:
    """Compute quantiles of the positives and negatives per query, without dropped queries."""
    kept = frames["accounts"].filter(~pl.col("dropped")).join(ids, on="query_id", how="semi")
    positives = frames["positives"].group_by("query_id").agg(pl.len().alias("value"))
    counts = {
        "positives": kept.join(positives, on="query_id", how="left").select(pl.col("value").fill_null(0)),
        "negatives": kept.select(value="found"),
    }
    return {name: quantiles(count_values(values.lazy()).collect()) for name, values in counts.items()}


def _overlap(
    frames: Mapping[str, pl.DataFrame], split_of: pl.DataFrame, corpus: pl.LazyFrame
) -> dict[str, int]:
    """Count the normalised texts that occur in both splits."""
    if split_of["split"].n_unique() < len(SPLITS):
        return {"queries": 0, "documents": 0}
    text_hash = normalise_text(pl.col("text")).hash()
    ids, hashes = frames["corpus"]["doc_id"], corpus.select(text_hash).collect(engine="streaming").to_series()
    used = pl.concat([frames[name].select("query_id", "doc_id") for name in ("positives", "negatives")])
    used = used.join(split_of, on="query_id").select("split", "doc_id").unique()
    documents = used.select("split", text=hashes.gather(ids.search_sorted(used["doc_id"])))
    texts = {"queries": frames["queries"].select("split", text_hash), "documents": documents}
    return {
        name: rows.group_by("text").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
        for name, rows in texts.items()
    }


def _rules(frames: Mapping[str, pl.DataFrame], split: str) -> dict[str, Any]:
    """Count the stored, refused, eligible and chosen candidates of a split."""
    counts = frames["verdicts"].filter(pl.col("split") == split)
    documents = pl.col("documents").sum()
    refused = counts.drop_nulls("reason").group_by("reason").agg(documents)
    return {
        "candidates": int(counts["documents"].sum()),
        "refused": dict(refused.sort("documents", "reason", descending=[True, False]).rows()),
        "eligible": int(counts.filter(pl.col("reason").is_null())["documents"].sum()),
        "chosen": int(counts.filter("taken")["documents"].sum()),
    }
