"""One growing file of rows on disk, and a small file beside it for every shard of rows that is whole.

A shard's marker holds its first row, its keys and the SHA-256 of its rows, after its own SHA-256. It is
written when the rows have reached the disk, so what lies in the table behind the last marker is the rest of a
crash, and the next shard overwrites it.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minerkit.errors import CacheError, EncoderError
from minerkit.runtime import thread_map
from minerkit.storage import atomic_write, remove_stale_parts

__all__ = ["KEYS", "Table", "disk_errors_explained"]

#: A row's key: two uint64.
KEYS = np.dtype("<u8")
#: First row, dimensions and SHA-256 of the rows; the keys follow.
HEADER = struct.Struct("<QQ32s")
DIGEST = hashlib.sha256().digest_size
#: Bytes read at a time: the rows are verified without ever being in memory together.
BLOCK = 1 << 20


@contextmanager
def disk_errors_explained(folder: Path) -> Iterator[None]:
    """Turn a full or unusable disk into one line that says what to do.

    Args:
        folder: The folder that is read or written.

    Yields:
        Nothing.

    Raises:
        CacheError: The system refused.
    """
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{folder}: the cache cannot be used ({error.strerror or error}); free some space, or set "
            "MINERKIT_CACHE to another folder, then run the same command: what is encoded is kept"
        ) from error


@dataclass(frozen=True)
class Shard:
    """Some rows of the table that are whole."""

    marker: Path
    first: int
    dim: int
    digest: bytes
    keys: npt.NDArray[np.uint64]

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.first + len(self.keys)


class Table:
    """Rows of equal width with their keys: read, verified and appended to."""

    def __init__(self, folder: Path, dtype: str) -> None:
        """Open the table of a folder, and leave out what is damaged in it.

        Args:
            folder: An existing folder that nobody else writes to meanwhile.
            dtype: How values are stored: float16 or float32.

        Raises:
            CacheError: The folder cannot be read or written.
        """
        self.folder, self.dtype = folder, np.dtype(dtype)
        self._file = folder / "rows.bin"
        with disk_errors_explained(folder):
            remove_stale_parts(folder)
            markers = sorted(folder.glob("*.shard"))
            verified = thread_map(self._verified, markers)
            # A marker must be gone before its rows are overwritten.
            for marker, shard in zip(markers, verified, strict=True):
                if shard is None:
                    marker.unlink()
        self._shards = [shard for shard in verified if shard is not None]
        #: How many shards were left out.
        self.damaged = len(markers) - len(self._shards)

    @property
    def stop(self) -> int:
        """The row after the last that is whole."""
        return max((shard.stop for shard in self._shards), default=0)

    @property
    def keys(self) -> npt.NDArray[np.uint64]:
        """The keys of all rows: uint64 of shape (n, 2)."""
        return np.concatenate([np.empty((0, 2), KEYS), *(shard.keys for shard in self._shards)])

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Where each key's row is in the table: int64 of shape (n,)."""
        ranges = [np.arange(shard.first, shard.stop) for shard in self._shards]
        return np.concatenate([np.empty(0, np.int64), *ranges])

    def mapped(self) -> npt.NDArray[np.floating]:
        """Map the table.

        Returns:
            float16 or float32 of shape (stop, dim), read from disk where it is used.
        """
        if not self._shards:
            return np.empty((0, 0), self.dtype)
        return np.memmap(self._file, self.dtype, "r", shape=(self.stop, self._shards[0].dim))

    def append(self, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.floating]) -> None:
        """Add a shard; when this returns, it is on the disk.

        Args:
            keys: uint64 of shape (n, 2).
            rows: Numbers of shape (n, dim), stored as the table's dtype.

        Raises:
            EncoderError: The rows have another shape, or hold values the table's dtype cannot.
            CacheError: The disk is full or cannot be written; all earlier shards are kept.
        """
        packed = self._checked(rows, len(keys))
        first, data = self.stop, packed.tobytes()
        shard = Shard(
            self.folder / f"{first:012d}.shard", first, packed.shape[1], hashlib.sha256(data).digest(), keys
        )
        with disk_errors_explained(self.folder):
            self._file.touch()
            with self._file.open("r+b") as stream:
                stream.seek(first * packed.shape[1] * self.dtype.itemsize)
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            payload = HEADER.pack(shard.first, shard.dim, shard.digest) + keys.astype(KEYS).tobytes()
            with atomic_write(shard.marker) as stream:
                stream.write(hashlib.sha256(payload).digest() + payload)
        self._shards.append(shard)

    def _checked(self, rows: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.floating]:
        dim = self._shards[0].dim if self._shards else rows.shape[-1]
        if rows.shape != (count, dim):
            raise EncoderError(
                f"the encoder gave shape {rows.shape} for {count} texts; expected {dim} columns"
            )
        if not np.isfinite(rows).all():
            raise EncoderError(
                "the encoder gave values that are not finite; load it in float32, or try another"
            )
        if np.abs(rows).max(initial=0) > np.finfo(self.dtype).max:
            raise EncoderError(
                f"the encoder gave values that {self.dtype} cannot hold; set encoder.dtype=float32"
            )
        return np.ascontiguousarray(rows, self.dtype)

    def _verified(self, marker: Path) -> Shard | None:
        """Read a marker; None where it, or what it stands for, is not as it was written."""
        raw = marker.read_bytes()
        payload = raw[DIGEST:]
        if hashlib.sha256(payload).digest() != raw[:DIGEST] or len(payload) < HEADER.size:
            return None
        first, dim, digest = HEADER.unpack_from(payload)
        keys = np.frombuffer(payload, KEYS, offset=HEADER.size).reshape(-1, 2)
        row = dim * self.dtype.itemsize
        found = _sha256(self._file, first * row, len(keys) * row)
        return Shard(marker, first, dim, digest, keys) if found == digest else None


def _sha256(file: Path, start: int, size: int) -> bytes | None:
    """Hash a part of a file; None where it ends before."""
    if not file.is_file():
        return None
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        stream.seek(start)
        while size and (block := stream.read(min(size, BLOCK))):
            digest.update(block)
            size -= len(block)
    return None if size else digest.digest()
