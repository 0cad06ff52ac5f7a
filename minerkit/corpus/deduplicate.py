"""Decide about all entries together: repeats, grades, and the number of every text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus.clean import DOCUMENT, QUERY

__all__ = ["Decisions", "decide_entries"]

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
#: Reasons that only show when all entries are there.
LATE_REASONS = (None, "duplicate pair", "no positive for this query", "duplicate document")


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


def decide_entries(ledger: pl.DataFrame, min_relevance: int = 1) -> Decisions:
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
    query, document = (_first_equal(*(ledger[key].to_numpy() for key in keys)) for keys in (QUERY, DOCUMENT))
    late_reasons = np.zeros(len(ledger), np.int8)
    # The highest grade comes first, so that a repeat with a lower one is what is dropped.
    ranked = np.flatnonzero(kept & judged)
    ranked = ranked[np.argsort(-grades[ranked], kind="stable")]
    first, again = _split_first(ranked, query[ranked] * len(ledger) + document[ranked])
    late_reasons[again] = LATE_REASONS.index("duplicate pair")
    best = np.full(len(ledger), -1, np.int32)
    np.maximum.at(best, query[first], grades[first])
    late_reasons[first[best[query[first]] < min_relevance]] = LATE_REASONS.index("no positive for this query")
    alone = np.flatnonzero(kept & ~judged)
    late_reasons[_split_first(alone, document[alone])[1]] = LATE_REASONS.index("duplicate document")
    kept &= late_reasons == 0
    reasons = pl.Series(list(LATE_REASONS), dtype=pl.Categorical).gather(late_reasons)
    numbers = {
        "query": _number_texts(query, np.flatnonzero(kept & judged)),
        "document": _number_texts(document, np.flatnonzero(kept)),
    }
    rows = pl.DataFrame(
        {"reason": ledger["reason"]}
        | {f"{name}_number": number for name, (number, _) in numbers.items()}
        | {f"new_{name}": new for name, (_, new) in numbers.items()}
    ).with_columns(pl.coalesce(pl.col("reason"), reasons))
    return Decisions(rows, *(int(new.sum()) for _, new in numbers.values()))


def _first_equal(one: Hashes, other: Hashes) -> Positions:
    """Give, for each pair of hashes, the first place with the same pair."""
    order = np.lexsort((other, one))  # equal pairs stay in order
    same = np.zeros(len(order), np.bool_)
    same[1:] = one[order[1:]] == one[order[:-1]]
    same[1:] &= other[order[1:]] == other[order[:-1]]
    starts = np.flatnonzero(~same)
    first = np.empty_like(order)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _split_first(places: Positions, keys: Positions) -> tuple[Positions, Positions]:
    """Part places into those with a key that comes for the first time, and the others; both in order."""
    new = np.zeros(len(places), np.bool_)
    new[np.unique(keys, return_index=True)[1]] = True
    return places[new], places[~new]


def _number_texts(first_equal: Positions, places: Positions) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
    """Number the texts at some places in the order of appearance; say which places are the first."""
    new = np.zeros(len(first_equal), np.bool_)
    new[_split_first(places, first_equal[places])[0]] = True
    number = np.zeros(len(first_equal), np.uint32)
    number[first_equal[new]] = np.arange(1, new.sum() + 1)  # at the first place of all, which may not be kept
    there = np.zeros(len(first_equal), np.bool_)
    there[places] = True
    return pl.Series(number[first_equal]).set(pl.Series(~there), None), new
