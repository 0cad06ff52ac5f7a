"""Judged collections: documents, queries and judgements that name both by id."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from minerkit.errors import SourceError
from minerkit.sources.records import BATCH_ROWS, Batch, Entry, entries, rejected

__all__ = ["Judgement", "Remarks", "Text", "collected"]

Reason = tuple[str, str, str]
Remark = TypeVar("Remark")


class Text(NamedTuple):
    """A document or query: its id, its text, and the place it comes from."""

    id: str
    text: str
    source: str


class Judgement(NamedTuple):
    """A document's grade for a query, and the place it comes from."""

    query_id: str
    doc_id: str
    relevance: int
    source: str


@dataclass
class Remarks:
    """What is remarked while a collection is read: rows that cannot be read, what is of no use, notes."""

    bad: list[Reason] = field(default_factory=list)
    useless: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collected(
    documents: Iterable[Text], queries: Iterable[Text], judgements: Iterable[Judgement],
    remarks: Remarks, places: tuple[str, str, str],
) -> Iterator[Batch]:  # fmt: skip
    """Put a collection together; of the documents, only those that are judged are in memory.

    Args:
        documents: The documents; every one becomes an entry of its own.
        queries: The queries.
        judgements: The judgements; each becomes an entry.
        remarks: What the three remark while they are consumed.
        places: The files or folders of the three, for messages.

    Yields:
        Batches: the documents, then the judgements. Rejected are judgements that name an id nobody has, texts
        whose id was given before, and queries that no judgement names.

    Raises:
        SourceError: There is no document, no query or no judgement, or no judgement names what there is.
    """
    judgements_read = list(judgements)
    unread, wanted = _taken(remarks.bad), {row.doc_id for row in judgements_read}
    docs: dict[str, str] = {}
    some, first = False, None
    for part in _unique(documents, remarks.bad):
        some = some or any(text.text for text in part)
        first = first or next(iter(remarks.bad), None)
        docs |= {text.id: text.text for text in part if text.id in wanted}
        yield _batch([Entry(None, text.text, None, None, None, text.source) for text in part], 0, remarks)
    _some("document with a text", some, places[0], first)
    query_texts = {text.id: text for part in _unique(queries, remarks.bad) for text in part}
    bad = remarks.bad
    _some(
        "query with a text", any(text.text for text in query_texts.values()), places[1], next(iter(bad), None)
    )
    found: list[Entry] = []
    named: set[str] = set()
    for row in judgements_read:
        query, document = query_texts.get(row.query_id), docs.get(row.doc_id)
        if query is None:
            unread.append(("judges an unknown query", row.source, row.query_id))
        elif document is None:
            unread.append(("judges an unknown document", row.source, row.doc_id))
        else:
            found.append(Entry(query.text, document, row.relevance, None, None, row.source))
            named.add(row.query_id)
    at_fault = next(iter(unread), None)
    _some("judgement of these queries and documents", bool(found), places[2], at_fault)
    bad += unread
    silent = [
        ("no judgement of this query was read", t.source, t.text)
        for t in query_texts.values()
        if t.id not in named
    ]
    yield _batch(found, len(query_texts), remarks, silent)


def _batch(found: list[Entry], more: int, remarks: Remarks, silent: Sequence[Reason] = ()) -> Batch:
    """Make a batch of entries, and of what was remarked since the last one."""
    bad, useless = _taken(remarks.bad), _taken(remarks.useless)
    rows, lost = len(found) + more + len(bad) + len(useless), rejected([*bad, *useless, *silent])
    return Batch(rows, entries(found), lost, len(bad), tuple(_taken(remarks.notes)))


def _taken(remarks: list[Remark]) -> list[Remark]:
    taken = remarks.copy()
    remarks.clear()
    return taken


def _unique(texts: Iterable[Text], bad: list[Reason]) -> Iterator[list[Text]]:
    """Leave out texts whose id was given before; ids are known by 64 bits of a hash."""
    left, seen = iter(texts), np.empty(0, np.uint64)
    part: list[Text] | None = None
    while part is None or part:
        part = list(itertools.islice(left, BATCH_ROWS))
        ids = pl.Series([text.id for text in part], dtype=pl.String).hash()
        hashes = ids.to_numpy()
        at = np.minimum(np.searchsorted(seen, hashes), max(0, len(seen) - 1))
        new = ids.is_first_distinct().to_numpy() & ((seen[at] != hashes) if len(seen) else True)
        seen = np.sort(np.concatenate([seen, hashes[new]]))
        bad += [
            ("id given before", text.source, text.id)
            for text, is_new in zip(part, new, strict=True)
            if not is_new
        ]
        yield [text for text, is_new in zip(part, new, strict=True) if is_new]


def _some(what: str, there: bool, place: str, fault: Reason | None) -> None:
    if not there:
        first = f" ({fault[1]}: {fault[0]})" if fault else ""
        raise SourceError(f"{place}: no {what} in it{first}")
