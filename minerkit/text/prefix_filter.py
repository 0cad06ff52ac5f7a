"""The shingle sets of many texts, reduced to their rarest shingles and a bitmap.

The prefix of a set are its first elements in an order that is the same for all sets, rarest first. Two sets
with Jaccard similarity t share an element of their prefixes, if these have n - ceil(t n) + 1 of n elements
(Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007, section 3.3). In the smaller set the first
shared element stands among the first n - ceil(2 t / (1 + t) n) + 1 (Xiao et al. 2008, section 3.1). Bitmaps
of two sets never differ in more bits than the sets do in elements (Sandes, Teodoro & Melo 2020).

Shingles are known by 32 bits of a hash here. Where two of a text fall together, or one repeats, the set has
fewer elements than the text has windows; all bounds take whichever of the two keeps them true.
"""

from collections.abc import Iterator
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.runtime import thread_map
from minerkit.text.shingles import SHINGLE
from minerkit.text.store import Texts

__all__ = ["SET_MASK", "Sets", "shingle_sets"]

IntArray = npt.NDArray[np.int64]

#: Texts whose lengths are read at once.
READ = 1 << 16
#: Characters handled at once, as a matrix with a row for each text: few enough for a core's cache.
BLOCK = 1 << 18
#: So many characters are counted, in 2 ** COUNT_BITS buckets at most, to tell common shingles from rare ones.
COUNTED, COUNT_BITS = 1 << 23, 22
#: A shingle's place in the order has 32 bits: how common it is, and then this many of its hash.
HASH_BITS = 27
#: How common a shingle can be, in half octaves of its count; the place behind all shingles has one more.
COMMONEST, AFTER_ALL = 30, np.uint32(0xFFFFFFFF)
#: The bits of an entry that hold the number of its set.
SET_MASK = np.uint64(0xFFFFFFFF)
#: An odd number with well-mixed bits, as an array, whose product may overflow.
FACTOR = np.array(0x9E3779B1, np.uint32)
#: So that rounding errors exclude no pair at the threshold itself.
EPSILON = 1e-9


class Sets(NamedTuple):
    """The shingle sets of n texts, numbered by size."""

    texts: IntArray
    """The position of each set's text."""
    min_sizes: IntArray
    """The least number of elements of each, ascending."""
    max_sizes: IntArray
    """The largest number of elements of each."""
    max_difference: IntArray
    """The largest number of elements in which a similar set can differ."""
    bitmaps: npt.NDArray[np.uint64]
    """Shape (words, n), two words or more. A bit is set if an odd number of elements fall on it."""
    entries: npt.NDArray[np.uint64]
    """The elements of all prefixes, sorted: place in the order (32 bits), set (31 bits), and whether it is
    among those of which a larger set shares one (1 bit)."""


