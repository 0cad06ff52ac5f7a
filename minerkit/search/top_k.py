"""The best scores seen so far for a tile of queries, and the score a document needs to be worth a look."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minerkit.search import top_k_kernels as kernels
from minerkit.search.request import Pairs

if TYPE_CHECKING:
    import torch

__all__ = ["Board", "Kept"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: Documents of a first tile that a GPU gives whole, before there are thresholds.
LEAD = 1024
#: Places a query has at first. They are tidied when they are taken; what is left may double once more.
FIRST = 192


class Board:
    """Keeps, for each query, every document that may be among its k best, from scores with a known error.

    A document stays while its score is within twice the error of the k-th best; that is enough to hold the k
    best by exact score. There is room for so many; what had to go for want of it is remembered by a floor.
    """

    def __init__(
        self, k: int, room: int, noise: FloatArray, shut: Pairs, ceilings: npt.NDArray[np.float64] | None
    ) -> None:
        """Start with nothing.

        Args:
            k: How many documents each of n queries is to get.
            room: Documents kept per query, at least k.
            noise: float32 of shape (n,): the largest error of a score.
            shut: Documents, by column, that do not count.
            ceilings: float64 of shape (n,): the highest exact score that counts; None: all do.
        """
        import torch

        size, self.k, self.room = len(noise), k, room
        ordered = Pairs.of(shut.queries, shut.documents)
        #: Where the places of each query begin, how many are taken, and how many may be.
        few = min(FIRST, 2 * room)
        self._places = np.arange(size) * few
        self.counts, self._limits = np.zeros(size, np.int64), np.full(size, few)
        #: The first of the places for queries with more documents, and the first of these that is free.
        self._free = np.full(2, size * few)
        #: Scores of the documents held and their columns, by place.
        # Of the many places few are ever used, and torch, unlike numpy, does not ask for huge pages.
        there = size * (few + (2 * room if few < 2 * room else 0))
        self.values = torch.empty(there, dtype=torch.float32).numpy()
        self.columns = torch.empty(there, dtype=torch.int32).numpy()
        #: What a document must score above to be of interest, and the highest score dropped for want of room.
        self.threshold = np.full(size, -np.inf, np.float32)
        self.floor = self.threshold.copy()
        self.noise = noise
        self.ceilings = (np.full(size, np.inf) if ceilings is None else ceilings).astype(np.float32)
        #: Columns that do not count, ascending: those of query q are shut[starts[q] : starts[q + 1]].
        self._starts = np.searchsorted(ordered.queries, np.arange(size + 1))
        self._shut = ordered.documents.astype(np.int32)

    @property
    def _state(self) -> kernels.State:
        return (
            self.values, self.columns, self._places, self.counts, self._limits, self._free, self.threshold,
            self.floor, self.noise, self.ceilings, self._starts, self._shut,
        )  # fmt: skip

    def take(self, tile: "torch.Tensor", rows: IntArray, start: int, units: FloatArray, k: int) -> None:
        """Take from products what may be among the k best.

        Args:
            tile: Shape (m, d): products of queries with documents.
            rows: int64 of shape (m,): the queries.
            start: The column of the first document.
            units: float32 of shape (m,): the score that a product of one stands for.
            k: The rank whose score sets thresholds. One smaller than that of the board is a guess, for
                documents that are a sample of all; `settled` says where it was wrong.
        """
        if tile.device.type == "cpu":
            numbers = tile.float() if tile.dtype.itemsize < units.itemsize else tile
            kernels.take(self._state, k, self.room, numbers.numpy(), rows, start, units)
            return
        lead = LEAD if np.isneginf(self.threshold[rows]).any() else 0
        high = (self.ceilings + self.noise)[rows] / units
        for part, first in ((tile[:, :lead], start), (tile[:, lead:], start + lead)):
            found, columns, products = _passed(part, self.threshold[rows] / units, high)
            scores = products * units[found]
            kernels.add(self._state, k, self.room, rows[found], columns + first, scores)
            self.tidy(k)

    def tidy(self, k: int) -> None:
        """Drop what cannot be among the k best, and raise thresholds; k as in `take`."""
        kernels.tidy(self._state, k, self.room)

    def settled(self) -> "Kept":
        """Finish: give what may be among the k best."""
        held = kernels.settle(self._state, self.k, self.room)
        return Kept(held, np.concatenate([[0], np.cumsum(self.counts)]), self.floor + self.noise)


@dataclass(frozen=True)
class Kept:
    """The documents that may be among the k best of each of n queries.

    The columns of query q are columns[starts[q] : starts[q + 1]]; floor is the highest exact score that a
    document left out may have, where it may be among the k best, else -inf: float32 of shape (n,).
    """

    columns: npt.NDArray[np.int32]
    starts: IntArray
    floor: FloatArray

    def of(self, rows: IntArray) -> tuple[npt.NDArray[np.int32], IntArray]:
        """Give the columns of some queries, one after the other, and where those of each begin and end."""
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[rows])])
        shift = np.repeat(self.starts[rows] - starts[:-1], np.diff(starts))
        return self.columns[np.arange(starts[-1]) + shift], starts


def _passed(tile: "torch.Tensor", low: FloatArray, high: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Find the products between limits of their row, on the device: rows, columns, and products."""
    import torch

    least, most = (torch.from_numpy(limit)[:, None].to(tile.device) for limit in (low, high))
    rows, columns = ((tile > least) & (tile <= most)).nonzero(as_tuple=True)
    return rows.cpu().numpy(), columns.cpu().numpy(), tile[rows, columns].float().cpu().numpy()
