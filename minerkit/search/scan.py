"""One pass of queries over coded documents, tile by tile, without ever writing out the scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minerkit.search.quantise import encode, noise, products, room
from minerkit.search.quantised_documents import Chunk, CodedDocuments
from minerkit.search.request import Pairs, Request
from minerkit.search.top_k import Board, Kept

if TYPE_CHECKING:
    import torch

__all__ = ["Asking", "QueryTile", "places"]

IntArray = npt.NDArray[np.int64]

#: Products that are made at once, and on a GPU.
PRODUCTS, GPU_PRODUCTS = 1 << 20, 1 << 27
#: Times as many documents as before after which the boards are tidied again.
PATIENCE = 4
#: Standard deviations by which a sample may hold more of the best documents than its share.
DEVIATIONS = 3.5
#: The least room of a query for documents that may be among its best; below a ceiling there may be a crowd.
ROOM, CROWD = 96, 8192


def places(request: Request) -> int:
    """Say how many documents a query has room for."""
    return max(ROOM if request.ceilings is None else CROWD, 2 * request.k)


@dataclass(frozen=True)
class Asking:
    """Which tiles each query is to be compared with: rows of queries, ascending, by tile."""

    rows: IntArray
    starts: IntArray

    def of(self, tile: int) -> IntArray:
        """Give the rows that ask for a tile."""
        return self.rows[self.starts[tile] : self.starts[tile + 1]]


class QueryTile:
    """Some queries on their way over the documents, with a board for each request that is made of them."""

    def __init__(self, requests: Sequence[Request], documents: CodedDocuments, hopeful: bool = False) -> None:
        """Code the queries.

        Args:
            requests: What is wanted of n queries, the same in each.
            documents: What will be scanned.
            hopeful: Raise thresholds by what is likely, taking the documents scanned for a sample of all:
                much less is looked at, and a few queries have to be searched again.
        """
        format, queries = documents.format, requests[0].queries
        self._codes = encode(queries.take(0, len(queries)), format)
        # Rounding to six decimals comes on top of what the codes get wrong.
        error = noise(self._codes, documents.scale, documents.longest, documents.shortest, format) + 1e-6
        self._boards = [_board(request, documents, np.asarray(error, np.float32)) for request in requests]
        self._everyone = np.arange(len(queries))
        self._hopeful, self._documents = hopeful, len(documents.order)
        self._seen, self._tidied = 0, 0

    def scan(self, chunk: Chunk) -> None:
        """Take from a chunk of documents what may be among the best of any query.

        Args:
            chunk: Documents that were not scanned before.
        """
        for _, start, matrix, scale in chunk.tiles():
            self._seen += len(matrix)
            self._compare(self._everyone, matrix, start, scale)
            if self._seen >= PATIENCE * max(self._tidied, len(matrix)):  # a threshold rises fast at first
                for board in self._boards:
                    board.tidy(self._reach(board.k))
                self._tidied = self._seen

    def probe(self, chunk: Chunk, asking: Asking) -> None:
        """Take from a chunk of documents what may be among the best of the queries that ask for a tile.

        Args:
            chunk: Documents that were not scanned before.
            asking: Which queries ask for which tile.
        """
        for number, start, matrix, scale in chunk.tiles():
            if len(matrix):
                self._compare(asking.of(number), matrix, start, scale)

    def _compare(self, rows: IntArray, matrix: "torch.Tensor", start: int, scale: float) -> None:
        """Compare some queries with a tile, so many at a time that their products stay in a core's cache."""
        import torch

        most = PRODUCTS if matrix.device.type == "cpu" else GPU_PRODUCTS
        out, step = room(self._codes.matrix, max(most, len(matrix))), max(1, most // len(matrix))
        for part in (rows[at : at + step] for at in range(0, len(rows), step)):
            asked = self._codes.matrix.index_select(0, torch.from_numpy(part).to(matrix.device))
            tile, units = products(asked, matrix, out), self._codes.scales[part] * scale
            for board in self._boards:
                board.take(tile, part, start, units, self._reach(board.k))

    def settled(self) -> list[Kept]:
        """Finish: give what may be among the k best, for each request."""
        return [board.settled() for board in self._boards]

    def _reach(self, k: int) -> int:
        """Say how many of the k best are among the documents seen so far, at most, as good as certainly."""
        if not self._hopeful:
            return k
        mean = k * self._seen / self._documents
        return min(k, math.ceil(mean + DEVIATIONS * math.sqrt(mean) + 2))


def _board(request: Request, documents: CodedDocuments, error: npt.NDArray[np.float32]) -> Board:
    columns = documents.column[request.blocked.documents].astype(np.int64)
    shut = Pairs(request.blocked.queries, columns)
    return Board(min(request.k, len(documents.order)), places(request), error, shut, request.ceilings)
