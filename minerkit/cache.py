"""Embeddings on disk: one folder an encoder fingerprint, each text encoded once.

Texts are known by 128-bit hashes. What is missing is encoded longest first, in shards; a shard that is on the
disk is never encoded again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
import polars as pl
from filelock import FileLock, Timeout

from minerkit.batches import pieces
from minerkit.table import Table, usable
from minerkit.vectors import RESIDENT, Vectors

__all__ = ["EmbeddingCache", "cache_folder"]

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


def cache_folder() -> Path:
    """Find the folder that holds embeddings and trained encoders, shared by all runs.

    Returns:
        `MINERKIT_CACHE`, or the platform's cache folder for minerkit.
    """
    return Path(os.environ.get("MINERKIT_CACHE") or platformdirs.user_cache_dir("minerkit"))


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
        texts: pl.Series,
        encode: Encode,
        progress: Progress = id,
        say: Callable[[str], object] = id,
        resident: int = RESIDENT,
    ) -> Vectors:
        """Look up the embeddings of texts; encode and store those that are missing.

        Args:
            texts: n strings.
            encode: Gives float32 of shape (m, dim) for m texts, and calls its second argument with the number
                of texts done, each time some are.
            progress: Called with the number of texts done, each time some are.
            say: Called with a line for the user: that another run is waited for, or that a part is damaged.
            resident: Bytes of the vectors that may be in memory at a time.

        Returns:
            n vectors, in the order of the texts.

        Raises:
            EncoderError: The encoder gave embeddings of another shape, or values that cannot be stored.
            CacheError: The disk is full or cannot be used; what is stored is kept.
        """
        wanted = _keys(texts)
        with self._alone(say):
            table = Table(self.folder, self._dtype)
            if table.damaged:
                say(f"{self.folder}: damaged in {table.damaged:,} places; the texts there are encoded again")
            distinct = wanted.with_row_index("position").unique(
                ["hi", "lo"], keep="first", maintain_order=True
            )
            new = distinct.join(_stored(table), on=["hi", "lo"], how="anti", maintain_order="left")
            missing = new["position"].to_numpy()
            progress(len(texts) - len(missing))
            sizes = texts.str.len_bytes().to_numpy()
            lengths = sizes[missing]
            # Texts of like length are encoded together, longest first: a lack of memory shows at once.
            order = np.argsort(-lengths.astype(np.int64), kind="stable")
            # By what there is, not by what is missing: a run that goes on cuts the same shards, and so feeds
            # the encoder the same batches.
            size = min(MOST_BYTES, max(LEAST_BYTES, int(sizes.sum(dtype=np.int64)) // SHARE))
            for piece in pieces(lengths[order], SHARD, size):
                shard = missing[order[piece]]
                rows = encode(texts.gather(shard).to_list(), progress)
                table.append(wanted[shard].to_numpy(), rows)
        places = wanted.join(_stored(table), on=["hi", "lo"], how="left", maintain_order="left")
        return Vectors(table.mapped(), places["row"].to_numpy(), resident)

    @contextmanager
    def _alone(self, say: Callable[[str], object]) -> Iterator[None]:
        """Keep the cache for this process; one that has to wait then finds what the other has stored."""
        with usable(self.folder):
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


def _stored(table: Table) -> pl.DataFrame:
    return pl.DataFrame(table.keys, schema=KEYS, orient="row").with_columns(row=pl.Series(table.places))


def _keys(texts: pl.Series) -> pl.DataFrame:
    """Hash texts to 128 bits (BLAKE2b), as two uint64 columns hi and lo."""
    found = np.empty((len(texts), 2), np.uint64)
    for start in range(0, len(texts), HASHED):
        some = texts.slice(start, HASHED).to_list()
        raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in some)
        found[start : start + HASHED] = np.frombuffer(raw, np.uint64).reshape(-1, 2)
    return pl.DataFrame(found, schema=KEYS, orient="row")
