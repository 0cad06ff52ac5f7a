"""The compiled loops of a scan: candidates of a tile of products go to the slots of their queries.

The state of a top k is a tuple of arrays, named as in `TopK`, with a row a query. The candidates of a query
begin at its first slot. A query whose slots are full, and that may have more candidates, is moved to where
there are more slots.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.runtime import jit, jit_inline
from minerkit.search.top_k_thresholds import comparable_limit, kth_peak, needed_score

__all__ = ["State", "add_scored", "finish", "prune", "take_products"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: values, columns, slots, counts, limits, free, threshold, floor, error_bound, ceilings, starts, excluded.
State = tuple[
    FloatArray, IntArray, IntArray, IntArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray,
    FloatArray, IntArray, IntArray,
]  # fmt: skip

#: Products that are compared at once: as many as a mask has bits.
GROUP = 64


@jit
def take_products(
    state: State, k: int, capacity: int, tile: npt.NDArray[Any], rows: IntArray, start: int, units: FloatArray
) -> None:
    """Take the candidates of a tile of products.

    Args:
        state: The state of a top k.
        k: The rank whose score sets thresholds.
        capacity: Candidates that a query keeps at most.
        tile: int32 or float32 of shape (m, d): products of queries with documents.
        rows: int64 of shape (m,): the queries.
        start: The column of the first document.
        units: float32 of shape (m,): the score that a product of one stands for.
    """
    values, columns, slots, counts, limits, _, threshold, _, error_bound, ceilings, starts, excluded = state
    masks, found = np.empty(tile.shape[1] // GROUP, np.uint64), np.empty(tile.shape[1], np.int32)
    for at in range(len(rows)):
        row, products, unit = rows[at], tile[at], units[at]
        high = comparable_limit(products, (ceilings[row] + error_bound[row]) / unit)
        if threshold[row] == -np.inf:  # the k-th best of the documents allowed is at least this
            others = starts[row + 1] - starts[row]
            sure = comparable_limit(products, (ceilings[row] - error_bound[row]) / unit)
            threshold[row] = kth_peak(products, k + others, sure) * unit - 2 * error_bound[row]
        low = comparable_limit(products, threshold[row] / unit)
        for turn in range(_between(products, low, high, masks, found)):
            product, column = products[found[turn]], start + found[turn]
            if product > low and _is_allowed(starts, excluded, row, column):
                if counts[row] == limits[row]:
                    _prune_query(state, k, capacity, row)
                    low = comparable_limit(products, threshold[row] / unit)
                    if product <= low:
                        continue
                slot = slots[row] + counts[row]
                values[slot], columns[slot] = product * unit, column
                counts[row] += 1


@jit
def add_scored(
    state: State, k: int, capacity: int, rows: IntArray, columns: IntArray, scores: FloatArray
) -> None:
    """Take candidates with their scores.

    Args:
        state: The state of a top k.
        k: The rank whose score sets thresholds.
        capacity: Candidates that a query keeps at most.
        rows: Integers of shape (m,): queries.
        columns: Integers of shape (m,): a document for each.
        scores: float32 of shape (m,): its score.
    """
    values, held, slots, counts, limits, _, threshold, _, error_bound, ceilings, starts, excluded = state
    for at in range(len(rows)):
        row, score = rows[at], scores[at]
        if score <= ceilings[row] + error_bound[row] and _is_allowed(starts, excluded, row, columns[at]):
            if counts[row] == limits[row]:
                _prune_query(state, k, capacity, row)
            if score > threshold[row]:
                slot = slots[row] + counts[row]
                values[slot], held[slot] = score, columns[at]
                counts[row] += 1


@jit
def prune(state: State, k: int, capacity: int) -> None:
    """Drop candidates that cannot be among the k best of their query, and raise thresholds.

    Args:
        state: The state of a top k.
        k: The rank whose score sets thresholds.
        capacity: Candidates that a query keeps at most; the floor is the highest score dropped beyond it.
    """
    for row in range(len(state[3])):
        _prune_query(state, k, capacity, row)


@jit
def finish(state: State, k: int, capacity: int) -> npt.NDArray[np.int32]:
    """Prune for the last time; a threshold that was guessed too high becomes the floor.

    Args:
        state: The state of a top k.
        k: How many documents a query is to get.
        capacity: Candidates that a query keeps at most.

    Returns:
        int32 of shape (sum of counts,): the columns of the candidates, query by query.
    """
    _, columns, slots, counts, _, _, threshold, floor, _, _, _, _ = state
    for row in range(len(counts)):
        needed = _prune_query(state, k, capacity, row)
        if threshold[row] > needed:
            floor[row] = max(floor[row], threshold[row])
    held, start = np.empty(counts.sum(), np.int32), 0
    for row in range(len(counts)):
        stop = start + counts[row]
        held[start:stop] = columns[slots[row] : slots[row] + counts[row]]
        start = stop
    return held


@jit
def _prune_query(state: State, k: int, capacity: int, row: int) -> Any:
    """Prune the candidates of a query; return the score that a candidate needs, by those it had."""
    values, columns, slots, counts, limits, free, threshold, floor, error_bound, ceilings, _, _ = state
    first, last = slots[row], slots[row] + counts[row]
    needed = np.float32(needed_score(values[first:last], k, error_bound[row], ceilings[row]))
    lowest = max(threshold[row], needed)
    counts[row] = _compact(values[first:last], columns[first:last], lowest)
    if counts[row] > capacity:
        last = first + counts[row]
        lowest = np.partition(values[first:last], counts[row] - capacity - 1)[counts[row] - capacity - 1]
        counts[row] = _compact(values[first:last], columns[first:last], lowest)
        floor[row] = lowest
    threshold[row] = lowest
    limit = min(2 * counts[row], 2 * capacity)
    if limit > limits[row]:
        if first < free[0]:  # the query has not been moved yet
            slots[row], free[1] = free[1], free[1] + 2 * capacity
            for at in range(counts[row]):
                values[slots[row] + at], columns[slots[row] + at] = values[first + at], columns[first + at]
        limits[row] = limit
    return needed


@jit_inline
def _between(
    products: npt.NDArray[Any], low: Any, high: Any, masks: npt.NDArray[np.uint64], found: IntArray
) -> int:
    """Find the products above one limit and up to another.

    Args:
        products: int32 or float32 of shape (d,).
        low: The limit that they exceed.
        high: The limit that they do not exceed.
        masks: uint64 of shape (d // GROUP,): space for a bit a product.
        found: Integers of shape (d,): where their positions are written, ascending.

    Returns:
        How many products were found.
    """
    for group in range(len(masks)):  # without a branch, else it would go product by product
        part, mask = products[group * GROUP : group * GROUP + GROUP], np.uint64(0)
        for slot in range(GROUP):
            mask |= np.uint64((part[slot] > low) & (part[slot] <= high)) << np.uint64(slot)
        masks[group] = mask
    count = 0
    for group in range(len(masks)):
        mask = masks[group]
        while mask:
            rest = mask & (mask - np.uint64(1))
            # As a float, a power of two has its number in the exponent.
            exponent = np.float64(mask ^ rest).view(np.int64) >> 52
            found[count], mask = group * GROUP + exponent - 1023, rest
            count += 1
    for slot in range(len(masks) * GROUP, len(products)):
        if low < products[slot] <= high:
            found[count] = slot
            count += 1
    return count


@jit_inline
def _compact(values: FloatArray, columns: IntArray, lowest: Any) -> int:
    """Move the candidates above a threshold to the front; return how many they are."""
    kept = 0
    for at in range(len(values)):
        value, column = values[at], columns[at]
        if value > lowest:
            values[kept], columns[kept] = value, column
            kept += 1
    return kept


@jit_inline
def _is_allowed(starts: IntArray, excluded: IntArray, row: int, column: int) -> bool:
    """Check whether a document is not excluded for a query."""
    low, high = starts[row], starts[row + 1]
    while low < high:
        middle = (low + high) // 2
        if excluded[middle] == column:
            return False
        if excluded[middle] < column:
            low = middle + 1
        else:
            high = middle
    return True
