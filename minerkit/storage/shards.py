"""Work done piece by piece, each kept when it is done: what was killed goes on at the first that is not."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.runtime.threads import torch_map
from minerkit.storage.atomic import atomic_write, sha256
from minerkit.storage.parquet import write

__all__ = ["resumed"]

Frames = dict[str, pl.DataFrame]


def resumed(
    folder: Path, key: Mapping[str, Any], count: int, make: Callable[[int], Frames], device: str = "cpu"
) -> Iterator[Frames]:
    """Give the pieces of some work in order: those that are stored as they are, the others made and stored.

    A piece is an Arrow file a table, then a marker with their hashes: without a marker, or with a file that
    is not as the marker says, there is no piece.

    Args:
        folder: Where pieces are kept; the caller removes it when all is done.
        key: All that the pieces depend on, as JSON. Pieces of another key are removed.
        count: How many pieces there are.
        make: Gives the tables of a piece, by name; called from several threads.
        device: A torch device: where pieces are made.

    Yields:
        The tables of a piece.
    """
    written = json.dumps({**key, "pieces": count}, sort_keys=True).encode()
    owner = folder / "key.json"
    if not owner.is_file() or owner.read_bytes() != written:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with atomic_write(owner) as stream:
            stream.write(written)

    def piece(number: int) -> Frames:
        found = _stored(folder, number)
        if found is None:
            found = make(number)
            _store(folder, number, found)
        return found

    yield from torch_map(piece, range(count), device)


def _stored(folder: Path, number: int) -> Frames | None:
    try:
        hashes = json.loads((folder / f"{number:06d}.json").read_text())
        files = {name: folder / f"{number:06d}.{name}.arrow" for name in hashes}
        if any(sha256(files[name]) != digest for name, digest in hashes.items()):
            return None
    except (OSError, ValueError):
        return None
    return {name: pl.read_ipc(file) for name, file in files.items()}


def _store(folder: Path, number: int, frames: Frames) -> None:
    hashes = {}
    for name, frame in frames.items():
        file = folder / f"{number:06d}.{name}.arrow"
        with atomic_write(file) as stream:
            write(frame, stream, soon=True)
        hashes[name] = sha256(file)
    with atomic_write(folder / f"{number:06d}.json") as stream:
        stream.write(json.dumps(hashes).encode())
