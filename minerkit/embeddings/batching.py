"""Split sorted items into runs and batches of bounded size."""

import numpy as np
import numpy.typing as npt

__all__ = ["padded_batches", "split_runs"]


def split_runs(sizes: npt.NDArray[np.integer], count: int, total: int) -> list[slice]:
    """Cut items into runs by number and by size.

    Args:
        sizes: Integers of shape (n,): what each item adds to the size of its piece.
        count: The most items a piece holds.
        total: The most its items add up to; an item that is larger is a piece by itself.

    Returns:
        Consecutive slices that together hold all items.
    """
    cuts, start = [], 0
    ends = np.cumsum(sizes, dtype=np.int64)
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        fits = int(np.searchsorted(ends, before + total, side="right")) - start
        cuts.append(slice(start, min(start + min(max(fits, 1), count), len(sizes))))
        start = cuts[-1].stop
    return cuts


def padded_batches(lengths: npt.NDArray[np.integer], budget: int) -> list[slice]:
    """Cut items into batches that are padded to their longest.

    Args:
        lengths: Integers of shape (n,), longest first.
        budget: The most a batch holds, padding included; an item that is longer is a batch by itself.

    Returns:
        Consecutive slices that together hold all items.
    """
    cuts, start = [], 0
    while start < len(lengths):
        fits = max(1, budget // max(1, int(lengths[start])))
        cuts.append(slice(start, min(start + fits, len(lengths))))
        start = cuts[-1].stop
    return cuts
