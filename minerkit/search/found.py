"""What a scan has found, scored exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.search.board import Kept
from minerkit.search.coded import CodedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.scores import exact_scores, rescored
from minerkit.threads import torch_map
from minerkit.vectors import Vectors

__all__ = ["Found"]

IntArray = npt.NDArray[np.int64]
#: Candidates laid out at once; and how many of a query's are few, however many more another's.
AT_ONCE, ALIKE = 1 << 18, 128


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
    hits, width = Hits.none(len(rows), min(request.k, len(documents))), min(request.k, len(documents))
    sure = np.ones(len(rows), bool)
    counts = np.diff(kept.starts)[rows]
    fewest, start = np.argsort(counts, kind="stable"), 0
    while start < len(rows):  # those with about as many candidates together: they are laid out in rows
        part = fewest[start : start + max(1, AT_ONCE // max(1, int(counts[fewest[start]])))]
        part = np.sort(part[counts[part] <= max(ALIKE, 2 * int(counts[part[0]]))])
        start += len(part)
        columns, floor = kept.of(rows[part]), kept.floor[rows[part]]
        found = np.where(columns >= 0, order[columns], -1).astype(np.int64)
        found.sort(axis=1)  # -1 first, then by position
        scores = rescored(request.queries.subset(part), documents, found)
        if request.ceilings is not None:
            scores[exact_scores(scores) > request.ceilings[part, None]] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, : request.k]
        scores, found = np.take_along_axis(scores, best, axis=1), np.take_along_axis(found, best, axis=1)
        full = scores[:, -1] if scores.shape[1] == width else np.full(len(scores), -np.inf)
        hits.put(part, Hits(np.where(scores > -np.inf, found, -1), scores))
        sure[part] = (floor == -np.inf) | (full > floor)
    return hits, sure
