"""Write files whole or not at all, and know them by their hash."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["atomic_folder", "atomic_write", "remove_stale_parts", "sha256"]


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: to a temporary file beside it, synced, then renamed over it.

    Args:
        path: The file to write; its folder exists.

    Yields:
        A binary stream.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def remove_stale_parts(folder: Path) -> None:
    """Remove the temporary files that killed processes have left; those of living ones stay.

    Args:
        folder: A folder; files are written with `atomic_write` in it or below it.
    """
    import psutil  # not where nothing is swept

    for part in folder.rglob(".*.part"):
        owner = part.suffixes[-2][1:] if len(part.suffixes) > 1 else ""
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Make a folder whole or not at all, also where the power is cut: beside it, synced, then renamed.

    Args:
        folder: Nothing is there, and no other process makes it meanwhile; what one that was killed has left
            of it is removed.

    Yields:
        An empty folder, to write to.
    """
    made = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    try:
        yield made
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    for path in (*made.rglob("*"), made):
        _settle(path)
    made.rename(folder)
    _settle(folder.parent)


def _settle(path: Path) -> None:
    """Sync a file or a folder, so that a file renamed in it still has its name after a power cut."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256(path: Path) -> str:
    """Hash a file.

    Args:
        path: An existing file.

    Returns:
        The SHA-256 of its bytes, in hexadecimal.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
