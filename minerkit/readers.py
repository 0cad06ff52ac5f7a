"""Read pairs from one file: JSON lines, JSON, CSV, TSV or Parquet, plain or packed with gzip or zstd."""

import csv
import gzip
import io
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import polars as pl

from minerkit import schema
from minerkit.errors import SourceError
from minerkit.recipe import Source

__all__ = ["FORMATS", "Batch", "batched", "file_format", "read_file", "require"]

#: Raw bytes (JSON lines) and rows (other formats) a batch.
BATCH_BYTES, BATCH_ROWS = 16 << 20, 50_000
BUFFER_BYTES = 1 << 20
#: Rows whose keys are taken for the columns of a JSON file.
HEAD = 100
FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
PAIRS = {"query": pl.String, "positive": pl.String, "source": pl.String}
#: The longest field a CSV file may have; beyond it a quotation mark was never closed.
csv.field_size_limit(4 << 20)
#: A line that is no row, and counts as none.
BLANK = "blank line"
#: What the csv module says then, and where the file ends in a quoted field.
UNCLOSED = ("field larger", "unexpected end")


@dataclass(frozen=True)
class Batch:
    """Raw rows, read: `pairs` (query, positive, source) and `rejected` (the artefact's columns)."""

    rows: int
    pairs: pl.DataFrame
    rejected: pl.DataFrame


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
            yield from _json(file, stream, source, limit)
        else:
            yield from _json_lines(file, stream, source, limit)


def _opened(file: Path) -> IO[bytes]:
    if file.suffix.lower() == ".gz":
        return gzip.GzipFile(file)  # type: ignore[return-value]
    if file.suffix.lower() == ".zst":
        import pyarrow as pa  # reads all frames of a file, and notices where one is cut short

        return io.BufferedReader(pa.input_stream(str(file), compression="zstd"), BUFFER_BYTES)
    return file.open("rb")


def _json_lines(file: Path, stream: IO[bytes], source: Source, limit: int | None) -> Iterator[Batch]:
    done = 0
    checked = False
    while (limit is None or done < limit) and (lines := stream.readlines(BATCH_BYTES)):
        if limit is not None:
            lines = lines[: limit - done]
        if not done:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        batch = _fast_lines(file, lines, done, source)
        if batch is None:
            records = (_parsed(line) for line in lines)
            places = (f"{file.name}:{number}" for number in itertools.count(done + 1))
            batch = _checked(zip(places, records, strict=False), source)
        if not checked and len(batch.pairs):
            rows = (row for line in lines[:HEAD] if isinstance(row := _parsed(line), dict))
            columns = list(dict.fromkeys(key for row in rows for key in row))
            require(file, columns, source)
            checked = True
        done += len(lines)
        yield batch


def _fast_lines(file: Path, lines: Sequence[bytes], done: int, source: Source) -> Batch | None:
    """Read well-formed lines with texts in both columns; None where any line needs a closer look."""
    columns = {source.query: pl.String, source.positive: pl.String}
    try:
        frame = pl.read_ndjson(b"".join(lines), schema=columns)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    odd = pl.any_horizontal(pl.all().str.contains(r"^[\[{]|\x00|^(true|false)$")).fill_null(False)
    if len(frame) != len(lines) or frame.select(odd.any()).item():
        return None
    place = pl.format("{}:{}", pl.lit(file.name), pl.int_range(done + 1, done + 1 + pl.len()))
    query, positive = (
        pl.when(pl.col(name) != "").then(pl.col(name)) for name in (source.query, source.positive)
    )
    pairs = frame.select(query.alias("query"), positive.alias("positive"), place.alias("source"))
    return Batch(len(lines), pairs, schema.empty("rejected"))


def _parsed(line: bytes) -> dict[str, Any] | str:
    """Parse a JSON line into a dict; into a reason where it cannot be."""
    if not line.strip():
        return BLANK
    try:
        record = json.loads(line)
    except UnicodeDecodeError:
        return "invalid UTF-8"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    except (RecursionError, ValueError) as error:
        return f"not JSON: {_beyond(error)}"
    return record if isinstance(record, dict) else "not an object"


def _beyond(error: Exception) -> str:
    """Say what Python's JSON parser cannot take in."""
    return "nested too deep" if isinstance(error, RecursionError) else "a number of too many digits"


