"""Draw each query's negatives from its judged candidates, and account for every query."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.filters import BACKFILLABLE
from minerkit.mining.positions import to_ids
from minerkit.recipe import Mine
from minerkit.storage import ARTEFACT_COLUMNS, fit_artefact
from minerkit.text import mix_bits

__all__ = ["apply_quotas", "rank_eligible", "sample_negatives", "wanted_candidates"]

IntArray = npt.NDArray[np.int64]
Ids = Mapping[str, pl.Series]


def wanted_candidates(positives: IntArray, rules: Mine) -> IntArray:
    """Compute how many eligible candidates each query needs for its negatives to be drawn.

    Args:
        positives: int64 of shape (n,): positives of each query.
        rules: The recipe's `mine` section.

    Returns:
        int64 of shape (n,): for `top`, the negatives and those skipped; for `random`, the whole range.
    """
    wanted = _most_negatives(positives, rules) + rules.range_min
    return wanted if rules.strategy == "top" else np.maximum(rules.range_max or rules.keep, wanted)


def sample_negatives(
    judged: pl.DataFrame, positives: pl.DataFrame, rules: Mine, before: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Choose negatives.

    Args:
        judged: The judged artefact, by query, best first within each.
        positives: query_id, positives: how many positives each query has, in the order of the queries.
        rules: The recipe's `mine` section.
        before: Positives of the queries before these that were kept, where these are a part of a split.

    Returns:
        The negatives artefact, hardest first within each query; and an account of every query: query_id,
        found, wanted, dropped. With `drop` and `backfill`, a query that cannot be filled is dropped.
    """
    negatives, accounts = apply_quotas(*rank_eligible(judged, positives, rules), rules, before)
    return fit_artefact("negatives", negatives), accounts


