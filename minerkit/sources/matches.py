"""Matches: two records a line, and whether they are the same thing, as entity matching has them.

COL title VAL DSLR camera X COL price VAL 399 <tab> COL title VAL Camera X body COL price VAL <tab> 1
"""

import html
import re
from collections.abc import Iterator, Sequence

import numpy as np

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.files import input_files
from minerkit.sources.pairs import grade
from minerkit.sources.rows import Batch, Entry, entries, rejected
from minerkit.sources.tables import opened
from minerkit.text import normalise

__all__ = ["read", "record_text"]

FIELD = re.compile(r"COL (\S+) VAL ?")
#: What product titles carry over from the RDF they were taken from: "..."@en.
LANGUAGE_TAG = re.compile(r'"@[a-z]{2,3}(-[A-Za-z]{2,4})?(?=\W|$)')
QUOTES = re.compile(r'(?<!\w)"+|"+(?!\w)|(?<=[A-Za-z])"+(?=[A-Za-z])')


def read(source: Source) -> Iterator[Batch]:
    """Read labelled pairs of records.

    Args:
        source: A recipe's source of format matches; `fields` names what makes up a record's text.

    Yields:
        One batch. Matches have relevance 1, non-matches 0. Records linked by matches form one group: what
        matches a match is a match too, though nobody said so.

    Raises:
        SourceError: The input is missing or damaged, or no record has any of the fields.
    """
    found: list[tuple[str, str, int, str]] = []
    bad: list[tuple[str, str, str]] = []
    rows = 0
    for file in input_files(str(source.path)):
        with opened(file) as stream:
            for number, raw in enumerate(stream, 1):
                if not raw.strip() or (source.limit is not None and rows >= source.limit):
                    continue
                rows += 1
                place = f"{file.name}:{number}"
                row = _row(raw, source.fields)
                if isinstance(row, str):
                    bad.append((row, place, raw[:200].decode(errors="replace")))
                else:
                    found.append((*row, place))
    if rows and source.fields and len(bad) == rows:
        raise SourceError(
            f"{source.path}: no record has {' or '.join(source.fields)} (source.fields); "
            f"the first row: {bad[0][2][:120]!r}"
        )
    left, right = _groups(found)
    kept = [
        Entry(query, document, label, mine, theirs, place)
        for (query, document, label, place), mine, theirs in zip(found, left, right, strict=True)
    ]
    yield Batch(rows, entries(kept), rejected(bad), len(bad))


def record_text(record: str, fields: Sequence[str] | None) -> str:
    """Give a record as text.

    Args:
        record: `COL name VAL value COL name VAL value ...`
        fields: The fields to take, in this order; None: all.

    Returns:
        The values in one line, without language tags and stray quotation marks; "" where there is none.
    """
    parts = FIELD.split(record.strip())
    values = dict(zip(parts[1::2], parts[2::2], strict=True))
    texts = (values.get(name, "") for name in (fields or values))
    joined = QUOTES.sub(" ", LANGUAGE_TAG.sub(" ", html.unescape(" ".join(texts))))
    return " ".join(joined.split())


def _row(raw: bytes, fields: Sequence[str] | None) -> tuple[str, str, int] | str:
    try:
        cells = raw.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        return "invalid UTF-8"
    if len(cells) != 3:
        return f"{len(cells)} fields, not 3: a record, a record and a label, parted by tabs"
    if not all(FIELD.match(cell.strip()) for cell in cells[:2]):
        return "not a record: COL name VAL value is needed"
    label = grade(cells[2])
    if isinstance(label, str):
        return label
    query, document = (record_text(cell, fields) for cell in cells[:2])
    return (query, document, label) if query and document else "a record without text"


def _groups(found: Sequence[tuple[str, str, int, str]]) -> tuple[list[str], list[str]]:
    """Name the group of each row's two records after the place the group is first seen."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys: dict[str, int] = {}
    ends = np.array(
        [[keys.setdefault(normalise(text), len(keys)) for text in row[:2]] for row in found], np.int64
    ).reshape(-1, 2)
    matched = ends[[row[2] > 0 for row in found]] if found else ends
    graph = coo_array((np.ones(len(matched)), (matched[:, 0], matched[:, 1])), shape=(len(keys), len(keys)))
    _, labels = connected_components(graph, directed=False) if keys else (0, np.empty(0, np.int64))
    names: dict[int, str] = {}
    for (one, other), row in zip(ends, found, strict=True):
        names.setdefault(labels[one], row[3])
        names.setdefault(labels[other], f"{row[3]} right")
    return [names[labels[i]] for i in ends[:, 0]], [names[labels[i]] for i in ends[:, 1]]
