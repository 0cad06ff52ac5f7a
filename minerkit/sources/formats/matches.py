"""Matches: two records a line, and whether they are the same thing, as entity matching has them.

COL title VAL DSLR camera X COL price VAL 399 <tab> COL title VAL Camera X body COL price VAL <tab> 1
"""

import functools
import html
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.files import below, input_files
from minerkit.sources.formats.pairs import grade
from minerkit.sources.records import SHOWN, Batch, Entry, entries, rejected
from minerkit.sources.tables import open_unpacked
from minerkit.text import normalise_text

__all__ = ["read", "record_text"]

FIELD = re.compile(r"COL (\S+) VAL(?: |$)")
#: What product titles carry over from the RDF they were taken from: "..."@en, "..."@NL "Null".
NOISE = (
    re.compile(r'"@[A-Za-z]{2,3}(-[A-Za-z]{2,4})?(?!\w)(\s*,)?'),
    re.compile(r'(,\s*)?"null"(\s*,)?', re.IGNORECASE),
    re.compile(r'"\s*,\s*(?=")'),
    re.compile(r'(?<!\w)"+|"+(?!\w)|(?<=[A-Za-z])"+(?=[A-Za-z])'),
)
Reason = tuple[str, str, str]
#: The names of a record's fields, and its text.
Record = tuple[tuple[str, ...], str]
Parser = Callable[[str], Record]


@dataclass
class _Found:
    """What some rows hold: two texts, a grade and a place; what cannot be read; what is of no use."""

    matches: list[tuple[str, str, int, str]] = field(default_factory=list)
    bad: list[Reason] = field(default_factory=list)
    useless: list[Reason] = field(default_factory=list)
    fields: dict[str, None] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.matches) + len(self.bad) + len(self.useless)


def read(source: Source) -> Iterator[Batch]:
    """Read labelled pairs of records.

    Args:
        source: A recipe's source of format matches; `fields` names what makes up a record's text.

    Yields:
        One batch. Matches have relevance 1, or their grade, non-matches 0. Records linked by matches form one
        group: what matches a match is a match too, though nobody said so. In a folder, a file without any
        record is one rejected row.

    Raises:
        SourceError: The input is missing or damaged, no file holds a record, or no record has a field.
    """
    found = _Found()
    # An offer stands in many rows.
    parse = functools.cache(lambda record: _parsed(record, source.fields))
    files = input_files(str(source.path))
    for file in files:
        left = None if source.limit is None else source.limit - found.rows
        if left is not None and left <= 0:
            break
        place = below(str(source.path), file) + file.name
        part = _read(file, place, parse, left)
        if len(files) > 1 and not part.fields:
            found.useless.append(("not a file of matches", place, ""))
            continue
        found.matches += part.matches
        found.bad += part.bad
        found.useless += part.useless
        found.fields |= part.fields
    if found.rows and not found.fields:
        raise SourceError(
            f"{source.path}: no line is a match: COL name VAL value ... <tab> COL name VAL value ... <tab> 1"
        )
    for name in source.fields or ():
        if found.rows and name not in found.fields:
            raise SourceError(
                f"{source.path}: no record has {name!r} (source.fields); there are: {', '.join(found.fields)}"
            )
    kept = [
        Entry(query, document, relevance, mine, theirs, place)
        for (query, document, relevance, place), (mine, theirs) in zip(
            found.matches, _groups(found.matches), strict=True
        )
    ]
    yield Batch(found.rows, entries(kept), rejected([*found.bad, *found.useless]), len(found.bad))


def record_text(record: str, fields: Sequence[str] | None) -> str:
    """Return a record as text.

    Args:
        record: `COL name VAL value COL name VAL value ...`
        fields: The fields to take, in this order; None: all.

    Returns:
        The values in one line, without language tags and stray quotation marks; "" where there is none.
    """
    return _parsed(record, fields)[1]


def _parsed(record: str, fields: Sequence[str] | None) -> Record:
    """Return the names of a record's fields, none where it is no record; and its text."""
    start, *parts = FIELD.split(record.strip())
    if start:
        return (), ""
    values = list(zip(parts[::2], parts[1::2], strict=True))
    names = tuple(dict.fromkeys(name for name, _ in values))
    wanted = names if fields is None else fields
    text = html.unescape(" ".join(value for name in wanted for own, value in values if own == name))
    for noise in NOISE:
        text = noise.sub(" ", text)
    return names, " ".join(text.split())


def _read(file: Path, place: str, parse: Parser, limit: int | None) -> _Found:
    found = _Found()
    with open_unpacked(file) as stream:
        lines = ((number, raw) for number, raw in enumerate(stream, 1) if raw.strip())
        for number, raw in itertools.islice(lines, limit):
            here, row = f"{place}:{number}", _row(raw, parse)
            if isinstance(row, str):
                found.bad.append((row, here, raw[:SHOWN].decode(errors="replace")))
                continue
            (left, query), (right, document), relevance = row
            found.fields |= dict.fromkeys(left + right)
            if query and document:
                found.matches.append((query, document, relevance, here))
            else:
                found.useless.append(("a record without text", here, raw[:SHOWN].decode(errors="replace")))
    return found


def _row(raw: bytes, parse: Parser) -> tuple[Record, Record, int] | str:
    """Return the two records and the grade of a row; or why it cannot be read."""
    try:
        cells = raw.decode("utf-8-sig").rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return "invalid UTF-8"
    if len(cells) != 3:
        return f"{len(cells)} fields, not 3: a record, a record and a label, separated by tabs"
    left, right, label = parse(cells[0]), parse(cells[1]), grade(cells[2])
    if not (left[0] and right[0]):
        return "not a record: COL name VAL value is needed"
    return label if isinstance(label, str) else (left, right, label)


def _groups(matches: Sequence[tuple[str, str, int, str]]) -> list[tuple[str, str]]:
    """Name the groups of each row's two records after the place the group is first seen."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not matches:
        return []
    texts = pl.Series([text for row in matches for text in row[:2]])
    numbers = pl.select(normalise_text(pl.lit(texts)).rank("dense") - 1).to_series()
    ends = numbers.to_numpy().astype(np.int64).reshape(-1, 2)
    matched = ends[[row[2] > 0 for row in matches]]
    size = int(ends.max()) + 1
    graph = coo_array((np.ones(len(matched)), (matched[:, 0], matched[:, 1])), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for (one, other), row in zip(labels[ends], matches, strict=True):
        names.setdefault(one, row[3])
        names.setdefault(other, f"{row[3]} right")
    return [(names[one], names[other]) for one, other in labels[ends]]
