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
        """Give rows (query_id, doc_id, ...) by position, int32; rows of other splits are left out."""
        ends = {"query_id": self.query_ids, "doc_id": self.doc_ids}
        places = {name: _places(pairs[name], ids) for name, ids in ends.items()}
        there = (places["query_id"] >= 0) & (places["doc_id"] >= 0)
        found = pairs.with_columns(pl.Series(name, at) for name, at in places.items())
        return found.filter(there).sort("query_id", "doc_id")

    def named(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Give rows (query_id, doc_id, ...) by id that are by position."""
        ends = {"query_id": self.query_ids, "doc_id": self.doc_ids}
        return pairs.with_columns(ids.gather(pairs[name]).alias(name) for name, ids in ends.items())

    def only(self, rows: npt.NDArray[np.int64]) -> "Collection":
        """Keep the queries at some positions."""
        return replace(self, query_ids=self.query_ids.gather(rows), queries=self.queries.subset(rows))


def _places(names: pl.Series, ids: pl.Series) -> npt.NDArray[np.int32]:
    """Find names among ids that ascend, without a table of them all; -1 for those that are not there."""
    if ids.is_empty():
        return np.full(len(names), -1, np.int32)
    at = ids.search_sorted(names).to_numpy().astype(np.int32)
    found = (ids.gather(np.minimum(at, len(ids) - 1)) == names).to_numpy()
    return np.where(found, at, np.int32(-1))
