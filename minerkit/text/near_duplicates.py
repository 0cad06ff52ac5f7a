"""Which texts of a collection are nearly the same: an exact set-similarity join on their shingles.

Only texts that share one of their rarest shingles can be similar enough (`minerkit.text.prefix_filter`). Few
texts have a rare shingle in common, so few pairs are compared, also where all texts follow one template; and
no pair is missed. Bitmaps exclude nearly all of those that meet; the rest is compared shingle by shingle.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from minerkit.runtime import thread_map
from minerkit.text.prefix_filter import SET_MASK, Sets, shingle_sets
from minerkit.text.shingles import jaccard
from minerkit.text.store import Texts

__all__ = ["near_duplicate_pairs"]

IntArray = npt.NDArray[np.int64]

#: Entries, and meetings of texts, handled at once: few enough for a core's cache.
BATCH = 1 << 16
#: So that rounding errors exclude no pair at the threshold itself.
EPSILON = 1e-9


def near_duplicate_pairs(keys: Texts, threshold: float) -> IntArray:
    """Find all pairs of texts whose shingle sets have at least the given Jaccard similarity.

    Args:
        keys: The match keys of n texts, no two the same.
        threshold: Jaccard similarity in (0, 1]; 0.9 calls texts the same that differ in a word or two.

    Returns:
        int64 of shape (pairs, 2), each pair once with the smaller position first, sorted.
    """
    if not len(keys):
        return np.empty((0, 2), np.int64)
    found = _similar_pairs(shingle_sets(keys, threshold), threshold)
    found = found[jaccard(keys, found) >= threshold]
    return _unpacked([found.min(axis=1) << 32 | found.max(axis=1)])


def _similar_pairs(sets: Sets, threshold: float) -> IntArray:
    """Find the texts that share a shingle, are of like size and have like bitmaps, shape (pairs, 2)."""
    # The first set, by size, that is too large for each.
    limits = np.searchsorted(sets.min_sizes, sets.max_sizes / threshold + EPSILON, side="right")

    def candidate_pairs(cut: slice) -> IntArray:
        entries = sets.entries[cut]
        owner = ((entries & SET_MASK) >> np.uint64(1)).astype(np.int64)
        limit, max_difference = limits[owner], sets.max_difference[owner]
        word, next_word = sets.bitmaps[0][owner], sets.bitmaps[1][owner]
        # An early entry meets those behind it: of the same shingle, and of sets that are not too large.
        same = entries[1:] ^ entries[:-1] <= SET_MASK
        early = entries[:-1] & np.uint64(1) == 1
        first = np.flatnonzero(same & early & (owner[1:] < limit[:-1]))
        end = entries[first] & ~SET_MASK | limit[first].astype(np.uint64) << np.uint64(1)
        partners = np.searchsorted(entries, end) - first - 1
        found = []
        for part in _parts(partners):
            left, many = first[part], partners[part]
            right = np.arange(many.sum()) + np.repeat(left + 1 - np.cumsum(many) + many, many)
            differ = np.bitwise_count(np.repeat(word[left], many) ^ word[right])
            differ += np.bitwise_count(np.repeat(next_word[left], many) ^ next_word[right])
            near = np.flatnonzero(differ <= np.repeat(max_difference[left], many))
            a, b = owner[np.repeat(left, many)[near]], owner[right[near]]
            remaining = sets.max_difference[a] - differ[near]
            for words in sets.bitmaps[2:]:
                remaining -= np.bitwise_count(words[a] ^ words[b])
                a, b, remaining = a[remaining >= 0], b[remaining >= 0], remaining[remaining >= 0]
            found.append(a << 32 | b)
        return _distinct(found)

    # Cut where another shingle begins.
    starts = np.unique(np.searchsorted(sets.entries, sets.entries[::BATCH] & ~SET_MASK))
    ends = np.append(starts[1:], len(sets.entries))
    return sets.texts[_unpacked(thread_map(candidate_pairs, map(slice, starts, ends)))]


def _parts(sizes: IntArray) -> Iterator[slice]:
    """Cut items into parts whose sizes add up to about BATCH."""
    sums = np.cumsum(sizes)
    starts = np.unique(np.searchsorted(sums, np.arange(0, sizes.sum(), BATCH)))
    yield from map(slice, starts, np.append(starts[1:], len(sizes)))


def _distinct(parts: list[IntArray]) -> IntArray:
    """Sort integers that are not negative, and keep each once (`np.unique` takes a hundred times as long)."""
    values = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return values[np.diff(values, prepend=-1) > 0]


def _unpacked(parts: list[IntArray]) -> IntArray:
    """Take apart pairs that were packed into one integer; each comes once, and they are sorted."""
    packed = _distinct(parts)
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], axis=1)
