"""Decide about all entries together: repeats, grades, and the number of every text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus.clean import DOCUMENT, QUERY

__all__ = ["Decisions", "decide_entries"]

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
#: Reasons that depend on all entries together.
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
        ledger: The columns of `LEDGER` of all cleaned entries.
        min_relevance: The grade from which a document is a positive.

    Returns:
        The decisions. Rejected are also repeated pairs (of two grades the lower one) and pairs of queries
        without a positive.
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
    unjudged = np.flatnonzero(kept & ~judged)
    late_reasons[_split_first(unjudged, document[unjudged])[1]] = LATE_REASONS.index("duplicate document")
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
    """Find, for each pair of hashes, the first position with the same pair."""
    order = np.lexsort((other, one))  # equal pairs stay in order
    same = np.zeros(len(order), np.bool_)
    same[1:] = one[order[1:]] == one[order[:-1]]
    same[1:] &= other[order[1:]] == other[order[:-1]]
    starts = np.flatnonzero(~same)
    first = np.empty_like(order)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _split_first(positions: Positions, keys: Positions) -> tuple[Positions, Positions]:
    """Split positions into those with a key not seen before, and the others; both in order."""
    new = np.zeros(len(positions), np.bool_)
    new[np.unique(keys, return_index=True)[1]] = True
    return positions[new], positions[~new]


def _number_texts(first_equal: Positions, positions: Positions) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
    """Number the texts at some positions in the order of appearance, and mark the first of each."""
    new = np.zeros(len(first_equal), np.bool_)
    new[_split_first(positions, first_equal[positions])[0]] = True
    number = np.zeros(len(first_equal), np.uint32)
    number[first_equal[new]] = np.arange(1, new.sum() + 1)  # at the first place of all, which may not be kept
    kept_texts = np.zeros(len(first_equal), np.bool_)
    kept_texts[positions] = True
    return pl.Series(number[first_equal]).set(pl.Series(~kept_texts), None), new
