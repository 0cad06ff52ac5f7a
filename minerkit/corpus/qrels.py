"""Judgements: which of them count, and how many positives each query has."""

import polars as pl

from minerkit.recipe import Recipe

__all__ = ["binary_qrels", "count_positives"]


def binary_qrels(qrels: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Leave the judgements that say yes (above 0) or no (0); what lies between is neither."""
    grade = pl.col("relevance")
    return qrels.filter((grade >= recipe.source.min_relevance) | (grade == 0))


def count_positives(ids: pl.Series, qrels: pl.DataFrame) -> pl.DataFrame:
    """Count the positives of queries: query_id, positives (int64)."""
    relevant = qrels.filter(pl.col("relevance") > 0).group_by("query_id")
    counts = relevant.agg(pl.len().cast(pl.Int64).alias("positives"))
    return ids.to_frame().join(counts, on="query_id", how="left", maintain_order="left").fill_null(0)
