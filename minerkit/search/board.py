"""The best scores seen so far for a tile of queries, and the score a document needs to be worth a look."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["Board"]


class Board:
    """Keeps, for each query, every document that may be among its k best, from scores with a known error.

    A document stays while its score is within twice the error of the k-th best; that is enough to hold the k
    best by exact score. There is room for so many; what had to go for want of it is remembered by `floor`.
    """

    def __init__(
        self, size: int, k: int, room: int, ceilings: npt.NDArray[np.float64] | None, device: str
    ) -> None:
        """Start with nothing.

        Args:
            size: How many queries.
            k: How many documents each is to get.
            room: Documents kept per query, at least k.
            ceilings: float64 of shape (size,): the highest exact score that counts; None: all do.
            device: A torch device.
        """
        import torch

        self.k, self.room = k, room
        self.values = torch.full((size, 2 * room), -torch.inf, device=device)
        self.columns = torch.full((size, 2 * room), -1, dtype=torch.int32, device=device)
        self.counts = torch.zeros(size, dtype=torch.int64, device=device)
        #: A document below it cannot be among the k best.
        self.threshold = torch.full((size,), -torch.inf, device=device)
        #: The highest score that was dropped for want of room.
        self.floor = torch.full((size,), -torch.inf, device=device)
        self.ceilings = None if ceilings is None else torch.from_numpy(ceilings.astype(np.float32)).to(device)

    def seed(
        self, rows: "torch.Tensor", scores: "torch.Tensor", noise: "torch.Tensor", k: int | None = None
    ) -> None:
        """Set first thresholds from scores of some documents.

        The k-th best of them is at most the k-th best of all. So is the k-th best of the maxima of groups of
        documents, which is hardly less where there are many groups.

        Args:
            rows: int64 of shape (n,): the queries.
            scores: float32 of shape (n, m).
            noise: float32 of shape (size,): the largest error of a score.
            k: The rank whose score sets the threshold; None: that of the board.
        """
        k = k or self.k
        if k <= scores.shape[1]:
            self.threshold[rows] = self._needed(scores, rows, noise, k)

    def add(
        self, rows: "torch.Tensor", columns: "torch.Tensor", values: "torch.Tensor", noise: "torch.Tensor"
    ) -> None:
        """Take documents above the threshold.

        Args:
            rows: int64 of shape (hits,): query, ascending.
            columns: int64 of shape (hits,): document.
            values: float32 of shape (hits,): score.
            noise: float32 of shape (size,): the largest error of a score.
        """
        import torch

        width = self.values.shape[1]
        while len(rows):
            fresh = torch.bincount(rows, minlength=len(self.counts))
            after = self.counts + fresh
            slots = (after - fresh.cumsum(0))[rows] + torch.arange(len(rows), device=rows.device)
            if int(after.max()) <= width:
                self._put(rows * width + slots, columns, values)
                self.counts = after
                return
            fits = slots < width
            self._put((rows * width + slots)[fits], columns[fits], values[fits])
            self.counts = after.clamp(max=width)
            self.tidy(noise, (after > width).nonzero()[:, 0])
            left = ~fits & (values > self.threshold[rows])
            rows, columns, values = rows[left], columns[left], values[left]

    def tidy(self, noise: "torch.Tensor", rows: "torch.Tensor | None" = None, k: int | None = None) -> None:
        """Drop what cannot be among the k best, and raise thresholds.

        Args:
            noise: float32 of shape (size,): the largest error of a score.
            rows: int64 of shape (n,): the queries; None: all.
            k: The rank whose score sets the threshold; None: that of the board. A smaller one is a guess, for
                documents that are a sample of all; `settled` says where it was wrong.
        """
        import torch

        rows = torch.arange(len(self.counts), device=noise.device) if rows is None else rows
        values, columns = self.values[rows], self.columns[rows]
        threshold = torch.maximum(self.threshold[rows], self._needed(values, rows, noise, k or self.k))
        crowded = (values > threshold[:, None]).sum(1) > self.room
        if bool(crowded.any()):
            last = values[crowded].topk(self.room + 1, dim=1).values[:, -1]
            threshold[crowded] = torch.maximum(threshold[crowded], last)
            self.floor[rows[crowded]] = threshold[crowded]
        kept, slots = (values > threshold[:, None]).nonzero(as_tuple=True)
        counts = torch.bincount(kept, minlength=len(rows))
        places = torch.arange(len(kept), device=kept.device) - (counts.cumsum(0) - counts)[kept]
        self.threshold[rows], self.counts[rows] = threshold, counts
        self.values[rows] = -torch.inf
        self._put(rows[kept] * values.shape[1] + places, columns[kept, slots], values[kept, slots])

    def settled(self, noise: "torch.Tensor") -> "torch.Tensor":
        """Finish.

        Args:
            noise: float32 of shape (size,): the largest error of a score.

        Returns:
            float32 of shape (size,): the highest exact score of a document that is not here, where it may be
            among the k best; else -inf.
        """
        import torch

        self.tidy(noise)
        everyone = torch.arange(len(self.counts), device=noise.device)
        guessed = self.threshold > self._needed(self.values, everyone, noise, self.k)
        return torch.where(guessed, torch.maximum(self.floor, self.threshold), self.floor) + noise

    def _needed(
        self, scores: "torch.Tensor", rows: "torch.Tensor", noise: "torch.Tensor", k: int
    ) -> "torch.Tensor":
        """Say what a document must score to be among the k best, by the scores of some queries."""
        import torch

        if self.ceilings is not None:
            # Scores near the ceiling may be above it, so that they do not count for the k.
            scores = torch.where(scores > (self.ceilings - noise)[rows, None], -torch.inf, scores)
        return scores.topk(k, dim=1, sorted=False).values.amin(1) - 2 * noise[rows]

    def _put(self, places: "torch.Tensor", columns: "torch.Tensor", values: "torch.Tensor") -> None:
        import torch

        self.values.view(-1).scatter_(0, places, values)
        self.columns.view(-1).scatter_(0, places, columns.to(torch.int32))
