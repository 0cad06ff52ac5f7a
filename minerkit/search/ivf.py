"""Approximate search in inverted lists: a query searches only the lists of its nearest centroids.

An inverted file (Jégou et al. 2011, section IV) for many queries at once: each list is multiplied with all
queries that probe it, as the exact scan does with a tile of documents. Candidates are scored exactly.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.runtime import even_shares, torch_map
from minerkit.search.exact import ExactIndex
from minerkit.search.quantise import encode, fastest_format, product_buffer, products
from minerkit.search.quantised_documents import QuantisedDocuments
from minerkit.search.request import Hits, Request
from minerkit.search.rescore import ScanResult
from minerkit.search.scan import QueryTile, TileQueries
from minerkit.search.top_k import TopKCandidates

__all__ = ["Clusters", "InvertedLists", "cluster_documents"]

IntArray = npt.NDArray[np.int64]

#: Lists per square root of the number of documents, and documents a list in the sample for k-means.
LISTS, TRAINED_ON = 2, 32
#: Queries that probe together, and vectors whose nearest centroids are found together.
TILE, BLOCK = 4096, 1024
SEED = 12


@dataclass(frozen=True)
class Clusters:
    """Centroids, float32 of shape (lists, dim), and the list of each document, int32 of shape (n,)."""

    centroids: npt.NDArray[np.float32]
    list_of: npt.NDArray[np.int32]


def cluster_documents(documents: Vectors) -> Clusters:
    """Find centroids by k-means on a sample, and the nearest one of every document.

    Args:
        documents: n vectors.

    Returns:
        The clusters; the same for the same documents.
    """
    from sklearn.cluster import MiniBatchKMeans

    count = max(1, min(len(documents), int(LISTS * len(documents) ** 0.5)))
    draw = np.random.default_rng(SEED)
    sample = np.sort(draw.permutation(len(documents))[: TRAINED_ON * count])
    means = MiniBatchKMeans(
        count, init="random", n_init=1, batch_size=4 * count, max_iter=8, reassignment_ratio=0,
        compute_labels=False, random_state=SEED,
    )  # fmt: skip
    means.fit(documents.subset(sample).take(0, len(sample)))
    centroids = means.cluster_centers_.astype(np.float32)
    lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
    centroids /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return Clusters(centroids, nearest_centroids(documents, centroids, 1)[:, 0].astype(np.int32))


def nearest_centroids(vectors: Vectors, centroids: npt.NDArray[np.float32], count: int) -> IntArray:
    """Find the nearest centroids of vectors.

    Args:
        vectors: n vectors.
        centroids: float32 of shape (lists, dim).
        count: How many of them.

    Returns:
        int64 of shape (n, count): lists, nearest first.
    """
    codes = encode(centroids, fastest_format("cpu"), shared_scale=True)

    def found(start: int) -> IntArray:
        part = encode(vectors.take(start, start + BLOCK), fastest_format("cpu"))
        scores = products(
            part.matrix, codes.matrix, product_buffer(part.matrix, len(part.matrix) * len(centroids))
        )
        places: IntArray = scores.topk(count, dim=1).indices.numpy()
        return places

    parts = list(torch_map(found, range(0, len(vectors), BLOCK)))
    empty: IntArray = np.empty((0, count), np.int64)
    return np.concatenate([empty, *parts])


class InvertedLists:
    """Documents in inverted lists, for approximate search."""

    def __init__(self, index: ExactIndex, found: Clusters, probes: int) -> None:
        """Put documents into their lists.

        Args:
            index: The documents, and the memory that a search may use.
            found: Their clusters.
            probes: Lists that each query is searched in.
        """
        self.documents, self._centroids, self.probes = index.documents, found.centroids, probes
        order = np.argsort(found.list_of, kind="stable").astype(np.int32)
        self._bounds = np.searchsorted(found.list_of[order], np.arange(len(found.centroids) + 1))
        self._coded = QuantisedDocuments(
            index.documents, fastest_format("cpu"), index.memory // 8, order, self._bounds
        )

    def top(self, request: Request) -> Hits:
        """Find documents as `ExactIndex.top` does; some of the best may be missing.

        Args:
            request: What is wanted of n queries.

        Returns:
            The documents, best first.
        """
        return self.search(request)[0].top(np.arange(len(request)))

    def search(self, *requests: Request) -> list[ScanResult]:
        """Search as `ExactIndex.search` does; some of the best may be missing.

        Args:
            requests: What is wanted of n queries.

        Returns:
            What was found for each request.
        """
        asked, k = requests[0].queries, max(request.k for request in requests)
        parts = [np.arange(at, min(at + TILE, len(asked))) for at in range(0, len(asked), TILE)]
        probed = nearest_centroids(asked, self._centroids, min(self.probes, len(self._centroids)))

        def searched(group: list[IntArray]) -> list[list[TopKCandidates]]:
            tiles = [QueryTile([request.subset(part) for request in requests], self._coded) for part in group]
            first, others = zip(*(self._queries_of_lists(probed[part], k) for part in group), strict=True)
            for tile_queries in (first, others):
                for chunk in self._coded.chunks():
                    for tile, own in zip(tiles, tile_queries, strict=True):
                        tile.probe(chunk, own)
            return [tile.finish() for tile in tiles]

        kept = [tile for group in torch_map(searched, even_shares(parts)) for tile in group]
        return ScanResult.per_request(requests, self.documents, self._coded, parts, kept)

    def _queries_of_lists(self, probed: IntArray, k: int) -> tuple[TileQueries, TileQueries]:
        """Pair queries with lists: first the nearest list that has k documents, then the others."""
        rows, sizes = np.arange(len(probed)), np.diff(self._bounds)
        first = np.argmax(sizes[probed] >= k, axis=1)  # its scores exclude most documents of the other lists
        others = np.ones(probed.shape, bool)
        others[rows, first] = False
        return self._by_list(rows, probed[rows, first]), self._by_list(np.nonzero(others)[0], probed[others])

    def _by_list(self, rows: IntArray, lists: IntArray) -> TileQueries:
        order = np.argsort(
            lists.astype(np.uint16 if len(self._bounds) < 1 << 16 else np.int64), kind="stable"
        )  # sixteen bits are sorted by digits
        starts = np.searchsorted(lists[order], np.arange(len(self._bounds)))
        return TileQueries(rows[order], starts)
