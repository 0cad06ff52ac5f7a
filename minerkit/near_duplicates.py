"""Which texts of a collection are nearly the same: an exact set-similarity join on their shingles.

Two sets with Jaccard similarity t share an element of their prefixes: of their shingles in one global order,
rarest first, the first n - ceil(t n) + 1 (Chaudhuri, Ganti & Kaushik 2006; Bayardo, Ma & Srikant 2007,
section 3.3). Rare shingles stand in few texts, so few pairs meet, also where all texts follow one template;
and no pair is missed. In the smaller set the first shared shingle stands earlier still (Xiao et al. 2008,
section 3.1). Pairs that meet are compared by bitmaps, which never differ in more bits than the sets do in
elements (Sandes, Teodoro & Melo 2020), and the few that remain shingle by shingle.

Texts of like length make a matrix with a row for each, so that numpy does the work, on all cores.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text import SHINGLE, jaccard, match_key

__all__ = ["near_duplicates"]

IntArray = npt.NDArray[np.int64]
T = TypeVar("T")
R = TypeVar("R")

#: Characters, entries and meetings handled at once: few enough for a core's cache.
BLOCK, BATCH = 1 << 18, 1 << 16
#: So many characters are counted to tell common shingles from rare ones, in 2 ** COUNT_BITS buckets at most.
COUNTED, COUNT_BITS = 1 << 23, 22
#: A shingle's place in the global order has 32 bits: how common it is (0 to 30), and these many of its hash.
HASH_BITS = 27
#: An odd number with well-mixed bits, whose square does not overflow in arrays.
FACTOR = np.array(0x9E3779B1, np.uint32)
#: The place behind all shingles, of what is no shingle.
NOWHERE = np.uint32(0xFFFFFFFF)
#: The half of an entry that says whose it is.
OWNER = np.uint64(0xFFFFFFFF)
#: So that rounding errors shut out no pair at the threshold itself.
EPSILON = 1e-9


class Sets(NamedTuple):
    """The shingle sets of n texts. A set is known by its position; texts of the collection, by size."""

    least: IntArray
    """How many shingles a set has at least: its distinct hashes."""
    most: IntArray
    """How many it has at most: the text's windows, repeats and all."""
    bitmaps: npt.NDArray[np.uint64]
    """Shape (words, n). A bit is set if an odd number of shingles fall on it."""
    entries: npt.NDArray[np.uint64]
    """The shingles of all prefixes: place in the order (32 bits), set (31 bits), and 1 if it is early."""


def near_duplicates(texts: pl.Series, threshold: float) -> IntArray:
    """Find all pairs of texts whose shingle sets have at least the given Jaccard similarity.

    Args:
        texts: n strings.
        threshold: Jaccard similarity in (0, 1]; 0.9 calls texts the same that differ in a word or two.

    Returns:
        int64 of shape (pairs, 2), each pair once with the smaller position first, sorted.
    """
    keys = texts.to_frame("key").select(match_key(pl.col("key"))).to_series()
    # Equal texts are compared once; `copies` says which text each of them is a copy of.
    copies = (
        keys.to_frame("key")
        .with_row_index("text")
        .select(
            pl.col("text").cast(pl.Int64), pl.col("text").first().over("key").cast(pl.Int64).alias("first")
        )
    )
    alone = copies["text"] == copies["first"]
    distinct = copies["text"].filter(alone).to_numpy()
    found = distinct[_candidates(keys.filter(alone), threshold)]
    found = found[jaccard(texts, found) >= threshold]
    repeated = copies["first"].filter(~alone).unique().to_numpy()
    found = np.concatenate([found, np.stack([repeated, repeated], axis=1)])
    pairs = (
        pl.DataFrame(found, schema=["a", "b"])
        .join(copies.rename({"text": "left"}), left_on="a", right_on="first")
        .join(copies.rename({"text": "right"}), left_on="b", right_on="first")
    )
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    once = (left < right) | (pairs["a"] != pairs["b"]).to_numpy()
    return _pairs(np.sort((np.minimum(left, right) << 32 | np.maximum(left, right))[once]))


def _candidates(keys: pl.Series, threshold: float) -> IntArray:
    """Find the pairs of match keys that may be similar enough, shape (pairs, 2); few of them are not."""
    if keys.is_empty():
        return np.empty((0, 2), np.int64)
    lengths = np.maximum(keys.str.len_chars().to_numpy().astype(np.int64), 1)
    order = np.argsort(lengths, kind="stable")
    keys, lengths = keys.gather(order), lengths[order]
    blocks = list(_blocks(lengths))
    sets = _sets(keys, lengths, blocks, _levels(keys, lengths, blocks), threshold)
    by_size = np.argsort(sets.least, kind="stable")
    return order[by_size[_met(_sorted(sets, by_size), threshold)]]


