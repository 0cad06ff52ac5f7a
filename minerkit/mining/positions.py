"""Ids and their positions: where many rows name few ids, positions are small and fast."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["to_ids", "to_positions"]


def to_positions(rows: pl.DataFrame, ids: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Replace ids by their positions.

    Args:
        rows: Has a column of ids for each in `ids`.
        ids: By column: ids, ascending, each once.

    Returns:
        The rows whose ids are all there, with int32 positions in their place.
    """
    places = {column: _places(rows[column], own) for column, own in ids.items()}
    found = rows.with_columns(pl.Series(column, at) for column, at in places.items())
    return found.filter(np.all([at >= 0 for at in places.values()], axis=0))


def to_ids(rows: pl.DataFrame, ids: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Replace positions by their ids.

    Args:
        rows: Has a column of positions for each in `ids`, or for some of them.
        ids: By column: what the positions are positions in.

    Returns:
        The rows, with ids in the place of positions.
    """
    return rows.with_columns(
        own.gather(rows[column]).alias(column) for column, own in ids.items() if column in rows.columns
    )


def _places(names: pl.Series, ids: pl.Series) -> npt.NDArray[np.int32]:
    """Find names among ids that ascend, without a table of them all; -1 for those that are not there."""
    if ids.is_empty():
        return np.full(len(names), -1, np.int32)
    at = ids.search_sorted(names).to_numpy().astype(np.int32)
    found = (ids.gather(np.minimum(at, len(ids) - 1)) == names).to_numpy()
    return np.where(found, at, np.int32(-1))
