"""Scores of single pairs: the same whatever else is scored with them."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minerkit.embeddings import Vectors
from minerkit.runtime import jit
from minerkit.search.decimals import FloatArray, round_scores

__all__ = ["pair_scores"]

IntArray = npt.NDArray[np.integer[Any]]
Halves = npt.NDArray[np.uint16]

#: Pairs scored at once, whose documents stay in a core's cache.
CHUNK = 256


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
    exact, float16_bits = np.empty(len(rows)), (queries.float16_bits, documents.float16_bits)
    if float16_bits[0] is not None and float16_bits[1] is not None:
        _half_dots(float16_bits[0], queries.rows[rows], float16_bits[1], documents.rows[positions], exact)
        return round_scores(exact)
    order = documents.storage_order(positions)
    if order is not None:
        rows, positions = rows[order], positions[order]
    asked, read = queries.take(0, len(queries)), documents.reader(min(CHUNK, len(rows)))
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        _dots(asked, rows[part], read(positions[part]), exact[part])
    if order is not None:
        exact[order] = exact.copy()
    return round_scores(exact)


@jit
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


def _reading(context: Any, half: Any) -> Any:
    """Say how the bits of a float16 are read as a float64: chips have an instruction for many at once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.DoubleType())

    return types.float64(types.uint16), generate


_number = cast("Callable[[Any], float]", intrinsic(_reading))


@jit
def _half_dots(
    queries: Halves, rows: IntArray, documents: Halves, places: IntArray, out: npt.NDArray[np.float64]
) -> None:
    """Multiply pairs of float16 vectors in float64, where they lie.

    Args:
        queries: The bits of the numbers, uint16 of shape (n, dim).
        rows: Integers of shape (p,): the query of each pair; best if those of a query stand together.
        documents: As the queries, of shape (m, dim).
        places: Integers of shape (p,): the document of each pair.
        out: float64 of shape (p,): where the dot products go.
    """
    query = np.empty(queries.shape[1])
    for pair in range(len(rows)):
        if pair == 0 or rows[pair] != rows[pair - 1]:
            bits = queries[rows[pair]]
            for place in range(len(query)):
                query[place] = _number(bits[place])
        document, total = documents[places[pair]], 0.0
        for place in range(len(query)):
            total += query[place] * _number(document[place])
        out[pair] = total
