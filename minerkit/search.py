"""Exact top-k search with the rules inside the scan.

The scan multiplies blocks in float32 and keeps a few more than k candidates; those are scored again pair by
pair in float64, rounded, and ordered by score and position. A query for which float32 noise could have
hidden a better document is scored in float64 against the whole collection. So the result does not depend on
block sizes, threads or device.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minerkit.errors import EncoderError
from minerkit.vectors import Vectors

__all__ = ["Hits", "Pairs", "exact_scores", "pair_scores", "search_device", "top"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: Scores are kept to six decimals.
DECIMALS = 6
#: Candidates the scan keeps beyond k, so that rounding cannot change the k best.
SLACK = 14
#: Twice the largest error a float32 product of unit vectors showed, in units of |query| * |document|.
NOISE = 4e-6
#: Scores of one tile: queries a block times documents a block.
QUERY_BLOCK, DOCUMENT_BLOCK = 4096, 16384


@dataclass(frozen=True)
class Pairs:
    """(query, document) positions, sorted by query: what a search must not return."""

    queries: IntArray
    documents: IntArray

    @classmethod
    def of(cls, queries: IntArray, documents: IntArray) -> "Pairs":
        """Sort pairs by query, then document."""
        order = np.lexsort((documents, queries))
        return cls(queries[order], documents[order])

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs.of(
            np.concatenate([self.queries, other.queries]), np.concatenate([self.documents, other.documents])
        )

    def only(self, rows: IntArray) -> "Pairs":
        """Keep the pairs of some queries (ascending positions), renumbered to 0..len(rows)."""
        starts, stops = np.searchsorted(self.queries, rows), np.searchsorted(self.queries, rows, side="right")
        counts = stops - starts
        where = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(
            counts.sum()
        )
        return Pairs(np.repeat(np.arange(len(rows)), counts), self.documents[where])


@dataclass(frozen=True)
class Hits:
    """The best documents of each query: positions of shape (n, k), -1 where there are fewer; and scores."""

    documents: IntArray
    scores: FloatArray


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


def pair_scores(queries: FloatArray, documents: FloatArray) -> FloatArray:
    """Score queries against their own candidates, the same way whatever else is scored with them.

    Args:
        queries: float32 of shape (n, dim).
        documents: float32 of shape (n, k, dim).

    Returns:
        float32 of shape (n, k): dot products summed in float64, rounded to six decimals.
    """
    exact = np.einsum("nkd,nd->nk", documents.astype(np.float64), queries.astype(np.float64))
    return _rounded(exact)


def exact_scores(scores: FloatArray) -> npt.NDArray[np.float64]:
    """Give stored scores as the decimals they stand for.

    Args:
        scores: float32 of any shape, rounded to six decimals.

    Returns:
        float64 of the same shape: 0.8, not 0.800000011920929.
    """
    return np.asarray(np.round(scores.astype(np.float64), DECIMALS))


def _rounded(scores: npt.NDArray[np.float64]) -> FloatArray:
    return np.asarray(np.round(scores, DECIMALS) + 0.0, dtype=np.float32)  # + 0.0: no negative zero


def top(
    queries: Vectors,
    documents: Vectors,
    k: int,
    blocked: Pairs,
    ceilings: npt.NDArray[np.float64] | None = None,
    device: str = "cpu",
    progress: Callable[[int], object] = id,
) -> Hits:
    """Find the k best documents of each query that are not blocked and score at most the query's ceiling.

    Args:
        queries: n vectors.
        documents: m vectors; equal scores rank in their order.
        k: How many documents a query.
        blocked: Pairs that are never returned.
        ceilings: float64 of shape (n,): the highest score that is eligible; None: all are.
        device: A torch device.
        progress: Called with the number of queries done, each time some are.

    Returns:
        The documents, best first.
    """
    k = min(k, len(documents))
    found = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for start in range(0, len(queries), QUERY_BLOCK):
        stop = min(start + QUERY_BLOCK, len(queries))
        rows = np.arange(start, stop)
        block = queries.take(start, stop)
        limit = None if ceilings is None else ceilings[start:stop]
        shut = blocked.only(rows)
        found[start:stop], scores[start:stop] = _block(block, documents, k, shut, limit, device)
        progress(stop - start)
    return Hits(found, scores)


def _block(
    queries: FloatArray,
    documents: Vectors,
    k: int,
    blocked: Pairs,
    ceilings: npt.NDArray[np.float64] | None,
    device: str,
) -> tuple[IntArray, FloatArray]:
    rough, columns, longest = _scan(queries, documents, k + SLACK, blocked, ceilings, device)
    noise = NOISE * float(np.linalg.norm(queries, axis=1).max(initial=0)) * longest + 10.0**-DECIMALS
    candidates = np.sort(columns, axis=1)  # -1 (none) first, then by position
    scores = np.full(candidates.shape, -np.inf, np.float32)
    step = max(1, (64 << 20) // (candidates.shape[1] * queries.shape[1] * 8))
    for start in range(0, len(queries), step):
        part = candidates[start : start + step]
        gathered = documents.subset(np.maximum(part, 0).ravel()).take(0, part.size)
        exact = pair_scores(queries[start : start + step], gathered.reshape(*part.shape, -1))
        scores[start : start + step] = np.where(part >= 0, exact, -np.inf)
    if ceilings is not None:
        scores[exact_scores(scores) > ceilings[:, None]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found, best = np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
    # What the scan left out scores at most its weakest kept score plus noise.
    weakest = rough.min(axis=1)
    unsure = np.flatnonzero(np.isfinite(weakest) & (best[:, -1] <= weakest + noise))
    step = max(1, (128 << 20) // (len(documents) * 8))
    for rows in (unsure[start : start + step] for start in range(0, len(unsure), step)):
        limit = None if ceilings is None else ceilings[rows]
        found[rows], best[rows] = _whole(queries[rows], documents, k, blocked.only(rows), limit)
    found[~np.isfinite(best)] = -1
    return found, best


def _scan(
    queries: FloatArray,
    documents: Vectors,
    k: int,
    blocked: Pairs,
    ceilings: npt.NDArray[np.float64] | None,
    device: str,
) -> tuple[FloatArray, IntArray, float]:
    """Pass once over the documents; give rough scores and positions of the k best, and the longest norm."""
    import torch

    q = torch.from_numpy(queries).to(device)
    best = torch.full((len(queries), k), -torch.inf, device=device)
    where = torch.full((len(queries), k), -1, dtype=torch.int64, device=device)
    longest = 0.0
    by_document = np.argsort(blocked.documents, kind="stable")
    shut_rows, shut_columns = blocked.queries[by_document], blocked.documents[by_document]
    for start in range(0, len(documents), DOCUMENT_BLOCK):
        stop = min(start + DOCUMENT_BLOCK, len(documents))
        block = documents.take(start, stop)
        longest = max(longest, float(np.linalg.norm(block, axis=1).max()))
        tile = q @ torch.from_numpy(block).to(device).T
        if ceilings is not None:
            # Scores within the noise of the ceiling stay; they are judged by their exact value.
            margin = 2 * NOISE * max(longest, 1.0) * float(np.linalg.norm(queries, axis=1).max(initial=1))
            limit = torch.from_numpy((ceilings + margin).astype(np.float32)).to(device)
            tile.masked_fill_(tile > limit[:, None], -torch.inf)
        low, high = np.searchsorted(shut_columns, [start, stop])
        rows = torch.from_numpy(shut_rows[low:high]).to(device)
        columns = torch.from_numpy(shut_columns[low:high] - start).to(device)
        tile[rows, columns] = -torch.inf
        values, places = tile.topk(min(k, stop - start), dim=1, sorted=False)
        best, pick = torch.cat([best, values], dim=1).topk(k, dim=1, sorted=False)
        where = torch.cat([where, places + start], dim=1).gather(1, pick)
    where[best == -torch.inf] = -1
    return best.cpu().numpy(), where.cpu().numpy(), longest


def _whole(
    queries: FloatArray,
    documents: Vectors,
    k: int,
    blocked: Pairs,
    ceilings: npt.NDArray[np.float64] | None,
) -> tuple[IntArray, FloatArray]:
    """Rank the whole collection for some queries in float64."""
    import torch

    exact = queries.astype(np.float64)
    parts = [
        exact @ documents.take(start, start + DOCUMENT_BLOCK).astype(np.float64).T
        for start in range(0, len(documents), DOCUMENT_BLOCK)
    ]
    scores = _rounded(np.concatenate(parts, axis=1))
    scores[blocked.queries, blocked.documents] = -np.inf
    if ceilings is not None:
        scores[exact_scores(scores) > ceilings[:, None]] = -np.inf
    # Scores are decimals, so that with the position one whole number holds the rank of each document.
    shut = ~np.isfinite(scores)
    millionths = np.round(np.where(shut, 0, scores).astype(np.float64) * 10**DECIMALS).astype(np.int64)
    keys = millionths * len(documents) - np.arange(len(documents))
    keys[shut] = np.iinfo(np.int64).min
    order = torch.from_numpy(keys).topk(k, dim=1).indices.numpy()
    return order, np.take_along_axis(scores, order, axis=1)
