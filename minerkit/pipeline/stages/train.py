"""Train the model of a run, and account for it: what it learned from, how, and what that changed."""

import contextlib
import json
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minerkit.errors import TrainingError
from minerkit.evaluation.recipe_evaluators import dev_evaluator
from minerkit.pipeline.context import Work
from minerkit.recipe.recipe import LOSSES, Recipe
from minerkit.reports.cards.model_card import save_with_card
from minerkit.runtime.devices import training_device
from minerkit.runtime.progress import Reporter
from minerkit.runtime.versions import package_versions
from minerkit.storage.atomic import atomic_write
from minerkit.storage.run_folder import MARKERS, Run
from minerkit.storage.stage import Stage
from minerkit.training.arguments import training_arguments, training_seed
from minerkit.training.base_model import load_base
from minerkit.training.checkpoints import forget, open_checkpoints, seconds_before, step_of

__all__ = ["clean_up", "set_aside", "train"]

#: Where checkpoints are kept while a model is trained, and where trackers write.
CHECKPOINTS, LOGS = f"{MARKERS}/training", "logs"
#: A model, and where it is kept when the run makes another one.
MODEL, OLD = "model", "old-model"


def train(work: Work, stage: Stage, key: Mapping[str, Any], resume: bool) -> None:
    """Train the model of a recipe, and write it with an account of the training.

    Args:
        work: The recipe, the run, the device and the reporter.
        stage: Where `model` and `training.json` go when all is done.
        key: What the model depends on; checkpoints of anything else are not used.
        resume: Whether to go on from the last whole checkpoint.

    Raises:
        TrainingError: There are no rows to learn from, no base model, or not enough memory.
    """
    recipe, run, reporter = work.recipe, work.run, work.reporter
    started = time.monotonic()
    rows, (positives, negatives) = run.read("train.parquet"), _labels(recipe, run)
    from minerkit.training.failures import mendable  # these load torch
    from minerkit.training.trainer import fit, history

    device = training_device(work.device)
    folder = (run.folder / CHECKPOINTS).resolve()
    checkpoint, note = open_checkpoints(folder, key, resume)
    earlier = seconds_before(checkpoint)
    if note:
        reporter.say(note)
    model = load_base(recipe, run, device, training_seed(recipe))
    similarity = getattr(model, "similarity_fn_name", None)
    evaluator, metric = _evaluator(recipe, run, similarity, reporter)
    arguments = training_arguments(recipe, folder, device, metric, reporter)
    # Where TensorBoard writes; other trackers have places of their own.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str((run.folder / LOGS).resolve()))
    # Evaluators and trackers print; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr), mendable(recipe.train, arguments, folder):
        before = _untrained(folder, model, evaluator)
        if metric is not None and before is not None:
            reporter.say(f"Untrained: {metric} {before[metric]:.4f}")
        trainer = fit(
            recipe.train, model, arguments, rows, (positives, negatives), evaluator, reporter, checkpoint
        )
        after = evaluator(model) if evaluator else None
    state, card = trainer.state, model.model_card_data
    account = {
        "model": {
            "family": recipe.train.family,
            "base": recipe.train.base,
            "revision": card.base_model_revision,
            "parameters": sum(weights.numel() for weights in model.parameters()),
            "max_length": length if (length := model.max_seq_length) and length < math.inf else None,
            "similarity": similarity,
        },
        "rows": len(rows),
        "columns": rows.columns,
        "loss": {
            "name": recipe.train.loss,
            "class": LOSSES[recipe.train.loss].maker,
            "parameters": trainer.loss.get_config_dict(),
        },
        "arguments": card.non_default_hyperparameters,
        "seed": training_seed(recipe),
        "metric": metric,
        "before": before,
        "after": after,
        "best_step": state.best_global_step,
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "epochs": state.epoch,
        "history": history(state.log_history),
        "resumed_from": step_of(checkpoint) if checkpoint else None,
        "seconds": round(earlier + time.monotonic() - started, 1),
        "device": _device_name(device),
        "versions": package_versions("accelerate", "datasets", "tokenizers"),
    }
    save_with_card(model, stage.directory(MODEL), recipe, run, account, evaluator)
    stage.write_text("training.json", json.dumps(account, indent=1, ensure_ascii=False, default=str))
    stage.facts["metric"] = metric


def clean_up(run: Run) -> None:
    """Remove what a training that is done needs no more: its checkpoints, and the model it replaced.

    Args:
        run: The run.
    """
    if (folder := run.folder / CHECKPOINTS).is_dir():
        forget(folder, run.folder / LOGS)
    shutil.rmtree(run.folder / OLD, ignore_errors=True)


def set_aside(run: Run, reporter: Reporter) -> None:
    """Put a model aside that was trained from other rows, or with other settings, than the run has now.

    Args:
        run: The run.
        reporter: Where it is said.
    """
    if run.marker("train") is None or not (run.folder / MODEL).is_dir():
        return
    shutil.rmtree(run.folder / OLD, ignore_errors=True)
    (run.folder / MODEL).rename(run.folder / OLD)
    (run.folder / "training.json").replace(run.folder / OLD / "training.json")
    (run.folder / MARKERS / "train.json").unlink()
    reporter.say(
        f"{MODEL}/ was trained from other rows or settings, it is {OLD}/ now; `minerkit train` makes a new"
    )


def _labels(recipe: Recipe, run: Run) -> tuple[int, int]:
    """Count the positives and negatives of the train rows; there must be something to learn."""
    counts = run.read_json("stats.json")["splits"]["train"]
    positives, negatives = counts["positives"], counts["negatives"]
    if not counts["rows"]:
        raise TrainingError(
            f"{run.folder}/train.parquet has no rows; rejected.parquet says what became of them"
        )
    if recipe.train.loss == "bce" and not (positives and negatives):
        raise TrainingError(
            f"{run.folder}/train.parquet holds {positives:,} positives and {negatives:,} negatives; the loss "
            "bce needs both"
        )
    return positives, negatives


def _evaluator(
    recipe: Recipe, run: Run, similarity: str | None, reporter: Reporter
) -> tuple[Any, str | None]:
    """Make the evaluator of the dev split, and name the metric that decides which model is best."""
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
    return found or (None, None)


def _untrained(folder: Path, model: Any, evaluator: Any) -> dict[str, float] | None:
    """Measure the model before it learns; once, for it is not there any more when a training is taken up."""
    if evaluator is None:
        return None
    note = folder / "untrained.json"
    if note.is_file():
        found: dict[str, float] = json.loads(note.read_text())
        return found
    found = {name: float(value) for name, value in evaluator(model).items()}
    with atomic_write(note) as stream:
        stream.write(json.dumps(found).encode())
    return found


def _device_name(device: str) -> str:
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"
