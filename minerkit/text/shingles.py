"""Shingles of texts, and how similar two sets of them are."""

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text.normalisation import match_keys
from minerkit.text.store import Texts

__all__ = ["jaccard", "mix_bits", "shingle_hashes"]

#: Characters a shingle: unrelated texts of one language share few of five, most of three.
SHINGLE = 5
#: Texts hashed at once: few enough for a core's cache.
TOGETHER = 256
#: An odd number with well-mixed bits (the golden ratio), for hashing windows of characters.
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shingle_hashes(texts: pl.Series) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Cut texts into the overlapping five-character shingles of their match keys.

    Args:
        texts: n strings.

    Returns:
        All shingles one after the other as 64-bit hashes, repeats kept; and n + 1 offsets: text i has
        `hashes[offsets[i]:offsets[i + 1]]`. A shorter text is padded with blanks and has at least one.
    """
    padded = (match_keys(texts) + " " * (SHINGLE - 1)).str.pad_end(SHINGLE)
    lengths = padded.str.len_chars().to_numpy().astype(np.int64)
    offsets = np.append(0, np.cumsum(lengths - (SHINGLE - 1)))
    hashes = np.empty(offsets[-1], np.uint64)
    for start in range(0, len(padded), TOGETHER):
        part = padded[start : start + TOGETHER]
        points = np.frombuffer(part.str.join("").item().encode("utf-32-le"), dtype=np.uint32)
        # Every window of the joined texts is hashed; those that begin in one and end in another are left out.
        rolling = points[: 1 - SHINGLE].astype(np.uint64)
        for step in range(1, SHINGLE):
            rolling *= MULTIPLIER
            rolling += points[step : step + len(rolling)]
        inside = np.ones(len(points), dtype=bool)
        ends = np.cumsum(lengths[start : start + TOGETHER])
        for step in range(1, SHINGLE):
            inside[ends - step] = False
        found = mix_bits(rolling[inside[: len(rolling)]])
        hashes[offsets[start] : offsets[start] + len(found)] = found
    return hashes, offsets


def mix_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scatter integers over all 64 bits, one to one.

    Args:
        values: uint64 of any shape.

    Returns:
        uint64 of the same shape (SplitMix64: Steele, Lea & Flood 2014, figure 19).
    """
    z = values + MULTIPLIER
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def jaccard(texts: Texts, pairs: npt.NDArray[np.int64], batch: int = 10_000) -> npt.NDArray[np.float64]:
    """Measure the Jaccard similarity of pairs of texts, exactly.

    Args:
        texts: n texts.
        pairs: int64 of shape (m, 2): positions in `texts`.
        batch: Pairs that are compared at once.

    Returns:
        float64 of shape (m,): shared shingles over all distinct shingles of each pair.
    """
    found = np.empty(len(pairs))
    if not len(pairs):
        return found
    from minerkit.text.set_overlap import shared, sort_sets  # this loads numba

    for start in range(0, len(pairs), batch):
        used, places = np.unique(pairs[start : start + batch], return_inverse=True)
        left, right = places.reshape(-1, 2).T
        hashes, offsets = shingle_hashes(texts.gather(used))
        sizes = sort_sets(hashes, offsets)
        both = shared(hashes, offsets, sizes, left, right)
        found[start : start + batch] = both / (sizes[left] + sizes[right] - both)
    return found
