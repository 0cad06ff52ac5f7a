"""Embeddings on disk: one folder an encoder fingerprint, append-only shards, each text encoded once.

A shard is two files, `<number>.rows.npy` (float32, one row a text) and `<number>.keys.npy` (128-bit text
hashes as two uint64). The keys are renamed into place last: a shard without keys does not exist.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
import polars as pl
from filelock import FileLock

from minerkit.errors import EncoderError
from minerkit.files import replacing

__all__ = ["EmbeddingCache", "Vectors", "cache_folder"]

Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
#: Texts a shard: small enough that little is lost when a run dies, large enough for few files.
SHARD = 8192
#: Texts after which progress is told: a CPU may need half a minute for them, and minutes for a shard.
STEP = 1024
#: A text's 128-bit hash.
KEYS = {"hi": pl.UInt64, "lo": pl.UInt64}


def cache_folder() -> Path:
    """Find the folder that holds embeddings and trained encoders, shared by all runs.

    Returns:
        `MINERKIT_CACHE`, or the platform's cache folder for minerkit.
    """
    return Path(os.environ.get("MINERKIT_CACHE") or platformdirs.user_cache_dir("minerkit"))


class Vectors:
    """Rows of embeddings that may lie on disk: `len`, `dim`, and `take` for some rows as an array."""

    def __init__(self, blocks: Sequence[npt.NDArray[np.float32]], places: npt.NDArray[np.int64]) -> None:
        """Point at rows of blocks.

        Args:
            blocks: float32 arrays of shape (n_i, dim), memory-mapped or not.
            places: int64 of shape (n, 2): block and row of each vector.
        """
        self._blocks, self._places = blocks, places
        self.dim = blocks[0].shape[1] if blocks else 0

    @classmethod
    def of(cls, array: npt.NDArray[np.float32]) -> "Vectors":
        """Wrap an array of shape (n, dim)."""
        rows = np.arange(len(array))
        return cls([array], np.stack([np.zeros_like(rows), rows], axis=1))

    def __len__(self) -> int:
        return len(self._places)

    def subset(self, rows: npt.NDArray[np.int64]) -> "Vectors":
        """Give the vectors at some positions, without reading them.

        Args:
            rows: int64 of shape (m,).

        Returns:
            m vectors.
        """
        return Vectors(self._blocks, self._places[rows])

    def take(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read a run of vectors.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            float32 of shape (stop - start, dim).
        """
        places = self._places[start:stop]
        out = np.empty((len(places), self.dim), np.float32)
        for block in np.unique(places[:, 0]):
            mine = places[:, 0] == block
            out[mine] = self._blocks[block][places[mine, 1]]
        return out


class EmbeddingCache:
    """The embeddings of one encoder, by text."""

    def __init__(self, fingerprint: str, root: Path | None = None) -> None:
        """Open (or start) the cache of an encoder.

        Args:
            fingerprint: What identifies the encoder: another fingerprint never shares a row.
            root: The cache's root folder; default `cache_folder()`.
        """
        self.folder = (root or cache_folder()) / "embeddings" / fingerprint
        self.folder.mkdir(parents=True, exist_ok=True)

    def embed(self, texts: pl.Series, encode: Encode, progress: Callable[[int], object] = id) -> Vectors:
        """Look up the embeddings of texts; encode and store those that are missing.

        Args:
            texts: n strings.
            encode: Gives float32 of shape (m, dim) for m texts.
            progress: Called with the number of texts done, each time some are.

        Returns:
            n vectors, in the order of the texts.

        Raises:
            EncoderError: The encoder gave embeddings of another shape, or values that are not finite.
        """
        wanted = _keys(texts)
        # Another process may fill the same cache: it waits here, then finds what this one has stored.
        with FileLock(self.folder / ".lock"):
            stored = self._stored()
            distinct = wanted.with_row_index("position").unique(
                ["hi", "lo"], keep="first", maintain_order=True
            )
            new = distinct.join(stored, on=["hi", "lo"], how="anti", maintain_order="left")
            missing = new["position"].to_numpy()
            progress(len(texts) - len(missing))
            lengths = texts.gather(missing).str.len_bytes().to_numpy()
            # Texts of like length share a batch, longest first, so that a lack of memory shows at once.
            missing = missing[np.argsort(-lengths.astype(np.int64), kind="stable")]
            for start in range(0, len(missing), SHARD):
                shard, rows = missing[start : start + SHARD], []
                for step in range(0, len(shard), STEP):
                    part = shard[step : step + STEP]
                    rows.append(encode(texts.gather(part).to_list()))
                    progress(len(part))
                self._append(wanted[shard], np.concatenate(rows))
            stored = self._stored() if len(missing) else stored
        blocks = [np.load(file, mmap_mode="r") for file in self._shards("rows")]
        places = wanted.join(stored, on=["hi", "lo"], how="left", maintain_order="left")
        return Vectors(blocks, places.select("block", "row").to_numpy().astype(np.int64))

    def _shards(self, kind: str) -> list[Path]:
        keys = sorted(self.folder.glob("*.keys.npy"))
        return (
            keys if kind == "keys" else [key.with_name(key.name.replace(".keys.", ".rows.")) for key in keys]
        )

    def _stored(self) -> pl.DataFrame:
        frames = [
            pl.DataFrame(np.load(file), schema=KEYS, orient="row").with_columns(
                block=pl.lit(number, dtype=pl.Int64), row=pl.int_range(pl.len(), dtype=pl.Int64)
            )
            for number, file in enumerate(self._shards("keys"))
        ]
        return pl.concat([pl.DataFrame(schema={**KEYS, "block": pl.Int64, "row": pl.Int64}), *frames])

    def _append(self, keys: pl.DataFrame, rows: npt.NDArray[np.float32]) -> None:
        before = self._shards("rows")
        dim = np.load(before[0], mmap_mode="r").shape[1] if before else rows.shape[-1]
        if rows.shape != (len(keys), dim):
            raise EncoderError(
                f"the encoder gave shape {rows.shape} for {len(keys)} texts; expected {dim} columns"
            )
        if not np.isfinite(rows).all():
            raise EncoderError(
                "the encoder gave values that are not finite; load it in float32, or try another"
            )
        number = f"{len(before):06d}"
        with replacing(self.folder / f"{number}.rows.npy") as stream:
            np.save(stream, rows.astype(np.float32))
        with replacing(self.folder / f"{number}.keys.npy") as stream:
            np.save(stream, keys.select("hi", "lo").to_numpy())


def _keys(texts: pl.Series) -> pl.DataFrame:
    """Hash texts to 128 bits (BLAKE2b), as two uint64 columns hi and lo."""
    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return pl.DataFrame(np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2), schema=KEYS, orient="row")
