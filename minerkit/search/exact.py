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
from minerkit.search.quantise import FEW, ScanFormat, fastest_format
from minerkit.search.quantised_documents import QuantisedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.rescore import ScanResult
from minerkit.search.scan import QueryTile, slots_per_query
from minerkit.search.top_k import TopKCandidates

__all__ = ["ExactIndex"]

IntArray = npt.NDArray[np.int64]

#: Queries of a tile of scores, which stays in a core's cache; a GPU wants larger ones.
TILE, GPU_TILE = 1024, 8192
#: The most queries that are searched at once.
MOST_QUERIES = 16384
#: Bytes of a slot for a candidate; a query has two slots for each document that it keeps.
SLOT_BYTES = 16


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
        self._quantised: dict[ScanFormat, QuantisedDocuments] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.documents)

    def top(self, request: Request, progress: Callable[[int], object] = id) -> Hits:
        """Find the k best documents of each query that are not excluded and score at most its ceiling.

        Args:
            request: What is wanted of n queries.
            progress: Called with the number of queries done, each time some are.

        Returns:
            The documents, best first; as many columns as are wanted, and as there are documents.
        """
        hits = Hits.empty(len(request), min(request.k, len(self)))
        together = self._queries_at_once(request)
        for start in range(0, len(request) if len(self) else 0, together):
            rows = np.arange(start, min(start + together, len(request)))
            hits.set_rows(rows, self.search(request.subset(rows))[0].top(np.arange(len(rows))))
            progress(len(rows))
        return hits

    def search(self, *requests: Request) -> list[ScanResult]:
        """Go over the documents once for several requests of the same queries.

        Args:
            requests: What is wanted of n queries, few enough for all that is found to be in memory.

        Returns:
            What was found for each request.
        """
        return self._scan(requests, self._fastest(), optimistic=True)

    def pair_scores(self, queries: Vectors, rows: IntArray, positions: IntArray) -> npt.NDArray[np.float32]:
        """Score pairs of a query and a document, as `minerkit.search.dot_products.pair_scores` does."""
        return pair_scores(queries, self.documents, rows, positions)

    def prepare(self) -> None:
        """Quantise the documents now, on all cores, instead of at the first search."""
        self._coded(self._fastest())

    def drop_codes(self) -> None:
        """Free the codes; the next search makes them again."""
        self._quantised.clear()

    def search_again(self, request: Request, format: ScanFormat, optimistic: bool) -> Hits:
        """Search again for queries whose scan may have missed a document.

        Args:
            request: What is wanted of n queries.
            format: The format of that scan.
            optimistic: Whether that scan was optimistic.

        Returns:
            The documents, best first.
        """
        all_rows, sure = np.arange(len(request)), ScanFormat("float32", self.device)
        # Under a ceiling, codes of the same format would miss the same documents.
        if optimistic and request.ceilings is None:
            return self._scan((request,), format, optimistic=False)[0].top(all_rows)
        if format != sure:
            return self._scan((request,), sure, optimistic=False)[0].top(all_rows)
        return rank_all(request, self.documents, self.memory // 8)

    def _fastest(self) -> ScanFormat:
        """Choose the format of a scan; in few dimensions eight bits save nothing."""
        return fastest_format(self.device) if self.documents.dim > FEW else ScanFormat("float32", self.device)

    def _queries_at_once(self, request: Request) -> int:
        """Compute how many queries fit into a quarter of the memory."""
        per_query = SLOT_BYTES * slots_per_query(request) + 2 * self.documents.dim
        return max(TILE, min(MOST_QUERIES, self.memory // 4 // per_query))

    def _coded(self, format: ScanFormat) -> QuantisedDocuments:
        """Quantise the documents when they are first searched in a format."""
        with self._lock:
            if format not in self._quantised:
                other = next(iter(self._quantised.values()), None)
                if format.name == "float32" and other is not None:
                    self._quantised[format] = other.in_float32()
                else:
                    self._quantised[format] = QuantisedDocuments.shuffled(
                        self.documents, format, self.memory // 8
                    )
            return self._quantised[format]

    def _scan(self, requests: Sequence[Request], format: ScanFormat, optimistic: bool) -> list[ScanResult]:
        coded, size = self._coded(format), TILE if self.device == "cpu" else GPU_TILE
        all_rows = np.arange(len(requests[0]))
        parts = [all_rows[at : at + size] for at in range(0, len(all_rows), size)]

        def scanned(group: list[IntArray]) -> list[list[TopKCandidates]]:
            tiles = [
                QueryTile([request.subset(part) for request in requests], coded, optimistic) for part in group
            ]
            for chunk in coded.chunks():
                for tile in tiles:
                    tile.scan(chunk)
            return [tile.finish() for tile in tiles]

        groups = [[part] for part in parts] if coded.held else even_shares(parts)
        kept = [tile for group in torch_map(scanned, groups, self.device) for tile in group]
        search_again = functools.partial(self.search_again, format=format, optimistic=optimistic)
        return ScanResult.per_request(requests, self.documents, coded, parts, kept, search_again)
