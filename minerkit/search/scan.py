"""One pass of queries over coded documents, tile by tile, without ever writing out the scores."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minerkit.search.board import Board
from minerkit.search.coded import Chunk, CodedDocuments
from minerkit.search.codes import encode, noise, products, room
from minerkit.search.request import Request

if TYPE_CHECKING:
    import torch

__all__ = ["Asking", "QueryTile", "places"]

IntArray = npt.NDArray[np.int64]

#: Documents whose products are looked at together: only groups whose maximum passes are looked into.
GROUP = 16
#: Times as many documents as before after which the boards are tidied again.
PATIENCE = 4
#: Standard deviations by which a sample may hold more of the best documents than its share.
DEVIATIONS = 3.5
#: The least room of a query for documents that may be among its best.
ROOM = 96


def places(request: Request) -> int:
    """Say how many documents a query has room for."""
    return max(ROOM, 2 * request.k)


@dataclass(frozen=True)
class Asking:
    """Which tiles each query is to be compared with: rows of queries, ascending, by tile."""

    rows: IntArray
    starts: IntArray

    def of(self, tile: int) -> IntArray:
        """Give the rows that ask for a tile."""
        return self.rows[self.starts[tile] : self.starts[tile + 1]]


class QueryTile:
    """Some queries on their way over the documents."""

    def __init__(self, request: Request, documents: CodedDocuments, hopeful: bool = False) -> None:
        """Code the queries.

        Args:
            request: What is wanted of n queries.
            documents: What will be scanned.
            hopeful: Raise thresholds by what is likely, taking the documents scanned for a sample of all:
                much less is looked at, and a few queries have to be searched again.
        """
        import torch

        self.request, format, size = request, documents.format, len(request)
        self._codes = encode(request.queries.take(0, size), format)
        self._scales = torch.from_numpy(self._codes.scales).to(format.device)
        columns = documents.column[request.blocked.documents]
        order = np.argsort(columns)
        self._columns = torch.from_numpy(columns[order]).to(format.device)
        self._rows = torch.from_numpy(request.blocked.queries[order]).to(format.device)
        # Rounding to six decimals comes on top of what the codes get wrong.
        error = noise(self._codes, documents.scale, documents.longest, documents.shortest, format) + 1e-6
        self._error = torch.from_numpy(error).to(format.device)
        k = min(request.k, len(documents.order))
        self._board = Board(size, k, places(request), request.ceilings, format.device)
        self._everyone = torch.arange(size, device=format.device)
        self._hopeful, self._documents = hopeful, len(documents.order)
        self._seen, self._tidied = 0, 0

    def scan(self, chunk: Chunk) -> None:
        """Take from a chunk of documents what may be among the best of any query.

        Args:
            chunk: Documents that were not scanned before.
        """
        out = room(self._codes.matrix, chunk.largest)
        for _, start, matrix, scale in chunk.tiles():
            tile, unit = self._products(self._everyone, start, matrix, scale, out)
            folded = _folded(tile)
            peaks = folded.amax(1)
            self._seen += len(matrix)
            if self._seen == len(matrix):
                self._board.seed(self._everyone, peaks * unit[:, None], self._error, self._reach())
            rows, columns, values = _above(folded, peaks, _limit(self._board.threshold, unit, tile.dtype))
            self._board.add(rows, columns + start, values * unit[rows], self._error)
            if self._seen >= PATIENCE * max(self._tidied, len(matrix)):  # a threshold rises fast at first
                self._board.tidy(self._error, k=self._reach())
                self._tidied = self._seen

    def prime(self, chunk: Chunk, asking: Asking) -> None:
        """Set the first threshold of queries from one tile each.

        Args:
            chunk: Documents that are also to be scanned.
            asking: The tile of each query.
        """
        for rows, start, matrix, scale, out in self._asked(chunk, asking):
            tile, unit = self._products(rows, start, matrix, scale, out)
            self._board.seed(rows, tile * unit[:, None], self._error)

    def probe(self, chunk: Chunk, asking: Asking) -> None:
        """Take from a chunk of documents what may be among the best of the queries that ask for a tile.

        Args:
            chunk: Documents that were not scanned before.
            asking: Which queries ask for which tile.
        """
        for rows, start, matrix, scale, out in self._asked(chunk, asking):
            tile, unit = self._products(rows, start, matrix, scale, out)
            limit = _limit(self._board.threshold[rows], unit, tile.dtype)
            hits, columns = (tile > limit).nonzero(as_tuple=True)
            values = tile[hits, columns] * unit[hits]
            self._board.add(rows[hits], columns + start, values, self._error)

    def candidates(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Finish.

        Returns:
            int32 of shape (n, w): the columns that may be among the k best, -1 for none; and float32 of
            shape (n,): the highest exact score that a document left out may have, where it may be among the k
            best after all; else -inf.
        """
        import torch

        board = self._board
        floor = board.settled(self._error)
        width = int(board.counts.max())
        columns = torch.where(board.values[:, :width] > -torch.inf, board.columns[:, :width], -1)
        return columns.cpu().numpy(), floor.cpu().numpy()

    def _reach(self) -> int:
        """Say how many of the k best are among the documents seen so far, at most, as good as certainly."""
        if not self._hopeful:
            return self._board.k
        mean = self._board.k * self._seen / self._documents
        return min(self._board.k, math.ceil(mean + DEVIATIONS * math.sqrt(mean) + 2))

    def _asked(
        self, chunk: Chunk, asking: Asking
    ) -> "Iterator[tuple[torch.Tensor, int, torch.Tensor, float, torch.Tensor]]":
        import torch

        out = room(self._codes.matrix, chunk.largest)
        for number, start, matrix, scale in chunk.tiles():
            rows = asking.of(number)
            if len(rows) and len(matrix):
                yield torch.from_numpy(rows).to(matrix.device), start, matrix, scale, out

    def _products(
        self, rows: "torch.Tensor", start: int, matrix: "torch.Tensor", scale: float, out: "torch.Tensor"
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Multiply some queries with a tile; what does not count is lowest. And give the unit of each row."""
        import torch

        everyone = rows is self._everyone
        codes = self._codes.matrix if everyone else self._codes.matrix[rows]
        tile, unit = products(codes, matrix, out), self._scales[rows] * scale
        lowest = torch.iinfo(tile.dtype).min if tile.dtype == torch.int32 else -torch.inf
        edges = torch.tensor([start, start + len(matrix)], dtype=torch.int32, device=matrix.device)
        low, high = torch.searchsorted(self._columns, edges).tolist()
        if low < high:
            shut, columns = self._rows[low:high], self._columns[low:high].long() - start
            if not everyone:
                places = torch.searchsorted(rows, shut).clamp(max=len(rows) - 1)
                here = rows[places] == shut
                shut, columns = places[here], columns[here]
            tile[shut, columns] = lowest
        if self._board.ceilings is not None:
            highest = (self._board.ceilings + self._error)[rows] / unit
            tile.masked_fill_(tile > highest[:, None], lowest)
        return tile, unit


def _limit(threshold: "torch.Tensor", unit: "torch.Tensor", dtype: "torch.dtype") -> "torch.Tensor":
    """Give scores in units of the products, rounded down."""
    import torch

    limit = (threshold / unit)[:, None]
    if dtype != torch.int32:
        return limit
    most = float(1 << 30)  # beyond any product of eight-bit numbers
    limit = limit.floor().clamp(-most, most).int()
    return torch.where(threshold[:, None] == -torch.inf, torch.iinfo(torch.int32).min, limit)


def _folded(tile: "torch.Tensor") -> "torch.Tensor":
    """Fold each row into groups: member by group, so that maxima are taken of many groups at a time."""
    n, m = tile.shape
    return tile.view(n, GROUP if m % GROUP == 0 else 1, -1)


def _above(
    folded: "torch.Tensor", peaks: "torch.Tensor", limit: "torch.Tensor"
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Find the products above each row's limit: rows (ascending), columns, and values."""
    width = folded.shape[2]
    rows, columns = (peaks > limit).nonzero(as_tuple=True)
    picked = folded[rows, :, columns]
    hit, member = (picked > limit[rows]).nonzero(as_tuple=True)
    return rows[hit], member * width + columns[hit], picked[hit, member]
