"""From raw entries to queries, corpus and qrels; what is dropped comes back with its reason.

Entries are tidied part by part. What is decided about all of them together needs but a few numbers of each,
the ledger; their texts wait in a file meanwhile, and are made into tables part by part again.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus.function_words import function_word_share
from minerkit.recipe.recipe import Clean
from minerkit.storage import schema
from minerkit.text.normalise import cleaned, match_key, normalised

__all__ = ["LEDGER", "Decisions", "Tables", "decide", "tables", "tidy"]

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
#: The normalised texts of an entry, as hashes of 128 bits.
QUERY, DOCUMENT = ["query_1", "query_2"], ["document_1", "document_2"]
#: The columns of a tidied entry that are enough to decide about it.
LEDGER = ["relevance", "reason", *QUERY, *DOCUMENT]
#: Reasons that only show when all entries are there.
LATE = (None, "duplicate pair", "no positive for this query", "duplicate document")
#: Digits of an id, at least.
DIGITS = 7


@dataclass(frozen=True)
class Decisions:
    """What becomes of every entry, in the order of the input.

    `rows` has the columns reason (null: it is kept), query_number and document_number (from 1, in the order
    of first appearance; null where there is none), and new_query and new_document (whether it is the first
    with that number).
    """

    rows: pl.DataFrame
    queries: int
    documents: int


class Tables(NamedTuple):
    """What some entries add to the corpus by id.

    queries (query_id, text, group) and corpus (doc_id, text, group) with what is new; qrels; pairs; the
    groups of queries and of documents (id, group), in which other entries' may repeat; and rejected rows.
    """

    queries: pl.DataFrame
    corpus: pl.DataFrame
    qrels: pl.DataFrame
    pairs: pl.DataFrame
    query_groups: pl.DataFrame
    doc_groups: pl.DataFrame
    rejected: pl.DataFrame


def tidy(entries: pl.DataFrame, rules: Clean) -> pl.DataFrame:
    """Trim the texts of entries, and find those that cannot train anything, whatever the others are.

    Args:
        entries: Columns query, document, relevance, query_group, group, source; query and relevance are null
            where a document is only there.
        rules: The recipe's `clean` section.

    Returns:
        The entries, in their order, texts trimmed, with the columns of `LEDGER`: reason is null unless a text
        is empty or short, the document is the query itself, or the query has no content of its own.
    """
    rows = entries.with_columns(cleaned(pl.col("query")), cleaned(pl.col("document"))).with_columns(
        query_key=normalised(pl.col("query")), document_key=normalised(pl.col("document"))
    )
    judged = pl.col("relevance").is_not_null()
    parts = [
        part.with_columns(reason(part, rules).cast(pl.Categorical).alias("reason"))
        for part, reason in (
            (rows.with_row_index("place").filter(judged), _pair_fault),
            (rows.with_row_index("place").filter(~judged), _document_fault),
        )
    ]
    hashes = [
        pl.col(f"{side}_key").hash(seed).alias(f"{side}_{seed}")
        for side in ("query", "document")
        for seed in (1, 2)
    ]
    return pl.concat(parts).sort("place").with_columns(hashes).drop("place", "query_key", "document_key")


def _pair_fault(pairs: pl.DataFrame, rules: Clean) -> pl.Expr:
    reason: pl.Expr = (
        pl.when(pl.col("query").is_null())
        .then(pl.lit("empty query"))
        .when(pl.col("document").is_null())
        .then(pl.lit("empty positive"))
        .when(pl.col("query_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("query shorter than clean.min_chars"))
        .when(pl.col("document_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("positive shorter than clean.min_chars"))
        .when(match_key(pl.col("query")) == match_key(pl.col("document")))
        .then(pl.lit("positive repeats the query"))
    )
    if rules.max_function_words is not None:
        share = function_word_share(pairs["query"].fill_null(""))
        empty = pl.Series(share) > rules.max_function_words
        reason = pl.coalesce(reason, pl.when(empty).then(pl.lit("query without content of its own")))
    return reason


def _document_fault(_: pl.DataFrame, rules: Clean) -> pl.Expr:
    return (
        pl.when(pl.col("document").is_null())
        .then(pl.lit("empty document"))
        .when(pl.col("document_key").str.len_chars() < rules.min_chars)
        .then(pl.lit("document shorter than clean.min_chars"))
    )


def decide(ledger: pl.DataFrame, min_relevance: int = 1) -> Decisions:
    """Decide about all entries together, and number their texts.

    Args:
        ledger: The columns of `LEDGER` of all tidied entries.
        min_relevance: The grade from which a document is a positive.

    Returns:
        The decisions. An entry is also rejected for standing in the input before, of two grades the lower
        one, and for a query without a positive.
    """
    kept = ledger["reason"].is_null().to_numpy()
    judged = ledger["relevance"].is_not_null().to_numpy()
    grades = ledger["relevance"].fill_null(0).to_numpy()
    query, document = (_first_alike(*(ledger[key].to_numpy() for key in keys)) for keys in (QUERY, DOCUMENT))
    late = np.zeros(len(ledger), np.int8)
    # The highest grade comes first, so that a repeat with a lower one is what is dropped.
    ranked = np.flatnonzero(kept & judged)
    ranked = ranked[np.argsort(-grades[ranked], kind="stable")]
    first, again = _parted(ranked, query[ranked] * len(ledger) + document[ranked])
    late[again] = LATE.index("duplicate pair")
    best = np.full(len(ledger), -1, np.int32)
    np.maximum.at(best, query[first], grades[first])
    late[first[best[query[first]] < min_relevance]] = LATE.index("no positive for this query")
    alone = np.flatnonzero(kept & ~judged)
    late[_parted(alone, document[alone])[1]] = LATE.index("duplicate document")
    kept &= late == 0
    reasons = pl.Series(list(LATE), dtype=pl.Categorical).gather(late)
    numbers = {
        "query": _numbered(query, np.flatnonzero(kept & judged)),
        "document": _numbered(document, np.flatnonzero(kept)),
    }
    rows = pl.DataFrame(
        {"reason": ledger["reason"]}
        | {f"{name}_number": number for name, (number, _) in numbers.items()}
        | {f"new_{name}": new for name, (_, new) in numbers.items()}
    ).with_columns(pl.coalesce(pl.col("reason"), reasons))
    return Decisions(rows, *(int(new.sum()) for _, new in numbers.values()))


def _first_alike(one: Hashes, other: Hashes) -> Places:
    """Give, for each pair of hashes, the first place with the same pair."""
    order = np.lexsort((other, one))  # equal pairs stay in order
    same = np.zeros(len(order), np.bool_)
    same[1:] = one[order[1:]] == one[order[:-1]]
    same[1:] &= other[order[1:]] == other[order[:-1]]
    starts = np.flatnonzero(~same)
    first = np.empty_like(order)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _parted(places: Places, keys: Places) -> tuple[Places, Places]:
    """Part places into those with a key that comes for the first time, and the others; both in order."""
    new = np.zeros(len(places), np.bool_)
    new[np.unique(keys, return_index=True)[1]] = True
    return places[new], places[~new]


def _numbered(alike: Places, places: Places) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
    """Number the texts at some places in the order of appearance; say which places are the first."""
    new = np.zeros(len(alike), np.bool_)
    new[_parted(places, alike[places])[0]] = True
    number = np.zeros(len(alike), np.uint32)
    number[alike[new]] = np.arange(1, new.sum() + 1)  # at the first place of all, which may not be kept
    there = np.zeros(len(alike), np.bool_)
    there[places] = True
    return pl.Series(number[alike]).set(pl.Series(~there), None), new


def tables(entries: pl.DataFrame, decisions: Decisions, first: int = 0, min_relevance: int = 1) -> Tables:
    """Make tables of some entries.

    Args:
        entries: Tidied entries, with their texts.
        decisions: About all entries.
        first: The place of the first of these entries among all.
        min_relevance: The grade from which a document is a positive.

    Returns:
        The tables. The text of an id is the first spelling of each normalised text, its group the first
        group; an id's order as text is its order of appearance.
    """
    own = decisions.rows[first : first + len(entries)].with_columns(
        query_id=_id("q", "query_number", decisions.queries),
        doc_id=_id("d", "document_number", decisions.documents),
    )
    rows = pl.concat([entries.drop(LEDGER[1:], strict=False), own], how="horizontal")
    kept = rows.filter(pl.col("reason").is_null())
    judged = kept.filter(pl.col("relevance").is_not_null())
    text = pl.concat_str([pl.col("query"), pl.col("document")], separator=" | ", ignore_nulls=True)
    rejected = rows.drop_nulls("reason").select(
        pl.lit("clean").alias("stage"), "reason", "source", text.alias("text")
    )
    return Tables(
        judged.filter("new_query").select("query_id", text="query", group="query_group"),
        kept.filter("new_document").select("doc_id", text="document", group="group"),
        judged.select("query_id", "doc_id", "relevance"),
        judged.filter(pl.col("relevance") >= min_relevance).select("query", positive="document"),
        judged.select(id="query_id", group="query_group").drop_nulls("group").unique(maintain_order=True),
        kept.select(id="doc_id", group="group").drop_nulls("group").unique(maintain_order=True),
        schema.fit("rejected", rejected),
    )


def _id(letter: str, number: str, count: int) -> pl.Expr:
    digits = max(DIGITS, len(str(count)))
    return pl.lit(letter) + pl.col(number).cast(pl.String).str.zfill(digits)
