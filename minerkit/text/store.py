"""Columns of texts, read by position: few are in memory, many in a file of their own."""

import itertools
import os
import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Texts", "store_texts"]

IntArray = npt.NDArray[np.integer[Any]]


class Texts(Protocol):
    """A column of n texts; a polars series is one."""

    def __len__(self) -> int:
        """Return n."""
        ...

    def slice(self, offset: int, length: int, /) -> pl.Series:
        """Read a run of texts, fewer where there are no more."""
        ...

    def gather(self, indices: Any, /) -> pl.Series:
        """Read the texts at some positions, integers of shape (m,)."""
        ...


def store_texts(columns: Iterable[pl.Series], memory: int, folder: Path) -> Texts:
    """Keep texts to be read by position.

    Args:
        columns: Strings, in parts.
        memory: Bytes of text up to which all of them are in memory.
        folder: Where more go, to a file that is gone when nobody holds it any more.

    Returns:
        The texts.

    Raises:
        OSError: The disk is full.
    """
    held, size, left = [pl.Series("text", [], pl.String)], 0, iter(columns)
    for column in left:
        held.append(column.alias("text"))
        size += int(column.str.len_bytes().sum())
        if size > memory:
            return _FileTable(chain(held, left), folder)
    return pl.concat(held)


class _FileTable:
    """Texts in a file, one after the other."""

    def __init__(self, columns: Iterable[pl.Series], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        sizes = [np.empty(0, np.uint32)]
        for column in columns:
            sizes.append(column.str.len_bytes().to_numpy())
            self._stream.write(column.str.join("").item().encode())
        self._stream.flush()
        self._starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes), dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def slice(self, offset: int, length: int, /) -> pl.Series:
        last = min(offset + length, len(self))
        edges = self._starts[min(offset, last) : last + 1]
        first = int(edges[0])
        content = os.pread(self._stream.fileno(), int(edges[-1]) - first, first)
        found = [content[a:b].decode() for a, b in itertools.pairwise((edges - first).tolist())]
        return pl.Series("text", found, pl.String)

    def gather(self, indices: IntArray, /) -> pl.Series:
        starts, ends = self._starts[indices], self._starts[np.asarray(indices) + 1]
        file = self._stream.fileno()
        found = [
            os.pread(file, end - start, start).decode()
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        return pl.Series("text", found, pl.String)
