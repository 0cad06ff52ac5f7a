"""Read raw pairs, in batches, from local files or the Hub.

Every raw row comes out either as a pair or as a rejected row with its place; nothing is skipped in silence.
"""

import glob
import gzip
import hashlib
import itertools
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from minerkit.errors import SourceError
from minerkit.readers import FORMATS, file_format, read_file
from minerkit.recipe import Source
from minerkit.rows import Batch, batched, require

__all__ = ["dataset", "fingerprint", "input_files", "read"]


def input_files(source: Source) -> list[Path]:
    """List the files a source names.

    Args:
        source: A recipe's source with a path: a file, a folder or a glob.

    Returns:
        The files, sorted.

    Raises:
        SourceError: There is no such file, or none in a format that can be read.
    """
    path = Path(str(source.path)).expanduser()
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and file_format(file))
    else:
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        what = "no readable file in" if path.is_dir() else "no file at"
        raise SourceError(f"{what} {path} (source.path, --input)")
    unknown = [file for file in found if not file_format(file)]
    if unknown:
        raise SourceError(
            f"{unknown[0]}: unknown format; minerkit reads {', '.join(FORMATS)}, also .gz or .zst"
        )
    return found


def fingerprint(source: Source) -> dict[str, str]:
    """Identify the raw input, to know whether it has changed.

    Args:
        source: A recipe's source.

    Returns:
        File name to SHA-256 of its bytes; or the Hub name to the revision asked for.
    """
    if source.hub is not None:
        return {f"hub:{source.hub}": source.revision or "main"}
    prints = {}
    for file in input_files(source):
        with file.open("rb") as stream:
            prints[str(file)] = hashlib.file_digest(stream, "sha256").hexdigest()
    return prints


def read(source: Source) -> Iterator[Batch]:
    """Read a source's pairs.

    Args:
        source: A recipe's source.

    Yields:
        Batches in the order of the input. A row whose positive is a list gives several pairs.

    Raises:
        SourceError: The input is missing, empty or damaged, lacks a column, or has too many bad rows.
    """
    batches = _hub(source) if source.hub is not None else _files(source)
    rows, bad, first = 0, 0, ""
    left = source.limit if source.limit is not None else sys.maxsize
    for batch in batches:
        yield batch
        rows += batch.rows
        bad += len(batch.rejected)
        if not first and len(batch.rejected):
            first = f"{batch.rejected['source'][0]}: {batch.rejected['reason'][0]}"
        if rows >= left:
            break
    place = source.hub or source.path
    if not rows:
        raise SourceError(f"{place} is empty: it has no rows")
    if bad > source.max_bad * rows:
        raise SourceError(
            f"{place}: {bad:,} of {rows:,} rows cannot be read, more than source.max_bad={source.max_bad:g} "
            f"allows (first: {first}); mend the file or raise the share"
        )


def dataset(data: str, split: str = "train", config: str | None = None) -> pl.LazyFrame:
    """Open a data set to look at; its rows are read in pieces, when they are needed.

    Args:
        data: A Parquet file, or the name of a Hub data set.
        split: The split of a Hub data set.
        config: The configuration of a Hub data set.

    Returns:
        Its rows.

    Raises:
        SourceError: There is no such file or data set, or it cannot be read.
    """
    if Path(data).is_file():
        try:
            frame = pl.scan_parquet(data, glob=False)
            frame.collect_schema()
            return frame
        except pl.exceptions.PolarsError as error:
            raise SourceError(f"{data}: not Parquet: {str(error).splitlines()[0]}") from error
    if data.endswith(".parquet") or data.count("/") != 1 or data.startswith((".", "/")):
        raise SourceError(f"{data}: no such run folder, Parquet file or Hub data set (user/name)")
    import datasets

    try:
        return pl.LazyFrame(datasets.load_dataset(data, config, split=split).with_format("arrow")[:])
    except Exception as error:
        raise SourceError(_hub_fault(data, error)) from error


def _files(source: Source) -> Iterator[Batch]:
    left = source.limit
    for file in input_files(source):
        try:
            for batch in read_file(file, source, left):
                yield batch
                if left is not None:
                    left -= batch.rows
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(f"{file}: damaged gzip ({error}); fetch or pack the file again") from error
        except OSError as error:
            if file.suffix.lower() == ".zst" and error.strerror is None:  # from the decoder, not the disk
                raise SourceError(f"{file}: damaged zstd ({error}); fetch or pack the file again") from error
            raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from error
        if left is not None and left <= 0:
            return


def _hub(source: Source) -> Iterator[Batch]:
    import datasets

    name = str(source.hub)
    try:
        data = datasets.load_dataset(
            name,
            source.config,
            split=source.split,
            revision=source.revision,
            streaming=source.limit is not None,
        )
        require(name, list(data.column_names or next(iter(data))), source)
        rows = itertools.islice(data, source.limit)
        places = (f"{name}[{number}]" for number in itertools.count())
        yield from batched(zip(places, rows, strict=False), source)
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(_hub_fault(name, error)) from error


def _hub_fault(name: str, error: Exception) -> str:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    kinds = {type(link).__name__ for link in chain}
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if kinds & {
        "ConnectError",
        "ConnectionError",
        "ConnectTimeout",
        "OfflineModeIsEnabled",
        "LocalEntryNotFoundError",
    }:
        return (
            f"cannot reach the Hub for data set {name}; run with --sample for the bundled corpus, "
            "or with --input PATH for a local copy"
        )
    return f"data set {name} cannot be read from the Hub: {first}"
