"""Captions: rows of an item and a caption of it; the captions of one item are each other's positives."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.files import source_records
from minerkit.sources.rows import BLANK, Batch, Entry, cell, entries, rejected
from minerkit.text import normalise

__all__ = ["PAIRINGS", "read"]

#: A caption and the place it comes from.
Caption = tuple[str, str]


def _next(captions: Sequence[Caption]) -> list[tuple[Caption, Caption]]:
    return list(zip(captions, [*captions[1:], captions[0]], strict=True))


#: Which two captions of an item make a pair, query first.
PAIRINGS: Mapping[str, Callable[[Sequence[Caption]], list[tuple[Caption, Caption]]]] = {
    "all": lambda captions: list(itertools.permutations(captions, 2)),
    "once": lambda captions: list(itertools.combinations(captions, 2)),
    "next": _next,
    "first": lambda captions: [(captions[0], other) for other in captions[1:]],
}


def read(source: Source) -> Iterator[Batch]:
    """Read captions and pair those of one item.

    Args:
        source: A recipe's source of format captions: `group` names the column of the item, `text` the one of
            the caption, or of a list of captions; without `group`, every row is an item.

    Yields:
        One batch. Blank captions and captions an item has already are rejected; the only caption of an item
        is a document without a query.

    Raises:
        SourceError: The input is missing, damaged or lacks a column.
    """
    items: dict[str, dict[str, Caption]] = {}
    dropped: list[tuple[str, str, str]] = []
    rows, bad = 0, 0
    for place, record in source_records(source, {"text": source.text, "group": source.group}):
        if record == BLANK:
            continue
        rows += 1
        item, texts = _captions(place, record, source)
        if isinstance(texts, str):
            dropped.append((texts, place, "" if isinstance(record, str) else str(record)[:200]))
            bad += 1
            continue
        captions = items.setdefault(item, {})
        for text in texts:
            key = normalise(text)
            if not key:
                dropped.append(("blank caption", place, text))
            elif key in captions:
                dropped.append(("caption the item has already", place, text))
            else:
                captions[key] = (text, place)
    if rows and source.group is None and all(len(captions) < 2 for captions in items.values()):
        raise SourceError(
            f"{source.hub or source.path}: no row holds two captions; name the column of the item "
            f"(source.group), or a column of lists (source.text, now {source.text!r})"
        )
    found = [entry for item, captions in items.items() for entry in _paired(item, captions, source)]
    yield Batch(rows, entries(found), rejected(dropped), bad)


def _captions(place: str, record: dict[str, Any] | str, source: Source) -> tuple[str, list[str] | str]:
    """Give a row's item and captions; in their place, why it has none."""
    if isinstance(record, str):
        return "", record
    item = place if source.group is None else cell(record.get(source.group))
    if not item or not item.strip():
        return "", "no item"
    value = record.get(source.text)
    texts = [cell(text) for text in (value if isinstance(value, list) else [value])]
    if "" in texts:
        return "", "not a text, or not UTF-8"
    return item.strip(), [text or "" for text in texts]


def _paired(item: str, captions: Mapping[str, Caption], source: Source) -> Iterator[Entry]:
    found = list(captions.values())
    if len(found) == 1:
        yield Entry(None, found[0][0], None, None, item, found[0][1])
        return
    for (query, here), (positive, there) in PAIRINGS[source.pairing](found) if found else []:
        yield Entry(query, positive, 1, item, item, here if here == there else f"{here} {there}")
