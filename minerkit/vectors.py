"""Rows of embeddings that may lie on disk, larger than memory."""

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RESIDENT", "Vectors"]

IntArray = npt.NDArray[np.integer[Any]]
#: Bytes of a mapped table that may be in memory at a time, unless told otherwise.
RESIDENT = 1 << 30
#: Bytes that the system maps where one row of a mapped table is read.
WINDOW = 64 << 10


class Vectors:
    """Some rows of a table of embeddings, in an order of their own; nothing is read until it is asked for."""

    def __init__(
        self, table: "npt.NDArray[np.floating] | _Pages", rows: IntArray, resident: int = RESIDENT
    ) -> None:
        """Point at rows of a table.

        Args:
            table: float16 or float32 of shape (m, dim), memory-mapped or not.
            rows: Integers of shape (n,): the row of each vector.
            resident: Bytes of a mapped table that may be in memory at a time.
        """
        self._pages, self.rows = table if isinstance(table, _Pages) else _Pages(table, resident), rows

    @classmethod
    def of(cls, array: npt.NDArray[np.floating]) -> "Vectors":
        """Wrap an array of shape (n, dim)."""
        return cls(array, np.arange(len(array)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self._pages.table.shape[1])

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """How the vectors are stored: float16 or float32."""
        return np.dtype(self._pages.table.dtype)

    def subset(self, positions: IntArray) -> "Vectors":
        """Give the vectors at some positions, without reading them.

        Args:
            positions: Integers of shape (m,).

        Returns:
            m vectors.
        """
        return Vectors(self._pages, self.rows[positions])

    def gather(self, positions: IntArray) -> npt.NDArray[np.floating]:
        """Read the vectors at some positions, as they are stored.

        Args:
            positions: Integers of shape (m,).

        Returns:
            float16 or float32 of shape (m, dim).
        """
        return self._pages.read(self.rows[positions])

    def take(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read a run of vectors.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            float32 of shape (stop - start, dim).
        """
        return self._pages.read(self.rows[start:stop]).astype(np.float32)

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
            self._pages.read(self.rows[positions], part)
            return numbers[: len(positions)].copy_(torch.from_numpy(part)).numpy()

        return read

    def as_stored(self, positions: IntArray) -> IntArray | None:
        """Give the order in which vectors are read best.

        Args:
            positions: Integers of shape (n,).

        Returns:
            Integers of shape (n,): places in `positions`; None where any order is as good.
        """
        return np.argsort(self.rows[positions]) if self._pages.large else None

    def release(self) -> None:
        """Let the system take the memory of a mapped table back: what is in it is not read again soon."""
        self._pages.release()


class _Pages:
    """A table, and an account of what is in memory of it: a mapped one gives its pages back now and then."""

    def __init__(self, table: npt.NDArray[np.floating], resident: int) -> None:
        self.table, self._map = np.asarray(table), getattr(table, "_mmap", None)
        self.large = self._map is not None and table.nbytes > resident
        self._width, self._most = max(1, table.nbytes // max(1, len(table))), resident // WINDOW
        self._mapped = np.zeros(table.nbytes // WINDOW + 1 if self.large else 0, np.bool_)

    def read(self, rows: IntArray, out: npt.NDArray[np.floating] | None = None) -> npt.NDArray[np.floating]:
        # Where rows are checked, numpy does not use `out`.
        found = np.take(self.table, rows, axis=0, out=out, mode="raise" if out is None else "clip")
        if self.large:
            self._mapped[rows * self._width // WINDOW] = True
            if np.count_nonzero(self._mapped) > self._most:
                self.release()
        return found

    def release(self) -> None:
        self._mapped[:] = False
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
