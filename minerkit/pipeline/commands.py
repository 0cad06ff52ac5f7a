"""Make a run: ingest the raw corpus, mine it, train on it. Stages that are done are not done again."""

from pathlib import Path
from typing import Any

from minerkit.pipeline.context import Context
from minerkit.pipeline.manifest import write_manifest
from minerkit.pipeline.pipeline import MINING, STAGES
from minerkit.pipeline.stage import do_stage, stage_key
from minerkit.pipeline.stages import ingest as ingest_stage
from minerkit.pipeline.stages import train as train_stage
from minerkit.recipe import Recipe
from minerkit.reports import handwritten_notes, ingest_statistics, write_card
from minerkit.runtime import Reporter, memory_budget, training_device
from minerkit.storage import MARKERS, Run, locked
from minerkit.training import check_base, check_training

__all__ = ["check_recipe", "ingest", "ingest_account", "mine", "train"]


def check_recipe(recipe: Recipe, device: str = "auto") -> None:
    """Find what is wrong with a recipe before hours are spent on the way to it.

    Args:
        recipe: The recipe.
        device: auto, cpu, cuda or mps: where its model is to be trained.

    Raises:
        MinerkitError: The training cannot be as the recipe has it, or the hand-written part of the card is
            not there.
    """
    handwritten_notes(recipe)
    check_training(recipe, training_device(device))


def ingest(recipe: Recipe, out: Path, reporter: Reporter | None = None) -> Run:
    """Turn the raw corpus into queries, corpus, qrels and pairs.

    Args:
        recipe: The recipe.
        out: The run folder.
        reporter: Where progress goes.

    Returns:
        The run.

    Raises:
        MinerkitError: Something the user can mend; what was in the run before is kept.
    """
    with locked(out) as run:
        context = Context(recipe, run, "cpu", memory_budget(None), reporter or Reporter(quiet=True))
        do_stage(ingest_stage.STAGE, context)
    return run


def ingest_account(run: Run, recipe: Recipe) -> dict[str, Any]:
    """Count what the ingest of a run made of the raw corpus.

    Args:
        run: A run whose first stage is done.
        recipe: The recipe it was made from.

    Returns:
        What `minerkit.reports.stats.ingest.ingest_statistics` gives.
    """
    frames = {name: run.read(f"{name}.parquet") for name in ("queries", "qrels", "pairs")}
    frames["corpus"] = run.scan("corpus.parquet").select("doc_id", "group").collect()
    frames |= {"documents": run.read(f"{MARKERS}/documents.parquet"), "rejected": run.rejected(["ingest"])}
    return ingest_statistics(frames, run.facts("ingest"), recipe.split.seed)


def mine(
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    reporter: Reporter | None = None,
    memory_gb: float | None = None,
) -> Run:
    """Mine a recipe: from its raw corpus to train.parquet and dev.parquet.

    Stages that are done, with the same recipe and the same input, are not done again.

    Args:
        recipe: The recipe.
        out: The run folder.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        memory_gb: Gigabytes that mining may use; None: half of what is free.

    Returns:
        The run.

    Raises:
        MinerkitError: Something the user can mend; finished stages are kept.
    """
    handwritten_notes(recipe)  # a missing file is found now, not after hours
    with locked(out) as run:
        _mine(Context(recipe, run, device, memory_budget(memory_gb), reporter or Reporter(quiet=True)))
    return run


def train(
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    reporter: Reporter | None = None,
    resume: bool = True,
    memory_gb: float | None = None,
) -> Run:
    """Train the model of a recipe; mine first what is not mined yet.

    What is wrong with the training is found before anything is mined. A training that was cut short goes on
    from its last checkpoint.

    Args:
        recipe: The recipe.
        out: The run folder.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        resume: Whether to use what is there of the same training: its model, or its last checkpoint.
        memory_gb: Gigabytes that mining may use; None: half of what is free.

    Returns:
        The run, with `model` and `training.json`.

    Raises:
        MinerkitError: Something the user can mend; finished stages and checkpoints are kept.
    """
    check_recipe(recipe, device)
    check_base(recipe)
    with locked(out) as run:
        reporter = reporter or Reporter(quiet=True)
        context = Context(recipe, run, device, memory_budget(memory_gb), reporter, resume)
        _mine(context)
        if do_stage(train_stage.STAGE, context, again=not resume):
            write_manifest(run, recipe, [stage.name for stage in STAGES])
        train_stage.clean_up(run)
    return run


def _mine(context: Context) -> None:
    """Do the stages of mining; write the card and the manifest where the run is not finished."""
    run, recipe = context.run, context.recipe
    for stage in MINING:
        do_stage(stage, context)
    if not (run.folder / "manifest.json").is_file():
        trained = run.done("train", stage_key(train_stage.STAGE, recipe, run))
        if not trained:
            train_stage.set_aside(run, context.reporter)
        write_card(run, recipe)
        write_manifest(run, recipe, [stage.name for stage in (STAGES if trained else MINING)])
