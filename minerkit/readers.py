"""Read pairs from one file: JSON lines, JSON, CSV, TSV or Parquet, plain or packed with gzip or zstd."""

import csv
import gzip
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from minerkit.errors import SourceError
from minerkit.json_rows import read_json, read_json_lines
from minerkit.recipe import Source
from minerkit.rows import BATCH_ROWS, BLANK, Batch, batched, checked, require

__all__ = ["FORMATS", "file_format", "read_file"]

BUFFER_BYTES = 1 << 20
FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
#: The longest field a CSV file may have; beyond it a quotation mark was never closed.
csv.field_size_limit(4 << 20)
#: What the csv module says then, and where the file ends in a quoted field.
UNCLOSED = ("field larger", "unexpected end")


def file_format(file: Path) -> str:
    """Tell a file's format from its name.

    Args:
        file: Any path.

    Returns:
        One of `FORMATS`, or "" where it is none of them.
    """
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


def read_file(file: Path, source: Source, limit: int | None) -> Iterator[Batch]:
    """Read one file's pairs.

    Args:
        file: A file in one of `FORMATS`.
        source: The recipe's source, which names the columns.
        limit: Read only the first rows.

    Yields:
        Batches in the order of the file.

    Raises:
        SourceError: The file is damaged or lacks a column.
    """
    kind = file_format(file)
    with _opened(file) as stream:
        if kind == ".parquet":
            yield from _parquet(file, stream, source, limit)
        elif kind in {".csv", ".tsv"}:
            yield from _table(file, stream, source, limit, "\t" if kind == ".tsv" else ",")
        elif kind == ".json":
            yield from read_json(file, stream, source, limit)
        else:
            yield from read_json_lines(file, stream, source, limit)


def _opened(file: Path) -> IO[bytes]:
    if file.suffix.lower() == ".gz":
        return gzip.GzipFile(file)  # type: ignore[return-value]
    if file.suffix.lower() == ".zst":
        import pyarrow as pa  # reads all frames of a file, and notices where one is cut short

        return io.BufferedReader(pa.input_stream(str(file), compression="zstd"), BUFFER_BYTES)
    return file.open("rb")


def _table(file: Path, stream: IO[bytes], source: Source, limit: int | None, comma: str) -> Iterator[Batch]:
    # Undecodable bytes become surrogates, which mark their row as bad without stopping the file.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    quoting: Literal[0, 3] = csv.QUOTE_NONE if comma == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(text, delimiter=comma, quoting=quoting, strict=True)
    started = 1

    def records(header: list[str]) -> Iterator[tuple[str, Any]]:
        nonlocal started
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

    try:
        header = source.columns or next(reader, None)
        if header is None:
            return
        require(file, header, source)
        yield from batched(itertools.islice(records(header), limit), source)
    except csv.Error as error:
        hint = "a quotation mark is never closed" if str(error).startswith(UNCLOSED) else str(error)
        raise SourceError(f"{file}:{started}: not {file_format(file)[1:].upper()}: {hint}") from error


def _parquet(file: Path, stream: IO[bytes], source: Source, limit: int | None) -> Iterator[Batch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file if file.suffix.lower() not in PACKED else pa.BufferReader(stream.read()))
        require(file, table.schema_arrow.names, source)
        done = 0
        for part in table.iter_batches(BATCH_ROWS, columns=[source.query, source.positive]):
            rows = part.slice(0, None if limit is None else limit - done).to_pylist()
            places = (f"{file.name}[{number}]" for number in itertools.count(done))
            yield checked(zip(places, rows, strict=False), source)
            done += len(rows)
            if limit is not None and done >= limit:
                return
    except pa.ArrowInvalid as error:
        raise SourceError(f"{file}: not Parquet: {error}") from error
