"""Scores of single pairs: the same whatever else is scored with them."""

import numpy as np
import numpy.typing as npt

from minerkit.vectors import Vectors

__all__ = ["DECIMALS", "exact_scores", "pair_scores", "rescored", "rounded"]

FloatArray = npt.NDArray[np.float32]

#: Scores are kept to six decimals.
DECIMALS = 6
#: Pairs scored at once, and candidates of several queries.
CHUNK, TOGETHER = 8192, 512


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
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(queries), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(queries)))
        exact = np.einsum(
            "nd,nd->n", queries.gather(rows).astype(np.float64), documents.gather(rows).astype(np.float64)
        )
        parts.append(rounded(exact))
    return np.concatenate(parts)


def rescored(queries: Vectors, documents: Vectors, candidates: npt.NDArray[np.integer]) -> FloatArray:
    """Score queries against their own candidates.

    Args:
        queries: n vectors.
        documents: m vectors.
        candidates: Integers of shape (n, k): positions of documents, ascending; -1 for none.

    Returns:
        float32 of shape (n, k), as `pair_scores` gives them; -inf for none.
    """
    import torch

    # Products of float16 numbers are exact in float32, which is faster; their sums are not.
    kind = torch.float32 if queries.dtype == documents.dtype == np.float16 else torch.float64
    asked = torch.from_numpy(queries.gather(np.arange(len(queries)))).to(kind)
    scores = np.full(candidates.shape, -np.inf)
    counts, start = (candidates >= 0).sum(1), 0
    while start < len(queries):
        # A few queries at once, as long as their candidates fit into a core's cache.
        part = slice(start, start + max(1, TOGETHER // max(1, int(counts[start]))))
        width, start = max(1, int(counts[part].max())), part.stop
        own = candidates[part, -width:]
        found = torch.from_numpy(documents.gather(np.maximum(own, 0).ravel())).to(kind)
        found = found.view(*own.shape, documents.dim).mul_(asked[part, None, :])
        exact = found.sum(2, dtype=torch.float64).numpy()
        scores[part, -width:] = np.where(own >= 0, exact, -np.inf)
    return rounded(scores)