def _json(file: Path, stream: IO[bytes], source: Source, limit: int | None) -> Iterator[Batch]:
    raw = stream.read()
    try:
        data = json.loads(raw)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: invalid UTF-8 at byte {error.start + 1:,}; convert the file to UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # one object a line, by the wrong name
            yield from _json_lines(file, io.BytesIO(raw), source, limit)
            return
        if not raw.strip():
            return
        raise SourceError(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise SourceError(f"{file}: not JSON: {_beyond(error)}") from error
    if isinstance(data, dict) and _is_squad(data):
        data = list(_squad_rows(data))
    elif isinstance(data, dict) and source.query in data:
        data = [data]
    elif isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{file}: holds one {type(data).__name__}; a list of objects is needed")
    if data and isinstance(data[0], dict):
        heads = (row for row in data[:HEAD] if isinstance(row, dict))
        require(file, list(dict.fromkeys(key for row in heads for key in row)), source)
    places = (f"{file.name}[{number}]" for number in itertools.count())
    rows = (row if isinstance(row, dict) else "not an object" for row in data[:limit])
    yield from batched(zip(places, rows, strict=False), source)


def _is_squad(data: dict[str, Any]) -> bool:
    articles = data.get("data")
    first = articles[0] if isinstance(articles, list) and articles else None
    return isinstance(first, dict) and "paragraphs" in first


def _squad_rows(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Flatten SQuAD's nesting to a row a question: title, context, question, id and answers."""
    for article in data["data"]:
        for paragraph in article.get("paragraphs") or []:
            for question in paragraph.get("qas") or []:
                yield {"title": article.get("title"), "context": paragraph.get("context"), **question}


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
            yield _checked(zip(places, rows, strict=False), source)
            done += len(rows)
            if limit is not None and done >= limit:
                return
    except pa.ArrowInvalid as error:
        raise SourceError(f"{file}: not Parquet: {error}") from error


def batched(records: Iterable[tuple[str, Any]], source: Source) -> Iterator[Batch]:
    """Sort records into pairs and rejected rows, batch by batch.

    Args:
        records: Places, and rows as dicts; or, where a row cannot be read, the reason.
        source: The recipe's source, which names the columns.

    Yields:
        Batches in the order of the records.
    """
    records = iter(records)
    while part := list(itertools.islice(records, BATCH_ROWS)):
        yield _checked(part, source)


def _checked(records: Iterable[tuple[str, dict[str, Any] | str]], source: Source) -> Batch:
    """Sort records (place, dict or reason) into pairs and rejected rows."""
    pairs: list[tuple[str | None, str | None, str]] = []
    rejected: list[tuple[str, str, str]] = []
    rows = 0
    for place, record in records:
        if record == BLANK:
            continue
        rows += 1
        if not isinstance(record, dict):
            rejected.append((record, place, ""))
            continue
        query, positive = record.get(source.query), record.get(source.positive)
        positives = positive if isinstance(positive, list) else [positive]
        texts = [_text(value) for value in (query, *positives)]
        if "" in texts:
            whole = json.dumps(record, default=str, ensure_ascii=True)
            rejected.append(("not a text, or not UTF-8", place, whole[:200]))
        else:
            pairs.extend((texts[0], text, place) for text in texts[1:] or [None])
    frame = pl.DataFrame(pairs, schema=PAIRS, orient="row")
    bad = pl.DataFrame(rejected, schema=["reason", "source", "text"], orient="row")
    bad = bad.with_columns(pl.lit("read").alias("stage"))
    return Batch(rows, frame, schema.fit("rejected", bad) if len(bad) else schema.empty("rejected"))


def _text(value: Any) -> str | None:
    """Give a cell as text: None where there is none, "" where it cannot be a text."""
    if value is None or value == "":
        return None
    if isinstance(value, float):  # 2 for 2.0, as polars writes it; not a number is a missing value
        return None if math.isnan(value) else np.format_float_positional(value, trim="-")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value


def require(place: Path | str, columns: Sequence[str], source: Source) -> None:
    """Refuse a table without the columns a source names.

    Args:
        place: The file or data set.
        columns: The columns there are.
        source: The recipe's source, which names the columns.

    Raises:
        SourceError: A column is missing; the message lists the ones there are.
    """
    for key in ("query", "positive"):
        wanted = getattr(source, key)
        if wanted not in columns:
            raise SourceError(
                f"{place}: no column {wanted!r} (source.{key}); there are: {', '.join(map(str, columns))}"
            )
