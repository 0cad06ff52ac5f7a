"""The queries of a split, with everything that their search needs."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.corpus import count_positives
from minerkit.embeddings import Vectors
from minerkit.mining.filters import rank_window
from minerkit.mining.positions import to_ids, to_positions
from minerkit.mining.sampling import count_needed_candidates
from minerkit.recipe import Mine
from minerkit.search import Index, Searcher

__all__ = ["SplitQueries"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitQueries:
    """n queries of a split, the index of m documents they are searched in, their qrels and exclusions.

    Query ids and document ids ascend, so that documents of equal score rank by id. Frames of pairs hold
    positions (int32) in the columns query_id and doc_id; `to_ids` replaces them by ids.
    """

    #: The n ids, ascending.
    query_ids: pl.Series
    #: The n query vectors.
    query_vectors: Vectors
    #: The m document ids, ascending.
    doc_ids: pl.Series
    #: The index of the m document vectors.
    index: Index
    #: query_id, doc_id (positions), relevance: the judgements; above 0 for positives.
    qrels: pl.DataFrame
    #: query_id, doc_id (positions), reason: pairs that are never negatives.
    excluded: pl.DataFrame
    #: int64 of shape (n,): eligible candidates that each query needs.
    needed: IntArray
    #: The number of ranks in the full ranking that `range_max` covers; None: all.
    window: int | None
    #: Does the first search of all queries; None: the index.
    searcher: Searcher | None = None
    #: Whether the first search also looks below the ceilings of all queries (see `SearchRequests`); if not, a
    #: second search does so for short queries.
    single_pass: bool = True

    @classmethod
    def of(
        cls,
        query_ids: pl.Series,
        query_vectors: Vectors,
        doc_ids: pl.Series,
        index: Index,
        qrels: pl.DataFrame,
        excluded: pl.DataFrame,
        rules: Mine,
    ) -> "SplitQueries":
        """Bring queries together with their documents, qrels and exclusions.

        Args:
            query_ids: n ids, ascending.
            query_vectors: The vectors of the n queries.
            doc_ids: m ids, ascending.
            index: An index of the vectors of the m documents.
            qrels: query_id, doc_id, relevance. Every query has a positive (relevance above 0) among the
                documents. Pairs of other queries or documents are left out.
            excluded: query_id, doc_id, reason: pairs that are never negatives. Those of other queries or
                documents are left out.
            rules: The recipe's `mine` section.

        Returns:
            The queries.

        Example:
            >>> import minerkit
            >>> import numpy as np
            >>> import polars as pl
            >>> vectors = np.array([[1, 0], [0.9, 0.4], [0.6, 0.8], [0, 1]], np.float32)
            >>> documents = minerkit.Vectors.of(vectors)
            >>> queries = minerkit.SplitQueries.of(
            ...     pl.Series(["q1", "q2"]),
            ...     minerkit.Vectors.of(vectors[[0, 3]]),
            ...     pl.Series(["d1", "d2", "d3", "d4"]),
            ...     minerkit.open_index(documents, queries=2, device="cpu", memory=1 << 30),
            ...     qrels=pl.DataFrame({"query_id": ["q1", "q2"], "doc_id": ["d1", "d4"], "relevance": 1}),
            ...     excluded=pl.DataFrame({"query_id": ["q1"], "doc_id": ["d2"], "reason": ["same_group"]}),
            ...     rules=minerkit.Mine(negatives=2),
            ... )
            >>> queries.needed
            array([2, 2])
        """
        ids = {"query_id": query_ids.alias("query_id"), "doc_id": doc_ids.alias("doc_id")}
        needed = count_needed_candidates(
            count_positives(ids["query_id"], qrels)["positives"].to_numpy(), rules
        )
        qrels, excluded = (to_positions(pairs, ids).sort("query_id", "doc_id") for pairs in (qrels, excluded))
        window = rank_window(rules, qrels.filter(pl.col("relevance") > 0))
        return cls(ids["query_id"], query_vectors, ids["doc_id"], index, qrels, excluded, needed, window)

    def subset(self, positions: IntArray) -> "SplitQueries":
        """Keep some queries.

        Args:
            positions: int64, ascending: the positions of the queries to keep.

        Returns:
            These queries with the same documents; the positions in their pairs are those in the subset.
        """

        def pairs_of_subset(pairs: pl.DataFrame) -> pl.DataFrame:
            bounds = (int(positions[0]), int(positions[-1]) + 1) if len(positions) else (0, 0)
            start, end = (pairs["query_id"].search_sorted(bound, side="left") for bound in bounds)
            pairs = pairs[start:end]
            old = pairs["query_id"].to_numpy()
            new = np.searchsorted(positions, old).astype(np.int32)
            return pairs.with_columns(query_id=pl.Series(new)).filter(pl.Series(positions[new] == old))

        return replace(
            self,
            query_ids=self.query_ids.gather(positions),
            query_vectors=self.query_vectors.subset(positions),
            qrels=pairs_of_subset(self.qrels),
            excluded=pairs_of_subset(self.excluded),
            needed=self.needed[positions],
        )

    def to_ids(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Replace positions by ids.

        Args:
            pairs: query_id, doc_id (positions), and other columns.

        Returns:
            The rows with the ids of queries and documents.
        """
        return to_ids(pairs, {"query_id": self.query_ids, "doc_id": self.doc_ids})
