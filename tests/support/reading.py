"""How the tests of the sources write raw files, and look at what reading them gives."""

from pathlib import Path

import polars as pl
import pytest

from minerkit.errors import SourceError
from minerkit.recipe.recipe import Source
from minerkit.sources.reader import Batch, read


def put(folder: Path, name: str, data: bytes | str) -> Path:
    """Write a raw file."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def batch(source: Source) -> Batch:
    """What a source gives, in one batch; all rows may be bad."""
    found = list(read(source.model_copy(update={"max_bad": 1.0})))
    return Batch(
        sum(part.rows for part in found),
        pl.concat(part.entries for part in found),
        pl.concat(part.rejected for part in found),
        sum(part.bad for part in found),
        tuple(note for part in found for note in part.notes),
    )


def rejected(source: Source) -> list[tuple]:
    """Rejected rows as (place, reason)."""
    return batch(source).rejected.select("source", "reason").rows()


def fault(source: Source) -> str:
    """The message of the SourceError, which is one line."""
    with pytest.raises(SourceError) as caught:
        list(read(source))
    message = str(caught.value)
    assert "\n" not in message
    return message