def rank_eligible(
    judged: pl.DataFrame, positives: pl.DataFrame, rules: Mine, ids: Ids | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Choose as many negatives as each query may get at most; exact quotas follow in `apply_quotas`.

    Args:
        judged: As `sample_negatives` takes it, but for the ids.
        positives: As `sample_negatives` takes it, but for the ids.
        rules: The recipe's `mine` section.
        ids: The ids by column, where query_id and doc_id are positions.

    Returns:
        The chosen negatives, in the order of drawing; and query_id, positives, wanted, found, dropped.
    """
    limits = positives.with_columns(
        wanted=pl.Series(_most_negatives(positives["positives"].to_numpy(), rules))
    )
    chosen = _take_wanted(_pool(judged, limits, rules, ids or {})).with_columns(fill=pl.lit("mined"))
    if rules.shortfall == "backfill":
        easier = judged.filter(pl.col("reason").is_in(BACKFILLABLE))
        easier = easier.join(limits, on="query_id", how="left", maintain_order="left").with_columns(
            fill=pl.lit("backfill")
        )
        chosen = pl.concat([chosen, easier], how="diagonal").sort("query_id", maintain_order=True)
        chosen = _take_wanted(chosen)
    found = chosen.group_by("query_id").agg(pl.len().cast(pl.Int64).alias("found"))
    accounts = limits.join(found, on="query_id", how="left", maintain_order="left").with_columns(
        pl.col("found").fill_null(0)
    )
    short = pl.col("found") < pl.col("wanted")
    return chosen, accounts.with_columns(dropped=short & pl.lit(rules.shortfall != "keep"))


def apply_quotas(
    chosen: pl.DataFrame, accounts: pl.DataFrame, rules: Mine, before: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut the chosen negatives to the exact quota of every query that is kept.

    Args:
        chosen: As `rank_eligible` gives it.
        accounts: As `rank_eligible` gives it.
        rules: The recipe's `mine` section.
        before: Positives of the queries before these that were kept.

    Returns:
        What `sample_negatives` gives, with ids or positions as they were.
    """
    kept = accounts.filter(~pl.col("dropped"))
    exact = kept.select(
        "query_id", wanted=pl.Series(_exact_quotas(kept["positives"].to_numpy(), rules, before))
    )
    chosen = chosen.drop("wanted").join(exact, on="query_id", how="left", maintain_order="left")
    chosen = _take_wanted(chosen)
    chosen = chosen.sort(["query_id", "score", "doc_id"], descending=[False, True, False])
    # Queries that are kept want what the exact ratio gives them.
    accounts = accounts.join(
        exact.rename({"wanted": "exact"}), on="query_id", how="left", maintain_order="left"
    )
    accounts = accounts.with_columns(wanted=pl.coalesce("exact", "wanted"))
    found_of = pl.min_horizontal("found", "wanted").alias("found")
    accounts = accounts.select("query_id", found_of, "wanted", "dropped")
    return chosen.select(name for name in ARTEFACT_COLUMNS["negatives"] if name in chosen.columns), accounts


def _most_negatives(positives: IntArray, rules: Mine) -> IntArray:
    """Bound the negatives of each query from above."""
    if rules.positive_ratio is None:
        return np.full(len(positives), rules.negatives, np.int64)
    return np.ceil(np.round(positives * _per_positive(rules), 6)).astype(np.int64)


def _exact_quotas(positives: IntArray, rules: Mine, before: int) -> IntArray:
    """Make the ratio exact: what is not whole in one query's share of negatives goes to the next query."""
    if rules.positive_ratio is None:
        return _most_negatives(positives, rules)
    reached = np.concatenate([[before], before + np.cumsum(positives)])
    totals = np.floor(np.round(reached * _per_positive(rules), 6) + 0.5)
    return np.asarray(np.diff(totals.astype(np.int64)), dtype=np.int64)


def _per_positive(rules: Mine) -> float:
    ratio = rules.positive_ratio or 1.0
    return (1 - ratio) / ratio


def _pool(judged: pl.DataFrame, limits: pl.DataFrame, rules: Mine, ids: Ids) -> pl.DataFrame:
    """Line up the eligible candidates negatives are drawn from, in the order of drawing."""
    enough = pl.col("wanted") + rules.range_min
    if rules.strategy == "top":
        end = enough if rules.range_max is None else pl.min_horizontal(enough, pl.lit(rules.range_max))
    else:
        end = pl.max_horizontal(enough, pl.lit(rules.range_max or rules.keep))
    limits = limits.with_columns(end=end)
    eligible = judged.filter(pl.col("reason").is_null()).filter(
        _position_in_query() < (limits["end"].max() or 0)
    )
    eligible = eligible.join(limits, on="query_id", how="left", maintain_order="left")
    pool = eligible.filter(_position_in_query().is_between(rules.range_min, pl.col("end"), "left")).drop(
        "end"
    )
    if rules.strategy == "top":
        return pool
    pool = pool.with_columns(turn=_random_numbers(to_ids(pool, ids), rules.seed))
    return pool.sort("query_id", "turn", maintain_order=True)


def _take_wanted(pool: pl.DataFrame) -> pl.DataFrame:
    """Take the first `wanted` rows of each query."""
    return pool.filter(_position_in_query() < pl.col("wanted"))


def _position_in_query() -> pl.Expr:
    """Return the place of each row among those of its query, which stand together, from 0."""
    row = pl.int_range(pl.len())
    first = pl.col("query_id").ne_missing(pl.col("query_id").shift())
    return row - pl.when(first).then(row).forward_fill()


def _random_numbers(pool: pl.DataFrame, seed: int) -> pl.Series:
    """Draw a random number for each (query, document); it depends on the two ids and the seed only."""
    salt = int.from_bytes(seed.to_bytes(8, "little", signed=True), "little")
    numbers_of_pairs = np.full(len(pool), salt, np.uint64)
    for column in ("query_id", "doc_id"):
        ids = pool[column].unique(maintain_order=True)
        numbers = pl.DataFrame({column: ids, "number": _numbers(ids)})
        number = pool.select(column).join(numbers, on=column, how="left", maintain_order="left")["number"]
        numbers_of_pairs = mix_bits(numbers_of_pairs ^ number.to_numpy())
    return pl.Series(numbers_of_pairs)


def _numbers(ids: pl.Series) -> npt.NDArray[np.uint64]:
    import hashlib

    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids)
    return np.frombuffer(digests, np.uint64)
