"""Parquet row group by row group, so that no table need fit in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from minerkit.storage.atomic import atomic_write
from minerkit.storage.schema import ARTEFACT_COLUMNS, fit_artefact

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Append", "encode_row_group", "parquet_writer", "write"]


class Append(Protocol):
    """Adds rows to a file as a row group of their own."""

    def __call__(self, rows: "pl.DataFrame | pa.Table") -> None:
        """Append rows, plain or from `encode_row_group`; no rows append nothing."""
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
        A table that the function of `parquet_writer` appends.
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
    """Return the ids at some positions, or the lists of them, each once: they need not be looked for."""
    import pyarrow as pa

    if positions.dtype == pl.List:
        lists = positions.to_arrow(compat_level=pl.CompatLevel.oldest())
        return pa.LargeListArray.from_arrays(lists.offsets, _named(pl.Series(lists.values), ids))
    at = positions.to_numpy()
    used = np.bincount(at, minlength=len(ids)) > 0
    codes = np.cumsum(used, dtype=np.int32) - 1
    values = ids.filter(pl.Series(used)).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pa.DictionaryArray.from_arrays(pa.array(codes.take(at)), values)
