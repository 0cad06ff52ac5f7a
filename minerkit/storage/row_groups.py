"""Parquet files read again, row group by row group."""

import functools
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from minerkit.errors import RunError

__all__ = ["RowGroups", "readable_parquet"]


@dataclass(frozen=True)
class RowGroups:
    """A Parquet file, read a row group at a time, as often as it is wanted."""

    path: Path

    def of(self, *columns: str) -> Iterator[pl.DataFrame]:
        """Read some columns.

        Args:
            columns: Their names; none: all.

        Yields:
            The rows of each row group, in order; an empty frame where there is none.

        Raises:
            RunError: The file is missing or damaged.
        """
        with self._opened() as file:
            if not file.num_row_groups:
                empty = pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table()))
                yield empty.select(columns or empty.columns)
            for number in range(file.num_row_groups):
                yield pl.DataFrame(pl.from_arrow(file.read_row_group(number, columns or None)))

    def one(self, number: int, *columns: str, where: pl.Expr | None = None) -> pl.DataFrame:
        """Read a row group.

        Args:
            number: Which, from 0.
            columns: Names of columns; none: all.
            where: What must hold of a row, by any column.

        Returns:
            Its rows.

        Raises:
            RunError: The file is missing or damaged, or has fewer row groups.
        """
        with readable_parquet(self.path):
            if number >= len(self._starts) - 1:
                raise ValueError(f"it has {len(self._starts) - 1} row groups")
            start, stop = self._starts[number : number + 2]
            rows = pl.scan_parquet(self.path, glob=False).slice(start, stop - start)
            rows = rows if where is None else rows.filter(where)
            return rows.select(columns or pl.all()).collect()

    def coded(self, number: int, *columns: str) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
        """Read a row group with positions in place of strings, as `encode_row_group` was given it.

        Args:
            number: Which, from 0.
            columns: The columns, of strings, none of them null.

        Returns:
            Its rows, with int32 positions in these columns; and what they are positions in, by column: the
            strings of the row group, ascending.

        Raises:
            RunError: The file is missing or damaged, or has fewer row groups.
        """
        import pyarrow.parquet as pq

        ids: dict[str, pl.Series] = {}
        with readable_parquet(self.path), pq.ParquetFile(self.path, read_dictionary=columns) as file:
            names = file.schema_arrow.names
            rows = self.one(number, *(name for name in names if name not in columns))
            read = file.read_row_group(number, columns, use_threads=False).unify_dictionaries()
            for name in columns:
                codes = read.column(name).combine_chunks()
                strings = pl.Series(name, codes.dictionary)
                order = strings.arg_sort().to_numpy()
                places = np.empty(len(order), np.int32)
                places[order] = np.arange(len(order))
                rows = rows.with_columns(pl.Series(name, places.take(codes.indices.to_numpy())))
                ids[name] = strings.gather(order)
        return rows.select(names), ids

    @functools.cached_property
    def _starts(self) -> list[int]:
        """The first row of each row group, and the number of all rows."""
        with self._opened() as file:
            sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        return [0, *itertools.accumulate(sizes)]

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with readable_parquet(self.path), pq.ParquetFile(self.path) as file:
            yield file


@contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file of a run is read into one line that says what to do.

    Args:
        path: The file.

    Yields:
        Nothing.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; `minerkit mine` makes it") from error
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); run `minerkit mine` again to make it anew") from error
