"""A pass of queries over quantised documents, tile by tile; the scores are never written out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minerkit.search.quantise import encode, error_bound, product_buffer, products
from minerkit.search.quantised_documents import Chunk, QuantisedDocuments
from minerkit.search.request import Pairs, Request
from minerkit.search.top_k import TopK, TopKCandidates

if TYPE_CHECKING:
    import torch

__all__ = ["QueryTile", "TileQueries", "slots_per_query"]

IntArray = npt.NDArray[np.int64]

#: Products computed at once on a CPU, and on a GPU.
PRODUCTS, GPU_PRODUCTS = 1 << 20, 1 << 27
#: The candidates are pruned again when this many times as many documents have been scanned.
PRUNE_FACTOR = 4
#: Standard deviations by which a sample may hold more of the k best documents than its share.
DEVIATIONS = 3.5
#: The fewest slots of a query for its candidates; under a ceiling many documents may score alike.
SLOTS, SLOTS_BELOW_CEILING = 96, 8192


def slots_per_query(request: Request) -> int:
    """Compute how many candidates a query can keep."""
    return max(SLOTS if request.ceilings is None else SLOTS_BELOW_CEILING, 2 * request.k)


@dataclass(frozen=True)
class TileQueries:
    """The queries to compare with each tile: rows of queries, ascending, by tile."""

    rows: IntArray
    starts: IntArray

    def of(self, tile: int) -> IntArray:
        """Return the rows of the queries of a tile."""
        return self.rows[self.starts[tile] : self.starts[tile + 1]]


class QueryTile:
    """A tile of queries during a scan, with the running top k of each request."""

    def __init__(
        self, requests: Sequence[Request], documents: QuantisedDocuments, optimistic: bool = False
    ) -> None:
        """Quantise the queries.

        Args:
            requests: Requests of the same n queries.
            documents: The documents that will be scanned.
            optimistic: Treat the documents scanned so far as a sample of all, and raise thresholds to what is
                likely: far fewer documents pass, and a few queries have to be searched again.
        """
        format, queries = documents.format, requests[0].queries
        self._codes = encode(queries.take(0, len(queries)), format)
        # The rounding to six decimals adds to the error of the codes.
        error = (
            error_bound(self._codes, documents.scale, documents.longest, documents.shortest, format) + 1e-6
        )
        self._top_ks = [
            _open_top_k(request, documents, np.asarray(error, np.float32)) for request in requests
        ]
        self._all_rows = np.arange(len(queries))
        self._optimistic, self._documents = optimistic, len(documents.order)
        self._scanned, self._pruned_at = 0, 0

    def scan(self, chunk: Chunk) -> None:
        """Take the documents of a chunk that may be among the k best of any query.

        Args:
            chunk: Documents that were not scanned before.
        """
        for _, start, matrix, scale in chunk.tiles():
            self._scanned += len(matrix)
            self._compare(self._all_rows, matrix, start, scale)
            if self._scanned >= PRUNE_FACTOR * max(
                self._pruned_at, len(matrix)
            ):  # a threshold rises fast at first
                for top_k in self._top_ks:
                    top_k.prune(self._expected_rank(top_k.k))
                self._pruned_at = self._scanned

    def probe(self, chunk: Chunk, tile_queries: TileQueries) -> None:
        """Take the documents of a chunk that may be among the k best of the queries of their tile.

        Args:
            chunk: Documents that were not scanned before.
            tile_queries: The queries to compare with each tile.
        """
        for number, start, matrix, scale in chunk.tiles():
            if len(matrix):
                self._compare(tile_queries.of(number), matrix, start, scale)

    def _compare(self, rows: IntArray, matrix: "torch.Tensor", start: int, scale: float) -> None:
        """Compare queries with a tile, so many at a time that their products stay in a core's cache."""
        import torch

        most = PRODUCTS if matrix.device.type == "cpu" else GPU_PRODUCTS
        out, step = product_buffer(self._codes.matrix, max(most, len(matrix))), max(1, most // len(matrix))
        for part in (rows[at : at + step] for at in range(0, len(rows), step)):
            asked = self._codes.matrix.index_select(0, torch.from_numpy(part).to(matrix.device))
            tile, units = products(asked, matrix, out), self._codes.scales[part] * scale
            for top_k in self._top_ks:
                top_k.take_products(tile, part, start, units, self._expected_rank(top_k.k))

    def finish(self) -> list[TopKCandidates]:
        """Return the candidates of each request."""
        return [top_k.finish() for top_k in self._top_ks]

    def _expected_rank(self, k: int) -> int:
        """Bound how many of the k best documents are among those scanned so far, almost certainly."""
        if not self._optimistic:
            return k
        mean = k * self._scanned / self._documents
        return min(k, math.ceil(mean + DEVIATIONS * math.sqrt(mean) + 2))


def _open_top_k(request: Request, documents: QuantisedDocuments, error: npt.NDArray[np.float32]) -> TopK:
    columns = documents.column[request.excluded.documents].astype(np.int64)
    excluded = Pairs(request.excluded.queries, columns)
    return TopK(
        min(request.k, len(documents.order)), slots_per_query(request), error, excluded, request.ceilings
    )
