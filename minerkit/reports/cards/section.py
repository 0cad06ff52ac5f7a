"""The section of a model card that shows a data set."""

from pathlib import Path

from minerkit.recipe import load_recipe
from minerkit.reports.cards.training_dataset import training_dataset
from minerkit.reports.stats.column_stats import dataset_stats, layout_stats
from minerkit.reports.stats.description import open_split
from minerkit.reports.stats.token_lengths import token_lengths
from minerkit.sources import open_dataset, readable_dataset
from minerkit.storage import Run, load
from minerkit.training import Loss, describe_loss

__all__ = ["training_dataset_section"]

#: Splits a model is trained on; of every other one a card speaks as evaluation samples.
TRAINED_ON = ("train",)


def training_dataset_section(
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
        frame = open_split(run, split)
        named: Loss | None = _run_loss(run, loss)
    else:
        frame = open_dataset(data, split, config)
        named = describe_loss(loss) if loss else None
    with readable_dataset(data):
        if rows is None:
            found = layout_stats(frame, layout, tokens)
        else:
            found = dataset_stats(frame, None if rows == "all" else int(rows), tokens)
    return training_dataset(found, layout, named, "training" if split in TRAINED_ON else "evaluation")


def _run_loss(run: Run, name: str | None) -> Loss:
    train = load_recipe(run.folder / "recipe.yaml").train
    rows = run.read_json("stats.json")["splits"]["train"]
    return describe_loss(name or train, rows["positives"], rows["negatives"])