def _blocks(lengths: IntArray) -> Iterator[slice]:
    """Cut texts, sorted by length, into blocks that fit in a matrix of some size."""
    end = len(lengths)
    while end:
        start = max(0, end - max(1, BLOCK // (int(lengths[end - 1]) + SHINGLE - 1)))
        yield slice(start, end)
        end = start


def _hashed(keys: pl.Series, lengths: IntArray) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """Hash each window of each key to 32 bits, and say which lie inside of it: shapes (keys, longest)."""
    width = int(lengths[-1]) + SHINGLE - 1
    points = np.frombuffer(keys.str.pad_end(width).str.join("").item().encode("utf-32-le"), dtype=np.uint32)
    # The polynomials of windows of two, of four and of five; what begins in one row and ends in the next is
    # cut off in the end.
    two = points * FACTOR
    two[:-1] += points[1:]
    hashes = two * (FACTOR * FACTOR)
    hashes[:-2] += two[2:]
    hashes *= FACTOR
    hashes[:-4] += points[4:]
    hashes ^= hashes >> np.uint32(16)
    hashes *= FACTOR
    hashes ^= hashes >> np.uint32(15)
    windows = width - SHINGLE + 1
    return hashes.reshape(len(keys), width)[:, :windows], np.arange(windows) < lengths[:, None]


def _levels(keys: pl.Series, lengths: IntArray, blocks: list[slice]) -> npt.NDArray[np.uint8]:
    """Tell how common the shingles of each bucket are: their count, in half octaves."""
    total = int(lengths.sum())
    bits = min(COUNT_BITS, max(8, total.bit_length()))
    counts, lock = np.zeros(1 << bits, np.uint32), Lock()

    def count(block: slice) -> None:
        some = slice(block.start, block.stop, -(-total // COUNTED))
        hashes, inside = _hashed(keys[some], lengths[some])
        with lock:
            np.add.at(counts, hashes[inside] >> np.uint32(32 - bits), np.uint32(1))

    _parallel(count, blocks)
    levels = np.minimum(2 * np.log2(np.maximum(counts, 1).astype(np.float32)), 30)
    return np.asarray(levels, dtype=np.uint8)


def _sets(
    keys: pl.Series, most: IntArray, blocks: list[slice], levels: npt.NDArray[np.uint8], threshold: float
) -> Sets:
    """Take the prefix of every key's shingle set, and draw its bitmap."""
    # Where shingles repeat, a set is smaller than its windows, and the prefix longer than it need be.
    prefix = np.floor((1 - threshold) * most + EPSILON).astype(np.int64) + 1
    starts = np.cumsum(prefix) - prefix
    # Unrelated sets differ in half of the bits: in far more than the elements in which most may differ.
    wanted = 6 * _apart(most[len(most) * 9 // 10], threshold)
    bits = 1 << min(max(int(wanted).bit_length(), 7), 12)
    least, bitmaps = np.empty_like(most), np.empty((bits // 64, len(most)), np.uint64)
    nothing = np.uint64(NOWHERE) << np.uint64(32) | np.uint64(len(most) << 1)
    entries = np.full(prefix.sum(), nothing)
    bucket = np.uint32(32 - (len(levels).bit_length() - 1))

    def take(block: slice) -> None:
        hashes, inside = _hashed(keys[block], most[block])
        order = levels.take(hashes >> bucket, mode="clip").astype(np.uint32) << np.uint32(HASH_BITS)
        order |= hashes >> np.uint32(32 - HASH_BITS)
        order[~inside] = NOWHERE
        order.sort(axis=1)
        new = order != NOWHERE
        new[:, 1:] &= order[:, 1:] != order[:, :-1]
        least[block] = new.sum(axis=1)
        # The first shared element stands before this place in the set that comes first by size.
        shared = np.ceil(2 * threshold / (1 + threshold) * least[block] - EPSILON).astype(np.int64)
        early = np.minimum(most[block] - shared + 1, prefix[block])
        end = int((prefix[block] + most[block] - least[block]).max())  # no prefix goes on beyond
        place = np.cumsum(new[:, :end], axis=1, dtype=np.int32)
        row, column = np.nonzero(new[:, :end] & (place <= prefix[block][:, None]))
        found = order[row, column].astype(np.uint64) << np.uint64(32)
        found |= (row + block.start << 1 | (place[row, column] <= early[row])).astype(np.uint64)
        entries[starts[block.start] : starts[block.start] + len(found)] = found
        odd = np.zeros(len(new) * bits, np.uint8)
        bit = (order & np.uint32(bits - 1)) + np.arange(0, len(odd), bits, dtype=np.uint32)[:, None]
        np.add.at(odd, bit.reshape(-1), new.reshape(-1).view(np.uint8))
        bitmaps[:, block] = np.packbits((odd & 1).reshape(-1, bits), axis=1).view(np.uint64).T

    _parallel(take, blocks)
    return Sets(least, most, bitmaps, entries)


def _apart(size: Any, threshold: float) -> Any:
    """Say in how many elements a set of some size may differ from a larger one, at most."""
    return (1 - threshold) / threshold * size + EPSILON


def _sorted(sets: Sets, order: IntArray) -> Sets:
    """Renumber sets, and sort the entries."""
    rank = np.empty(len(order) + 1, np.uint64)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)  # of entries that are none
    for start in range(0, len(sets.entries), BATCH):
        part = sets.entries[start : start + BATCH]
        owner = rank[((part & OWNER) >> np.uint64(1)).astype(np.int64)]
        part[:] = part & ~OWNER | owner << np.uint64(1) | part & np.uint64(1)
    sets.entries.sort()
    real = np.searchsorted(sets.entries, np.uint64(NOWHERE) << np.uint64(32))
    return Sets(sets.least[order], sets.most[order], sets.bitmaps[:, order], sets.entries[:real])


def _met(sets: Sets, threshold: float) -> IntArray:
    """Find the sets that share a shingle early enough, are of like size and have like bitmaps."""
    # How large a set may be, as a position, and in how many elements two may differ.
    largest = np.searchsorted(sets.least, sets.most / threshold + EPSILON, side="right")
    apart = _apart(sets.most, threshold).astype(np.int64)

    def meet(cut: slice) -> IntArray:
        entries = sets.entries[cut]
        owner = ((entries & OWNER) >> np.uint64(1)).astype(np.int64)
        limit, room = largest[owner], apart[owner]
        one, two = sets.bitmaps[0][owner], sets.bitmaps[1][owner]
        # An early entry meets those behind it: of the same shingle, and of sets that are not too large.
        same = entries[1:] ^ entries[:-1] <= OWNER
        early = entries[:-1] & np.uint64(1) == 1
        first = np.flatnonzero(same & early & (owner[1:] < limit[:-1]))
        last = np.searchsorted(
            entries, entries[first] & ~OWNER | limit[first].astype(np.uint64) << np.uint64(1)
        )
        found = []
        for part in _cuts(np.cumsum(last - first - 1)):
            left, many = first[part], last[part] - first[part] - 1
            right = np.arange(many.sum()) + np.repeat(left + 1 - np.cumsum(many) + many, many)
            differ = np.bitwise_count(np.repeat(one[left], many) ^ one[right])
            differ += np.bitwise_count(np.repeat(two[left], many) ^ two[right])
            near = np.flatnonzero(differ <= np.repeat(room[left], many))
            a, b = owner[np.repeat(left, many)[near]], owner[right[near]]
            spare = apart[a] - differ[near]
            for word in sets.bitmaps[2:]:
                spare -= np.bitwise_count(word[a] ^ word[b])
                a, b, spare = a[spare >= 0], b[spare >= 0], spare[spare >= 0]
            found.append(a << 32 | b)
        return _distinct(found)

    shingle = np.searchsorted(sets.entries, sets.entries[::BATCH] & ~OWNER)  # cut where one begins
    starts = np.unique(shingle)
    cuts = [slice(*ends) for ends in zip(starts, np.append(starts[1:], len(sets.entries)), strict=True)]
    return _pairs(_distinct(_parallel(meet, cuts)))


def _cuts(sums: IntArray) -> Iterator[slice]:
    """Cut items into parts of about BATCH, given the running sums of their sizes."""
    starts = np.unique(np.searchsorted(sums, np.arange(0, sums[-1] if len(sums) else 0, BATCH)))
    yield from map(slice, starts, np.append(starts[1:], len(sums)))


def _distinct(parts: list[IntArray]) -> IntArray:
    """Sort integers and keep each once; unlike numpy's own, as fast as its sort."""
    values = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return values[np.diff(values, prepend=-1) > 0]


def _pairs(packed: IntArray) -> IntArray:
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], axis=1)


def _parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Map a function over items in threads: numpy and polars let go of Python's lock."""
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        return list(pool.map(function, items))
