"""Parquet row group by row group, so that no table need fit in memory."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import polars as pl

from minerkit import schema
from minerkit.errors import RunError
from minerkit.files import replacing

__all__ = ["Append", "Parts", "readable", "write", "writing"]

Compression = Literal["lz4", "zstd"]


class Append(Protocol):
    """Adds rows to a file as a row group of their own."""

    def __call__(self, frame: pl.DataFrame) -> None:
        """Write some rows; an empty frame adds nothing."""
        ...


def write(frame: pl.DataFrame, stream: IO[bytes], compression: Compression = "zstd") -> None:
    """Write a whole frame.

    Args:
        frame: The rows.
        stream: Where they go.
        compression: zstd, or lz4 for what is soon read again.

    Raises:
        OSError: The disk is full, or cannot be written.
    """
    try:
        frame.write_parquet(stream, compression=compression, row_group_size=100_000)
    except pl.exceptions.ComputeError as error:  # how polars reports a full disk, at times
        raise OSError(str(error)) from error


@contextmanager
def writing(path: Path) -> Iterator[Append]:
    """Write a Parquet file whole or not at all, a row group at a time.

    Args:
        path: The file to write. One named after an artefact has its columns checked.

    Yields:
        A function that appends rows; the first call settles the columns.
    """
    import pyarrow.parquet as pq

    writer: Any = None
    with replacing(path) as stream:

        def append(frame: pl.DataFrame) -> None:
            nonlocal writer
            if path.stem in schema.ARTEFACTS:
                frame = schema.fit(path.stem, frame)
            rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                strings = [name for name, kind in frame.schema.items() if kind == pl.String]
                writer = pq.ParquetWriter(stream, rows.schema, compression="zstd", use_dictionary=strings)
            if len(frame):
                writer.write_table(rows, row_group_size=len(frame))

        try:
            yield append
        except BaseException:
            with suppress(OSError):  # else it would be closed, loudly, when the stream is gone
                if writer is not None:
                    writer.close()
            raise
        if writer is not None:
            writer.close()


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

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with readable(self.path), pq.ParquetFile(self.path) as file:
            yield file


@contextmanager
def readable(path: Path) -> Iterator[None]:
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
