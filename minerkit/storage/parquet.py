"""Parquet row group by row group, so that no table need fit in memory."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from minerkit.errors import RunError
from minerkit.storage.atomic import atomic_write
from minerkit.storage.schema import ARTEFACT_COLUMNS, fit_artefact

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Append", "Parts", "encode_row_group", "parquet_writer", "readable_parquet", "write"]


class Append(Protocol):
    """Adds rows to a file as a row group of their own."""

    def __call__(self, rows: "pl.DataFrame | pa.Table") -> None:
        """Write some rows, as they are or as `encoded` gives them; none add nothing."""
        ...


def write(frame: pl.DataFrame, stream: IO[bytes], soon: bool = False) -> None:
    """Write a whole frame.

    Args:
        frame: The rows.
        stream: Where they go.
        soon: Write an Arrow file, larger but quickly written, for what is read again soon; not Parquet.

    Raises:
        OSError: The disk is full, or cannot be written.
    """
    try:
        if soon:
            frame.write_ipc(stream)
        else:
            frame.write_parquet(stream, row_group_size=100_000)
    except pl.exceptions.ComputeError as error:  # how polars reports a full disk, at times
        raise OSError(str(error)) from error


@contextmanager
def parquet_writer(path: Path) -> Iterator[Append]:
    """Write a Parquet file whole or not at all, a row group at a time.

    Args:
        path: The file to write. One named after an artefact has its columns checked.

    Yields:
        A function that appends rows; the first call settles the columns.
    """
    import pyarrow.parquet as pq

    writer: Any = None
    with atomic_write(path) as stream:

        def append(rows: "pl.DataFrame | pa.Table") -> None:
            nonlocal writer
            if isinstance(rows, pl.DataFrame):
                rows = _fitted(path.stem, rows).to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                strings = [path for field in rows.schema for path in _strings(field)]
                # Rows are looked up by query; bounds of long texts would take time and be of no use.
                bounds = [name for name in ("query_id",) if name in strings]
                writer = pq.ParquetWriter(
                    stream, rows.schema, compression="zstd", use_dictionary=strings, write_statistics=bounds,
                    store_schema=False,  # else repeated strings would be read as categories
                )  # fmt: skip
            if len(rows):
                writer.write_table(rows, row_group_size=len(rows))

        try:
            yield append
        except BaseException:
            with suppress(OSError):  # else it would be closed, loudly, when the stream is gone
                if writer is not None:
                    writer.close()
            raise
        if writer is not None:
            writer.close()


def encode_row_group(
    name: str, frame: pl.DataFrame, ids: Mapping[str, pl.Series] | None = None
) -> "pa.Table":
    """Bring rows into the form in which they are written, every string once: work that threads can do ahead.

    Args:
        name: What the rows are; those of an artefact have their columns checked.
        frame: The rows, whose strings stand in many of them.
        ids: Of each column of positions, or of lists of them, what they are positions in: that is written.

    Returns:
        What a function of `writing` appends.
    """
    kinds = frame.schema.items()
    coded = {column: kind.categories for column, kind in kinds if isinstance(kind, pl.Enum)}
    frame, ids = frame.with_columns(pl.col(coded).to_physical()), {**coded, **(ids or {})}
    frame = _fitted(name, frame, ids)
    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    for at, (column, kind) in enumerate(frame.schema.items()):
        if column in ids:
            rows = rows.set_column(at, column, _named(frame[column], ids[column]))
        elif kind == pl.String:
            rows = rows.set_column(at, column, rows.column(at).combine_chunks().dictionary_encode())
    return rows


def _fitted(name: str, frame: pl.DataFrame, ids: Mapping[str, pl.Series] | None = None) -> pl.DataFrame:
    return fit_artefact(name, frame, ids or {}) if name in ARTEFACT_COLUMNS else frame


def _strings(field: "pa.Field") -> list[str]:
    """Say where in a column Parquet keeps strings, if it does."""
    import pyarrow as pa

    kind, path = field.type, field.name
    if pa.types.is_large_list(kind):
        kind, path = kind.value_type, f"{path}.list.element"
    holds = pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return [path] if holds else []


def _named(positions: pl.Series, ids: pl.Series) -> "pa.Array":
    """Give the ids at some positions, or the lists of them, each once: they need not be looked for."""
    import pyarrow as pa

    if positions.dtype == pl.List:
        lists = positions.to_arrow(compat_level=pl.CompatLevel.oldest())
        return pa.LargeListArray.from_arrays(lists.offsets, _named(pl.Series(lists.values), ids))
    at = positions.to_numpy()
    used = np.bincount(at, minlength=len(ids)) > 0
    codes = np.cumsum(used, dtype=np.int32) - 1
    values = ids.filter(pl.Series(used)).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.DictionaryArray.from_arrays(pa.array(codes.take(at)), values)


@dataclass(frozen=True)
class Parts:
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
        """Read a row group with positions in place of strings, as `encoded` was given it.

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
