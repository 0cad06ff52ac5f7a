"""Judged collections: documents, queries and judgements that name both by id."""

from collections.abc import Iterable
from typing import NamedTuple

from minerkit.sources.rows import Batch, Entry, entries, rejected

__all__ = ["Judgement", "Text", "collected"]


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


def collected(
    documents: Iterable[Text],
    queries: Iterable[Text],
    judgements: Iterable[Judgement],
    bad: list[tuple[str, str, str]],
) -> Batch:
    """Put a collection together.

    Args:
        documents: The documents; every one becomes an entry of its own.
        queries: The queries.
        judgements: The judgements; each becomes an entry.
        bad: Where the three report rows that cannot be read, while they are consumed: reason, place, text.

    Returns:
        One batch. Rejected are judgements that name an id nobody has, texts whose id was given before, and
        queries that no judgement names.
    """
    docs, asked = _unique(documents, bad), _unique(queries, bad)
    named: set[str] = set()
    found = []
    for judgement in judgements:
        query, document = asked.get(judgement.query_id), docs.get(judgement.doc_id)
        if query is None:
            bad.append(("judges an unknown query", judgement.source, judgement.query_id))
        elif document is None:
            bad.append(("judges an unknown document", judgement.source, judgement.doc_id))
        else:
            found.append(Entry(query.text, document.text, judgement.relevance, None, None, judgement.source))
            named.add(judgement.query_id)
    silent = [("no judgement of this query", t.source, t.text) for t in asked.values() if t.id not in named]
    found += [Entry(None, text.text, None, None, None, text.source) for text in docs.values()]
    rows = len(asked) + len(found) + len(bad)
    return Batch(rows, entries(found), rejected([*bad, *silent]), len(bad))


def _unique(texts: Iterable[Text], bad: list[tuple[str, str, str]]) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for text in texts:
        if text.id in found:
            bad.append(("id given before", text.source, f"{text.id}, at {found[text.id].source}"))
        else:
            found[text.id] = text
    return found
