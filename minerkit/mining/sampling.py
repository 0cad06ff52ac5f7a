"""Draw each query's negatives from its filtered candidates, and account for every query.

The quota of a query is the number of negatives it should get. With `positive_ratio` the quotas of a split add
up to the exact ratio, so that a quota depends on the queries before. Sampling has two steps therefore:
`draw_negatives` draws as many as each query may get at most, shard by shard in any order; `apply_quotas` cuts
them to the quotas, in the order of the queries.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.filters import BACKFILLABLE
from minerkit.mining.positions import to_ids
from minerkit.recipe import Mine
from minerkit.storage import ARTEFACT_COLUMNS, fit_artefact
from minerkit.text import mix_bits

__all__ = ["apply_quotas", "count_needed_candidates", "draw_negatives", "sample_negatives"]

IntArray = npt.NDArray[np.int64]
Ids = Mapping[str, pl.Series]


def count_needed_candidates(positives: IntArray, rules: Mine) -> IntArray:
    """Compute how many eligible candidates each query needs for its negatives to be drawn.

    Args:
        positives: int64 of shape (n,): the number of positives of each query.
        rules: The recipe's `mine` section.

    Returns:
        int64 of shape (n,): for the strategy `top` the negatives and those that `range_min` skips; for
        `random` the whole range.
    """
    needed = _most_negatives(positives, rules) + rules.range_min
    return needed if rules.strategy == "top" else np.maximum(rules.range_max or rules.keep, needed)


def sample_negatives(
    judged: pl.DataFrame, positives: pl.DataFrame, rules: Mine, before: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw the negatives of each query from its eligible candidates.

    Args:
        judged: What `filter_false_negatives` returns, with the column source; by query, best first.
        positives: query_id, positives: the number of positives of each query, in the order of the queries.
        rules: The recipe's `mine` section.
        before: The number of positives of the kept queries before these, if these are a shard of a split.

    Returns:
        The negatives artefact, by query, hardest first; and the account of every query: query_id, found (the
        number of its negatives), wanted (its quota), dropped. A query that is short of negatives is dropped
        with the shortfall `drop`, and with `backfill` if backfilling does not suffice.

    Example:
        >>> import minerkit
        >>> import polars as pl
        >>> filtered = pl.DataFrame(
        ...     {
        ...         "query_id": ["q1", "q1", "q1"],
        ...         "doc_id": ["d4", "d2", "d3"],
        ...         "source": "dense",
        ...         "rank": [1, 2, 3],
        ...         "score": [0.9, 0.5, 0.4],
        ...         "reason": ["relative_margin", None, None],
        ...     }
        ... )
        >>> positives = pl.DataFrame({"query_id": ["q1"], "positives": [1]})
        >>> negatives, accounts = minerkit.sample_negatives(filtered, positives, minerkit.Mine(negatives=2))
        >>> negatives.select("query_id", "doc_id", "fill").rows()
        [('q1', 'd2', 'mined'), ('q1', 'd3', 'mined')]
        >>> accounts.rows(named=True)
        [{'query_id': 'q1', 'found': 2, 'wanted': 2, 'dropped': False}]
    """
    drawn, accounts = draw_negatives(judged, positives, rules)
    negatives, accounts = apply_quotas(drawn, accounts, rules, before)
    return fit_artefact("negatives", negatives), accounts


