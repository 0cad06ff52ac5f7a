"""The search requests for the candidates of some queries.

Two requests serve all queries. `best` asks for the best documents, whether the rules accept them or not.
`below_ceiling` asks for the best documents up to each query's score ceiling, the highest score that all
false-negative rules accept, so that a strict rule does not leave a query short.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.filters import thresholds
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe import Mine
from minerkit.search import Pairs, Request, exact_scores

__all__ = ["SearchRequests"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SearchRequests:
    """The search requests for the candidates of n queries, and the values they depend on."""

    #: query_id, doc_id (positions), relevance, score, rank (null): the positives, scored.
    positives: pl.DataFrame
    #: The `keep` best documents that are not positives.
    best: Request
    #: The best documents up to the ceiling that are neither positives nor excluded, as many as most queries
    #: need.
    below_ceiling: Request
    #: int64 of shape (n,): the number of documents below its ceiling that each query may get. Powers of two,
    #: so that the few queries that need more than most are searched in few groups.
    limits: IntArray
    #: float64 of shape (n,): the score ceiling of each query.
    ceilings: npt.NDArray[np.float64]
    #: Whether queries that are short of candidates are searched below their ceiling.
    searches_below: bool

    @classmethod
    def of(cls, queries: SplitQueries, rules: Mine) -> "SearchRequests":
        """Score the positives and build the requests.

        Args:
            queries: n queries.
            rules: The recipe's `mine` section.

        Returns:
            The requests.
        """
        relevant = queries.qrels.filter(pl.col("relevance") > 0)
        positives, not_negatives = _pairs(relevant), _pairs(relevant, queries.excluded)
        scores = queries.index.pair_scores(queries.query_vectors, positives.queries, positives.documents)
        scored = relevant.with_columns(pl.Series("score", scores), pl.lit(None, dtype=pl.Int32).alias("rank"))
        lowest_positives = np.full(len(queries.needed), np.inf, np.float32)
        np.minimum.at(lowest_positives, positives.queries, scores)
        ceilings = _ceilings(exact_scores(lowest_positives), rules)
        limits = 2 ** np.ceil(np.log2(np.maximum(queries.needed, 1))).astype(np.int64)
        most_frequent = int(np.bincount(limits).argmax()) if len(limits) else 1
        return cls(
            positives=scored,
            best=Request(queries.query_vectors, rules.keep, positives),
            below_ceiling=Request(queries.query_vectors, most_frequent, not_negatives, ceilings),
            limits=limits,
            ceilings=ceilings,
            searches_below=queries.window is None or rules.shortfall == "backfill",
        )

    @property
    def requests(self) -> list[Request]:
        """The requests that one search of all queries serves."""
        return [self.best, self.below_ceiling] if self.searches_below else [self.best]

    def usable(self, candidates: pl.DataFrame, excluded: pl.DataFrame) -> pl.DataFrame:
        """Keep the candidates that may become negatives, however low they score or rank.

        Args:
            candidates: query_id, doc_id (positions), relevance, score, source.
            excluded: query_id, doc_id (positions): pairs that are never negatives.

        Returns:
            The candidates up to their query's ceiling and those judged irrelevant, without positives and
            excluded pairs.
        """
        scores = exact_scores(candidates["score"].to_numpy())
        below_ceiling = pl.Series(scores <= self.ceilings[candidates["query_id"].to_numpy()])
        irrelevant = (pl.col("source") == "judged").fill_null(False)
        usable = candidates.filter((pl.col("relevance") == 0) & (below_ceiling | irrelevant))
        return usable.join(excluded, on=["query_id", "doc_id"], how="anti") if len(excluded) else usable


def _pairs(*frames: pl.DataFrame) -> Pairs:
    pairs = pl.concat([frame.select("query_id", "doc_id") for frame in frames])
    return Pairs.of(pairs["query_id"].to_numpy(), pairs["doc_id"].to_numpy())


def _ceilings(lowest_positives: npt.NDArray[np.float64], rules: Mine) -> npt.NDArray[np.float64]:
    """Compute the ceiling of each query: the lowest threshold of the rules."""
    ceilings = np.full(len(lowest_positives), np.inf)
    for threshold in thresholds(lowest_positives, rules).values():
        ceilings = np.minimum(ceilings, threshold)
    return ceilings
