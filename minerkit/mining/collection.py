"""Queries, and the documents they are searched in."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.embeddings.vectors import Vectors
from minerkit.mining.positions import to_ids, to_positions
from minerkit.search import Index
from minerkit.search.ivf import Lists

__all__ = ["Collection"]


@dataclass(frozen=True)
class Collection:
    """Queries with their vectors, and an index of documents; both ids ascend, so that ties rank by id."""

    query_ids: pl.Series
    queries: Vectors
    doc_ids: pl.Series
    index: Index
    #: Does the first search of all queries; None: the index.
    first: Index | Lists | None = None
    #: Whether that looks below the ceilings of all queries; else only queries that are short are looked at.
    together: bool = True

    def positions(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by position, int32; rows of other splits are left out."""
        return to_positions(pairs, self._ids).sort("query_id", "doc_id")

    def to_ids(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by id that are by position."""
        return to_ids(pairs, self._ids)

    def only(self, rows: npt.NDArray[np.int64]) -> "Collection":
        """Keep the queries at some positions."""
        return replace(self, query_ids=self.query_ids.gather(rows), queries=self.queries.subset(rows))

    @property
    def _ids(self) -> dict[str, pl.Series]:
        return {"query_id": self.query_ids, "doc_id": self.doc_ids}
