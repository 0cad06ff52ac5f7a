"""Rank all documents with the mining encoder, and measure how well it ranks the positives."""

from collections.abc import Callable

import numpy as np
import polars as pl

from minerkit.embeddings import Vectors
from minerkit.mining import hits_to_frame, to_ids, to_positions
from minerkit.search import Index, Pairs, Request

__all__ = ["DEPTH", "rank_documents", "ranking_metrics"]

#: Documents retrieved per query.
DEPTH = 100


def rank_documents(
    query_ids: pl.Series,
    queries: Vectors,
    doc_ids: pl.Series,
    index: Index,
    excluded: pl.DataFrame,
    depth: int = DEPTH,
    progress: Callable[[int], object] = id,
) -> pl.DataFrame:
    """Rank all documents for each query; positives are not added to the ranking.

    Args:
        query_ids: n ids, ascending.
        queries: The vectors of the n queries.
        doc_ids: m ids, ascending.
        index: An index of the vectors of the m documents.
        excluded: query_id, doc_id; documents that the query's ranking does not hold.
        depth: Number of documents to retrieve per query.
        progress: Called with the number of queries done since the last call.

    Returns:
        query_id, doc_id, rank (from 1), score; queries in the order of `query_ids`, documents best first.
    """
    ids = {"query_id": query_ids, "doc_id": doc_ids}
    positions = to_positions(excluded, ids).sort("query_id", "doc_id")
    excluded_pairs = Pairs.of(positions["query_id"].to_numpy(), positions["doc_id"].to_numpy())
    hits = index.top(Request(queries, depth, excluded_pairs), progress)
    ranked = hits_to_frame(np.arange(len(hits.documents)), hits)
    return to_ids(ranked.select("query_id", "doc_id", pl.col("rank").cast(pl.Int32), "score"), ids)


def ranking_metrics(
    ranked: pl.DataFrame, qrels: pl.DataFrame, query_count: int, depth: int = DEPTH
) -> dict[str, float]:
    """Compute accuracy and mean reciprocal rank of rankings.

    Args:
        ranked: query_id, doc_id, rank (from 1).
        qrels: query_id, doc_id, relevance.
        query_count: Number of queries, including those whose positives were not retrieved.
        depth: Number of documents retrieved per query.

    Returns:
        accuracy@1, @10 and @depth (the share of queries with a positive within that rank) and mrr@10, each in
        0..1.
    """
    relevant = qrels.filter(pl.col("relevance") > 0)
    retrieved = ranked.join(relevant, on=["query_id", "doc_id"], how="semi")
    # Sorted, so that floating-point sums do not depend on the order of rows.
    best_ranks = np.sort(retrieved.group_by("query_id").agg(pl.col("rank").min())["rank"].to_numpy())
    accuracy = {f"accuracy@{k}": float((best_ranks <= k).sum() / query_count) for k in (1, 10, depth)}
    reciprocal_ranks = np.where(best_ranks <= 10, 1 / best_ranks, 0)
    return {**accuracy, "mrr@10": float(reciprocal_ranks.sum() / query_count)}
