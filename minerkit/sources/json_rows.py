"""Read the rows of JSON: one object a line, a list of objects, or SQuAD's nesting."""

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from minerkit.errors import SourceError
from minerkit.sources.records import BLANK, Record, require

__all__ = ["HEAD", "json_records", "line_batches", "line_records", "parsed", "require_keys"]

#: Bytes a batch of lines.
BATCH_BYTES = 4 << 20
#: Rows whose keys are taken for the columns.
HEAD = 100


def line_batches(stream: IO[bytes], limit: int | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Read lines, many at once.

    Args:
        stream: The bytes of a file.
        limit: Read only the first lines.

    Yields:
        How many lines came before, and the lines.
    """
    done = 0
    while (limit is None or done < limit) and (lines := stream.readlines(BATCH_BYTES)):
        if not done:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        yield done, lines if limit is None else lines[: limit - done]
        done += len(lines)


def line_records(file: Path, stream: IO[bytes], wanted: Mapping[str, str | None]) -> Iterator[Record]:
    """Read a file of one object a line.

    Args:
        file: The file's path, for messages.
        stream: Its bytes, unpacked.
        wanted: Key of the source section to the column it names; None: it names none.

    Yields:
        Places and rows.

    Raises:
        SourceError: A column is missing.
    """
    required = False
    for done, lines in line_batches(stream):
        rows = [parsed(line) for line in lines]
        required = required or require_keys(file, rows, wanted)
        yield from zip((f"{file.name}:{number}" for number in itertools.count(done + 1)), rows, strict=False)


def require_keys(file: Path, rows: list[dict[str, Any] | str], wanted: Mapping[str, str | None]) -> bool:
    """Refuse rows that lack a column the source names.

    Args:
        file: The file's path, for messages.
        rows: Rows, or the reasons why they cannot be read.
        wanted: Key of the source section to the column it names; None: it names none.

    Returns:
        Whether there was a row to look at.

    Raises:
        SourceError: None of the first rows has the column.
    """
    heads = list(itertools.islice((row for row in rows if isinstance(row, dict)), HEAD))
    if heads:
        require(file, list(dict.fromkeys(key for row in heads for key in row)), wanted)
    return bool(heads)


def parsed(line: bytes) -> dict[str, Any] | str:
    """Parse a JSON line.

    Args:
        line: The bytes of the line.

    Returns:
        The object; the reason where it cannot be read as one.
    """
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


def json_records(file: Path, stream: IO[bytes], wanted: Mapping[str, str | None]) -> Iterator[Record]:
    """Read a file that is one JSON text.

    Args:
        file: The file's path, for messages.
        stream: Its bytes, unpacked.
        wanted: Key of the source section to the column it names; None: it names none.

    Yields:
        Places and rows.

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
            yield from line_records(file, io.BytesIO(raw), wanted)
            return
        if not raw.strip():
            return
        raise SourceError(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise SourceError(f"{file}: not JSON: {_beyond(error)}") from error
    if isinstance(data, dict) and _is_squad(data):
        data = list(_squad_rows(data))
    elif isinstance(data, dict) and set(data) & set(wanted.values()):
        data = [data]
    elif isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{file}: holds one {type(data).__name__}; a list of objects is needed")
    rows = [row if isinstance(row, dict) else "not an object" for row in data]
    require_keys(file, rows, wanted)
    yield from ((f"{file.name}[{number}]", row) for number, row in enumerate(rows))


def _beyond(error: Exception) -> str:
    """Describe what Python's JSON parser cannot take in."""
    return "nested too deep" if isinstance(error, RecursionError) else "a number of too many digits"


def _is_squad(data: dict[str, Any]) -> bool:
    articles = data.get("data")
    first = articles[0] if isinstance(articles, list) and articles else None
    return isinstance(first, dict) and "paragraphs" in first


def _squad_rows(data: dict[str, Any]) -> Iterator[Any]:
    """Flatten SQuAD's nesting to a row a question; what has no question inside is a row as well."""
    for article in data["data"]:
        for paragraph in _of(article, "paragraphs") or [None]:
            named = {"title": _of(article, "title"), "context": _of(paragraph, "context")}
            for question in _of(paragraph, "qas") or [{}]:
                yield named | question if isinstance(question, dict) else question


def _of(outer: Any, key: str) -> Any:
    return outer.get(key) if isinstance(outer, dict) else None
