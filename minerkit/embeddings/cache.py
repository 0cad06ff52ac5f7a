"""Embeddings on disk: one folder an encoder fingerprint, each text encoded once.

Texts are known by 128-bit hashes. What is missing is encoded longest first, in shards; a shard that is on the
disk is never encoded again.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from filelock import FileLock, Timeout

from minerkit.embeddings.batching import split_runs
from minerkit.embeddings.store import Table, disk_errors_explained
from minerkit.embeddings.vectors import MAPPED, Vectors
from minerkit.runtime import cache_folder
from minerkit.text import Texts

__all__ = ["EmbeddingCache"]

Progress = Callable[[int], object]
Encode = Callable[[Sequence[str], Progress], npt.NDArray[np.float32]]
#: The most texts of a shard, the least and the most bytes of text, and the share of all there is to encode:
#: little is lost when a run dies, and there are few shards.
SHARD, LEAST_BYTES, MOST_BYTES, SHARE = 8192, 128 << 10, 4 << 20, 64
#: Texts that are hashed at a time.
HASHED = 1 << 16
#: Seconds after which a run says that it waits for another.
PATIENCE = 1.0
#: A text's 128-bit hash.
KEYS = {"hi": pl.UInt64, "lo": pl.UInt64}


class EmbeddingCache:
    """The embeddings of one encoder, by text."""

    def __init__(self, fingerprint: str, dtype: str = "float16", root: Path | None = None) -> None:
        """Name the cache of an encoder; nothing is created.

        Args:
            fingerprint: What identifies the encoder and the dtype: another fingerprint never shares a row.
            dtype: How values are stored: float16 or float32.
            root: The cache's root folder; default `cache_folder()`.
        """
        self.folder = (root or cache_folder()) / "embeddings" / fingerprint
        self._dtype = dtype

    def embed(
        self,
        texts: Texts,
        encode: Encode,
        progress: Progress = id,
        say: Callable[[str], object] = id,
        mapped: int = MAPPED,
    ) -> Vectors:
        """Look up the embeddings of texts; encode and store those that are missing.

        Args:
            texts: n strings.
            encode: Gives float32 of shape (m, dim) for m texts, and calls its second argument with the number
                of texts done, each time some are.
            progress: Called with the number of texts done, each time some are.
            say: Called with a line for the user: that another run is waited for, or that a part is damaged.
            mapped: Bytes up to which the table that holds the vectors is mapped.

        Returns:
            n vectors, in the order of the texts.

        Raises:
            EncoderError: The encoder gave embeddings of another shape, or values that cannot be stored.
            CacheError: The disk is full or cannot be used; what is stored is kept.
        """
        with self._exclusive(say):
            table = Table(self.folder, self._dtype)
            if table.damaged:
                say(f"{self.folder}: damaged in {table.damaged:,} places; the texts there are encoded again")
            rows, sizes, unknown = _look_up(texts, table)
            missing = np.flatnonzero(rows < 0)
            new = _first_occurrences(unknown)
            progress(len(texts) - len(new))
            # Texts of like length are encoded together, longest first: a lack of memory shows at once.
            lengths = sizes[missing[new]]
            order = np.argsort(-lengths.astype(np.int64), kind="stable")
            # By what there is, not by what is missing: a run that goes on cuts the same shards, and so feeds
            # the encoder the same batches.
            size = min(MOST_BYTES, max(LEAST_BYTES, int(sizes.sum(dtype=np.int64)) // SHARE))
            for run_of_texts in split_runs(lengths[order], SHARD, size):
                shard = new[order[run_of_texts]]
                vectors = encode(texts.gather(missing[shard]).to_list(), progress)
                table.append(unknown[shard], vectors)
        rows[missing] = KeyIndex(table).rows(unknown)
        return Vectors(table.mapped(), rows, mapped)

    @contextmanager
    def _exclusive(self, say: Callable[[str], object]) -> Iterator[None]:
        """Hold the lock of the cache; a process that waited finds what the other one has stored."""
        with disk_errors_explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                say(f"{self.folder}: another minerkit encodes with the same encoder; waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


class KeyIndex:
    """The keys of a table, sorted, to find rows by."""

    def __init__(self, table: Table) -> None:
        """Sort the keys of a table."""
        self._keys, self._places = table.keys, table.places
        self._order = np.argsort(self._keys[:, 1])
        self._low = self._keys[self._order, 1]

    def rows(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Find rows.

        Args:
            keys: uint64 of shape (n, 2).

        Returns:
            int32 of shape (n,): the row of each key, -1 where there is none.
        """
        found = np.full(len(keys), -1, np.int32)
        at, left = np.searchsorted(self._low, keys[:, 1]), np.arange(len(keys))
        while len(left):  # once, but for keys that are half the same
            left = left[at[left] < len(self._low)]
            left = left[self._low[at[left]] == keys[left, 1]]
            place = self._order[at[left]]
            same = self._keys[place, 0] == keys[left, 0]
            found[left[same]] = self._places[place[same]]
            left = left[~same]
            at[left] += 1
        return found


def _look_up(
    texts: Texts, table: Table
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32], npt.NDArray[np.uint64]]:
    """Return the row of each text, -1 where there is none; its size in bytes; and the keys without a row."""
    known = KeyIndex(table)
    rows, sizes, unknown = [np.empty(0, np.int32)], [np.empty(0, np.uint32)], [np.empty((0, 2), np.uint64)]
    for start in range(0, len(texts), HASHED):
        part = texts.slice(start, HASHED)
        keys = _keys(part)
        rows.append(known.rows(keys))
        sizes.append(part.str.len_bytes().to_numpy())
        unknown.append(keys[rows[-1] < 0])
    return np.concatenate(rows), np.concatenate(sizes), np.concatenate(unknown)


def _first_occurrences(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the positions of the first occurrence of each key, ascending."""
    frame = pl.DataFrame(keys, schema=KEYS, orient="row")
    return (
        frame.select(pl.struct("hi", "lo").is_first_distinct().arg_true())
        .to_series()
        .to_numpy()
        .astype(np.int64)
    )


def _keys(texts: pl.Series) -> npt.NDArray[np.uint64]:
    """Hash texts to 128 bits (BLAKE2b): uint64 of shape (n, 2)."""
    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts.to_list())
    return np.frombuffer(raw, np.uint64).reshape(-1, 2)
