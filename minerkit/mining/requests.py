"""The search requests by which every query gets its candidates."""

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
    """The search requests for the candidates of n queries, and what they are made from."""

    #: query_id, doc_id (by position), relevance, score, rank (null): the positives, scored.
    positives: pl.DataFrame
    #: The best documents without the positives.
    best: Request
    #: The best documents that no rule excludes, as many as most queries want.
    below: Request
    #: How many documents below its ceiling each query may get, as powers of two: a few queries want more.
    sizes: IntArray
    #: The highest exact score at which no rule excludes a document, for each query.
    ceilings: npt.NDArray[np.float64]
    #: Whether queries that are short of candidates get some from below their ceiling.
    fills: bool

    @classmethod
    def of(cls, queries: SplitQueries, rules: Mine) -> "SearchRequests":
        """Score the positives, and make the requests that follow from them.

        Args:
            queries: n queries.
            rules: The recipe's `mine` section.

        Returns:
            The requests.
        """
        relevant = queries.judged.filter(pl.col("relevance") > 0)
        positives, excluded = _pairs(relevant), _pairs(relevant, queries.excluded)
        scores = queries.index.pair_scores(queries.queries, positives.queries, positives.documents)
        scored = relevant.with_columns(pl.Series("score", scores), pl.lit(None, dtype=pl.Int32).alias("rank"))
        lowest = np.full(len(queries.wanted), np.inf, np.float32)
        np.minimum.at(lowest, positives.queries, scores)
        ceilings = _ceilings(exact_scores(lowest), rules)
        sizes = 2 ** np.ceil(np.log2(np.maximum(queries.wanted, 1))).astype(np.int64)
        most = int(np.bincount(sizes).argmax()) if len(sizes) else 1
        return cls(
            positives=scored,
            best=Request(queries.queries, rules.keep, positives),
            below=Request(queries.queries, most, excluded, ceilings),
            sizes=sizes,
            ceilings=ceilings,
            fills=queries.window is None or rules.shortfall == "backfill",
        )

    def below_ceilings(self, candidates: pl.DataFrame, excluded: pl.DataFrame) -> pl.DataFrame:
        """Keep the candidates that count towards a query's negatives, however easy they are.

        Args:
            candidates: By position: query_id, doc_id, relevance, score, source.
            excluded: query_id, doc_id: documents that are never a query's negative.

        Returns:
            The candidates at or below their query's ceiling, and those judged irrelevant.
        """
        scores = exact_scores(candidates["score"].to_numpy())
        low = pl.Series(scores <= self.ceilings[candidates["query_id"].to_numpy()])
        irrelevant = (pl.col("source") == "judged").fill_null(False)
        left = candidates.filter((pl.col("relevance") == 0) & (low | irrelevant))
        return left.join(excluded, on=["query_id", "doc_id"], how="anti") if len(excluded) else left

    @property
    def every(self) -> list[Request]:
        """All requests, for one search."""
        return [self.best, self.below] if self.fills else [self.best]


def _pairs(*frames: pl.DataFrame) -> Pairs:
    both = pl.concat([frame.select("query_id", "doc_id") for frame in frames])
    return Pairs.of(both["query_id"].to_numpy(), both["doc_id"].to_numpy())


def _ceilings(lowest: npt.NDArray[np.float64], rules: Mine) -> npt.NDArray[np.float64]:
    """Return the lowest threshold of the rules, by the lowest score of each query's positives."""
    ceilings = np.full(len(lowest), np.inf)
    for highest in thresholds(lowest, rules).values():
        ceilings = np.minimum(ceilings, highest)
    return ceilings
