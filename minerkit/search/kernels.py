"""The loops of a scan, compiled: what is of interest in a tile of products goes on its queries' board.

A board's state is a tuple of arrays, named as in `Board`; n queries have a row each.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.compiled import compiled, inlined

__all__ = ["State", "add", "dots", "settle", "take", "tidy"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]
#: values, columns, counts, threshold, floor, noise, ceilings, starts, shut.
State = tuple[
    FloatArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray, FloatArray, IntArray, IntArray
]

#: Products that are looked at together: only where one passes are they looked at one by one.
GROUP = 64


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
    values, columns, counts, threshold, _, noise, ceilings, starts, shut = state
    width, full = tile.shape[1], values.shape[1]
    groups = width // GROUP
    passed = np.ones(groups + 1, np.int32)
    for at in range(len(rows)):
        row, products, unit = rows[at], tile[at], units[at]
        low = threshold[row] / unit
        high = (ceilings[row] + noise[row]) / unit
        if low == -np.inf:  # the k-th best of the documents that count is at least this
            others = starts[row + 1] - starts[row]
            sure = (ceilings[row] - noise[row]) / unit
            low = _kth_peak(products, groups, k + others, sure) - 2 * noise[row] / unit
            threshold[row] = low * unit
        for group in range(groups):  # without a branch, else it would go number by number
            some = np.int32(0)
            for column in range(group * GROUP, group * GROUP + GROUP):
                product = np.float32(products[column])
                some |= np.int32((product > low) & (product <= high))
            passed[group] = some
        if groups:  # the last numbers, looked at with some before them
            some = np.int32(0)
            for column in range(width - GROUP, width - GROUP + GROUP):
                product = np.float32(products[column])
                some |= np.int32((product > low) & (product <= high))
            passed[groups] = some
        for group in range(groups + 1):
            if passed[group]:
                for column in range(group * GROUP, min(group * GROUP + GROUP, width)):
                    product = np.float32(products[column])
                    if low < product <= high and _counts(starts, shut, row, start + column):
                        if counts[row] == full:
                            _tidy(state, k, room, row)
                            low = threshold[row] / unit
                            if product <= low:
                                continue
                        values[row, counts[row]], columns[row, counts[row]] = product * unit, start + column
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
    values, held, counts, threshold, _, noise, ceilings, starts, shut = state
    for at in range(len(rows)):
        row, score = rows[at], scores[at]
        if score <= ceilings[row] + noise[row] and _counts(starts, shut, row, columns[at]):
            if counts[row] == values.shape[1]:
                _tidy(state, k, room, row)
            if score > threshold[row]:
                values[row, counts[row]], held[row, counts[row]] = score, columns[at]
                counts[row] += 1


@compiled
def tidy(state: State, k: int, room: int) -> None:
    """Drop what cannot be among the k best of its query, and raise thresholds.

    Args:
        state: What the board knows.
        k: The rank whose score sets thresholds.
        room: Documents a query keeps; what goes for want of it is remembered by the floor.
    """
    for row in range(len(state[2])):
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
    values, columns, counts, threshold, floor, noise, ceilings, _, _ = state
    for row in range(len(counts)):
        _tidy(state, k, room, row)
        if threshold[row] > np.float32(_needed(values[row, : counts[row]], k, noise[row], ceilings[row])):
            floor[row] = max(floor[row], threshold[row])
    held, start = np.empty(counts.sum(), np.int32), 0
    for row in range(len(counts)):
        stop = start + counts[row]
        held[start:stop] = columns[row, : counts[row]]
        start = stop
    return held


@compiled
def _tidy(state: State, k: int, room: int, row: int) -> None:
    values, columns, counts, threshold, floor, noise, ceilings, _, _ = state
    needed = _needed(values[row, : counts[row]], k, noise[row], ceilings[row])
    lowest = max(threshold[row], np.float32(needed))
    counts[row] = _kept(values[row], columns[row], counts[row], lowest)
    if counts[row] > room:
        lowest = _kth(values[row, : counts[row]], room + 1)
        counts[row] = _kept(values[row], columns[row], counts[row], lowest)
        floor[row] = lowest
    threshold[row] = lowest


@inlined
def _needed(scores: FloatArray, k: int, noise: float, ceiling: float) -> float:
    """Say what a document must score to be among the k best, by the scores of some."""
    sure = scores[scores <= ceiling - noise]  # others may be above the ceiling, so that they do not count
    return -np.inf if len(sure) < k else float(_kth(sure, k) - 2 * noise)


@inlined
def _kth(scores: FloatArray, k: int) -> Any:
    return np.partition(scores, len(scores) - k)[len(scores) - k]


@inlined
def _kept(values: FloatArray, columns: IntArray, count: int, lowest: Any) -> int:
    """Move what is above a threshold to the front; give how much it is."""
    kept = 0
    for at in range(count):
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
def _kth_peak(products: npt.NDArray[Any], groups: int, k: int, most: float) -> float:
    """Find the k-th best of the maxima of groups, of products up to a limit: at most the k-th best of all."""
    if groups < k:
        return -np.inf
    peaks = np.empty(groups, np.float32)
    for group in range(groups):
        peak = np.float32(-np.inf)
        for column in range(group * GROUP, group * GROUP + GROUP):
            product = np.float32(products[column])
            peak = max(peak, product if product <= most else np.float32(-np.inf))
        peaks[group] = peak
    return float(_kth(peaks, k))


@compiled
def dots(queries: FloatArray, rows: IntArray, documents: FloatArray, out: npt.NDArray[np.float64]) -> None:
    """Multiply pairs in float64.

    Args:
        queries: float32 of shape (n, dim).
        rows: Integers of shape (m,): the query of each document.
        documents: float32 of shape (m, dim).
        out: float64 of shape (m,): where the dot products go.
    """
    for at in range(len(rows)):
        query, document, total = queries[rows[at]], documents[at], 0.0
        for place in range(len(document)):
            total += np.float64(query[place]) * np.float64(document[place])
        out[at] = total
