"""Approximate search: documents in lists by their nearest centroid, queries only in their nearest lists.

An inverted file (Jégou et al. 2011, section IV) for many queries at once: each list is multiplied with all
queries that probe it, as the exact scan does with a tile of documents. What is found is scored exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.search.coded import CodedDocuments
from minerkit.search.codes import encode, fastest, products, room
from minerkit.search.index import Index, settle
from minerkit.search.request import Hits, Request
from minerkit.search.scan import Asking, QueryTile
from minerkit.threads import shares, torch_map
from minerkit.vectors import Vectors

__all__ = ["Clusters", "Lists", "clusters"]

IntArray = npt.NDArray[np.int64]

#: Lists per square root of the number of documents, and documents a list that its centroid is found from.
LISTS, TRAINED_ON = 4, 32
#: Queries that probe together, and vectors whose nearest centroids are found together.
TILE, BLOCK = 4096, 1024
SEED = 12


@dataclass(frozen=True)
class Clusters:
    """Centroids, float32 of shape (lists, dim), and the list of each document, int32 of shape (n,)."""

    centroids: npt.NDArray[np.float32]
    list_of: npt.NDArray[np.int32]


def clusters(documents: Vectors) -> Clusters:
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
    documents.release()
    centroids = means.cluster_centers_.astype(np.float32)
    lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
    centroids /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return Clusters(centroids, nearest(documents, centroids, 1)[:, 0].astype(np.int32))


def nearest(vectors: Vectors, centroids: npt.NDArray[np.float32], count: int) -> IntArray:
    """Find the nearest centroids of vectors.

    Args:
        vectors: n vectors.
        centroids: float32 of shape (lists, dim).
        count: How many of them.

    Returns:
        int64 of shape (n, count): lists, nearest first.
    """
    codes = encode(centroids, fastest("cpu"), together=True)

    def found(start: int) -> IntArray:
        part = encode(vectors.take(start, start + BLOCK), fastest("cpu"))
        scores = products(part.matrix, codes.matrix, room(part.matrix, len(centroids)))
        places: IntArray = scores.topk(count, dim=1).indices.numpy()
        return places

    parts = list(torch_map(found, range(0, len(vectors), BLOCK)))
    vectors.release()
    empty: IntArray = np.empty((0, count), np.int64)
    return np.concatenate([empty, *parts])


class Lists:
    """Documents to search in, approximately."""

    def __init__(self, index: Index, found: Clusters, probes: int) -> None:
        """Put documents in their lists.

        Args:
            index: Searches the same documents exactly.
            found: Their clusters.
            probes: Lists that each query is searched in.
        """
        self._index, self._centroids, self.probes = index, found.centroids, probes
        self.documents = index.documents
        order = np.argsort(found.list_of, kind="stable").astype(np.int32)
        self._bounds = np.searchsorted(found.list_of[order], np.arange(len(found.centroids) + 1))
        self._coded = CodedDocuments(index.documents, fastest("cpu"), index.memory // 8, order, self._bounds)

    def top(self, request: Request, progress: Callable[[int], object] = id) -> Hits:
        """Find documents as `Index.top` does; some of the best may be missing.

        Args:
            request: What is wanted of n queries.
            progress: Called with the number of queries done, each time some are.

        Returns:
            The documents, best first.
        """
        hits = Hits.none(len(request), min(request.k, len(self.documents)))
        parts = [np.arange(at, min(at + TILE, len(request))) for at in range(0, len(request), TILE)]
        probed = nearest(request.queries, self._centroids, min(self.probes, len(self._centroids)))

        def searched(group: list[IntArray]) -> None:
            tiles = [QueryTile(request.only(part), self._coded) for part in group]
            first, every = zip(*(self._asking(probed[part], request.k) for part in group), strict=True)
            for step, asking in ((QueryTile.prime, first), (QueryTile.probe, every)):
                for chunk in self._coded.chunks():
                    for tile, asked in zip(tiles, asking, strict=True):
                        step(tile, chunk, asked)
            for part, tile in zip(group, tiles, strict=True):
                hits.put(part, settle(tile, self._coded.order, self.documents)[0])

        for _ in torch_map(searched, shares(parts)):
            pass
        self.documents.release()
        progress(len(request))
        return hits

    def _asking(self, probed: IntArray, k: int) -> tuple[Asking, Asking]:
        """Say which queries ask for which list: for the nearest one that can fill them, and for all."""
        rows, sizes = np.arange(len(probed)), np.diff(self._bounds)
        first = probed[rows, np.argmax(sizes[probed] >= k, axis=1)]
        return self._by_list(rows, first), self._by_list(np.repeat(rows, probed.shape[1]), probed.ravel())

    def _by_list(self, rows: IntArray, lists: IntArray) -> Asking:
        order = np.argsort(lists, kind="stable")
        starts = np.searchsorted(lists[order], np.arange(len(self._bounds)))
        return Asking(rows[order], starts)
