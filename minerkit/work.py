"""What every stage is given, and the parts it works in."""

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from minerkit.artefacts import MARKERS, Run
from minerkit.progress import Reporter
from minerkit.recipe import Recipe

__all__ = ["SPLITS", "Inputs", "Shard", "Work", "decided", "inputs", "positives", "shards"]

SPLITS = ("train", "dev")
#: A shard holds this share of a run's queries, within limits: little is lost when a run dies, and little time
#: goes to the seams.
SHARE, LEAST, MOST = 128, 1024, 4096


@dataclass(frozen=True)
class Work:
    """What every stage is given: the recipe, the run, where models run, bytes of memory, and a reporter."""

    recipe: Recipe
    run: Run
    device: str
    memory: int
    reporter: Reporter


class Inputs(NamedTuple):
    """What the stages after ingest read: queries, corpus, qrels, and the split of each document."""

    queries: pl.DataFrame
    corpus: pl.DataFrame
    qrels: pl.DataFrame
    documents: pl.DataFrame


@dataclass(frozen=True)
class Shard:
    """Some queries of a split: positions start..stop among the queries of that split."""

    split: str
    start: int
    stop: int


def inputs(run: Run) -> Inputs:
    """Read what ingest wrote.

    Args:
        run: A run whose first stage is done.

    Returns:
        Its frames; all qrels.
    """
    names = ("queries", "corpus", "qrels", f"{MARKERS}/documents")
    return Inputs(*(run.read(f"{name}.parquet") for name in names))


def decided(qrels: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Leave the judgements that say yes (above 0) or no (0); what lies between is neither."""
    grade = pl.col("relevance")
    return qrels.filter((grade >= recipe.source.min_relevance) | (grade == 0))


def positives(ids: pl.Series, qrels: pl.DataFrame) -> pl.DataFrame:
    """Count the positives of queries: query_id, positives (int64)."""
    relevant = qrels.filter(pl.col("relevance") > 0).group_by("query_id")
    counts = relevant.agg(pl.len().cast(pl.Int64).alias("positives"))
    return ids.to_frame().join(counts, on="query_id", how="left", maintain_order="left").fill_null(0)


def shards(queries: pl.DataFrame) -> list[Shard]:
    """Part a run's queries into shards, each of one split.

    Args:
        queries: The queries artefact.

    Returns:
        The shards, train before dev, in the order of the queries.
    """
    size = min(MOST, max(LEAST, -(-len(queries) // SHARE)))
    counts = {split: int((queries["split"] == split).sum()) for split in SPLITS}
    return [
        Shard(split, start, min(start + size, count))
        for split, count in counts.items()
        for start in range(0, count, size)
    ]
