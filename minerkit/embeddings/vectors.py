"""Rows of embeddings that may lie on disk, larger than memory."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minerkit.errors import CacheError

__all__ = ["MAPPED", "Vectors"]

IntArray = npt.NDArray[np.integer[Any]]
#: Bytes up to which a table on disk is mapped by default. Of a larger one nobody knows how much is in memory:
#: for one row a system may map megabytes.
MAPPED = 1 << 30


class Vectors:
    """Rows of a table of embeddings, in any order; they are read when they are needed."""

    def __init__(
        self,
        table: "npt.NDArray[np.floating] | _MemoryTable | _FileTable",
        rows: IntArray,
        mapped: int = MAPPED,
    ) -> None:
        """Point at rows of a table.

        Args:
            table: float16 or float32 of shape (m, dim), memory-mapped or not.
            rows: Integers of shape (n,): the row of each vector.
            mapped: Bytes up to which a memory-mapped table stays mapped.
        """
        if isinstance(table, np.memmap) and table.nbytes > mapped:
            table = _FileTable(table)
        elif isinstance(table, np.ndarray):
            table = _MemoryTable(table)
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
        return self._table.dim

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """How the vectors are stored: float16 or float32."""
        return self._table.dtype

    @property
    def float16_bits(self) -> npt.NDArray[np.uint16] | None:
        """The bits of the float16 table whose rows `rows` names; None where the table is not in memory."""
        if isinstance(self._table, _MemoryTable) and self.dtype == np.float16:
            return self._table.table.view(np.uint16)
        return None

    def subset(self, positions: IntArray) -> "Vectors":
        """Return the vectors at some positions, without reading them.

        Args:
            positions: Integers of shape (m,).

        Returns:
            m vectors.
        """
        return Vectors(self._table, self.rows[positions])

    def take(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Read a run of vectors.

        Args:
            start: First position.
            stop: Position after the last.

        Returns:
            float32 of shape (stop - start, dim).
        """
        import torch

        # numpy takes several times as long for it.
        return torch.from_numpy(self._table.read(self.rows[start:stop])).float().numpy()

    def as_float64(self) -> npt.NDArray[np.float64]:
        """Read all vectors, few enough for memory, as float64 of shape (n, dim)."""
        return self._table.read(self.rows).astype(np.float64)

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
            self._table.read(self.rows[positions], part)
            return numbers[: len(positions)].copy_(torch.from_numpy(part)).numpy()

        return read

    def storage_order(self, positions: IntArray) -> IntArray | None:
        """Return the order in which vectors are read best.

        Args:
            positions: Integers of shape (n,).

        Returns:
            Integers of shape (n,): places in `positions`; None where any order is as good.
        """
        return np.argsort(self.rows[positions]) if self._table.large else None

    def release(self) -> None:
        """Return the memory of a mapped table to the system; its rows will not be read again soon."""
        self._table.release()


class _MemoryTable:
    """A table in memory, or mapped, so that what was read of it stays in memory."""

    large = False

    def __init__(self, table: npt.NDArray[np.floating]) -> None:
        self.dim, self.dtype, self.table = int(table.shape[1]), table.dtype, np.asarray(table)
        self._map = getattr(table, "_mmap", None)

    def read(self, rows: IntArray, out: npt.NDArray[np.floating] | None = None) -> npt.NDArray[np.floating]:
        # Where rows are checked, numpy does not use `out`.
        return np.take(self.table, rows, axis=0, out=out, mode="raise" if out is None else "clip")

    def release(self) -> None:
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)


class _FileTable:
    """A table in a file: rows are read when they are needed, and none stays in memory."""

    large = True

    def __init__(self, table: "np.memmap[Any, np.dtype[np.floating]]") -> None:
        self.dim, self.dtype, self._count = int(table.shape[1]), table.dtype, len(table)
        self._stream, self._start = Path(str(table.filename)).open("rb"), table.offset  # noqa: SIM115

    def read(self, rows: IntArray, out: npt.NDArray[np.floating] | None = None) -> npt.NDArray[np.floating]:
        from minerkit.embeddings.row_reader import SPACE, read_rows  # this loads numba

        if len(rows) and not 0 <= rows.min() <= rows.max() < self._count:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a table of {self._count}")
        found = np.empty((len(rows), self.dim), self.dtype) if out is None else out
        width = self.dim * self.dtype.itemsize
        into, space = found.view(np.uint8).reshape(-1), np.empty(SPACE, np.uint8)
        if not read_rows(self._stream.fileno(), self._start, rows.astype(np.int64), width, into, space):
            raise CacheError(f"{self._stream.name}: cannot be read; run the same command again to mend it")
        return found

    def release(self) -> None:
        """Do nothing: nothing is held."""
