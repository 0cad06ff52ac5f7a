"""What a scan has found, scored exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.search import kernels
from minerkit.search.board import Kept
from minerkit.search.coded import CodedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.scores import exact_scores, pair_scores
from minerkit.threads import torch_map
from minerkit.vectors import Vectors

__all__ = ["Found"]

IntArray = npt.NDArray[np.int64]
#: Candidates scored at once.
AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Found:
    """What a scan has found for a request, by scores that are off a little: not yet scored exactly.

    Queries come in parts: positions, and what was kept for each. `again` searches for what is not sure; an
    approximate search leaves it at that.
    """

    request: Request
    documents: Vectors
    coded: CodedDocuments
    parts: list[tuple[IntArray, Kept]]
    again: Callable[[Request], Hits] | None = None

    @classmethod
    def each(
        cls,
        requests: Sequence[Request],
        documents: Vectors,
        coded: CodedDocuments,
        parts: list[IntArray],
        kept: list[list[Kept]],
        again: Callable[[Request], Hits] | None = None,
    ) -> "list[Found]":
        """Say what was found for each request, from what was kept of each part of the queries for each."""
        found = []
        for number, request in enumerate(requests):
            own = [(part, of_each[number]) for part, of_each in zip(parts, kept, strict=True)]
            found.append(cls(request, documents, coded, own, again))
        return found

    def top(self, rows: IntArray) -> Hits:
        """Score exactly what was found for some queries, and search again where something may be missing.

        Args:
            rows: Positions of queries, ascending; each is asked for once.

        Returns:
            Their documents, best first; as many columns as are wanted, and as there are documents.
        """
        hits = Hits.none(len(rows), min(self.request.k, len(self.documents)))

        def settled(at: tuple[IntArray, Kept]) -> IntArray:
            part, kept = at
            low, high = np.searchsorted(rows, [part[0], part[-1] + 1])
            own = rows[low:high]
            found, sure = _settle(
                self.request.only(own), kept, own - part[0], self.coded.order, self.documents
            )
            hits.put(np.arange(low, high), found)
            return own[~sure]

        unsure = np.concatenate([rows[:0], *torch_map(settled, self.parts, self.coded.format.device)])
        if len(unsure) and self.again is not None:
            hits.put(np.searchsorted(rows, unsure), self.again(self.request.only(unsure)))
        return hits


def _settle(
    request: Request, kept: Kept, rows: IntArray, order: npt.NDArray[np.integer], documents: Vectors
) -> tuple[Hits, npt.NDArray[np.bool_]]:
    """Score what a scan has left exactly, and take the best.

    Args:
        request: What is wanted of n queries.
        kept: What may be among their best.
        rows: int64 of shape (n,): which of its rows they are.
        order: The position of each column.
        documents: What the positions mean.

    Returns:
        The best documents; and bool of shape (n,): whether nothing is missing for want of room.
    """
    hits = Hits.none(len(rows), min(request.k, len(documents)))
    ends, start = np.cumsum(np.diff(kept.starts)[rows]), 0
    while start < len(rows):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        columns, starts = kept.of(rows[start:stop])
        asked, positions = np.repeat(np.arange(start, stop), np.diff(starts)), order[columns]
        scores = pair_scores(request.queries, documents, asked, positions)
        if request.ceilings is not None:
            scores[exact_scores(scores) > request.ceilings[asked]] = -np.inf
        kernels.best(starts, positions, scores, hits.documents[start:stop], hits.scores[start:stop])
        start = stop
    floor = kept.floor[rows]
    return hits, (floor == -np.inf) | (hits.scores[:, -1] > floor)
