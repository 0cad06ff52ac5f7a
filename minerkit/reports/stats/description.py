"""What `minerkit stats` says of a run, a Parquet file or a Hub data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.text import Text

from minerkit.errors import RunError, SourceError
from minerkit.recipe.load import load_recipe
from minerkit.reports.cards.training_dataset import training_dataset
from minerkit.reports.stats.column_stats import dataset_stats, layout_stats
from minerkit.reports.stats.dataset_profile import length_quantiles, profile
from minerkit.reports.stats.run_statistics import render
from minerkit.reports.stats.token_lengths import token_lengths
from minerkit.reports.terminal.tables import render_details, render_profile
from minerkit.sources import reader as sources
from minerkit.storage.run_folder import Run, load
from minerkit.training.losses import Loss, describe_loss

__all__ = ["describe", "describe_text", "section"]

#: Splits a model is trained on; of every other one a card speaks as evaluation samples.
TRAINED_ON = ("train",)


def section(
    data: str,
    split: str = "train",
    config: str | None = None,
    layout: str = "classic",
    rows: int | str | None = None,
    model: str | None = None,
    loss: str | None = None,
) -> str:
    """Write the section "Training Dataset" of a model card.

    Args:
        data: A run folder, a Parquet file, or the name of a Hub data set.
        split: The split of a run or Hub data set.
        config: The configuration of a Hub data set.
        layout: `classic` or `current`.
        rows: How many rows the statistics stand on, or `all`; None: as many as the layout looks at.
        model: A model whose tokens are counted; None: characters.
        loss: The loss to name; None: the one of a run's recipe, and none for other data.

    Returns:
        Markdown.

    Raises:
        MinerkitError: The data, the model or the loss is not there.
    """
    tokens = token_lengths(model) if model else None
    if Path(data).is_dir():
        run = load(data)
        frame = _split(run, split)
        named: Loss | None = _run_loss(run, loss)
    else:
        frame = sources.dataset(data, split, config)
        named = describe_loss(loss) if loss else None
    with _readable(data):
        if rows is None:
            found = layout_stats(frame, layout, tokens)
        else:
            found = dataset_stats(frame, None if rows == "all" else int(rows), tokens)
    return training_dataset(found, layout, named, "training" if split in TRAINED_ON else "evaluation")


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


def describe_text(data: str, found: dict[str, Any]) -> RenderableType:
    """Set what `describe` gives as tables.

    Args:
        data: What was described.
        found: What `describe` gave.

    Returns:
        Something rich can print.
    """
    if not Path(data).is_dir():
        return render_profile(found, data)
    return Group(render(found, data), Text(), render_details(found))


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


def _run_loss(run: Run, name: str | None) -> Loss:
    train = load_recipe(run.folder / "recipe.yaml").train
    rows = run.read_json("stats.json")["splits"]["train"]
    return describe_loss(name or train, rows["positives"], rows["negatives"])
