"""The running top k of a tile of queries, and the score that a document needs to be a candidate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minerkit.search import top_k_kernels as kernels
from minerkit.search.request import Pairs

if TYPE_CHECKING:
    import torch

__all__ = ["TopK", "TopKCandidates"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: Documents of the first tile that a GPU returns whole, before there are thresholds.
LEAD = 1024
#: Slots of a query at first. Full slots are pruned; a query with many candidates left gets more slots.
FIRST = 192


class TopK:
    """Keeps, for each query, every document that may be among its k best, by scores with a bounded error.

    A document stays while its score is within twice the error of the k-th best: then the k best by exact
    score are among those kept. A query keeps so many at most. Where it had to drop more, its floor is the
    highest score dropped.
    """

    def __init__(
        self,
        k: int,
        capacity: int,
        error_bound: FloatArray,
        excluded: Pairs,
        ceilings: npt.NDArray[np.float64] | None,
    ) -> None:
        """Start without candidates.

        Args:
            k: How many documents each of n queries is to get.
            capacity: Documents that a query keeps at most, at least k.
            error_bound: float32 of shape (n,): the largest error of a score.
            excluded: Pairs of a query and a column that are never kept.
            ceilings: float64 of shape (n,): the highest exact score that is kept; None: any.
        """
        import torch

        size, self.k, self.capacity = len(error_bound), k, capacity
        ordered = Pairs.of(excluded.queries, excluded.documents)
        #: Where the slots of each query begin, how many are used, and how many it may use.
        few = min(FIRST, 2 * capacity)
        self._slots = np.arange(size) * few
        self.counts, self._limits = np.zeros(size, np.int64), np.full(size, few)
        #: The first of the slots for queries with more candidates, and the first of these that is free.
        self._free = np.full(2, size * few)
        #: Scores of the candidates and their columns, by slot.
        # Few of the slots are ever used, and torch, unlike numpy, does not ask for huge pages.
        there = size * (few + (2 * capacity if few < 2 * capacity else 0))
        self.values = torch.empty(there, dtype=torch.float32).numpy()
        self.columns = torch.empty(there, dtype=torch.int32).numpy()
        #: The score that a candidate must exceed, and the highest score dropped for want of capacity.
        self.threshold = np.full(size, -np.inf, np.float32)
        self.floor = self.threshold.copy()
        self.error_bound = error_bound
        self.ceilings = (np.full(size, np.inf) if ceilings is None else ceilings).astype(np.float32)
        #: Excluded columns, ascending: those of query q are excluded[starts[q] : starts[q + 1]].
        self._starts = np.searchsorted(ordered.queries, np.arange(size + 1))
        self._excluded = ordered.documents.astype(np.int32)

    @property
    def _state(self) -> kernels.State:
        return (
            self.values, self.columns, self._slots, self.counts, self._limits, self._free, self.threshold,
            self.floor, self.error_bound, self.ceilings, self._starts, self._excluded,
        )  # fmt: skip

    def take_products(
        self, tile: "torch.Tensor", rows: IntArray, start: int, units: FloatArray, k: int
    ) -> None:
        """Take the documents of a tile that may be among the k best.

        Args:
            tile: Shape (m, d): products of queries with documents.
            rows: int64 of shape (m,): the queries.
            start: The column of the first document.
            units: float32 of shape (m,): the score that a product of one stands for.
            k: The rank whose score sets thresholds. A smaller one than the k of the request is a guess from a
                sample of the documents; `finish` tells where it was wrong.
        """
        if tile.device.type == "cpu":
            numbers = tile.float() if tile.dtype.itemsize < units.itemsize else tile
            kernels.take_products(self._state, k, self.capacity, numbers.numpy(), rows, start, units)
            return
        lead = LEAD if np.isneginf(self.threshold[rows]).any() else 0
        high = (self.ceilings + self.error_bound)[rows] / units
        for part, first in ((tile[:, :lead], start), (tile[:, lead:], start + lead)):
            found, columns, products = _between(part, self.threshold[rows] / units, high)
            scores = products * units[found]
            kernels.add_scored(self._state, k, self.capacity, rows[found], columns + first, scores)
            self.prune(k)

    def prune(self, k: int) -> None:
        """Drop documents that cannot be among the k best, and raise thresholds; k as in `take_products`."""
        kernels.prune(self._state, k, self.capacity)

    def finish(self) -> "TopKCandidates":
        """Return the documents that may be among the k best."""
        held = kernels.finish(self._state, self.k, self.capacity)
        return TopKCandidates(
            held, np.concatenate([[0], np.cumsum(self.counts)]), self.floor + self.error_bound
        )


@dataclass(frozen=True)
class TopKCandidates:
    """The documents that may be among the k best of each of n queries.

    The columns of query q are columns[starts[q] : starts[q + 1]]. floor, float32 of shape (n,), is the
    highest exact score of a dropped document that may be among the k best; -inf where there is none.
    """

    columns: npt.NDArray[np.int32]
    starts: IntArray
    floor: FloatArray

    def of(self, rows: IntArray) -> tuple[npt.NDArray[np.int32], IntArray]:
        """Return the columns of some queries, one after the other, and the offsets of each."""
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[rows])])
        shift = np.repeat(self.starts[rows] - starts[:-1], np.diff(starts))
        return self.columns[np.arange(starts[-1]) + shift], starts


def _between(
    tile: "torch.Tensor", low: FloatArray, high: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Find the products between limits of their row, on the device: rows, columns, and products."""
    import torch

    least, most = (torch.from_numpy(limit)[:, None].to(tile.device) for limit in (low, high))
    rows, columns = ((tile > least) & (tile <= most)).nonzero(as_tuple=True)
    return rows.cpu().numpy(), columns.cpu().numpy(), tile[rows, columns].float().cpu().numpy()
