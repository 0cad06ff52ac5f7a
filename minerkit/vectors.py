"""Rows of embeddings that may lie on disk, larger than memory."""

import mmap

import numpy as np
import numpy.typing as npt

__all__ = ["Vectors"]

IntArray = npt.NDArray[np.int64]


class Vectors:
    """Some rows of a table of embeddings, in an order of their own; nothing is read until it is asked for."""

    def __init__(self, table: npt.NDArray[np.floating], rows: IntArray) -> None:
        """Point at rows of a table.

        Args:
            table: float16 or float32 of shape (m, dim), memory-mapped or not.
            rows: int64 of shape (n,): the row of each vector.
        """
        self._table, self.rows = table, rows

    @classmethod
    def of(cls, array: npt.NDArray[np.floating]) -> "Vectors":
        """Wrap an array of shape (n, dim)."""
        return cls(array, np.arange(len(array)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self._table.shape[1])

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """How the vectors are stored: float16 or float32."""
        return self._table.dtype

    def subset(self, positions: IntArray) -> "Vectors":
        """Give the vectors at some positions, without reading them.

        Args:
            positions: int64 of shape (m,).

        Returns:
            m vectors.
        """
        return Vectors(self._table, self.rows[positions])

    def gather(self, positions: IntArray) -> npt.NDArray[np.floating]:
        """Read the vectors at some positions, as they are stored.

        Args:
            positions: int64 of shape (m,).

        Returns:
            float16 or float32 of shape (m, dim).
        """
        return np.asarray(self._table)[self.rows[positions]]

    def take(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read a run of vectors.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            float32 of shape (stop - start, dim).
        """
        return np.asarray(self._table)[self.rows[start:stop]].astype(np.float32)

    def release(self) -> None:
        """Let the system take back the memory of mapped rows; they are read from disk again when needed."""
        mapped = getattr(self._table, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)
