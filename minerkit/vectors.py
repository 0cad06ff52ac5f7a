"""Rows of embeddings that may lie on disk, larger than memory."""

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Vectors"]

IntArray = npt.NDArray[np.integer[Any]]


class Vectors:
    """Some rows of a table of embeddings, in an order of their own; nothing is read until it is asked for."""

    def __init__(self, table: npt.NDArray[np.floating], rows: IntArray) -> None:
        """Point at rows of a table.

        Args:
            table: float16 or float32 of shape (m, dim), memory-mapped or not.
            rows: Integers of shape (n,): the row of each vector.
        """
        self._mapped, self.rows = table, rows
        self._table = np.asarray(table)

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
        return np.dtype(self._table.dtype)

    def subset(self, positions: IntArray) -> "Vectors":
        """Give the vectors at some positions, without reading them.

        Args:
            positions: Integers of shape (m,).

        Returns:
            m vectors.
        """
        return Vectors(self._mapped, self.rows[positions])

    def gather(self, positions: IntArray) -> npt.NDArray[np.floating]:
        """Read the vectors at some positions, as they are stored.

        Args:
            positions: Integers of shape (m,).

        Returns:
            float16 or float32 of shape (m, dim).
        """
        return np.take(self._table, self.rows[positions], axis=0)

    def take(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read a run of vectors.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            float32 of shape (stop - start, dim).
        """
        return np.take(self._table, self.rows[start:stop], axis=0).astype(np.float32)

    def reader(self, most: int) -> Callable[[IntArray], npt.NDArray[np.float32]]:
        """Make a function that reads vectors again and again into the same memory.

        Args:
            most: The most vectors it will read at a time.

        Returns:
            A function from positions, integers of shape (n,), to float32 of shape (n, dim), which is
            overwritten by the next call. (Fresh memory takes longer to get than the numbers to convert.)
        """
        import torch

        stored = np.empty((most, self.dim), self.dtype)
        numbers = torch.empty((most, self.dim), dtype=torch.float32)

        def read(positions: IntArray) -> npt.NDArray[np.float32]:
            part = stored[: len(positions)]
            np.take(self._table, self.rows[positions], axis=0, out=part, mode="clip")
            return numbers[: len(positions)].copy_(torch.from_numpy(part)).numpy()

        return read

    def release(self) -> None:
        """Let the system take back the memory of mapped rows, until they are asked for again."""
        mapped = getattr(self._mapped, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)
