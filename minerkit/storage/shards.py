"""Work done in shards, each stored when it is done: after a kill it goes on at the first shard not stored."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.runtime import torch_map
from minerkit.storage.atomic import atomic_write, sha256
from minerkit.storage.parquet import write

__all__ = ["resume_shards"]

Frames = dict[str, pl.DataFrame]


def resume_shards(
    folder: Path, key: Mapping[str, Any], count: int, make: Callable[[int], Frames], device: str = "cpu"
) -> Iterator[Frames]:
    """Yield the shards of some work in order: stored ones as they are, the others made and stored.

    A shard is an Arrow file a table, then a marker with their hashes. Without a marker, or with a file that
    does not match it, the shard is made again.

    Args:
        folder: Where shards are stored; the caller removes it when all is done.
        key: All that the shards depend on, as JSON. Shards of another key are removed.
        count: How many shards there are.
        make: Makes the tables of a shard, by name; called from several threads.
        device: The torch device on which shards are made.

    Yields:
        The tables of a shard.
    """
    written = json.dumps({**key, "shards": count}, sort_keys=True).encode()
    owner = folder / "key.json"
    if not owner.is_file() or owner.read_bytes() != written:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with atomic_write(owner) as stream:
            stream.write(written)

    def shard(number: int) -> Frames:
        found = _stored(folder, number)
        if found is None:
            found = make(number)
            _store(folder, number, found)
        return found

    yield from torch_map(shard, range(count), device)


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
