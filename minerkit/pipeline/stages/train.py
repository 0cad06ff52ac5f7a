"""The stage that trains the model of a run."""

import json
import os
import shutil
from collections.abc import Mapping
from typing import Any

import polars as pl

from minerkit.errors import TrainingError
from minerkit.evaluation import dev_evaluator
from minerkit.pipeline.context import Context
from minerkit.pipeline.stage import Stage, folder_hashes, sections
from minerkit.recipe import Recipe
from minerkit.reports import save_with_card, split_statistics
from minerkit.runtime import Reporter, training_device
from minerkit.storage import MARKERS, Run, StageOutput
from minerkit.training import DevMetric, load_base, remove_checkpoints, train_model, training_seed

__all__ = ["STAGE", "clean_up", "set_aside"]

#: Where checkpoints are kept while a model is trained, and where trackers write.
CHECKPOINTS, LOGS = f"{MARKERS}/training", "logs"
#: A model, and where it is kept when the run makes another one.
MODEL, OLD = "model", "old-model"


def _settings(recipe: Recipe) -> dict[str, Any]:
    rest = {"name": recipe.name, "min_relevance": recipe.source.min_relevance}
    return {**sections(recipe, "train", "eval"), **rest, "base_files": folder_hashes(recipe.train.base)}


def _train(context: Context, output: StageOutput) -> None:
    """Train the model of a recipe, and write it with its card and an account of the training."""
    recipe, run, reporter = context.recipe, context.run, context.reporter
    rows, counts = run.read("train.parquet"), _train_statistics(run)
    _check_labels(recipe, run, len(rows), counts)
    device, seed = training_device(context.device), training_seed(recipe)
    texts = _train_texts(run) if recipe.train.base == "scratch" else None
    model = load_base(recipe, texts, device, seed)
    measured = _dev_metric(recipe, run, getattr(model, "similarity_fn_name", None), reporter)
    # Where TensorBoard writes; other trackers have places of their own.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str((run.folder / LOGS).resolve()))
    folder = (run.folder / CHECKPOINTS).resolve()
    labels = counts["positives"], counts["negatives"]
    account = train_model(
        recipe, model, rows, labels, measured, folder, output.key, device, reporter, context.resume
    )
    evaluator = measured.evaluator if measured else None
    save_with_card(model, output.directory(MODEL), recipe, run, counts | _origin(run), account, evaluator)
    output.write_text("training.json", json.dumps(account, indent=1, ensure_ascii=False, default=str))
    output.facts["metric"] = account["metric"]


def clean_up(run: Run) -> None:
    """Remove what a training that is done needs no more: its checkpoints, and the model it replaced.

    Args:
        run: The run.
    """
    if (folder := run.folder / CHECKPOINTS).is_dir():
        remove_checkpoints(folder, run.folder / LOGS)
    shutil.rmtree(run.folder / OLD, ignore_errors=True)


def set_aside(run: Run, reporter: Reporter) -> None:
    """Put a model aside that was trained from other rows, or with other settings, than the run has now.

    Args:
        run: The run.
        reporter: Where it is said.
    """
    if run.marker(STAGE.name) is None or not (run.folder / MODEL).is_dir():
        return
    shutil.rmtree(run.folder / OLD, ignore_errors=True)
    (run.folder / MODEL).rename(run.folder / OLD)
    (run.folder / "training.json").replace(run.folder / OLD / "training.json")
    (run.folder / MARKERS / f"{STAGE.name}.json").unlink()
    reporter.say(
        f"{MODEL}/ was trained from other rows or settings, it is {OLD}/ now; `minerkit train` makes a new"
    )


def _train_statistics(run: Run) -> dict[str, Any]:
    """Count what the train split holds."""
    train = run.read("queries.parquet").filter(pl.col("split") == "train")["query_id"]
    accounts = run.read(f"{MARKERS}/accounts.parquet").join(train.to_frame(), on="query_id", how="semi")
    verdicts = run.read(f"{MARKERS}/verdicts.parquet").filter(pl.col("split") == "train")
    return split_statistics(
        accounts, verdicts, run.between("candidates.parquet", train, pl.col("relevance") > 0)
    )


def _origin(run: Run) -> dict[str, Any]:
    """Compute how many negatives of the train split people judged, and how the others were searched."""
    train = run.read("queries.parquet").filter(pl.col("split") == "train")["query_id"]
    judged = run.between("negatives.parquet", train, pl.col("source") == "judged")
    return {"judged": len(judged), "search": (run.marker("search") or {})["facts"]["search"]["mode"]}


def _check_labels(recipe: Recipe, run: Run, rows: int, counts: Mapping[str, Any]) -> None:
    """Check whether there is something to learn."""
    positives, negatives = counts["positives"], counts["negatives"]
    if not rows:
        raise TrainingError(
            f"{run.folder}/train.parquet has no rows; rejected.parquet says what became of them"
        )
    if recipe.train.loss == "bce" and not (positives and negatives):
        raise TrainingError(
            f"{run.folder}/train.parquet holds {positives:,} positives and {negatives:,} negatives; the loss "
            "bce needs both"
        )


def _train_texts(run: Run) -> pl.Series:
    """Return the texts of the train side; those held out stay unseen."""
    splits = run.read(f"{MARKERS}/documents.parquet")
    parts = [
        run.read("queries.parquet").filter(pl.col("split") == "train")["text"],
        run.read("corpus.parquet")
        .join(splits, on="doc_id", maintain_order="left")
        .filter(pl.col("split") == "train")["text"],
    ]
    return pl.concat(parts)


def _dev_metric(recipe: Recipe, run: Run, similarity: str | None, reporter: Reporter) -> DevMetric | None:
    """Make the evaluator of the dev split, with the metric that decides which model is best."""
    found = dev_evaluator(recipe, run, similarity, reporter)
    if found is None and recipe.split.dev_queries:
        raise TrainingError(
            f"{run.folder} has no dev queries to measure the model on, though split.dev_queries is "
            f"{recipe.split.dev_queries:,}; add queries, or set split.dev_queries=0 to go without"
        )
    if found is None:
        reporter.say(
            "split.dev_queries is 0: nothing is held out, so the last model is kept, and nothing is measured"
        )
    return DevMetric(*found) if found else None


STAGE = Stage(
    name="train",
    version=1,
    settings=_settings,
    reads=(
        "candidates.parquet",
        "corpus.parquet",
        "dev.parquet",
        "judged.parquet",
        "negatives.parquet",
        "qrels.parquet",
        "queries.parquet",
        "train.parquet",
        f"{MARKERS}/accounts.parquet",
        f"{MARKERS}/dev_candidates.parquet",
        f"{MARKERS}/documents.parquet",
        f"{MARKERS}/excluded.parquet",
        f"{MARKERS}/select.rejected.parquet",
        f"{MARKERS}/verdicts.parquet",
    ),
    writes=(MODEL, "training.json"),
    perform=_train,
)
