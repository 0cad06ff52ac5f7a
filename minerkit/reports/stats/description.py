"""What `minerkit stats` says of a run, a Parquet file or a Hub data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError, SourceError
from minerkit.reports.stats.dataset_profile import length_quantiles, profile
from minerkit.reports.stats.token_lengths import token_lengths
from minerkit.sources import reader as sources
from minerkit.storage.run_folder import Run, load

__all__ = ["describe"]


def describe(
    data: str,
    split: str = "train",
    config: str | None = None,
    rows: int | str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Describe a run or a data set as a whole.

    Args:
        data: A run folder, a Parquet file, or the name of a Hub data set.
        split: The split of a Hub data set.
        config: The configuration of a Hub data set.
        rows: Only the first so many rows of a data set; None or `all`: all of them.
        model: A model whose tokens are counted beside the characters.

    Returns:
        A run's stats.json, or the profile of a data set.

    Raises:
        MinerkitError: The data or the model is not there.
    """
    tokens = token_lengths(model) if model else None
    if not Path(data).is_dir():
        frame = sources.dataset(data, split, config)
        with _readable(data):
            return profile(frame if rows in (None, "all") else frame.head(int(str(rows))), tokens)
    run = load(data)
    stats: dict[str, Any] = run.read_json("stats.json")
    if tokens is not None:
        for name, file in (("queries", "queries"), ("documents", "corpus")):
            texts = run.read(f"{file}.parquet").lazy().select(value="text")
            length = pl.col("value").map_batches(tokens, pl.Int64, is_elementwise=True)
            stats["texts"][name]["tokens"] = length_quantiles(texts, length)
    return stats


def _split(run: Run, split: str) -> pl.LazyFrame:
    path = run.folder / f"{split}.parquet"
    if not path.is_file():
        raise RunError(f"{path} is missing; a run has the splits train and dev")
    return sources.dataset(str(path))


@contextmanager
def _readable(data: str) -> Iterator[None]:
    """Report a file that turns out to be damaged on the way in one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{data}: damaged ({first}); make or fetch the file again") from error