def draw_negatives(
    filtered: pl.DataFrame, positives: pl.DataFrame, rules: Mine, ids: Ids | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw as many negatives as each query may get at most, which does not depend on other queries.

    Args:
        filtered: As in `sample_negatives`, with ids or positions.
        positives: As in `sample_negatives`, with ids or positions.
        rules: The recipe's `mine` section.
        ids: Column name to the ids that its positions index, if query_id and doc_id are positions.

    Returns:
        The drawn negatives, in the order of the draw; and query_id, positives, wanted, found, dropped.
    """
    limits = positives.with_columns(
        wanted=pl.Series(_most_negatives(positives["positives"].to_numpy(), rules))
    )
    drawn = _take_wanted(_draw_pool(filtered, limits, rules, ids or {})).with_columns(fill=pl.lit("mined"))
    if rules.shortfall == "backfill":
        easier = filtered.filter(pl.col("reason").is_in(BACKFILLABLE))
        easier = easier.join(limits, on="query_id", how="left", maintain_order="left").with_columns(
            fill=pl.lit("backfill")
        )
        drawn = pl.concat([drawn, easier], how="diagonal").sort("query_id", maintain_order=True)
        drawn = _take_wanted(drawn)
    found = drawn.group_by("query_id").agg(pl.len().cast(pl.Int64).alias("found"))
    accounts = limits.join(found, on="query_id", how="left", maintain_order="left").with_columns(
        pl.col("found").fill_null(0)
    )
    is_short = pl.col("found") < pl.col("wanted")
    return drawn, accounts.with_columns(dropped=is_short & pl.lit(rules.shortfall != "keep"))


def apply_quotas(
    drawn: pl.DataFrame, accounts: pl.DataFrame, rules: Mine, positives_before: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut the drawn negatives to the quota of every kept query; remove those of dropped queries.

    Args:
        drawn: The negatives that `draw_negatives` returns.
        accounts: The accounts that `draw_negatives` returns.
        rules: The recipe's `mine` section.
        positives_before: The number of positives of the kept queries before these.

    Returns:
        The negatives and accounts of `sample_negatives`, with ids or positions as they came in.
    """
    kept = accounts.filter(~pl.col("dropped"))
    quotas = kept.select(
        "query_id", wanted=pl.Series(_quotas(kept["positives"].to_numpy(), rules, positives_before))
    )
    drawn = drawn.drop("wanted").join(quotas, on="query_id", how="left", maintain_order="left")
    negatives = _take_wanted(drawn).sort(["query_id", "score", "doc_id"], descending=[False, True, False])
    accounts = accounts.join(
        quotas.rename({"wanted": "quota"}), on="query_id", how="left", maintain_order="left"
    )
    # A dropped query has no quota; its account states the most negatives it could have had.
    accounts = accounts.with_columns(wanted=pl.coalesce("quota", "wanted"))
    found = pl.min_horizontal("found", "wanted").alias("found")
    accounts = accounts.select("query_id", found, "wanted", "dropped")
    columns = [name for name in ARTEFACT_COLUMNS["negatives"] if name in negatives.columns]
    return negatives.select(columns), accounts


def _most_negatives(positives: IntArray, rules: Mine) -> IntArray:
    """Compute the most negatives that each query may get, by the number of its positives."""
    if rules.positive_ratio is None:
        return np.full(len(positives), rules.negatives, np.int64)
    return np.ceil(np.round(positives * _negatives_per_positive(rules), 6)).astype(np.int64)


def _quotas(positives: IntArray, rules: Mine, positives_before: int) -> IntArray:
    """Compute quotas that make the ratio exact: fractions of a negative carry over to the next query."""
    if rules.positive_ratio is None:
        return _most_negatives(positives, rules)
    cumulative = np.concatenate([[positives_before], positives_before + np.cumsum(positives)])
    totals = np.floor(np.round(cumulative * _negatives_per_positive(rules), 6) + 0.5)
    return np.asarray(np.diff(totals.astype(np.int64)), dtype=np.int64)


def _negatives_per_positive(rules: Mine) -> float:
    ratio = rules.positive_ratio or 1.0
    return (1 - ratio) / ratio


def _draw_pool(filtered: pl.DataFrame, limits: pl.DataFrame, rules: Mine, ids: Ids) -> pl.DataFrame:
    """Return the eligible candidates that the negatives are drawn from, in the order of the draw."""
    enough = pl.col("wanted") + rules.range_min
    if rules.strategy == "top":
        end = enough if rules.range_max is None else pl.min_horizontal(enough, pl.lit(rules.range_max))
    else:
        end = pl.max_horizontal(enough, pl.lit(rules.range_max or rules.keep))
    limits = limits.with_columns(end=end)
    eligible = filtered.filter(pl.col("reason").is_null()).filter(
        _index_in_query() < (limits["end"].max() or 0)
    )
    eligible = eligible.join(limits, on="query_id", how="left", maintain_order="left")
    pool = eligible.filter(_index_in_query().is_between(rules.range_min, pl.col("end"), "left")).drop("end")
    if rules.strategy == "top":
        return pool
    pool = pool.with_columns(draw=_random_numbers(to_ids(pool, ids), rules.seed))
    return pool.sort("query_id", "draw", maintain_order=True)


def _take_wanted(pool: pl.DataFrame) -> pl.DataFrame:
    """Take the first `wanted` rows of each query."""
    return pool.filter(_index_in_query() < pl.col("wanted"))


def _index_in_query() -> pl.Expr:
    """Return the index of each row among the rows of its query, from 0; a query's rows are adjacent."""
    row = pl.int_range(pl.len())
    is_first = pl.col("query_id").ne_missing(pl.col("query_id").shift())
    return row - pl.when(is_first).then(row).forward_fill()


def _random_numbers(pairs: pl.DataFrame, seed: int) -> pl.Series:
    """Compute a random number for each query_id and doc_id, which depends on these and the seed only."""
    salt = int.from_bytes(seed.to_bytes(8, "little", signed=True), "little")
    numbers = np.full(len(pairs), salt, np.uint64)
    for column in ("query_id", "doc_id"):
        ids = pairs[column].unique(maintain_order=True)
        hashes = pl.DataFrame({column: ids, "hash": _hash_ids(ids)})
        hashes_of_rows = pairs.select(column).join(hashes, on=column, how="left", maintain_order="left")
        numbers = mix_bits(numbers ^ hashes_of_rows["hash"].to_numpy())
    return pl.Series(numbers)


def _hash_ids(ids: pl.Series) -> npt.NDArray[np.uint64]:
    import hashlib

    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids)
    return np.frombuffer(digests, np.uint64)
