"""Scores of single pairs: the same whatever else is scored with them."""

import numpy as np
import numpy.typing as npt

from minerkit.search import kernels
from minerkit.vectors import Vectors

__all__ = ["DECIMALS", "exact_scores", "pair_scores", "rescored", "rounded"]

FloatArray = npt.NDArray[np.float32]

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


def pair_scores(queries: Vectors, documents: Vectors) -> FloatArray:
    """Score queries against one document each.

    Args:
        queries: n vectors.
        documents: n vectors.

    Returns:
        float32 of shape (n,): dot products in float64, rounded. Between float16 vectors of unit length these
        are exact: all products are multiples of 2**-48, so that no sum up to 16 needs more than 53 bits.
    """
    exact = np.empty(len(queries))
    for start in range(0, len(queries), CHUNK):
        part = slice(start, start + CHUNK)
        asked = queries.take(part.start, part.stop)
        kernels.dots(asked, np.arange(len(asked)), documents.take(part.start, part.stop), exact[part])
    return rounded(exact)


def rescored(queries: Vectors, documents: Vectors, candidates: npt.NDArray[np.integer]) -> FloatArray:
    """Score queries against their own candidates.

    Args:
        queries: n vectors.
        documents: m vectors.
        candidates: Integers of shape (n, k): positions of documents, ascending; -1 for none.

    Returns:
        float32 of shape (n, k), as `pair_scores` gives them; -inf for none.
    """
    scores = np.full(candidates.shape, -np.inf)
    rows, places = np.nonzero(candidates >= 0)
    order = documents.as_stored(candidates[rows, places])
    if order is not None:
        rows, places = rows[order], places[order]
    asked, positions = queries.take(0, len(queries)), candidates[rows, places]
    exact = np.empty(len(rows))
    read = documents.reader(CHUNK)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        kernels.dots(asked, rows[part], read(positions[part]), exact[part])
    scores[rows, places] = exact
    return rounded(scores)
