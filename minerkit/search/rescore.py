"""The exact scores of what a scan has found, and the k best documents by them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.runtime import jit, torch_map
from minerkit.search.decimals import exact_scores
from minerkit.search.dot_products import pair_scores
from minerkit.search.quantised_documents import QuantisedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.top_k import TopKCandidates

__all__ = ["ScanResult"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]
#: Candidates scored at once.
PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class ScanResult:
    """The candidates that a scan has found for a request, by approximate scores.

    Queries come in tiles: their positions, and the candidates of each. `search_again` searches for queries
    that may miss a document; an approximate search has none.
    """

    request: Request
    documents: Vectors
    coded: QuantisedDocuments
    parts: list[tuple[IntArray, TopKCandidates]]
    search_again: Callable[[Request], Hits] | None = None

    @classmethod
    def per_request(
        cls,
        requests: Sequence[Request],
        documents: Vectors,
        coded: QuantisedDocuments,
        parts: list[IntArray],
        kept: list[list[TopKCandidates]],
        search_again: Callable[[Request], Hits] | None = None,
    ) -> "list[ScanResult]":
        """Make the result of each request from the candidates of each tile of queries."""
        found = []
        for number, request in enumerate(requests):
            own = [(part, of_each[number]) for part, of_each in zip(parts, kept, strict=True)]
            found.append(cls(request, documents, coded, own, search_again))
        return found

    def top(self, rows: IntArray) -> Hits:
        """Score the candidates of some queries exactly, and search again where a document may be missing.

        Args:
            rows: Positions of queries, ascending; each at most once.

        Returns:
            Their documents, best first; as many columns as are wanted, and as there are documents.
        """
        hits = Hits.empty(len(rows), min(self.request.k, len(self.documents)))

        def finish(at: tuple[IntArray, TopKCandidates]) -> IntArray:
            part, kept = at
            low, high = np.searchsorted(rows, [part[0], part[-1] + 1])
            own = rows[low:high]
            found, sure = _rescore(
                self.request.subset(own), kept, own - part[0], self.coded.order, self.documents
            )
            hits.set_rows(np.arange(low, high), found)
            return own[~sure]

        unsure = np.concatenate([rows[:0], *torch_map(finish, self.parts, self.coded.format.device)])
        if len(unsure) and self.search_again is not None:
            hits.set_rows(np.searchsorted(rows, unsure), self.search_again(self.request.subset(unsure)))
        return hits


def _rescore(
    request: Request, kept: TopKCandidates, rows: IntArray, order: npt.NDArray[np.integer], documents: Vectors
) -> tuple[Hits, npt.NDArray[np.bool_]]:
    """Score candidates exactly, and take the k best of each query.

    Args:
        request: The request of n queries.
        kept: The candidates of a tile of queries.
        rows: int64 of shape (n,): the rows of the n queries in the tile.
        order: The position of the document in each column.
        documents: All documents.

    Returns:
        The best documents; and bool of shape (n,): whether no better document can be missing.
    """
    hits = Hits.empty(len(rows), min(request.k, len(documents)))
    ends, start = np.cumsum(np.diff(kept.starts)[rows]), 0
    while start < len(rows):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
        columns, starts = kept.of(rows[start:stop])
        asked, positions = np.repeat(np.arange(stop - start), np.diff(starts)), order[columns]
        queries = request.queries.subset(np.arange(start, stop))
        scores = pair_scores(queries, documents, asked, positions)
        if request.ceilings is not None:
            scores[exact_scores(scores) > request.ceilings[start + asked]] = -np.inf
        _best(starts, positions, scores, hits.documents[start:stop], hits.scores[start:stop])
        start = stop
    floor = kept.floor[rows]
    return hits, (floor == -np.inf) | (hits.scores[:, -1] > floor)


@jit
def _best(
    starts: Integers, positions: Integers, scores: FloatArray, documents: IntArray, of_documents: FloatArray
) -> None:
    """Take the best candidates of each query, best first; of equal scores the lower position.

    Args:
        starts: Integers of shape (n + 1,): those of query q are from starts[q] to starts[q + 1].
        positions: Integers of shape (c,): documents.
        scores: float32 of shape (c,): their scores, to six decimals; -inf for what does not count.
        documents: int64 of shape (n, k): where the best go; what is not filled is left as it is.
        of_documents: float32 of shape (n, k): where their scores go.
    """
    span = np.int64(positions.max()) + 1 if len(positions) else np.int64(1)
    for row in range(len(starts) - 1):
        first, count = starts[row], 0
        keys, at = np.empty(starts[row + 1] - first, np.int64), np.empty(starts[row + 1] - first, np.int64)
        for place in range(first, starts[row + 1]):
            if scores[place] > -np.inf:  # scores are decimals: one whole number holds the rank
                millionths = np.int64(np.rint(np.float64(scores[place]) * 1e6))
                keys[count], at[count] = positions[place] - millionths * span, place
                count += 1
        order = np.argsort(keys[:count])
        for place in range(min(count, documents.shape[1])):
            found = at[order[place]]
            documents[row, place], of_documents[row, place] = positions[found], scores[found]
