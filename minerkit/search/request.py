"""What a search is asked, and what it gives."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors

__all__ = ["Hits", "Limits", "Pairs", "Request"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Limits = npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class Pairs:
    """(query, document) positions, sorted by query: what a search must not return."""

    queries: IntArray
    documents: IntArray

    @classmethod
    def of(cls, queries: IntArray, documents: IntArray) -> "Pairs":
        """Sort pairs by query, then document."""
        order = np.lexsort((documents, queries))
        return cls(queries[order], documents[order])

    @classmethod
    def none(cls) -> "Pairs":
        """List no pair."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs.of(
            np.concatenate([self.queries, other.queries]), np.concatenate([self.documents, other.documents])
        )

    def only(self, rows: IntArray) -> "Pairs":
        """Keep the pairs of some queries (ascending positions), renumbered to 0..len(rows)."""
        starts, stops = np.searchsorted(self.queries, rows), np.searchsorted(self.queries, rows, side="right")
        counts = stops - starts
        where = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(
            counts.sum()
        )
        return Pairs(np.repeat(np.arange(len(rows)), counts), self.documents[where])


@dataclass(frozen=True)
class Request:
    """The k best documents wanted for each of n queries.

    None of the blocked pairs is wanted, and nothing above a query's ceiling (float64 of shape (n,)), where
    there are ceilings.
    """

    queries: Vectors
    k: int
    blocked: Pairs
    ceilings: Limits = None

    def __len__(self) -> int:
        return len(self.queries)

    def only(self, rows: IntArray) -> "Request":
        """Ask for some of the queries (ascending positions)."""
        ceilings = None if self.ceilings is None else self.ceilings[rows]
        return Request(self.queries.subset(rows), self.k, self.blocked.only(rows), ceilings)


@dataclass(frozen=True)
class Hits:
    """The best documents of each query: positions of shape (n, k), -1 where there are fewer; and scores."""

    documents: IntArray
    scores: FloatArray

    @classmethod
    def none(cls, n: int, k: int) -> "Hits":
        """Begin with nothing."""
        return cls(np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32))

    def put(self, rows: IntArray, hits: "Hits") -> None:
        """Take the result of some queries, which may be narrower."""
        width = hits.documents.shape[1]
        self.documents[rows, :width], self.scores[rows, :width] = hits.documents, hits.scores
