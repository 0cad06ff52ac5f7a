"""Pairs: a query and its positive in every row, or its documents with their grades."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.recipe import Source
from minerkit.sources.files import below, source_records, table_files
from minerkit.sources.json_rows import line_batches, parsed, require_keys
from minerkit.sources.records import ENTRIES, Batch, Entry, Record, batched, cell, sorted_rows
from minerkit.sources.tables import file_format, open_unpacked, read_records
from minerkit.storage import empty_artefact

__all__ = ["grade", "read"]

JSON_LINES = (".jsonl", ".ndjson")
#: The highest grade.
MOST = 2**31 - 1


def read(source: Source) -> Iterator[Batch]:
    """Read pairs.

    Args:
        source: A recipe's source of format pairs, squad or auto.

    Yields:
        Batches in the order of the input. A row whose positive is a list gives several entries.

    Raises:
        SourceError: The input is missing, damaged or lacks a column.
    """
    simple = source.group is None and source.relevance is None and source.format != "squad"
    if source.hub is not None or not simple:
        yield from batched(source_records(source, _wanted(source)), _sorter(source))
        return
    left = source.limit
    for file in table_files(str(source.path)):
        folder = below(str(source.path), file)
        if file_format(file) in JSON_LINES:
            batches = _lines(file, folder + file.name, source, left)
        else:
            found = read_records(file, _wanted(source), source.columns, left)
            batches = batched(((folder + place, row) for place, row in found), _sorter(source))
        for batch in batches:
            yield batch
            if left is not None:
                left -= batch.rows
        if left is not None and left <= 0:
            return


def _wanted(source: Source) -> dict[str, str | None]:
    return {key: getattr(source, key) for key in ("query", "positive", "group", "relevance")}


def _sorter(source: Source) -> Any:
    def sort(place: str, record: dict[str, Any]) -> list[Entry] | str:
        query, positive = record.get(source.query), record.get(source.positive)
        positives = positive if isinstance(positive, list) else [positive]
        texts = [cell(value) for value in (query, *positives)]
        if "" in texts:
            return "not a text, or not UTF-8"
        group = cell(record.get(source.group)) if source.group is not None else None
        if group == "":
            return "the group is not a text"
        group = (group or "").strip() or None
        # SQuAD 2.0 asks questions that their paragraph does not answer.
        relevance: int | str = 0 if source.format == "squad" and record.get("is_impossible") is True else 1
        if source.relevance is not None:
            relevance = grade(record.get(source.relevance))
        if isinstance(relevance, str):
            return relevance
        return [Entry(texts[0], text, relevance, group, group, place) for text in texts[1:] or [None]]

    return sort


def grade(value: Any) -> int | str:
    """Read a grade of relevance.

    Args:
        value: A cell: a whole number, true or false, or either as text.

    Returns:
        The grade, negative ones as 0; or why it is none.
    """
    text = str(value).strip().lower()
    text = {"true": "1", "false": "0"}.get(text, text)
    try:
        number = float(text)
        whole = number == math.floor(number) and abs(number) <= MOST
        return max(0, int(number)) if whole else "relevance is not a whole number"
    except (ValueError, OverflowError):
        return "relevance is not a number"


def _lines(file: Path, name: str, source: Source, limit: int | None) -> Iterator[Batch]:
    """Read a file of one object a line, the fast way where all is well."""
    required = False
    with open_unpacked(file) as stream:
        for done, lines in line_batches(stream, limit):
            required = required or require_keys(file, [parsed(line) for line in lines[:100]], _wanted(source))
            batch = _fast(name, lines, done, source)
            if batch is None:
                places = (f"{name}:{number}" for number in itertools.count(done + 1))
                rows = map(parsed, lines)
                batch = sorted_rows(_zipped(places, rows), _sorter(source))
            yield batch


def _zipped(places: Iterator[str], rows: Iterator[dict[str, Any] | str]) -> Iterator[Record]:
    return zip(places, rows, strict=False)


def _fast(name: str, lines: Sequence[bytes], done: int, source: Source) -> Batch | None:
    """Read well-formed lines with texts in both columns; None where any line needs a closer look."""
    columns = {source.query: pl.String, source.positive: pl.String}
    try:
        frame = pl.read_ndjson(b"".join(lines), schema=columns)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    odd = pl.any_horizontal(pl.all().str.contains(r"^[\[{]|\x00|^(true|false)$")).fill_null(False)
    if len(frame) != len(lines) or frame.select(odd.any()).item():
        return None
    place = pl.format("{}:{}", pl.lit(name), pl.int_range(done + 1, done + 1 + pl.len()))
    query, document = (
        pl.when(pl.col(column) != "").then(pl.col(column)) for column in (source.query, source.positive)
    )
    found = frame.select(
        query.alias("query"),
        document.alias("document"),
        pl.lit(1, dtype=pl.Int32).alias("relevance"),
        pl.lit(None, dtype=pl.String).alias("query_group"),
        pl.lit(None, dtype=pl.String).alias("group"),
        place.alias("source"),
    )
    return Batch(len(lines), found.select(*ENTRIES), empty_artefact("rejected"))
