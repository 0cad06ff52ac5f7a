"""The loops of a scan, compiled: what is of interest in a tile of products goes on its queries' board.

A board's state is a tuple of arrays, named as in `Board`; n queries have a row each. What a query holds
begins at its place; a query that has filled its places, and may have more, is moved to where there are more.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.runtime import jit, jit_inline
from minerkit.search.top_k_thresholds import comparable_limit, kth_peak, needed_score

__all__ = ["State", "add", "settle", "take", "tidy"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: values, columns, places, counts, limits, free, threshold, floor, noise, ceilings, starts, shut.
State = tuple[
    FloatArray, IntArray, IntArray, IntArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray,
    FloatArray, IntArray, IntArray,
]  # fmt: skip

#: Products that are looked at together: as many as a mask has bits.
GROUP = 64


@jit
def take(
    state: State, k: int, room: int, tile: npt.NDArray[Any], rows: IntArray, start: int, units: FloatArray
) -> None:
    """Take what is of interest from products.

    Args:
        state: What the board knows.
        k: The rank whose score sets thresholds.
        room: Documents a query keeps.
        tile: int32 or float32 of shape (m, d): products of queries with documents.
        rows: int64 of shape (m,): the queries.
        start: The column of the first document.
        units: float32 of shape (m,): the score that a product of one stands for.
    """
    values, columns, places, counts, limits, _, threshold, _, noise, ceilings, starts, shut = state
    masks, found = np.empty(tile.shape[1] // GROUP, np.uint64), np.empty(tile.shape[1], np.int32)
    for at in range(len(rows)):
        row, products, unit = rows[at], tile[at], units[at]
        high = comparable_limit(products, (ceilings[row] + noise[row]) / unit)
        if threshold[row] == -np.inf:  # the k-th best of the documents that count is at least this
            others = starts[row + 1] - starts[row]
            sure = comparable_limit(products, (ceilings[row] - noise[row]) / unit)
            threshold[row] = kth_peak(products, k + others, sure) * unit - 2 * noise[row]
        low = comparable_limit(products, threshold[row] / unit)
        for turn in range(_passed(products, low, high, masks, found)):
            product, column = products[found[turn]], start + found[turn]
            if product > low and _counts(starts, shut, row, column):
                if counts[row] == limits[row]:
                    _tidy(state, k, room, row)
                    low = comparable_limit(products, threshold[row] / unit)
                    if product <= low:
                        continue
                place = places[row] + counts[row]
                values[place], columns[place] = product * unit, column
                counts[row] += 1


@jit
def add(state: State, k: int, room: int, rows: IntArray, columns: IntArray, scores: FloatArray) -> None:
    """Take documents that were found elsewhere.

    Args:
        state: What the board knows.
        k: The rank whose score sets thresholds.
        room: Documents a query keeps.
        rows: Integers of shape (m,): queries.
        columns: Integers of shape (m,): a document for each.
        scores: float32 of shape (m,): its score.
    """
    values, held, places, counts, limits, _, threshold, _, noise, ceilings, starts, shut = state
    for at in range(len(rows)):
        row, score = rows[at], scores[at]
        if score <= ceilings[row] + noise[row] and _counts(starts, shut, row, columns[at]):
            if counts[row] == limits[row]:
                _tidy(state, k, room, row)
            if score > threshold[row]:
                place = places[row] + counts[row]
                values[place], held[place] = score, columns[at]
                counts[row] += 1


@jit
def tidy(state: State, k: int, room: int) -> None:
    """Drop what cannot be among the k best of its query, and raise thresholds.

    Args:
        state: What the board knows.
        k: The rank whose score sets thresholds.
        room: Documents a query keeps; what goes for want of it is remembered by the floor.
    """
    for row in range(len(state[3])):
        _tidy(state, k, room, row)


@jit
def settle(state: State, k: int, room: int) -> npt.NDArray[np.int32]:
    """Tidy for the last time; where a threshold was a guess, and too high, it becomes the floor.

    Args:
        state: What the board knows.
        k: How many documents a query is to get.
        room: Documents a query keeps.

    Returns:
        int32 of shape (sum of counts,): the columns held, query by query.
    """
    _, columns, places, counts, _, _, threshold, floor, _, _, _, _ = state
    for row in range(len(counts)):
        needed = _tidy(state, k, room, row)
        if threshold[row] > needed:
            floor[row] = max(floor[row], threshold[row])
    held, start = np.empty(counts.sum(), np.int32), 0
    for row in range(len(counts)):
        stop = start + counts[row]
        held[start:stop] = columns[places[row] : places[row] + counts[row]]
        start = stop
    return held


@jit
def _tidy(state: State, k: int, room: int, row: int) -> Any:
    """Tidy the places of a query; give what a document must score, by those that were held."""
    values, columns, places, counts, limits, free, threshold, floor, noise, ceilings, _, _ = state
    first, last = places[row], places[row] + counts[row]
    needed = np.float32(needed_score(values[first:last], k, noise[row], ceilings[row]))
    lowest = max(threshold[row], needed)
    counts[row] = _kept(values[first:last], columns[first:last], lowest)
    if counts[row] > room:
        last = first + counts[row]
        lowest = np.partition(values[first:last], counts[row] - room - 1)[counts[row] - room - 1]
        counts[row] = _kept(values[first:last], columns[first:last], lowest)
        floor[row] = lowest
    threshold[row] = lowest
    limit = min(2 * counts[row], 2 * room)
    if limit > limits[row]:
        if first < free[0]:  # it has not been moved yet
            places[row], free[1] = free[1], free[1] + 2 * room
            for at in range(counts[row]):
                values[places[row] + at], columns[places[row] + at] = values[first + at], columns[first + at]
        limits[row] = limit
    return needed


@jit_inline
def _passed(
    products: npt.NDArray[Any], low: Any, high: Any, masks: npt.NDArray[np.uint64], found: IntArray
) -> int:
    """Find the products above one limit and up to another.

    Args:
        products: int32 or float32 of shape (d,).
        low: What they are above.
        high: What they are no more than.
        masks: uint64 of shape (d // GROUP,): room for a bit a product.
        found: Integers of shape (d,): where their places go, ascending.

    Returns:
        How many they are.
    """
    for group in range(len(masks)):  # without a branch, else it would go product by product
        part, mask = products[group * GROUP : group * GROUP + GROUP], np.uint64(0)
        for place in range(GROUP):
            mask |= np.uint64((part[place] > low) & (part[place] <= high)) << np.uint64(place)
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
    for place in range(len(masks) * GROUP, len(products)):
        if low < products[place] <= high:
            found[count] = place
            count += 1
    return count


@jit_inline
def _kept(values: FloatArray, columns: IntArray, lowest: Any) -> int:
    """Move what is above a threshold to the front; give how much it is."""
    kept = 0
    for at in range(len(values)):
        value, column = values[at], columns[at]
        if value > lowest:
            values[kept], columns[kept] = value, column
            kept += 1
    return kept


@jit_inline
def _counts(starts: IntArray, shut: IntArray, row: int, column: int) -> bool:
    """Say whether a document counts for a query."""
    low, high = starts[row], starts[row + 1]
    while low < high:
        middle = (low + high) // 2
        if shut[middle] == column:
            return False
        if shut[middle] < column:
            low = middle + 1
        else:
            high = middle
    return True
