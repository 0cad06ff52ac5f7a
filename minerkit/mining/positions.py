"""Convert ids to positions and back: millions of rows repeat few ids, and int32 positions are small and fast.

The position of an id is its index in a column of ids that ascend.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["to_ids", "to_positions"]


def to_positions(rows: pl.DataFrame, ids: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Replace ids by their positions.

    Args:
        rows: Has a column of ids for each name in `ids`.
        ids: Column name to the known ids, ascending and unique.

    Returns:
        The rows whose ids are all known, with int32 positions instead of ids.
    """
    positions = {column: _find_positions(rows[column], known) for column, known in ids.items()}
    replaced = rows.with_columns(pl.Series(column, found) for column, found in positions.items())
    return replaced.filter(np.all([found >= 0 for found in positions.values()], axis=0))


def to_ids(rows: pl.DataFrame, ids: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Replace positions by their ids.

    Args:
        rows: Has a column of positions for each name in `ids`, or for some of them.
        ids: Column name to the ids that its positions index.

    Returns:
        The rows, with ids instead of positions.
    """
    return rows.with_columns(
        known.gather(rows[column]).alias(column) for column, known in ids.items() if column in rows.columns
    )


def _find_positions(ids: pl.Series, known: pl.Series) -> npt.NDArray[np.int32]:
    """Look ids up in ascending known ids by bisection, without a hash table; -1 for unknown ids."""
    if known.is_empty():
        return np.full(len(ids), -1, np.int32)
    candidates = known.search_sorted(ids).to_numpy().astype(np.int32)
    matches = (known.gather(np.minimum(candidates, len(known) - 1)) == ids).to_numpy()
    return np.where(matches, candidates, np.int32(-1))
