"""The rules that decide which candidates may become negatives, as thresholds on stored scores.

A candidate is eligible if no rule rejects it. The score ceiling of a query is the highest score that all
false-negative rules accept: the lowest of its `thresholds`.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.recipe import Mine
from minerkit.search import exact_score

__all__ = ["BACKFILLABLE", "filter_false_negatives", "rank_window", "round_trip", "thresholds"]

Score = TypeVar("Score", pl.Expr, npt.NDArray[np.float64])
#: Reasons that mark a document as too easy, not as a suspected positive: a short query may be backfilled with
#: such documents.
BACKFILLABLE = ["min_score", "rank_range"]


def thresholds(lowest_positive: Score, rules: Mine) -> dict[str, Score]:
    """Compute the highest score that each false-negative rule accepts.

    Args:
        lowest_positive: The lowest score among each query's positives, float64.
        rules: The recipe's `mine` section.

    Returns:
        Rule name to threshold. The margins are MarginPos and PercPos of NV-Retriever (Moreira et al. 2024,
        section 3.1); PercPos subtracts a share of the magnitude, so that its threshold lies below the
        positive for negative scores too.
    """
    by_rule: dict[str, Score] = {}
    if rules.absolute_margin is not None:
        by_rule["absolute_margin"] = lowest_positive - rules.absolute_margin
    if rules.relative_margin is not None:
        by_rule["relative_margin"] = lowest_positive - abs(lowest_positive) * rules.relative_margin
    if rules.max_score is not None:
        by_rule["max_score"] = lowest_positive * 0.0 + rules.max_score
    # Nine decimals: 0.8 - 0.8 * 0.05 is 0.76 again, so a score of 0.76 is accepted.
    return {name: threshold.round(9) for name, threshold in by_rule.items()}


def rank_window(rules: Mine, positives: pl.DataFrame) -> int | None:
    """Compute the number of ranks that `range_max` covers in the full ranking, which holds the positives too.

    Args:
        rules: The recipe's `mine` section.
        positives: query_id of every positive of a split.

    Returns:
        range_max plus the largest number of positives of any query; None without a range.
        `sentence_transformers.util.mine_hard_negatives` counts in the same way. Every query has at least
        range_max documents in the window that are not its positives.
    """
    if rules.range_max is None:
        return None
    return rules.range_max + int(positives.group_by("query_id").len()["len"].to_numpy().max(initial=0))


def filter_false_negatives(
    candidates: pl.DataFrame, excluded: pl.DataFrame, rules: Mine, places: int | None = None
) -> pl.DataFrame:
    """Apply the rules to every candidate that is not a positive.

    Args:
        candidates: query_id, doc_id, relevance (above 0 for positives), rank (from 1), score, and optionally
            source, in the order of the artefact: by query, best first, positives before other documents of
            the same score.
        excluded: query_id, doc_id, reason: pairs that are never negatives.
        rules: The recipe's `mine` section.
        places: The `rank_window` of the whole split, if these are the candidates of some of its queries;
            default: computed from the positives among the candidates.

    Returns:
        The candidates that are not positives, with pos_score (the lowest score of the query's positives) and
        reason: null for an eligible candidate, else the first that applies of the reason of its exclusion,
        absolute_margin, relative_margin, max_score, min_score and rank_range. Documents that people judged
        irrelevant (source `judged`) are subject to the exclusions only.

    Example:
        >>> import minerkit
        >>> import polars as pl
        >>> candidates = pl.DataFrame(
        ...     {
        ...         "query_id": ["q1", "q1", "q1", "q1"],
        ...         "doc_id": ["d4", "d1", "d2", "d3"],
        ...         "relevance": [0, 1, 0, 0],
        ...         "rank": [1, 2, 2, 3],
        ...         "score": [0.9, 0.8, 0.5, 0.4],
        ...     }
        ... )
        >>> excluded = pl.DataFrame({"query_id": ["q1"], "doc_id": ["d2"], "reason": ["near_duplicate"]})
        >>> filtered = minerkit.filter_false_negatives(candidates, excluded, minerkit.Mine())
        >>> filtered.select("doc_id", "reason").rows()
        [('d4', 'relative_margin'), ('d2', 'near_duplicate'), ('d3', None)]
    """
    is_positive = pl.col("relevance") > 0
    positives = candidates.filter(is_positive)
    window = places or rank_window(rules, positives)
    lowest_positives = positives.group_by("query_id").agg(pl.col("score").min().alias("pos_score"))
    if window is not None:
        positives_above = is_positive.cast(pl.Int32).cum_sum().over("query_id")
        candidates = candidates.with_columns(positives_above=positives_above)
    filtered = candidates.filter(pl.col("relevance") == 0)
    filtered = filtered.join(lowest_positives, on="query_id", how="left", maintain_order="left")
    filtered = _add_exclusions(filtered, excluded)
    reason = _first_reason(rules, window)
    # A rule guesses whether a document is irrelevant; where people have judged it, exclusions alone apply.
    if "source" in candidates.columns:
        irrelevant = (pl.col("source") == "judged").fill_null(False)
        reason = pl.when(irrelevant).then(pl.col("reason")).otherwise(reason)
    return filtered.with_columns(reason.alias("reason")).drop("positives_above", strict=False)


def _add_exclusions(candidates: pl.DataFrame, excluded: pl.DataFrame) -> pl.DataFrame:
    """Add the column reason: why a pair is excluded, or null."""
    pair = ["query_id", "doc_id"]
    # Often no query has an excluded document; then the slow join by two columns is not needed.
    if not candidates["query_id"].is_in(excluded["query_id"].implode()).any():
        return candidates.with_columns(pl.lit(None, pl.String).alias("reason"))
    reasons = excluded.select(*pair, "reason")
    return candidates.join(reasons, on=pair, how="left", maintain_order="left")


def _first_reason(rules: Mine, window: int | None) -> pl.Expr:
    """Return the expression for the reason of the exclusion, or else the first rule that rejects."""
    reason = pl.col("reason")
    score, lowest_positive = exact_score(pl.col("score")), exact_score(pl.col("pos_score"))
    for name, threshold in thresholds(lowest_positive, rules).items():
        reason = pl.coalesce(reason, pl.when(score > threshold).then(pl.lit(name)))
    if rules.min_score is not None:
        reason = pl.coalesce(reason, pl.when(score < rules.min_score).then(pl.lit("min_score")))
    if window is not None:
        # A candidate without a rank was found below all ranked documents.
        outside = (pl.col("rank") + pl.col("positives_above") > window).fill_null(True)
        reason = pl.coalesce(reason, pl.when(outside).then(pl.lit("rank_range")))
    return reason


def round_trip(candidates: pl.DataFrame, depth: int | None) -> pl.DataFrame:
    """Find the queries that do not retrieve any positive of theirs: the round-trip consistency filter.

    Args:
        candidates: The candidates artefact, with the positives (relevance above 0).
        depth: The number of best documents in which a positive must be; None: find no query.

    Returns:
        query_id, each once, of the queries none of whose positives has a rank up to `depth`, where ranks do
        not count the query's other positives (Alberti et al. 2019, section 2; Dai et al. 2022, Promptagator,
        section 3.2).
    """
    if depth is None:
        return candidates.clear().select("query_id")
    best_ranks = candidates.filter(pl.col("relevance") > 0).group_by("query_id").agg(pl.col("rank").min())
    return best_ranks.filter((pl.col("rank") > depth).fill_null(True)).select("query_id")
