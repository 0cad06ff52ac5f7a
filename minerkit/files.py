"""Write files whole or not at all, and know them by their hash."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["put", "replacing", "sha256"]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file whole or not at all: to a temporary file beside it, synced, then renamed over it.

    Args:
        path: The file to write; its folder exists.

    Yields:
        A binary stream.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise
    Path(stream.name).chmod(0o644)
    Path(stream.name).replace(path)
    _settle(path.parent)


def put(made: Path, folder: Path) -> None:
    """Rename a folder, all of it on the disk: after a power cut it is there whole or not at all.

    Args:
        made: The folder.
        folder: Its new name, on the same disk; nothing is there.
    """
    for path in made.rglob("*"):
        _settle(path)
    _settle(made)
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
