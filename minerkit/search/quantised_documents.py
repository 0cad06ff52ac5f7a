"""Documents quantised once and scanned many times, chunk by chunk: few in memory, many in a file."""

import copy
import itertools
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minerkit.embeddings import Vectors
from minerkit.errors import CacheError
from minerkit.runtime import cache_folder, torch_map
from minerkit.search.quantise import Codes, ScanFormat, encode

if TYPE_CHECKING:
    import torch

__all__ = ["Chunk", "QuantisedDocuments"]

#: Documents of a chunk, the unit of reading; and of a tile, the unit of scanning, on a CPU and on a GPU.
CHUNK, TILE, GPU_TILE = 32768, 4096, 16384
#: Neighbouring documents that are read at once.
RUN = 64
SEED = 12
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Chunk:
    """Quantised documents: some tiles, from number `first` on, each with a scale of its own."""

    first: int
    bounds: IntArray
    matrix: "torch.Tensor"
    scales: npt.NDArray[np.float32]

    def tiles(self) -> Iterator[tuple[int, int, "torch.Tensor", float]]:
        """Yield the number, the first column, the matrix and the scale of each tile."""
        for at, scale in enumerate(self.scales):
            start, stop = (int(edge - self.bounds[0]) for edge in self.bounds[at : at + 2])
            yield self.first + at, int(self.bounds[at]), self.matrix[start:stop], float(scale)


class QuantisedDocuments:
    """Documents in the order in which they are scanned: `order` maps columns to positions."""

    def __init__(
        self, documents: Vectors, format: ScanFormat, memory: int, order: IntArray, bounds: IntArray
    ) -> None:
        """Quantise documents.

        Args:
            documents: n vectors.
            format: The format in which they will be multiplied.
            memory: Bytes of codes up to which all stay in memory; more go to a file.
            order: int32 of shape (n,): the position of each column.
            bounds: Integers: the column at which each tile starts, and n.
        """
        import torch

        self.format, self._documents = format, documents
        self._held: list[torch.Tensor] = []
        self._file: IO[bytes] | None = None
        #: In float32 nothing is gained by keeping codes: documents are read again as they are scanned.
        self._kept = format.name != "float32"
        if self._kept and documents.dim * len(documents) * getattr(torch, format.name).itemsize > memory:
            cache_folder().mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=cache_folder())  # noqa: SIM115
        self._set_order(order, bounds)
        #: Lengths of the longest document and of the shortest that is not zero, and the largest scale.
        self.longest, self.shortest, self.scale = 0.0, math.inf, 0.0
        codes = torch_map(self._coded, range(len(bounds) - 1), format.device)
        for chunk in self._chunks:
            self._add(chunk, list(itertools.islice(codes, len(chunk))))
        if self._file is not None:
            self._file.flush()

    def _set_order(self, order: IntArray, bounds: IntArray) -> None:
        """Set the order of the documents, and their tiles."""
        self.order, self._bounds, self._scales = order, bounds, np.ones(len(bounds) - 1, np.float32)
        self.column = np.empty_like(order)
        self.column[order] = np.arange(len(order), dtype=np.int32)
        # Tiles are read many at a time, and no chunk begins within one.
        edges = np.searchsorted(bounds, np.arange(CHUNK, len(order), CHUNK))
        self._chunks = [part for part in np.split(np.arange(len(bounds) - 1), np.unique(edges)) if len(part)]

    @classmethod
    def shuffled(cls, documents: Vectors, format: ScanFormat, memory: int) -> "QuantisedDocuments":
        """Quantise documents in random order, so that those of any tile are a sample of all.

        Neighbours are read from disk together: runs of them are drawn, and shuffled with other runs.
        """
        on_disk = _storage_order(documents)
        draw = np.random.default_rng(SEED)
        runs = draw.permutation(-(-len(on_disk) // RUN))
        order = np.concatenate([on_disk[:0], *(on_disk[run * RUN : (run + 1) * RUN] for run in runs)])
        for start in range(0, len(order), CHUNK):
            draw.shuffle(order[start : start + CHUNK])
        return cls(documents, format, memory, order, _even(len(order), format.device))

    def in_float32(self) -> "QuantisedDocuments":
        """Return the same documents in float32, in the order in which they are read fastest."""
        plain = copy.copy(self)
        plain.format = ScanFormat("float32", self.format.device)
        plain._held, plain._file, plain._kept = [], None, False
        plain._set_order(_storage_order(self._documents), _even(len(self.order), self.format.device))
        plain.scale = 1.0
        return plain

    @property
    def held(self) -> bool:
        """Whether all codes are in memory, so that scanning them again needs no reading."""
        return self._kept and self._file is None

    def chunks(self) -> Iterator[Chunk]:
        """Read all documents, each once."""
        import torch

        if not self._kept:
            read = self._documents.reader(int(np.diff(self._bounds).max(initial=0)))
            for tile in range(len(self._scales)):
                bounds = self._bounds[tile : tile + 2]
                matrix = torch.from_numpy(read(self.order[bounds[0] : bounds[1]])).to(self.format.device)
                yield Chunk(tile, bounds, matrix, self._scales[tile : tile + 1])
            return
        kind, dim = getattr(torch, self.format.name), self._documents.dim
        edges = [self._bounds[tiles[0] : tiles[-1] + 2] for tiles in self._chunks]
        if self._file is not None:  # several threads read, each at its own position and into its own memory
            space = torch.empty((max(int(bounds[-1] - bounds[0]) for bounds in edges), dim), dtype=kind)
        for number, (tiles, bounds) in enumerate(zip(self._chunks, edges, strict=True)):
            if self._file is None:
                matrix = self._held[number]
            else:
                part = space[: bounds[-1] - bounds[0]]
                start = int(bounds[0]) * dim * kind.itemsize
                raw = part.view(torch.uint8).numpy()
                if os.preadv(self._file.fileno(), [raw.data], start) != raw.nbytes:
                    raise CacheError(
                        f"{cache_folder()}: codes cannot be read back; run the same command again"
                    )
                matrix = part.to(self.format.device)
            yield Chunk(int(tiles[0]), bounds, matrix, self._scales[tiles])

    def _coded(self, tile: int) -> Codes:
        part = self.order[self._bounds[tile] : self._bounds[tile + 1]]
        return encode(self._documents.subset(part).take(0, len(part)), self.format, shared_scale=True)

    def _add(self, tiles: IntArray, codes: list[Codes]) -> None:
        import torch

        for tile, part in zip(tiles, codes, strict=True):
            if not len(part.lengths):
                continue
            if self._file is not None:
                self._file.write(part.matrix.cpu().view(torch.uint8).numpy().data)
            self._scales[tile] = part.scales[0]
            self.longest = max(self.longest, float(part.lengths.max()))
            lengths = part.lengths[part.lengths > 0]
            self.shortest = min(self.shortest, float(lengths.min(initial=math.inf)))
            self.scale = max(self.scale, float(part.scales[0]))
        if self.held:
            self._held.append(torch.cat([part.matrix for part in codes]))


def _storage_order(documents: Vectors) -> npt.NDArray[np.int32]:
    """Return the order in which documents lie on disk."""
    return np.argsort(documents.rows, kind="stable").astype(np.int32)


def _even(count: int, device: str) -> IntArray:
    """Cut documents into tiles of the same size."""
    return np.append(np.arange(0, count, TILE if device == "cpu" else GPU_TILE), count)
