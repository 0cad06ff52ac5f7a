"""The statistics that `minerkit stats` shows of a run, a Parquet file or a Hub data set."""

from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError
from minerkit.reports.stats.dataset_profile import length_quantiles, profile
from minerkit.reports.stats.token_lengths import token_lengths
from minerkit.sources import open_dataset, readable_dataset
from minerkit.storage import Run, load

__all__ = ["describe_dataset", "open_split"]


def describe_dataset(
    data: str,
    split: str = "train",
    config: str | None = None,
    rows: int | str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Compute the statistics of a run or a data set over all its rows.

    Args:
        data: A run folder, a Parquet file, or the name of a Hub data set.
        split: The split of a Hub data set.
        config: The configuration of a Hub data set.
        rows: Number of rows of a data set, from the first; None or `all`: all of them.
        model: A model whose tokens are counted in addition to characters.

    Returns:
        A run's stats.json, or the profile of a data set.

    Raises:
        MinerkitError: The data or the model is not there.
    """
    tokens = token_lengths(model) if model else None
    if not Path(data).is_dir():
        frame = open_dataset(data, split, config)
        with readable_dataset(data):
            return profile(frame if rows in (None, "all") else frame.head(int(str(rows))), tokens)
    run = load(data)
    stats: dict[str, Any] = run.read_json("stats.json")
    if tokens is not None:
        for name, file in (("queries", "queries"), ("documents", "corpus")):
            texts = run.read(f"{file}.parquet").lazy().select(value="text")
            length = pl.col("value").map_batches(tokens, pl.Int64, is_elementwise=True)
            stats["texts"][name]["tokens"] = length_quantiles(texts, length)
    return stats


def open_split(run: Run, split: str) -> pl.LazyFrame:
    """Open the training rows of a split of a run."""
    path = run.folder / f"{split}.parquet"
    if not path.is_file():
        raise RunError(f"{path} is missing; a run has the splits train and dev")
    return open_dataset(str(path))
