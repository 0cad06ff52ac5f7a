"""Exact search of a small collection: one matrix of scores, computed in float64 and sorted.

The scan of `minerkit.search.exact` pays where there is much to search; before its first search its loops are
compiled. Where a few hundred queries meet a few thousand documents, all scores at once take a fraction of a
second, and neither torch nor a compiler is loaded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.search.decimals import DECIMALS, exact_scores, round_scores
from minerkit.search.request import Hits, Request

__all__ = ["DenseIndex", "is_small", "rank_all"]

IntArray = npt.NDArray[np.int64]

#: Pairs of a query and a document up to which a collection is small.
SMALL = 1 << 21
#: Documents scored at once, and bytes of scores.
BLOCK, SCORES = 16384, 64 << 20
#: Pairs scored at once.
PAIRS = 4096


def is_small(queries: int, documents: Vectors) -> bool:
    """Check whether all scores of queries and documents are best computed at once.

    Args:
        queries: How many queries there are.
        documents: m vectors.

    Returns:
        True for few pairs of float16 vectors, whose products are exact in float64 in any order.
    """
    return queries * len(documents) <= SMALL and documents.float16_bits is not None


class DenseIndex:
    """Documents of a small collection."""

    device = "cpu"

    def __init__(self, documents: Vectors) -> None:
        """Point at the documents.

        Args:
            documents: m vectors; equal scores rank in their order.
        """
        self.documents = documents

    def __len__(self) -> int:
        return len(self.documents)

    def prepare(self) -> None:
        """Do nothing: a matrix of scores needs no preparation."""

    def top(self, request: Request, progress: Callable[[int], object] = id) -> Hits:
        """Find the k best documents of each query that are not excluded and score at most its ceiling.

        Args:
            request: What is wanted of n queries.
            progress: Called with the number of queries done, each time some are.

        Returns:
            The documents, best first; as many columns as are wanted, and as there are documents.
        """
        hits = rank_all(request, self.documents)
        progress(len(request))
        return hits

    def search(self, *requests: Request) -> "list[DenseHits]":
        """Prepare several requests of the same queries; each is searched when it is asked for queries."""
        return [DenseHits(request, self.documents) for request in requests]

    def pair_scores(self, queries: Vectors, rows: IntArray, positions: IntArray) -> npt.NDArray[np.float32]:
        """Score pairs of a query and a document.

        Args:
            queries: n vectors.
            rows: Integers of shape (p,): the query of each pair.
            positions: Integers of shape (p,): its document.

        Returns:
            float32 of shape (p,): dot products in float64, rounded to six decimals.
        """
        scores = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS):
            part = slice(start, start + PAIRS)
            left, right = queries.subset(rows[part]), self.documents.subset(positions[part])
            np.einsum("pd,pd->p", left.as_float64(), right.as_float64(), out=scores[part])
        return round_scores(scores)


@dataclass(frozen=True)
class DenseHits:
    """A request that is searched for some of its queries at a time."""

    request: Request
    documents: Vectors

    def top(self, rows: IntArray) -> Hits:
        """Find the best documents of some queries.

        Args:
            rows: Positions of queries, ascending.

        Returns:
            Their documents, best first.
        """
        return rank_all(self.request.subset(rows), self.documents)


def rank_all(request: Request, documents: Vectors, memory: int = SCORES) -> Hits:
    """Rank all documents for each query by scores in float64.

    Args:
        request: What is wanted of n queries.
        documents: m vectors.
        memory: Bytes that the scores of some queries may take.

    Returns:
        The best documents; of equal scores the earlier ones first.
    """
    hits = Hits.empty(len(request), min(request.k, len(documents)))
    if not len(documents):
        return hits
    step = max(1, min(SCORES, memory) // (8 * len(documents)))
    for start in range(0, len(request), step):
        rows = np.arange(start, min(start + step, len(request)))
        hits.set_rows(rows, _rank(request.subset(rows), documents))
    return hits


def _rank(request: Request, documents: Vectors) -> Hits:
    queries, count = request.queries.as_float64(), len(documents)
    blocks = (np.arange(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK))
    parts = [queries @ documents.subset(block).as_float64().T for block in blocks]
    scores = round_scores(np.concatenate(parts, axis=1))
    scores[request.excluded.queries, request.excluded.documents] = -np.inf
    if request.ceilings is not None:
        scores[exact_scores(scores) > request.ceilings[:, None]] = -np.inf
    # Scores are decimals, so that with the position one whole number holds the rank of each document.
    excluded = ~np.isfinite(scores)
    millionths = np.round(np.where(excluded, 0, scores).astype(np.float64) * 10**DECIMALS).astype(np.int64)
    keys = np.arange(count) - millionths * count
    keys[excluded] = np.iinfo(np.int64).max
    k = min(request.k, count)
    best = (
        np.argpartition(keys, k - 1, axis=1)[:, :k]
        if k < count
        else np.tile(np.arange(count), (len(keys), 1))
    )
    order = np.take_along_axis(best, np.argsort(np.take_along_axis(keys, best, axis=1), axis=1), axis=1)
    found = np.take_along_axis(scores, order, axis=1)
    return Hits(np.where(np.isfinite(found), order, -1), found)
