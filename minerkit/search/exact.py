"""Exact top-k search with the rules inside the scan.

The scan works on eight-bit codes (`minerkit.search.quantise`) and keeps all documents that may be among the
k best. Those are scored again pair by pair in float64, rounded, and ordered by score and position. Where a
guess was wrong, or there is no room for all of them, a second scan follows, one in float32, then a ranking of
all documents in float64. So the result does not depend on the chip, on tile sizes, threads or device.
"""

import functools
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.runtime import even_shares, torch_map
from minerkit.search.dense import rank_all
from minerkit.search.dot_products import pair_scores
from minerkit.search.quantise import FEW, Format, fastest
from minerkit.search.quantised_documents import CodedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.rescore import Found
from minerkit.search.scan import QueryTile, places
from minerkit.search.top_k import Kept

__all__ = ["ExactIndex"]

IntArray = npt.NDArray[np.int64]

#: Queries of a tile of scores, which stays in a core's cache; a GPU wants larger ones.
TILE, GPU_TILE = 1024, 8192
#: The most queries that go over the documents together.
TOGETHER = 16384
#: Bytes of a place on the board of a query, which has two for each that is kept.
PLACE = 16


class ExactIndex:
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
        together = self._together(request)
        for start in range(0, len(request) if len(self) else 0, together):
            rows = np.arange(start, min(start + together, len(request)))
            hits.put(rows, self.search(request.only(rows))[0].top(np.arange(len(rows))))
            progress(len(rows))
        return hits

    def search(self, *requests: Request) -> list[Found]:
        """Go over the documents once for several requests of the same queries.

        Args:
            requests: What is wanted of n queries, few enough for all that is found to be in memory.

        Returns:
            What was found for each request.
        """
        return self._scan(requests, self._fastest(), hopeful=True)

    def pair_scores(self, queries: Vectors, rows: IntArray, positions: IntArray) -> npt.NDArray[np.float32]:
        """Score pairs of a query and a document, as `minerkit.search.dot_products.pair_scores` does."""
        return pair_scores(queries, self.documents, rows, positions)

    def prepare(self) -> None:
        """Code the documents now, on all cores, and not at the first search."""
        self._coded(self._fastest())

    def forget(self) -> None:
        """Let the codes go, where few searches will follow; those make them again."""
        self._made.clear()

    def again(self, request: Request, format: Format, hopeful: bool) -> Hits:
        """Search for queries that a scan was not sure of.

        Args:
            request: What is wanted of n queries.
            format: How the scan multiplied.
            hopeful: Whether it was hopeful.

        Returns:
            The documents, best first.
        """
        everyone, sure = np.arange(len(request)), Format("float32", self.device)
        # More codes of the same kind cannot tell what is below a ceiling.
        if hopeful and request.ceilings is None:
            return self._scan((request,), format, hopeful=False)[0].top(everyone)
        if format != sure:
            return self._scan((request,), sure, hopeful=False)[0].top(everyone)
        return rank_all(request, self.documents, self.memory // 8)

    def _fastest(self) -> Format:
        """Choose how to multiply; in few dimensions eight bits save nothing."""
        return fastest(self.device) if self.documents.dim > FEW else Format("float32", self.device)

    def _together(self, request: Request) -> int:
        """Say how many queries go over the documents at once in a quarter of the memory."""
        per_query = PLACE * places(request) + 2 * self.documents.dim
        return max(TILE, min(TOGETHER, self.memory // 4 // per_query))

    def _coded(self, format: Format) -> CodedDocuments:
        """Code the documents when they are first searched."""
        with self._lock:
            if format not in self._made:
                other = next(iter(self._made.values()), None)
                if format.name == "float32" and other is not None:
                    self._made[format] = other.in_float32()
                else:
                    self._made[format] = CodedDocuments.shuffled(self.documents, format, self.memory // 8)
            return self._made[format]

    def _scan(self, requests: Sequence[Request], format: Format, hopeful: bool) -> list[Found]:
        coded, size = self._coded(format), TILE if self.device == "cpu" else GPU_TILE
        everyone = np.arange(len(requests[0]))
        parts = [everyone[at : at + size] for at in range(0, len(everyone), size)]

        def scanned(group: list[IntArray]) -> list[list[Kept]]:
            tiles = [
                QueryTile([request.only(part) for request in requests], coded, hopeful) for part in group
            ]
            for chunk in coded.chunks():
                for tile in tiles:
                    tile.scan(chunk)
            return [tile.settled() for tile in tiles]

        groups = [[part] for part in parts] if coded.held else even_shares(parts)
        kept = [tile for group in torch_map(scanned, groups, self.device) for tile in group]
        again = functools.partial(self.again, format=format, hopeful=hopeful)
        return Found.each(requests, self.documents, coded, parts, kept, again)
