"""The queries of a split, with everything that their search needs."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus import count_positives
from minerkit.embeddings import Vectors
from minerkit.mining.filters import rank_window
from minerkit.mining.positions import to_ids, to_positions
from minerkit.mining.sampling import wanted_candidates
from minerkit.recipe import Mine
from minerkit.search import Index, Searcher

__all__ = ["SplitQueries"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitQueries:
    """n queries of a split, the documents they are searched in, and what is known of the pairs.

    Query ids and document ids ascend, so that documents of equal score rank by id. Pairs name queries and
    documents by position (int32).
    """

    query_ids: pl.Series
    queries: Vectors
    doc_ids: pl.Series
    index: Index
    #: query_id, doc_id (by position), relevance: the judgements; above 0 for positives.
    judged: pl.DataFrame
    #: query_id, doc_id (by position), reason: documents that are never a query's negative.
    excluded: pl.DataFrame
    #: int64 of shape (n,): eligible candidates each query should get.
    wanted: IntArray
    #: Places of the full ranking that `range_max` looks at; None: all.
    window: int | None
    #: What does the first search of all queries; None: the index.
    searcher: Searcher | None = None
    #: Whether the first search looks below the ceilings of all queries, or a second one for short queries.
    single_pass: bool = True

    @classmethod
    def of(
        cls,
        query_ids: pl.Series,
        queries: Vectors,
        doc_ids: pl.Series,
        index: Index,
        qrels: pl.DataFrame,
        excluded: pl.DataFrame,
        rules: Mine,
    ) -> "SplitQueries":
        """Bring queries together with their judgements and exclusions.

        Args:
            query_ids: n ids, ascending.
            queries: Their vectors.
            doc_ids: m ids, ascending.
            index: The vectors of the documents.
            qrels: query_id, doc_id, relevance: every query has a positive (above 0) among the documents.
            excluded: query_id, doc_id, reason: documents that are never a query's negative.
            rules: The recipe's `mine` section.

        Returns:
            The queries; pairs of other queries or documents are left out.
        """
        query_ids, doc_ids = query_ids.alias("query_id"), doc_ids.alias("doc_id")
        ids = {"query_id": query_ids, "doc_id": doc_ids}
        judged, excluded = (
            to_positions(pairs, ids).sort("query_id", "doc_id") for pairs in (qrels, excluded)
        )
        wanted = wanted_candidates(count_positives(query_ids, qrels)["positives"].to_numpy(), rules)
        window = rank_window(rules, judged.filter(pl.col("relevance") > 0))
        return cls(query_ids, queries, doc_ids, index, judged, excluded, wanted, window)

    def subset(self, rows: IntArray) -> "SplitQueries":
        """Keep some queries.

        Args:
            rows: int64, ascending: their positions.

        Returns:
            These queries, in the same documents; pairs count positions anew.
        """

        def own(pairs: pl.DataFrame) -> pl.DataFrame:
            edges = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
            low, high = (pairs["query_id"].search_sorted(edge, side="left") for edge in edges)
            part = pairs[low:high]
            ids = part["query_id"].to_numpy()
            at = np.searchsorted(rows, ids).astype(np.int32)
            return part.with_columns(query_id=pl.Series(at)).filter(pl.Series(rows[at] == ids))

        return replace(
            self,
            query_ids=self.query_ids.gather(rows),
            queries=self.queries.subset(rows),
            judged=own(self.judged),
            excluded=own(self.excluded),
            wanted=self.wanted[rows],
        )

    def to_ids(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Name the queries and documents of rows (query_id, doc_id, ...) by their ids."""
        return to_ids(pairs, {"query_id": self.query_ids, "doc_id": self.doc_ids})
