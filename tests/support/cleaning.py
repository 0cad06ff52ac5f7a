"""Entries cleaned as a run cleans them, part by part."""

from collections.abc import Sequence

import polars as pl

from minerkit.corpus.clean import LEDGER, clean_entries
from minerkit.corpus.deduplicate import decide_entries
from minerkit.corpus.split import TextLinks, link_texts
from minerkit.corpus.tables import Tables, build_tables
from minerkit.recipe.recipe import Clean

#: Entries of a part: several parts where there are more.
PART = 4
RULES = Clean()


def cleaned(entries: pl.DataFrame, rules: Clean = RULES, min_relevance: int = 1, part: int = PART) -> Tables:
    """Give all tables that a run makes of entries."""
    parts = [clean_entries(entries[at : at + part], rules) for at in range(0, max(len(entries), 1), part)]
    decisions = decide_entries(pl.concat([part.select(LEDGER) for part in parts]), min_relevance)
    firsts = range(0, max(len(entries), 1), part)
    made = [
        build_tables(one, decisions, first, min_relevance) for one, first in zip(parts, firsts, strict=True)
    ]
    whole = Tables(*(pl.concat(frames) for frames in zip(*made, strict=True)))
    assert (len(whole.queries), len(whole.corpus)) == (decisions.queries, decisions.documents)
    return whole


def clean(
    entries: pl.DataFrame, rules: Clean = RULES, min_relevance: int = 1, part: int = PART
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the entries that are kept, and the rejected rows."""
    parts = [clean_entries(entries[at : at + part], rules) for at in range(0, max(len(entries), 1), part)]
    decisions = decide_entries(pl.concat([part.select(LEDGER) for part in parts]), min_relevance)
    kept = pl.concat(parts).filter(decisions.rows["reason"].is_null())
    return kept, cleaned(entries, rules, min_relevance, part).rejected


def links_of_texts(
    *columns: pl.Series, threshold: float | None = 0.9, memory: int = 1 << 20, folder=None
) -> TextLinks:
    return link_texts(columns, threshold, memory, folder)


def keyed(found: TextLinks, *frames: pl.DataFrame) -> Sequence[pl.DataFrame]:
    """Give frames, one after the other, the keys of their texts."""
    keys, made = found.keys, []
    for frame in frames:
        made.append(frame.with_columns(keys[: len(frame)]))
        keys = keys[len(frame) :]
    return made
