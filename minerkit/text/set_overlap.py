"""How many elements sets have in common, pair by pair."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.runtime import jit

__all__ = ["shared", "sort_sets"]

IntArray = npt.NDArray[np.integer[Any]]


@jit
def sort_sets(elements: npt.NDArray[np.uint64], offsets: IntArray) -> IntArray:
    """Sort the elements of each set, in place, and drop repeats.

    Args:
        elements: uint64: set i has elements[offsets[i] : offsets[i + 1]].
        offsets: Integers of shape (n + 1,).

    Returns:
        int64 of shape (n,): how many elements each set has; they come first in its place.
    """
    sizes = np.zeros(len(offsets) - 1, np.int64)
    for at in range(len(sizes)):
        own = elements[offsets[at] : offsets[at + 1]]
        own.sort()
        for element in own:
            if sizes[at] == 0 or own[sizes[at] - 1] != element:
                own[sizes[at]] = element
                sizes[at] += 1
    return sizes


@jit
def shared(
    elements: npt.NDArray[np.uint64], offsets: IntArray, sizes: IntArray, left: IntArray, right: IntArray
) -> IntArray:
    """Count the elements that two sets share.

    Args:
        elements: As `sort_sets` leaves them.
        offsets: Integers of shape (n + 1,).
        sizes: Integers of shape (n,).
        left: Integers of shape (m,): a set, and
        right: the set it is compared with.

    Returns:
        int64 of shape (m,).
    """
    counts = np.zeros(len(left), np.int64)
    for at in range(len(left)):
        a, b = offsets[left[at]], offsets[right[at]]
        last_a, last_b = a + sizes[left[at]], b + sizes[right[at]]
        while a < last_a and b < last_b:
            one, other = elements[a], elements[b]
            counts[at] += one == other
            a += one <= other
            b += other <= one
    return counts
