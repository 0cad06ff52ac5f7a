"""Captions: rows of an item and a caption of it; the captions of one item are each other's positives."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.files import source_records
from minerkit.sources.records import BLANK, ENTRIES, SHOWN, Batch, cell, rejected
from minerkit.text import match_key

__all__ = ["PAIRINGS", "read"]

#: More pairs than these come of a column that is not the item's.
MOST_PAIRS = 10_000_000
Places = npt.NDArray[np.int64]


def _places(chosen: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    rows, columns = np.nonzero(chosen)
    return rows, columns


#: Which two of an item's n captions make a pair: the places of the queries, and of their positives.
PAIRINGS: Mapping[str, Callable[[int], tuple[Places, Places]]] = {
    "all": lambda n: _places(~np.eye(n, dtype=bool)),
    "once": lambda n: _places(np.triu(np.ones((n, n), dtype=bool), 1)),
    "next": lambda n: (np.arange(n), np.roll(np.arange(n), -1)),
    "first": lambda n: (np.zeros(n - 1, np.int64), np.arange(1, n)),
}


def read(source: Source) -> Iterator[Batch]:
    """Read captions and pair those of one item.

    Args:
        source: A recipe's source of format captions: `group` names the column of the item, `text` the one of
            the caption, or of a list of captions; without `group`, every row is an item.

    Yields:
        One batch. Blank captions and captions an item has already (but for case, closing punctuation and
        white space) are rejected; the only caption of an item is a document without a query.

    Raises:
        SourceError: The input is missing, damaged or lacks a column; or no two captions, or far too many,
            belong to one item.
    """
    captions, bad, rows = _captions(source)
    judged = captions.with_columns(match_key(pl.col("text")).alias("key")).with_columns(
        pl.when(pl.col("key") == "")
        .then(pl.lit("blank caption"))
        .when(~pl.struct("item", "key").is_first_distinct())
        .then(pl.lit("caption the item has already"))
        .alias("reason")
    )
    dropped = judged.drop_nulls("reason").select("reason", "place", "text").rows()
    yield Batch(
        rows, _paired(judged.filter(pl.col("reason").is_null()), source), rejected([*bad, *dropped]), len(bad)
    )


def _captions(source: Source) -> tuple[pl.DataFrame, list[tuple[str, str, str]], int]:
    """Read every caption with its item and place; rows without, with the reason; and count all rows."""
    found: list[tuple[str, str, str]] = []
    bad: list[tuple[str, str, str]] = []
    rows = 0
    for place, record in source_records(source, {"text": source.text, "group": source.group}):
        if record == BLANK:
            continue
        rows += 1
        row = _row(place, record, source)
        if isinstance(row, str):
            bad.append((row, place, "" if isinstance(record, str) else str(record)[:SHOWN]))
        else:
            found += [(row[0], text, place) for text in row[1]]
    return pl.DataFrame(found, dict.fromkeys(("item", "text", "place"), pl.String), orient="row"), bad, rows


def _row(place: str, record: dict[str, Any] | str, source: Source) -> tuple[str, list[str]] | str:
    """Return a row's item and captions, a blank one where there is none; or why it cannot be used."""
    if isinstance(record, str):
        return record
    item = place if source.group is None else (cell(record.get(source.group)) or "").strip()
    if not item:
        return "no item"
    value = record.get(source.text)
    texts = [cell(text) for text in (value or [None] if isinstance(value, list) else [value])]
    return "not a text, or not UTF-8" if "" in texts else (item, [text or "" for text in texts])


def _paired(captions: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Return the entries: every pair, and every caption that has none."""
    items = captions.with_row_index("at").group_by("item", maintain_order=True).agg("at")["at"]
    sizes = items.list.len().to_numpy().astype(np.int64)
    _sensible(captions, sizes, source)
    pairing = functools.cache(PAIRINGS[source.pairing])
    left, right, alone = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
    for at in items.to_list():
        if len(at) == 1:
            alone += at
        else:
            queries, positives = pairing(len(at))
            left.append(np.asarray(at)[queries])
            right.append(np.asarray(at)[positives])
    query, positive = captions[np.concatenate(left)], captions[np.concatenate(right)]
    here, there = query["place"], positive["place"]
    pairs = pl.DataFrame(
        {"query": query["text"], "document": positive["text"], "item": positive["item"]}
    ).select(
        "query",
        "document",
        pl.lit(1, pl.Int32).alias("relevance"),
        pl.col("item").alias("query_group"),
        pl.col("item").alias("group"),
        pl.when(here == there).then(here).otherwise(here + " " + there).alias("source"),
    )
    others = captions[alone].select(document="text", group="item", source="place")
    return pl.concat([pairs, others], how="diagonal").select(
        pl.col(name).cast(dtype) for name, dtype in ENTRIES.items()
    )


def _sensible(captions: pl.DataFrame, sizes: Places, source: Source) -> None:
    """Refuse items that cannot be items: none has two captions, or one has thousands."""
    place = source.hub or source.path
    if len(sizes) and sizes.max() < 2:
        raise SourceError(
            f"{place}: no row holds two captions; name the column of the item (source.group), or a column of "
            f"lists (source.text, now {source.text!r})"
            if source.group is None
            else f"{place}: no two captions have one {source.group!r}; does source.group name the item?"
        )
    counts = {"all": sizes * (sizes - 1), "once": sizes * (sizes - 1) // 2}.get(source.pairing, sizes)
    if counts.sum() > MOST_PAIRS:
        raise SourceError(
            f"{place}: {counts.sum():,} pairs of captions, as one {source.group or 'row'!r} has "
            f"{sizes.max():,}; does source.group name the item? source.pairing=next gives one pair a caption"
        )
