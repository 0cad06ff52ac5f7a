"""Which texts of a collection are nearly the same: an exact set-similarity join on their shingles.

Two sets with Jaccard similarity t share an element of their prefixes: of their shingles in one global order,
rarest first, the first n - ceil(t n) + 1 (Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007,
section 3.3). Rare shingles stand in few texts, so few pairs are compared, also where all texts follow one
template; and no pair is missed.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text import jaccard, shingles

__all__ = ["near_duplicates"]

IntArray = npt.NDArray[np.int64]

#: Texts cut into shingles at once, and candidate pairs compared at once.
CHUNK, BATCH = 20_000, 1_000_000
#: Until pairs are compared, shingles are known by this many bits of their hash; collisions cost some speed.
BITS = 24


def near_duplicates(texts: pl.Series, threshold: float) -> IntArray:
    """Find all pairs of texts whose shingle sets have at least the given Jaccard similarity.

    Args:
        texts: n strings.
        threshold: Jaccard similarity in (0, 1]; 0.9 calls texts the same that differ in a word or two.

    Returns:
        int64 of shape (pairs, 2), each pair once with the smaller position first, sorted.
    """
    found = [np.empty((0, 2), np.int64)]
    for pairs in _candidates(*_prefixes(texts, threshold), threshold):
        found.append(pairs[jaccard(texts, pairs) >= threshold])
    return np.unique(np.concatenate(found), axis=0)


def _prefixes(texts: pl.Series, threshold: float) -> tuple[IntArray, IntArray, IntArray]:
    """Give every text's rarest buckets: the buckets, the positions of their texts, and set sizes of those."""
    counts = np.zeros(1 << BITS, np.int64)
    for buckets, _ in _bucketed(texts):
        counts += np.bincount(buckets, minlength=1 << BITS)
    rank = np.minimum(counts, (1 << BITS) - 1).astype(np.uint64) << np.uint64(BITS)
    kept = [(np.empty(0, np.int64),) * 3]
    for number, (buckets, offsets) in enumerate(_bucketed(texts)):
        owners = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64), np.diff(offsets))
        # One integer holds text, rarity and bucket, so that one sort orders all texts' buckets, rarest first.
        keys = np.sort((owners << np.uint64(2 * BITS)) | rank[buckets] | buckets.astype(np.uint64))
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        owners = keys >> np.uint64(2 * BITS)
        _, first, sizes = np.unique(owners, return_index=True, return_counts=True)
        size = np.repeat(sizes, sizes)
        # One more than the lemma says, as a bucket may hold two shingles of a text.
        inside = np.arange(len(keys)) - np.repeat(first, sizes) < size - np.ceil(threshold * size - 1e-9) + 2
        found = (keys & np.uint64((1 << BITS) - 1))[inside].astype(np.int64)
        kept.append((found, owners[inside].astype(np.int64) + number * CHUNK, size[inside]))
    buckets, positions, sizes = (np.concatenate(column) for column in zip(*kept, strict=True))
    return buckets, positions, sizes


def _bucketed(texts: pl.Series) -> Iterator[tuple[IntArray, IntArray]]:
    """Cut texts into shingles, chunk by chunk: the bucket of each, and where each text's begin."""
    for start in range(0, len(texts), CHUNK):
        hashes, offsets = shingles(texts.slice(start, CHUNK))
        yield (hashes & np.uint64((1 << BITS) - 1)).astype(np.int64), offsets


def _candidates(buckets: IntArray, owners: IntArray, sizes: IntArray, threshold: float) -> Iterator[IntArray]:
    """Yield batches of pairs that share a rare bucket and are of like size."""
    order = np.argsort(buckets, kind="stable")
    buckets, owners, sizes = buckets[order], owners[order], sizes[order]
    waiting, count = [np.empty((0, 2), np.int64)], 0
    # Compare each entry with the next, the one after it, ... while both have the same bucket.
    step, alive = 1, np.arange(len(buckets))
    while len(alive := alive[alive + step < len(buckets)]):
        alive = alive[buckets[alive] == buckets[alive + step]]
        a, b = sizes[alive], sizes[alive + step]
        alike = alive[np.minimum(a, b) >= threshold * np.maximum(a, b) - 2]
        waiting.append(np.stack([owners[alike], owners[alike + step]], axis=1))
        count += len(alike)
        if count > BATCH:
            yield np.unique(np.concatenate(waiting), axis=0)
            waiting, count = [np.empty((0, 2), np.int64)], 0
        step += 1
    yield np.unique(np.concatenate(waiting), axis=0)
