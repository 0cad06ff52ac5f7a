"""Stored scores as decimals: rounded to six places, compared exactly."""

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["DECIMALS", "FloatArray", "exact_score", "exact_scores", "round_scores"]

FloatArray = npt.NDArray[np.float32]
#: Scores are kept to six decimals.
DECIMALS = 6


def exact_scores(scores: FloatArray) -> npt.NDArray[np.float64]:
    """Return stored scores as the decimals they stand for.

    Args:
        scores: float32 of any shape, rounded to six decimals.

    Returns:
        float64 of the same shape: 0.8, not 0.800000011920929.
    """
    return np.asarray(np.round(scores.astype(np.float64), DECIMALS))


def round_scores(scores: npt.NDArray[np.float64]) -> FloatArray:
    """Round exact scores to the decimals that are kept.

    Args:
        scores: float64 of any shape.

    Returns:
        float32 of the same shape.
    """
    return np.asarray(np.round(scores, DECIMALS) + 0.0, dtype=np.float32)  # + 0.0: no negative zero


def exact_score(score: pl.Expr) -> pl.Expr:
    """Return a stored score as the decimal it stands for.

    Args:
        score: A float32 expression, rounded to six decimals.

    Returns:
        float64: 0.8, not 0.800000011920929.
    """
    return score.cast(pl.Float64).round(DECIMALS)
