"""The dev split as evaluators take it: texts by id, and what belongs to what."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from minerkit.recipe import Recipe
from minerkit.storage import MARKERS, Run

__all__ = ["Dev", "read_dev_split"]


@dataclass(frozen=True)
class Dev:
    """Queries that are held out, with all documents of the run.

    `retrieved` holds the documents that the encoder finds among all documents of the run, best first;
    `itself` the documents that are the query: no model is asked for those.
    """

    name: str
    queries: dict[str, str]
    corpus: dict[str, str]
    positives: dict[str, set[str]]
    retrieved: dict[str, list[str]]
    itself: dict[str, set[str]]


def read_dev_split(recipe: Recipe, run: Run) -> Dev | None:
    """Read the dev split of a run.

    Args:
        recipe: The recipe the run was made from.
        run: A run whose candidates are searched.

    Returns:
        Its dev queries with all documents of the run, or None: no queries are held out.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    qrels = run.read("qrels.parquet").filter(pl.col("relevance") >= recipe.source.min_relevance)
    queries = run.read("queries.parquet").filter(pl.col("split") == "dev")
    queries = queries.join(qrels, on="query_id", how="semi", maintain_order="left")
    if queries.is_empty():
        return None
    excluded = run.read(f"{MARKERS}/excluded.parquet").filter(pl.col("reason") == "query_text")
    retrieved = run.read(f"{MARKERS}/dev_candidates.parquet").sort("query_id", "rank")

    def documents(pairs: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
        held = pairs.join(queries, on="query_id", how="semi", maintain_order="left")
        return held.group_by("query_id", maintain_order=True).agg("doc_id").iter_rows()

    return Dev(
        name=f"{recipe.name}-dev",
        queries=dict(queries.select("query_id", "text").iter_rows()),
        corpus=dict(run.read("corpus.parquet").select("doc_id", "text").iter_rows()),
        positives={query: set(found) for query, found in documents(qrels)},
        retrieved={query: found for query, found in documents(retrieved)},
        itself={query: set(found) for query, found in documents(excluded)},
    )