def shingle_sets(keys: Texts, threshold: float) -> Sets:
    """Take the prefix of every text's shingle set, and draw its bitmap.

    Args:
        keys: n match keys, one or more.
        threshold: Jaccard similarity in (0, 1] from which two sets are similar enough.

    Returns:
        The sets.
    """
    sizes = (keys.slice(at, READ).str.len_chars().to_numpy() for at in range(0, len(keys), READ))
    lengths = np.maximum(np.concatenate(list(sizes)).astype(np.int64), 1)
    texts = np.argsort(lengths, kind="stable")
    max_sizes = lengths[texts]
    blocks = list(_blocks(max_sizes))
    levels = _levels(keys, texts, max_sizes, blocks)
    prefix = np.floor((1 - threshold) * max_sizes + EPSILON).astype(np.int64) + 1
    starts = np.cumsum(prefix) - prefix
    # Of two such sets, the union is at most 1 / t times the intersection, and so of either set.
    max_difference = np.floor((1 / threshold - 1) * max_sizes + EPSILON).astype(np.int64)
    # Unrelated sets differ in half of the bits: in far more than the elements in which most may differ.
    bits = 1 << min(max(int(6 * max_difference[len(max_difference) * 9 // 10]).bit_length(), 7), 12)
    min_sizes, bitmaps = np.empty_like(max_sizes), np.empty((bits // 64, len(max_sizes)), np.uint64)
    entries = np.full(prefix.sum(), _entry(AFTER_ALL, len(max_sizes)))

    def take(block: slice) -> None:
        places = _places(keys.gather(texts[block]), max_sizes[block], levels)
        new = places != AFTER_ALL
        new[:, 1:] &= places[:, 1:] != places[:, :-1]
        min_sizes[block] = new.sum(axis=1)
        shared = np.ceil(2 * threshold / (1 + threshold) * min_sizes[block] - EPSILON).astype(np.int64)
        early = np.minimum(max_sizes[block] - shared + 1, prefix[block])
        end = int(
            (prefix[block] + max_sizes[block] - min_sizes[block]).max()
        )  # no prefix goes on beyond this column
        nth = np.cumsum(new[:, :end], axis=1, dtype=np.int32)
        row, column = np.nonzero(new[:, :end] & (nth <= prefix[block][:, None]))
        found = _entry(places[row, column], row + block.start) | (nth[row, column] <= early[row])
        entries[starts[block.start] : starts[block.start] + len(found)] = found
        odd = np.zeros((len(new), bits), np.uint8)
        bit = (places & np.uint32(bits - 1)) + np.arange(0, odd.size, bits, dtype=np.uint32)[:, None]
        np.add.at(odd.reshape(-1), bit.reshape(-1), new.reshape(-1).view(np.uint8))
        bitmaps[:, block] = np.packbits(odd & 1, axis=1).view(np.uint64).T

    thread_map(take, blocks)
    return _by_size(Sets(texts, min_sizes, max_sizes, max_difference, bitmaps, entries))


def _entry(place: npt.NDArray[np.uint32] | np.uint32, owner: IntArray | int) -> npt.NDArray[np.uint64]:
    return np.asarray(place, np.uint64) << np.uint64(32) | np.asarray(owner, np.uint64) << np.uint64(1)


def _blocks(lengths: IntArray) -> Iterator[slice]:
    """Cut texts, sorted by length, into blocks that make matrices of about one size."""
    end = len(lengths)
    while end:
        start = max(0, end - max(1, BLOCK // (int(lengths[end - 1]) + SHINGLE - 1)))
        yield slice(start, end)
        end = start


def _hashed(keys: pl.Series, lengths: IntArray) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """Hash each window of each key, and say which lie inside of it: shapes (keys, the longest's windows)."""
    width = int(lengths[-1]) + SHINGLE - 1
    points = np.frombuffer(keys.str.pad_end(width).str.join("").item().encode("utf-32-le"), dtype=np.uint32)
    # The polynomials of windows of two, of four and of five characters. Those of windows that begin in one
    # row and end in the next fall into the last columns, which are cut off.
    hashes = points * FACTOR
    hashes[:-1] += points[1:]
    two = hashes.copy()
    hashes *= FACTOR * FACTOR
    hashes[:-2] += two[2:]
    hashes *= FACTOR
    hashes[:-4] += points[4:]
    hashes ^= hashes >> np.uint32(16)
    hashes *= FACTOR
    hashes ^= hashes >> np.uint32(15)
    windows = width - SHINGLE + 1
    return hashes.reshape(len(keys), width)[:, :windows], np.arange(windows) < lengths[:, None]


def _levels(keys: Texts, texts: IntArray, lengths: IntArray, blocks: list[slice]) -> npt.NDArray[np.uint8]:
    """Estimate how common the shingles of each bucket are, from a sample of the texts."""
    step = -(-int(lengths.sum()) // COUNTED)
    bits = min(COUNT_BITS, max(8, int(lengths.sum()).bit_length()))
    counts, lock = np.zeros(1 << bits, np.uint32), Lock()

    def count(block: slice) -> None:
        some = slice(block.start, block.stop, step)
        hashes, inside = _hashed(keys.gather(texts[some]), lengths[some])
        with lock:
            np.add.at(counts, hashes[inside] >> np.uint32(32 - bits), np.uint32(1))

    thread_map(count, blocks)
    octaves = np.log2(np.maximum(counts, 1), dtype=np.float32)
    levels: npt.NDArray[np.uint8] = np.minimum(2 * octaves, COMMONEST).astype(np.uint8)
    return levels


def _places(keys: pl.Series, lengths: IntArray, levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Give each key's places in the order, ascending and with repeats, then NOWHERE."""
    hashes, inside = _hashed(keys, lengths)
    bucket = hashes >> np.uint32(33 - len(levels).bit_length())
    places = levels.take(bucket, mode="clip").astype(np.uint32) << np.uint32(HASH_BITS)
    places |= hashes >> np.uint32(32 - HASH_BITS)
    places[~inside] = AFTER_ALL
    places.sort(axis=1)
    return places


def _by_size(sets: Sets) -> Sets:
    """Number the sets by size, and sort the entries."""
    order = np.argsort(sets.min_sizes, kind="stable")
    number = np.empty(len(order) + 1, np.int64)
    number[order] = np.arange(len(order))
    number[-1] = len(order)  # of entries that were not needed
    for start in range(0, len(sets.entries), BLOCK):
        part = sets.entries[start : start + BLOCK]
        owner = number[((part & SET_MASK) >> np.uint64(1)).astype(np.int64)]
        part[:] = part & (~SET_MASK | np.uint64(1)) | owner.astype(np.uint64) << np.uint64(1)
    sets.entries.sort()
    entries = sets.entries[: np.searchsorted(sets.entries, _entry(AFTER_ALL, 0))]
    ordered = (sets.texts[order], sets.min_sizes[order], sets.max_sizes[order], sets.max_difference[order])
    return Sets(*ordered, sets.bitmaps[:, order], entries)
