"""Judged collections: documents, queries and judgements that name both by id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from minerkit.errors import SourceError
from minerkit.sources.rows import Batch, Entry, entries, rejected

__all__ = ["Judgement", "Remarks", "Text", "collected"]

Reason = tuple[str, str, str]


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
) -> Batch:  # fmt: skip
    """Put a collection together.

    Args:
        documents: The documents; every one becomes an entry of its own.
        queries: The queries.
        judgements: The judgements; each becomes an entry.
        remarks: What the three remark while they are consumed.
        places: The files or folders of the three, for messages.

    Returns:
        One batch. Rejected are judgements that name an id nobody has, texts whose id was given before, and
        queries that no judgement names.

    Raises:
        SourceError: There is no document, no query or no judgement, or no judgement names what there is.
    """
    bad = remarks.bad
    docs = _unique(documents, bad)
    _some("document with a text", [text for text in docs.values() if text.text], places[0], bad)
    before = len(bad)
    asked = _unique(queries, bad)
    _some("query with a text", [text for text in asked.values() if text.text], places[1], bad[before:])
    before = len(bad)
    found: list[Entry] = []
    named: set[str] = set()
    for row in judgements:
        query, document = asked.get(row.query_id), docs.get(row.doc_id)
        if query is None:
            bad.append(("judges an unknown query", row.source, row.query_id))
        elif document is None:
            bad.append(("judges an unknown document", row.source, row.doc_id))
        else:
            found.append(Entry(query.text, document.text, row.relevance, None, None, row.source))
            named.add(row.query_id)
    _some("judgement of these queries and documents", found, places[2], bad[before:])
    silent = [
        ("no judgement of this query was read", t.source, t.text) for t in asked.values() if t.id not in named
    ]
    found += [Entry(None, text.text, None, None, None, text.source) for text in docs.values()]
    rows = len(found) + len(asked) + len(bad) + len(remarks.useless)
    lost = rejected([*bad, *remarks.useless, *silent])
    return Batch(rows, entries(found), lost, len(bad), tuple(remarks.notes))


def _unique(texts: Iterable[Text], bad: list[Reason]) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for text in texts:
        if text.id in found:
            bad.append(("id given before", text.source, f"{text.id}, at {found[text.id].source}"))
        else:
            found[text.id] = text
    return found


def _some(what: str, found: Sequence[object], place: str, bad: list[Reason]) -> None:
    if not found:
        first = f" ({bad[0][1]}: {bad[0][0]})" if bad else ""
        raise SourceError(f"{place}: no {what} in it{first}")
