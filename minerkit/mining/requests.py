"""What a search is asked for, so that every query gets its candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.mining.collection import Collection
from minerkit.mining.filters import rank_window, thresholds
from minerkit.recipe.recipe import Mine
from minerkit.search import Pairs, Request, exact_scores, pair_scores

__all__ = ["Asked"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """The requests for the candidates of n queries, and what they are made from."""

    #: query_id, doc_id (by position), relevance, score, rank (null): the positives, scored.
    positives: pl.DataFrame
    #: The best documents but the positives; and the best of those that no rule shuts out, as many as most
    #: queries want. A few queries want more: how many each may get is in `sizes`, in powers of two.
    best: Request
    below: Request
    sizes: IntArray
    #: The highest exact score at which no rule shuts a document out, for each query.
    ceilings: npt.NDArray[np.float64]
    #: Places of the full ranking that `range_max` looks at.
    places: int | None
    #: Whether queries that are short of candidates get some from below their ceiling.
    fills: bool

    @classmethod
    def of(
        cls,
        collection: Collection,
        judged: pl.DataFrame,
        shut: pl.DataFrame,
        rules: Mine,
        wanted: IntArray,
        places: int | None = None,
    ) -> "Asked":
        """Make the requests; the arguments are those of `minerkit.mining.candidates.retrieve`."""
        relevant = judged.filter(pl.col("relevance") > 0)
        places = places or rank_window(rules, relevant)
        positives, blocked = _pairs([relevant]), _pairs([relevant, shut])
        scores = pair_scores(
            collection.queries, collection.index.documents, positives.queries, positives.documents
        )
        scored = relevant.with_columns(pl.Series("score", scores), pl.lit(None, dtype=pl.Int32).alias("rank"))
        reference = np.full(len(wanted), np.inf, np.float32)
        np.minimum.at(reference, positives.queries, scores)
        ceilings = _ceilings(exact_scores(reference), rules)
        sizes = 2 ** np.ceil(np.log2(np.maximum(wanted, 1))).astype(np.int64)
        most = int(np.bincount(sizes).argmax()) if len(sizes) else 1
        return cls(
            positives=scored,
            best=Request(collection.queries, rules.keep, positives),
            below=Request(collection.queries, most, blocked, ceilings),
            sizes=sizes,
            ceilings=ceilings,
            places=places,
            fills=places is None or rules.shortfall == "backfill",
        )

    def below_ceilings(self, found: pl.DataFrame, shut: pl.DataFrame) -> pl.DataFrame:
        """Keep the candidates that count for a query's negatives, however easy they are.

        Args:
            found: Candidates by position: query_id, doc_id, relevance, score, source.
            shut: query_id, doc_id: documents that are never a query's negative.

        Returns:
            Those at or below their query's ceiling, and those judged irrelevant.
        """
        scores = exact_scores(found["score"].to_numpy())
        low = pl.Series(scores <= self.ceilings[found["query_id"].to_numpy()])
        told = (pl.col("source") == "judged").fill_null(False)
        left = found.filter((pl.col("relevance") == 0) & (low | told))
        return left.join(shut, on=["query_id", "doc_id"], how="anti") if len(shut) else left

    @property
    def requests(self) -> list[Request]:
        """All that is looked for in one search."""
        return [self.best, self.below] if self.fills else [self.best]


def _pairs(frames: Sequence[pl.DataFrame]) -> Pairs:
    both = pl.concat([frame.select("query_id", "doc_id") for frame in frames])
    return Pairs.of(both["query_id"].to_numpy(), both["doc_id"].to_numpy())


def _ceilings(reference: npt.NDArray[np.float64], rules: Mine) -> npt.NDArray[np.float64]:
    ceilings = np.full(len(reference), np.inf)
    for highest in thresholds(reference, rules).values():
        ceilings = np.minimum(ceilings, highest)
    return ceilings
