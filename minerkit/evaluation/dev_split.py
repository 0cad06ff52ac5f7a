"""Read the dev split of a run in the form that evaluators take: texts by id, and documents by query."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from minerkit.recipe import Recipe
from minerkit.storage import MARKERS, Run

__all__ = ["DevSplit", "read_dev_split"]


@dataclass(frozen=True)
class DevSplit:
    """The held-out queries, with all documents of the run.

    Attributes:
        name: `<recipe>-dev`, the prefix of metric names.
        queries: Text by query id.
        corpus: Text by document id.
        positives: Document ids by query id.
        retrieved: The documents that the mining encoder ranks first among all, best first, by query id.
        excluded: Documents with the text of the query, by query id; no ranking holds them.
    """

    name: str
    queries: dict[str, str]
    corpus: dict[str, str]
    positives: dict[str, set[str]]
    retrieved: dict[str, list[str]]
    excluded: dict[str, set[str]]


def read_dev_split(recipe: Recipe, run: Run) -> DevSplit | None:
    """Read the dev split of a run.

    Args:
        recipe: The recipe of the run.
        run: A run with a finished search.

    Returns:
        The dev split; None if no query is held out.

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

    def documents_by_query(pairs: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
        dev_pairs = pairs.join(queries, on="query_id", how="semi", maintain_order="left")
        return dev_pairs.group_by("query_id", maintain_order=True).agg("doc_id").iter_rows()

    return DevSplit(
        name=f"{recipe.name}-dev",
        queries=dict(queries.select("query_id", "text").iter_rows()),
        corpus=dict(run.read("corpus.parquet").select("doc_id", "text").iter_rows()),
        positives={query: set(documents) for query, documents in documents_by_query(qrels)},
        retrieved=dict(documents_by_query(retrieved)),
        excluded={query: set(documents) for query, documents in documents_by_query(excluded)},
    )
