"""Exact top-k search with the rules inside the scan.

The scan works on small numbers (`minerkit.search.codes`) and keeps all that may be among the k best; that is
scored again pair by pair in float64, rounded, and ordered by score and position. Where a guess was wrong, or
there is no room for all that may be, a second scan follows, one in float32, then a ranking of all in float64.
So the result does not depend on the chip, on tile sizes, threads or device.
"""

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from minerkit.errors import EncoderError
from minerkit.search.coded import CodedDocuments
from minerkit.search.codes import FEW, Format, fastest
from minerkit.search.request import Hits, Request
from minerkit.search.scan import QueryTile, places
from minerkit.search.scores import DECIMALS, exact_scores, rescored, rounded
from minerkit.threads import shares, torch_map
from minerkit.vectors import Vectors

__all__ = ["Index", "search_device", "settle"]

IntArray = npt.NDArray[np.int64]

#: Queries of a tile of scores, which stays in a core's cache; a GPU wants larger ones.
TILE, GPU_TILE = 512, 8192
#: The most queries that go over the documents together.
TOGETHER = 16384
#: Bytes of a place on the board of a query, which has two for each that is kept.
PLACE = 16
#: Documents scored at once in float64, and bytes of such scores.
BLOCK, WHOLE = 16384, 64 << 20


def search_device(device: str) -> str:
    """Choose where the scan runs.

    Args:
        device: auto, cpu, cuda or mps.

    Returns:
        A torch device: cuda where there is one, else cpu (float64 scores are made on the CPU anyway).

    Raises:
        EncoderError: A device was named that is not there.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device, True):
        raise EncoderError(f"--device {device}: torch finds no such device here; use --device auto or cpu")
    return "cuda" if device in {"auto", "cuda"} and there["cuda"] else "cpu"


class Index:
    """Documents to search in."""

    def __init__(self, documents: Vectors, device: str = "cpu", memory: int = 1 << 30) -> None:
        """Prepare a search.

        Args:
            documents: m vectors; equal scores rank in their order.
            device: A torch device.
            memory: Bytes that a search may use.
        """
        self.documents, self.memory, self.device = documents, memory, device
        self._made: dict[Format, CodedDocuments] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.documents)

    def top(self, request: Request, progress: Callable[[int], object] = id) -> Hits:
        """Find the k best documents of each query that are not blocked and score at most its ceiling.

        Args:
            request: What is wanted of n queries.
            progress: Called with the number of queries done, each time some are.

        Returns:
            The documents, best first; as many columns as are wanted, and as there are documents.
        """
        hits = Hits.none(len(request), min(request.k, len(self)))
        if not hits.documents.size:
            return hits
        rows, together = np.arange(len(request)), self._together(request)
        fast, sure = self._fastest(), Format("float32", self.device)
        passes = [(fast, True), (fast, False), (sure, False)]
        if request.ceilings is not None:  # more codes of the same kind cannot tell what is below a ceiling
            passes.remove((fast, False))
        for format, hopeful in dict.fromkeys(passes):
            parts = [rows[at : at + together] for at in range(0, len(rows), together)]
            left = np.concatenate(
                [rows[:0], *(self._scan(part, request, format, hopeful, hits) for part in parts)]
            )
            progress(len(rows) - len(left))
            rows = left
        step = max(1, min(WHOLE, self.memory // 8) // (len(self) * 8))
        for part in (rows[at : at + step] for at in range(0, len(rows), step)):
            hits.put(part, self._whole(request.only(part)))
            progress(len(part))
        return hits

    def _fastest(self) -> Format:
        """Choose how to multiply; in few dimensions eight bits save nothing."""
        return fastest(self.device) if self.documents.dim > FEW else Format("float32", self.device)

    def _together(self, request: Request) -> int:
        """Say how many queries go over the documents at once in a quarter of the memory."""
        per_query = PLACE * places(request) + 2 * self.documents.dim
        return max(TILE, min(TOGETHER, self.memory // 4 // per_query))

    def prepare(self) -> None:
        """Code the documents now, on all cores, and not at the first search."""
        self._coded(self._fastest())

    def _coded(self, format: Format) -> CodedDocuments:
        """Code the documents when they are first searched; few searches need a second format."""
        with self._lock:
            if format not in self._made:
                self._made[format] = CodedDocuments.shuffled(self.documents, format, self.memory // 8)
            return self._made[format]

    def _scan(self, rows: IntArray, request: Request, format: Format, hopeful: bool, hits: Hits) -> IntArray:
        """Search for some queries in all documents; give those whose result is not sure."""
        coded, size = self._coded(format), TILE if self.device == "cpu" else GPU_TILE
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]

        def searched(group: list[IntArray]) -> list[IntArray]:
            tiles = [QueryTile(request.only(part), coded, hopeful) for part in group]
            for chunk in coded.chunks():
                for tile in tiles:
                    tile.scan(chunk)
            return [finished(part, tile) for part, tile in zip(group, tiles, strict=True)]

        def finished(part: IntArray, tile: QueryTile) -> IntArray:
            found, sure = settle(tile, coded.order, self.documents)
            hits.put(part, found)
            return part[~sure]

        groups = [[part] for part in parts] if coded.held else shares(parts)
        unsure = [part for group in torch_map(searched, groups, self.device) for part in group]
        self.documents.release()
        return np.concatenate([rows[:0], *unsure])

    def _whole(self, request: Request) -> Hits:
        """Rank the whole collection for some queries in float64."""
        import torch

        exact = request.queries.take(0, len(request)).astype(np.float64)
        parts = [
            exact @ self.documents.take(at, at + BLOCK).astype(np.float64).T
            for at in range(0, len(self), BLOCK)
        ]
        scores = rounded(np.concatenate(parts, axis=1))
        scores[request.blocked.queries, request.blocked.documents] = -np.inf
        if request.ceilings is not None:
            scores[exact_scores(scores) > request.ceilings[:, None]] = -np.inf
        # Scores are decimals, so that with the position one whole number holds the rank of each document.
        shut = ~np.isfinite(scores)
        millionths = np.round(np.where(shut, 0, scores).astype(np.float64) * 10**DECIMALS).astype(np.int64)
        keys = millionths * len(self) - np.arange(len(self))
        keys[shut] = np.iinfo(np.int64).min
        order = torch.from_numpy(keys).topk(min(request.k, len(self)), dim=1).indices.numpy()
        best = np.take_along_axis(scores, order, axis=1)
        return Hits(np.where(np.isfinite(best), order, -1), best)


def settle(
    tile: QueryTile, order: npt.NDArray[np.integer], documents: Vectors
) -> tuple[Hits, npt.NDArray[np.bool_]]:
    """Score what a scan has left exactly, and take the best.

    Args:
        tile: Queries that have been over the documents.
        order: The position of each column.
        documents: What the positions mean.

    Returns:
        The best documents; and bool of shape (n,): whether nothing is missing for want of room.
    """
    request, (columns, floor) = tile.request, tile.candidates()
    found = np.where(columns >= 0, order[columns], -1).astype(np.int64)
    found.sort(axis=1)  # -1 first, then by position
    scores = rescored(request.queries, documents, found)
    if request.ceilings is not None:
        scores[exact_scores(scores) > request.ceilings[:, None]] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : request.k]
    scores, found = np.take_along_axis(scores, best, axis=1), np.take_along_axis(found, best, axis=1)
    full = scores[:, -1] if scores.shape[1] == request.k else np.full(len(scores), -np.inf)
    return Hits(np.where(scores > -np.inf, found, -1), scores), (floor == -np.inf) | (full > floor)
