"""How the encoder that mines ranks the documents, and how well."""

from collections.abc import Callable

import numpy as np
import polars as pl

from minerkit.embeddings import Vectors
from minerkit.mining import list_hits, to_ids, to_positions
from minerkit.search import Index, Pairs, Request

__all__ = ["DEPTH", "hit_rates", "rankings"]

#: How many documents a query whose retrieval is measured gets.
DEPTH = 100


def rankings(
    query_ids: pl.Series,
    queries: Vectors,
    doc_ids: pl.Series,
    index: Index,
    without: pl.DataFrame,
    depth: int = DEPTH,
    progress: Callable[[int], object] = id,
) -> pl.DataFrame:
    """Rank all documents for each query; positives are retrieved or they are not.

    Args:
        query_ids: n ids, ascending.
        queries: Their vectors.
        doc_ids: m ids, ascending.
        index: The vectors of the documents.
        without: query_id, doc_id: documents a query is not to find.
        depth: How many documents are retrieved per query.
        progress: Called with the number of queries done, each time some are.

    Returns:
        query_id, doc_id, rank (from 1), score; in the order of the queries, best first.
    """
    ids = {"query_id": query_ids, "doc_id": doc_ids}
    left_out = to_positions(without, ids).sort("query_id", "doc_id")
    excluded = Pairs.of(left_out["query_id"].to_numpy(), left_out["doc_id"].to_numpy())
    hits = index.top(Request(queries, depth, excluded), progress)
    found = list_hits(np.arange(len(hits.documents)), hits)
    return to_ids(found.select("query_id", "doc_id", pl.col("rank").cast(pl.Int32), "score"), ids)


def hit_rates(
    ranked: pl.DataFrame, qrels: pl.DataFrame, queries: int, depth: int = DEPTH
) -> dict[str, float]:
    """Measure how well rankings find positives.

    Args:
        ranked: query_id, doc_id, rank.
        qrels: query_id, doc_id, relevance.
        queries: How many queries were ranked for.
        depth: How many documents were retrieved per query.

    Returns:
        accuracy@1, @10 and @depth (a positive is among the first so many) and mrr@10, each in 0..1.
    """
    relevant = qrels.filter(pl.col("relevance") > 0)
    best = ranked.join(relevant, on=["query_id", "doc_id"], how="semi")
    # Sorted, so that the sum of fractions is the same to the last digit every time.
    first = np.sort(best.group_by("query_id").agg(pl.col("rank").min())["rank"].to_numpy())
    rates = {f"accuracy@{k}": float((first <= k).sum() / queries) for k in (1, 10, depth)}
    return {**rates, "mrr@10": float(np.where(first <= 10, 1 / first, 0).sum() / queries)}
