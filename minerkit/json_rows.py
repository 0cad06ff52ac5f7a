"""Read pairs from JSON: one object a line, a list of objects, or SQuAD's nesting."""

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import polars as pl

from minerkit import schema
from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.rows import BLANK, Batch, batched, checked, require

__all__ = ["read_json", "read_json_lines"]

#: Bytes a batch of lines.
BATCH_BYTES = 16 << 20
#: Rows whose keys are taken for the columns.
HEAD = 100


def read_json_lines(file: Path, stream: IO[bytes], source: Source, limit: int | None) -> Iterator[Batch]:
    """Read pairs from a file of one object a line.

    Args:
        file: The file's path, for messages.
        stream: Its bytes, unpacked.
        source: The recipe's source, which names the columns.
        limit: Read only the first rows.

    Yields:
        Batches in the order of the file.

    Raises:
        SourceError: A column is missing.
    """
    done = 0
    required = False
    while (limit is None or done < limit) and (lines := stream.readlines(BATCH_BYTES)):
        if limit is not None:
            lines = lines[: limit - done]
        if not done:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        batch = _fast_lines(file, lines, done, source)
        if batch is None:
            records = (_parsed(line) for line in lines)
            places = (f"{file.name}:{number}" for number in itertools.count(done + 1))
            batch = checked(zip(places, records, strict=False), source)
        if not required and len(batch.pairs):
            rows = (row for line in lines[:HEAD] if isinstance(row := _parsed(line), dict))
            columns = list(dict.fromkeys(key for row in rows for key in row))
            require(file, columns, source)
            required = True
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


def read_json(file: Path, stream: IO[bytes], source: Source, limit: int | None) -> Iterator[Batch]:
    """Read pairs from a file that is one JSON text.

    Args:
        file: The file's path, for messages.
        stream: Its bytes, unpacked.
        source: The recipe's source, which names the columns.
        limit: Read only the first rows.

    Yields:
        Batches in the order of the file.

    Raises:
        SourceError: The file is not JSON, holds no list, or lacks a column.
    """
    raw = stream.read()
    try:
        data = json.loads(raw)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: invalid UTF-8 at byte {error.start + 1:,}; convert the file to UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # one object a line, by the wrong name
            yield from read_json_lines(file, io.BytesIO(raw), source, limit)
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
