"""The rules that decide which candidates may become negatives, as thresholds on stored scores."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.recipe import Mine
from minerkit.search import exact_score

__all__ = ["BACKFILLABLE", "filter_false_negatives", "rank_window", "round_trip", "thresholds"]

Score = TypeVar("Score", pl.Expr, npt.NDArray[np.float64])
#: Reasons that make a document too easy, not suspicious: such documents may fill up a short query.
BACKFILLABLE = ["min_score", "rank_range"]
#: Scores are kept to six decimals.
DECIMALS = 6


def thresholds(positive: Score, rules: Mine) -> dict[str, Score]:
    """Compute the highest score that each false-negative rule accepts.

    Args:
        positive: The smallest score among each query's positives, float64.
        rules: The recipe's `mine` section.

    Returns:
        Rule name to threshold. The margins are MarginPos and PercPos of NV-Retriever (Moreira et al. 2024,
        section 3.1), the latter below the positive for negative scores too.
    """
    found: dict[str, Score] = {}
    if rules.absolute_margin is not None:
        found["absolute_margin"] = positive - rules.absolute_margin
    if rules.relative_margin is not None:
        found["relative_margin"] = positive - abs(positive) * rules.relative_margin
    if rules.max_score is not None:
        found["max_score"] = positive * 0.0 + rules.max_score
    # Nine decimals: 0.8 - 0.8 * 0.05 is 0.76 again, and a score of 0.76 meets it.
    return {name: highest.round(9) for name, highest in found.items()}


def rank_window(rules: Mine, positives: pl.DataFrame) -> int | None:
    """Compute how many places of the full ranking `range_max` looks at.

    Args:
        rules: The recipe's `mine` section.
        positives: query_id of every positive of a split.

    Returns:
        range_max plus room for the positives of any query, which hold places too; None without a range. This
        is how `sentence_transformers.util.mine_hard_negatives` counts, and it leaves every query range_max
        places or a few more.
    """
    if rules.range_max is None:
        return None
    return rules.range_max + int(positives.group_by("query_id").len()["len"].to_numpy().max(initial=0))


def filter_false_negatives(
    candidates: pl.DataFrame, excluded: pl.DataFrame, rules: Mine, places: int | None = None
) -> pl.DataFrame:
    """Judge every unjudged candidate: whether it may be a negative, and if not, why not.

    Args:
        candidates: Candidates of one split in the order of the artefact (by query, best first, positives
            before others of the same score), positives (relevance above 0) among them.
        excluded: query_id, doc_id, reason: pairs that are never negatives.
        rules: The recipe's `mine` section.
        places: What `window` gives, where these are a part of a split's candidates.

    Returns:
        The unjudged rows with pos_score and reason; reason is null for eligible candidates. The first reason
        that holds is given: an exclusion, a margin, max_score, min_score, rank_range; for documents judged
        irrelevant (source `judged`), an exclusion only.
    """
    positive = pl.col("relevance") > 0
    known = candidates.filter(positive)
    places = places or rank_window(rules, known)
    reference = known.group_by("query_id").agg(pl.col("score").min().alias("pos_score"))
    score, pos = exact_score(pl.col("score")), exact_score(pl.col("pos_score"))
    reason = pl.col("reason")
    for name, highest in thresholds(pos, rules).items():
        reason = pl.coalesce(reason, pl.when(score > highest).then(pl.lit(name)))
    if rules.min_score is not None:
        reason = pl.coalesce(reason, pl.when(score < rules.min_score).then(pl.lit("min_score")))
    if places is not None:
        # A candidate without a rank was found below every ranked one.
        candidates = candidates.with_columns(above=positive.cast(pl.Int32).cum_sum().over("query_id"))
        outside = (pl.col("rank") + pl.col("above") > places).fill_null(True)
        reason = pl.coalesce(reason, pl.when(outside).then(pl.lit("rank_range")))
    # What people have judged irrelevant needs no rule to guess it; exclusions by text still hold.
    if "source" in candidates.columns:
        irrelevant = (pl.col("source") == "judged").fill_null(False)
        reason = pl.when(irrelevant).then(pl.col("reason")).otherwise(reason)
    rows = candidates.filter(pl.col("relevance") == 0)
    rows = rows.join(reference, on="query_id", how="left", maintain_order="left")
    pairs = ["query_id", "doc_id"]
    # Few queries have excluded documents, and rows need not be joined by two columns for the others.
    if rows["query_id"].is_in(excluded["query_id"].implode()).any():
        reasons = excluded.select(*pairs, "reason")
        rows = rows.join(reasons, on=pairs, how="left", maintain_order="left")
    else:
        rows = rows.with_columns(pl.lit(None, pl.String).alias("reason"))
    return rows.with_columns(reason.alias("reason"))


def round_trip(candidates: pl.DataFrame, depth: int | None) -> pl.DataFrame:
    """Find queries that do not lead back to their own document: the round-trip consistency filter.

    Args:
        candidates: The candidates artefact, positives (relevance above 0) among them.
        depth: How many of the best documents are looked at; None: find none.

    Returns:
        query_id of the queries none of whose positives is among the first `depth` documents, its other
        positives not counted, each once (Alberti et al. 2019, section 2; Dai et al. 2022, Promptagator,
        section 3.2).
    """
    if depth is None:
        return candidates.clear().select("query_id")
    best = candidates.filter(pl.col("relevance") > 0).group_by("query_id").agg(pl.col("rank").min())
    return best.filter((pl.col("rank") > depth).fill_null(True)).select("query_id")
