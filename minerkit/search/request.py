"""The request of a search, and its result."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors

__all__ = ["Ceilings", "Hits", "Pairs", "Request"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Ceilings = npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class Pairs:
    """Pairs of a query and a document, by position, sorted by query: what a search must not return."""

    queries: IntArray
    documents: IntArray

    @classmethod
    def of(cls, queries: IntArray, documents: IntArray) -> "Pairs":
        """Sort pairs by query, then document."""
        order = np.lexsort((documents, queries))
        return cls(queries[order], documents[order])

    @classmethod
    def empty(cls) -> "Pairs":
        """Return no pairs."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs.of(
            np.concatenate([self.queries, other.queries]), np.concatenate([self.documents, other.documents])
        )

    def subset(self, rows: IntArray) -> "Pairs":
        """Keep the pairs of some queries (ascending positions), renumbered to 0..len(rows)."""
        starts, stops = np.searchsorted(self.queries, rows), np.searchsorted(self.queries, rows, side="right")
        counts = stops - starts
        where = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(
            counts.sum()
        )
        return Pairs(np.repeat(np.arange(len(rows)), counts), self.documents[where])


@dataclass(frozen=True)
class Request:
    """A request for the k best documents of each of n queries.

    Excluded pairs are not returned, nor documents that score above a query's ceiling (float64 of shape (n,)).
    Without ceilings any score may be returned.
    """

    queries: Vectors
    k: int
    excluded: Pairs
    ceilings: Ceilings = None

    def __len__(self) -> int:
        return len(self.queries)

    def subset(self, rows: IntArray) -> "Request":
        """Keep some of the queries (ascending positions)."""
        ceilings = None if self.ceilings is None else self.ceilings[rows]
        return Request(self.queries.subset(rows), self.k, self.excluded.subset(rows), ceilings)


@dataclass(frozen=True)
class Hits:
    """The best documents of each query: positions of shape (n, k), -1 where there are fewer; and scores."""

    documents: IntArray
    scores: FloatArray

    @classmethod
    def empty(cls, n: int, k: int) -> "Hits":
        """Return hits without any document."""
        return cls(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))

    def set_rows(self, rows: IntArray, hits: "Hits") -> None:
        """Set the hits of some queries; theirs may have fewer columns."""
        width = hits.documents.shape[1]
        self.documents[rows, :width], self.scores[rows, :width] = hits.documents, hits.scores
