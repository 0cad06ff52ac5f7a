"""Read the rows of one file: JSON lines, JSON, CSV, TSV or Parquet, plain or packed with gzip or zstd."""

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from minerkit.errors import SourceError
from minerkit.sources.json_rows import json_records, line_records
from minerkit.sources.records import BATCH_ROWS, BLANK, Record, require

__all__ = ["FORMATS", "file_format", "open_unpacked", "read_records"]

BUFFER_BYTES = 1 << 20
FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
#: The longest field a CSV file may have; beyond it a quotation mark was never closed.
csv.field_size_limit(4 << 20)
#: What the csv module says then, and where the file ends in a quoted field.
UNCLOSED = ("field larger", "unexpected end")


def file_format(file: Path) -> str:
    """Derive a file's format from its name.

    Args:
        file: Any path.

    Returns:
        One of `FORMATS`, or "" where it is none of them.
    """
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


def read_records(
    file: Path,
    wanted: Mapping[str, str | None],
    header: Sequence[str] | None = None,
    limit: int | None = None,
) -> Iterator[Record]:
    """Read one file's rows.

    Args:
        file: A file in one of `FORMATS`.
        wanted: Key of the source section to the column it names; None: it names none.
        header: The column names of a CSV or TSV file without a header line.
        limit: Read only the first rows.

    Yields:
        Places and rows, as dicts with at least the wanted columns, in the order of the file.

    Raises:
        SourceError: The file is missing, damaged or lacks a column.
    """
    kind = file_format(file)
    with open_unpacked(file) as stream:
        if kind == ".parquet":
            found = _parquet(file, stream, wanted)
        elif kind in {".csv", ".tsv"}:
            found = _table(file, stream, wanted, header, "\t" if kind == ".tsv" else ",")
        elif kind == ".json":
            found = json_records(file, stream, wanted)
        elif kind:
            found = line_records(file, stream, wanted)
        else:
            raise SourceError(
                f"{file}: unknown format; minerkit reads {', '.join(FORMATS)}, also .gz or .zst"
            )
        yield from itertools.islice(found, limit)


@contextmanager
def open_unpacked(file: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked.

    Args:
        file: A file, plain or ending in .gz or .zst.

    Yields:
        Its bytes.

    Raises:
        SourceError: The file is missing, cannot be read, or is damaged.
    """
    kind = file.suffix.lower()
    try:
        if kind == ".gz":
            with gzip.GzipFile(file) as stream:
                yield stream  # type: ignore[misc]
        elif kind == ".zst":
            import pyarrow as pa  # reads all frames of a file, and notices where one is cut short

            yield io.BufferedReader(pa.input_stream(str(file), compression="zstd"), BUFFER_BYTES)
        else:
            with file.open("rb") as stream:
                yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{file}: damaged gzip ({error}); fetch or pack the file again") from error
    except OSError as error:
        if kind == ".zst" and error.strerror is None:  # from the decoder, not the disk
            raise SourceError(f"{file}: damaged zstd ({error}); fetch or pack the file again") from error
        raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from error


def _table(
    file: Path,
    stream: IO[bytes],
    wanted: Mapping[str, str | None],
    header: Sequence[str] | None,
    comma: str,
) -> Iterator[Record]:
    # Undecodable bytes become surrogates, which mark their row as bad without stopping the file.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    quoting: Literal[0, 3] = csv.QUOTE_NONE if comma == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(text, delimiter=comma, quoting=quoting, strict=True)
    started = 1
    try:
        header = header or next(reader, None)
        if header is None:
            return
        require(file, header, wanted)
        while True:
            started = reader.line_num + 1
            place = f"{file.name}:{started}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if str(error).startswith(UNCLOSED):
                    raise
                yield place, f"not CSV: {error}"
                continue
            if len(cells) == len(header):
                yield place, dict(zip(header, cells, strict=True))
            else:
                yield place, f"{len(cells)} fields, not {len(header)}" if cells else BLANK
    except csv.Error as error:
        hint = "a quotation mark is never closed" if str(error).startswith(UNCLOSED) else str(error)
        raise SourceError(f"{file}:{started}: not {file_format(file)[1:].upper()}: {hint}") from error


def _parquet(file: Path, stream: IO[bytes], wanted: Mapping[str, str | None]) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file if file.suffix.lower() not in PACKED else pa.BufferReader(stream.read()))
        require(file, table.schema_arrow.names, wanted)
        columns = [column for column in dict.fromkeys(wanted.values()) if column is not None]
        done = 0
        for part in table.iter_batches(BATCH_ROWS, columns=columns):
            for row in part.to_pylist():
                yield f"{file.name}[{done}]", row
                done += 1
    except pa.ArrowInvalid as error:
        raise SourceError(f"{file}: not Parquet: {error}") from error
