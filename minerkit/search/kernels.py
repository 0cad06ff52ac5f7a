"""The loops of a scan, compiled: what is of interest in a tile of products goes on its queries' board.

A board's state is a tuple of arrays, named as in `Board`; n queries have a row each. What a query holds
begins at its place; a query that has filled its places, and may have more, is moved to where there are more.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.compiled import compiled, inlined

__all__ = ["State", "add", "settle", "take", "tidy"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: values, columns, places, counts, limits, free, threshold, floor, noise, ceilings, starts, shut.
State = tuple[
    FloatArray, IntArray, IntArray, IntArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray,
    FloatArray, IntArray, IntArray,
]  # fmt: skip

#: Products that are looked at together: only where one passes are they looked at one by one.
GROUP = 64
#: Groups whose maxima are looked at for each document that is wanted.
PEAKS = 4
#: No whole product is as far from zero as this.
FAR = 2e9


@compiled
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
    width = tile.shape[1]
    groups = width // GROUP
    passed = np.ones(groups + 1, np.int32)
    for at in range(len(rows)):
        row, products, unit = rows[at], tile[at], units[at]
        high = _edge(products, (ceilings[row] + noise[row]) / unit)
        if threshold[row] == -np.inf:  # the k-th best of the documents that count is at least this
            others = starts[row + 1] - starts[row]
            sure = _edge(products, (ceilings[row] - noise[row]) / unit)
            threshold[row] = _kth_peak(products, k + others, sure) * unit - 2 * noise[row]
        low = _edge(products, threshold[row] / unit)
        for group in range(groups):  # without a branch, else it would go number by number
            some = np.int32(0)
            for column in range(group * GROUP, group * GROUP + GROUP):
                some |= np.int32((products[column] > low) & (products[column] <= high))
            passed[group] = some
        if groups:  # the last numbers, looked at with some before them
            some = np.int32(0)
            for column in range(width - GROUP, width - GROUP + GROUP):
                some |= np.int32((products[column] > low) & (products[column] <= high))
            passed[groups] = some
        for group in range(groups + 1):
            if passed[group]:
                for column in range(group * GROUP, min(group * GROUP + GROUP, width)):
                    product = products[column]
                    if low < product <= high and _counts(starts, shut, row, start + column):
                        if counts[row] == limits[row]:
                            _tidy(state, k, room, row)
                            low = _edge(products, threshold[row] / unit)
                            if product <= low:
                                continue
                        place = places[row] + counts[row]
                        values[place], columns[place] = product * unit, start + column
                        counts[row] += 1


@compiled
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


@compiled
def tidy(state: State, k: int, room: int) -> None:
    """Drop what cannot be among the k best of its query, and raise thresholds.

    Args:
        state: What the board knows.
        k: The rank whose score sets thresholds.
        room: Documents a query keeps; what goes for want of it is remembered by the floor.
    """
    for row in range(len(state[3])):
        _tidy(state, k, room, row)


@compiled
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


@compiled
def _tidy(state: State, k: int, room: int, row: int) -> Any:
    """Tidy the places of a query; give what a document must score, by those that were held."""
    values, columns, places, counts, limits, free, threshold, floor, noise, ceilings, _, _ = state
    first, last = places[row], places[row] + counts[row]
    needed = np.float32(_needed(values[first:last], k, noise[row], ceilings[row]))
    lowest = max(threshold[row], needed)
    counts[row] = _kept(values[first:last], columns[first:last], lowest)
    if counts[row] > room:
        last = first + counts[row]
        lowest = _kth(values[first:last], room + 1)
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


@inlined
def _needed(scores: FloatArray, k: int, noise: float, ceiling: float) -> float:
    """Say what a document must score to be among the k best, by the scores of some."""
    # Others may be above the ceiling, so that they do not count.
    sure = scores if ceiling == np.inf else scores[scores <= ceiling - noise]
    return -np.inf if len(sure) < k else float(_kth(sure, k) - 2 * noise)


@inlined
def _kth(scores: FloatArray, k: int) -> Any:
    return np.partition(scores, len(scores) - k)[len(scores) - k]


@inlined
def _kept(values: FloatArray, columns: IntArray, lowest: Any) -> int:
    """Move what is above a threshold to the front; give how much it is."""
    kept = 0
    for at in range(len(values)):
        value, column = values[at], columns[at]
        if value > lowest:
            values[kept], columns[kept] = value, column
            kept += 1
    return kept


@inlined
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


@inlined
def _edge(products: npt.NDArray[Any], limit: float) -> Any:
    """Give a limit in the type of the products, which are compared with it as they are."""
    kind = products.dtype.type
    return kind(np.floor(min(max(limit, -FAR), FAR))) if kind(0.5) == 0 else kind(limit)


@inlined
def _kth_peak(products: npt.NDArray[Any], k: int, most: Any) -> float:
    """Find the k-th best of the maxima of groups, of products up to a limit: at most the k-th best of all."""
    lowest = _edge(products, -np.inf)
    peaks = np.full(min(PEAKS * k, len(products)), lowest)
    for start in range(0, len(products) - len(peaks) + 1, len(peaks)):
        for at in range(len(peaks)):  # a group is every so manieth product, so that groups go side by side
            product = products[start + at]
            peaks[at] = max(peaks[at], product if product <= most else lowest)
    found = _kth(peaks, k) if len(peaks) >= k else lowest
    return float(found) if found > lowest else -np.inf
