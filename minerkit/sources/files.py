"""Which files a source names, and the rows of all of them, on disk or on the Hub."""

import glob
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.hub import hub_records
from minerkit.sources.records import Record
from minerkit.sources.tables import FORMATS, file_format, read_records

__all__ = ["below", "input_files", "source_records", "table_files"]


def input_files(path: str) -> list[Path]:
    """List the files at a path, of any format.

    Args:
        path: A file, a folder or a glob.

    Returns:
        The files, sorted; hidden ones in folders left out.

    Raises:
        SourceError: There is no such file.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if place.is_dir():
        inside = (file.relative_to(place).parts for file in place.rglob("*") if file.is_file())
        found = sorted(
            place.joinpath(*parts) for parts in inside if not any(p.startswith(".") for p in parts)
        )
    else:
        found = sorted(Path(name) for name in glob.glob(str(place), recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        what = "no file in" if place.is_dir() else "no file at"
        raise SourceError(f"{what} {path} (source.path, --input)")
    return found


def below(path: str, file: Path) -> str:
    """Name a file by its path below a folder, so that equal names in two folders differ.

    Args:
        path: A file, a folder or a glob.
        file: One of its files.

    Returns:
        The folder, with a slash at its end; "" for a file right there.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return ""
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), place.parts)
    folder = file.parent.relative_to(place if place.is_dir() else Path(*fixed)).as_posix()
    return "" if folder == "." else f"{folder}/"


def table_files(path: str) -> list[Path]:
    """List the tables at a path.

    Args:
        path: A file, a folder or a glob; of a folder, the files in a known format are taken.

    Returns:
        The files, sorted.

    Raises:
        SourceError: There is no such file, or none in a format that can be read.
    """
    found = input_files(path)
    unknown = [file for file in found if not file_format(file)]
    if Path(path).expanduser().is_dir():
        if len(unknown) == len(found):
            raise SourceError(
                f"no readable file in {path} (source.path, --input); tables are {', '.join(FORMATS)}, also "
                ".gz or .zst; reports are read with source.format=documents"
            )
        return [file for file in found if file not in set(unknown)]
    if unknown:
        raise SourceError(
            f"{unknown[0]}: unknown format; minerkit reads {', '.join(FORMATS)}, also .gz or .zst"
        )
    return found


def source_records(source: Source, wanted: Mapping[str, str | None]) -> Iterator[Record]:
    """Read the rows of a source's tables.

    Args:
        source: A recipe's source.
        wanted: Key of the source section to the column it names; None: it names none.

    Yields:
        Places and rows; no more than source.limit.

    Raises:
        SourceError: The input is missing, damaged or lacks a column.
    """
    if source.hub is not None:
        yield from hub_records(source, wanted)
        return
    left = source.limit
    for file in table_files(str(source.path)):
        folder = below(str(source.path), file)
        for place, row in read_records(file, wanted, source.columns, left):
            yield folder + place, row
            if left is not None:
                left -= 1
        if left is not None and left <= 0:
            return
