"""Queries, and the documents they are searched in."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.search import Index
from minerkit.search.lists import Lists
from minerkit.vectors import Vectors

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

    def positions(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by position; rows of other splits are left out."""
        queries = pl.DataFrame({"query_id": self.query_ids, "q": np.arange(len(self.query_ids))})
        documents = pl.DataFrame({"doc_id": self.doc_ids, "d": np.arange(len(self.doc_ids))})
        found = pairs.join(queries, on="query_id").join(documents, on="doc_id").drop("query_id", "doc_id")
        return found.rename({"q": "query_id", "d": "doc_id"}).sort("query_id", "doc_id")

    def only(self, rows: npt.NDArray[np.int64]) -> "Collection":
        """Keep the queries at some positions."""
        return replace(self, query_ids=self.query_ids.gather(rows), queries=self.queries.subset(rows))
