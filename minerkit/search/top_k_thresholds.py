"""Compiled loops that find how high a score must be to be among the k best."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.runtime import jit_inline

__all__ = ["comparable_limit", "kth_best", "kth_peak", "needed_score"]

FloatArray = npt.NDArray[np.float32]
#: Groups whose maxima are looked at for each document that is wanted.
PEAKS = 4
#: Times that the range of some numbers is halved to find about the k-th best of them.
HALVINGS = 24
#: No whole product is as far from zero as this.
FAR = 2e9


@jit_inline
def needed_score(scores: FloatArray, k: int, error_bound: float, ceiling: float) -> float:
    """Describe what a document must score to be among the k best, by the scores of some."""
    # Others may be above the ceiling, so that they do not count.
    sure = scores if ceiling == np.inf else scores[scores <= ceiling - error_bound]
    return kth_best(sure, k, -np.inf) - 2 * error_bound


@jit_inline
def kth_best(numbers: npt.NDArray[Any], k: int, least: Any) -> float:
    """Find the k-th best of some numbers, or one next to it, by halving their range: counting is fast.

    Args:
        numbers: int32 or float32 of shape (n,).
        k: The rank.
        least: Numbers that are no more than this do not count.

    Returns:
        One of the numbers: at least k are as high. -inf where fewer count.
    """
    low, high, count = np.inf, -np.inf, np.int32(0)
    for at in range(len(numbers)):
        number = np.float64(numbers[at])
        count += np.int32(number > least)
        low, high = min(low, number if number > least else np.inf), max(high, number)
    if count < k:
        return -np.inf
    low -= 1 + abs(low) / 1024  # below all of them
    for _ in range(HALVINGS):
        middle, above = numbers.dtype.type((low + high) / 2), np.int32(0)
        for at in range(len(numbers)):
            above += np.int32(numbers[at] > middle)
        if above >= k:
            low = np.float64(middle)
        else:
            high = np.float64(middle)
    found = np.inf
    for at in range(len(numbers)):
        found = min(found, np.float64(numbers[at]) if numbers[at] > low else np.inf)
    return found


@jit_inline
def comparable_limit(products: npt.NDArray[Any], limit: float) -> Any:
    """Return a limit in the type of the products, which are compared with it as they are."""
    kind = products.dtype.type
    return kind(np.floor(min(max(limit, -FAR), FAR))) if kind(0.5) == 0 else kind(limit)


@jit_inline
def kth_peak(products: npt.NDArray[Any], k: int, most: Any) -> float:
    """Find the k-th best of the maxima of groups, of products up to a limit: at most the k-th best of all."""
    lowest = comparable_limit(products, -np.inf)
    peaks = np.full(min(PEAKS * k, len(products)), lowest)
    for start in range(0, len(products) - len(peaks) + 1, len(peaks)):
        part = products[start : start + len(peaks)]
        for at in range(len(peaks)):  # a group is every so manieth product, so that groups go side by side
            product = part[at] if part[at] <= most else lowest
            peaks[at] = max(peaks[at], product)
    return kth_best(peaks, k, lowest)
