"""Scores of single pairs: the same whatever else is scored with them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.compiled import compiled
from minerkit.vectors import Vectors

__all__ = ["DECIMALS", "exact_scores", "pair_scores", "rounded"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.integer[Any]]

#: Scores are kept to six decimals.
DECIMALS = 6
#: Pairs scored at once, whose documents stay in a core's cache.
CHUNK = 256


def exact_scores(scores: FloatArray) -> npt.NDArray[np.float64]:
    """Give stored scores as the decimals they stand for.

    Args:
        scores: float32 of any shape, rounded to six decimals.

    Returns:
        float64 of the same shape: 0.8, not 0.800000011920929.
    """
    return np.asarray(np.round(scores.astype(np.float64), DECIMALS))


def rounded(scores: npt.NDArray[np.float64]) -> FloatArray:
    """Round exact scores to the decimals that are kept.

    Args:
        scores: float64 of any shape.

    Returns:
        float32 of the same shape.
    """
    return np.asarray(np.round(scores, DECIMALS) + 0.0, dtype=np.float32)  # + 0.0: no negative zero


def pair_scores(queries: Vectors, documents: Vectors, rows: IntArray, positions: IntArray) -> FloatArray:
    """Score pairs of a query and a document.

    Args:
        queries: n vectors.
        documents: m vectors.
        rows: Integers of shape (p,): the query of each pair.
        positions: Integers of shape (p,): its document.

    Returns:
        float32 of shape (p,): dot products in float64, rounded. Between float16 vectors of unit length these
        are exact: all products are multiples of 2**-48, so that no sum up to 16 needs more than 53 bits.
    """
    asked, exact = queries.take(0, len(queries)), np.empty(len(rows))
    if (table := documents.halves) is not None:
        _half_dots(asked, rows, table, documents.rows[positions], exact)
        return rounded(exact)
    order = documents.as_stored(positions)
    if order is not None:
        rows, positions = rows[order], positions[order]
    read = documents.reader(min(CHUNK, len(rows)))
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        _dots(asked, rows[part], read(positions[part]), exact[part])
    if order is not None:
        exact[order] = exact.copy()
    return rounded(exact)


@compiled
def _dots(queries: FloatArray, rows: IntArray, documents: FloatArray, out: npt.NDArray[np.float64]) -> None:
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


@compiled
def _half_dots(
    queries: FloatArray, rows: IntArray, table: npt.NDArray[np.uint16], at: IntArray,
    out: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Multiply pairs in float64, the documents where they lie.

    Args:
        queries: float32 of shape (n, dim).
        rows: Integers of shape (m,): the query of each pair.
        table: uint16 of shape (t, dim): the bits of float16 numbers.
        at: Integers of shape (m,): the row of each pair's document.
        out: float64 of shape (m,): where the dot products go.
    """
    for pair in range(len(rows)):
        query, document, total = queries[rows[pair]], table[at[pair]], 0.0
        for place in range(len(document)):
            # Sign, exponent and fraction moved to where float32 has them; its exponents count from elsewhere.
            bits = np.int32(document[place])
            moved = np.int32((bits & 0x7FFF) << 13 | (bits & 0x8000) << 16).view(np.float32)
            total += np.float64(query[place]) * np.float64(moved * np.float32(2.0**112))
        out[pair] = total
