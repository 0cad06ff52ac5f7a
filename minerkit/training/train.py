"""Train a model on rows, and account for it: what it learned from, how, and what that changed."""

import contextlib
import json
import math
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.recipe import LOSSES, Recipe
from minerkit.runtime import Reporter, package_versions
from minerkit.storage import atomic_write
from minerkit.training.arguments import training_arguments, training_seed
from minerkit.training.checkpoints import open_checkpoints, seconds_before, step_of

__all__ = ["DevMetric", "train_model"]


@dataclass(frozen=True)
class DevMetric:
    """How a model is measured: an evaluator of sentence-transformers, and the metric that picks the best."""

    evaluator: Any
    metric: str


def train_model(
    recipe: Recipe,
    model: Any,
    rows: pl.DataFrame,
    labels: tuple[int, int],
    measured: DevMetric | None,
    folder: Path,
    key: Mapping[str, Any],
    device: str,
    reporter: Reporter,
    resume: bool = True,
) -> dict[str, Any]:
    """Train a model; the best one is in it afterwards.

    Args:
        recipe: The recipe.
        model: The CrossEncoder or SentenceTransformer to start from.
        rows: The train rows: exactly the columns the loss takes.
        labels: How many of them are positives and negatives.
        measured: How models are compared; None: the last model is kept.
        folder: Where checkpoints are kept.
        key: What the model depends on; checkpoints of anything else are not used.
        device: cpu, cuda or mps.
        reporter: Where progress goes.
        resume: Whether to go on from the last whole checkpoint.

    Returns:
        The account of the training: what training.json holds.

    Raises:
        TrainingError: The loss does not fit the rows, or memory or disk are not enough.
    """
    from minerkit.training.failures import mendable  # these load torch
    from minerkit.training.trainer import fit

    started = time.monotonic()
    checkpoint, note = open_checkpoints(folder, key, resume)
    earlier = seconds_before(checkpoint)
    if note:
        reporter.say(note)
    evaluator, metric = (measured.evaluator, measured.metric) if measured else (None, None)
    arguments = training_arguments(recipe, folder, device, metric, reporter)
    # Evaluators and trackers print; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr), mendable(recipe.train, arguments, folder):
        before = _untrained(folder, model, evaluator)
        if metric is not None and before is not None:
            reporter.say(f"Untrained: {metric} {before[metric]:.4f}")
        trainer = fit(recipe.train, model, arguments, rows, labels, evaluator, reporter, checkpoint)
        after = evaluator(model) if evaluator else None
    return {
        **_account(recipe, model, trainer, rows),
        "metric": metric,
        "before": before,
        "after": after,
        "resumed_from": step_of(checkpoint) if checkpoint else None,
        "seconds": round(earlier + time.monotonic() - started, 1),
        "device": _device_name(device),
        "versions": package_versions("accelerate", "datasets", "tokenizers"),
    }


def _account(recipe: Recipe, model: Any, trainer: Any, rows: pl.DataFrame) -> dict[str, Any]:
    """Say what a trainer trained, on which rows, with which loss and arguments, and how far."""
    from minerkit.training.trainer import history

    state = trainer.state
    return {
        "model": _describe(recipe, model),
        "rows": len(rows),
        "columns": rows.columns,
        "loss": {
            "name": recipe.train.loss,
            "class": LOSSES[recipe.train.loss].maker,
            "parameters": trainer.loss.get_config_dict(),
        },
        "arguments": model.model_card_data.non_default_hyperparameters,
        "seed": training_seed(recipe),
        "best_step": state.best_global_step,
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "epochs": state.epoch,
        "history": history(state.log_history),
    }


def _describe(recipe: Recipe, model: Any) -> dict[str, Any]:
    return {
        "family": recipe.train.family,
        "base": recipe.train.base,
        "revision": model.model_card_data.base_model_revision,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "max_length": length if (length := model.max_seq_length) and length < math.inf else None,
        "similarity": getattr(model, "similarity_fn_name", None),
    }


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
