"""A data set to look at: a Parquet file, or one on the Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from minerkit.errors import SourceError
from minerkit.sources.hub import hub_fault

__all__ = ["open_dataset", "readable_dataset"]


def open_dataset(data: str, split: str = "train", config: str | None = None) -> pl.LazyFrame:
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
        raise SourceError(hub_fault(data, error)) from error


@contextmanager
def readable_dataset(data: str) -> Iterator[None]:
    """Report a file that turns out to be damaged on the way in one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{data}: damaged ({first}); make or fetch the file again") from error
