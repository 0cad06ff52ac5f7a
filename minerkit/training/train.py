"""Train a model, and record its rows, its arguments, and its metrics before and after."""

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
from minerkit.training.checkpoints import checkpoint_step, open_checkpoints, training_seconds

__all__ = ["DevMetric", "train_model"]


@dataclass(frozen=True)
class DevMetric:
    """An evaluator of sentence-transformers, and the key of the metric that selects the best checkpoint."""

    evaluator: Any
    metric: str


def train_model(
    recipe: Recipe,
    model: Any,
    rows: pl.DataFrame,
    label_counts: tuple[int, int],
    dev_metric: DevMetric | None,
    folder: Path,
    key: Mapping[str, Any],
    device: str,
    reporter: Reporter,
    resume: bool = True,
) -> dict[str, Any]:
    """Train a model in place; it ends with the weights of the best checkpoint.

    Args:
        recipe: The recipe.
        model: The CrossEncoder or SentenceTransformer to start from.
        rows: The train rows, with exactly the columns that the loss takes.
        label_counts: Number of positives and negatives among them.
        dev_metric: How checkpoints are compared; None: the model ends with the weights of the last step.
        folder: The folder of the checkpoints.
        key: JSON-ready mapping of all that the model depends on; checkpoints with another key are removed.
        device: cpu, cuda or mps.
        reporter: Receives progress.
        resume: Whether to resume from the last complete checkpoint.

    Returns:
        The record of the training, as training.json holds it.

    Raises:
        TrainingError: The loss does not fit the rows, or memory or disk are not enough.
    """
    from minerkit.training.failures import explain_failures  # these load torch
    from minerkit.training.trainer import fit

    started = time.monotonic()
    checkpoint, note = open_checkpoints(folder, key, resume)
    seconds_before = training_seconds(checkpoint)
    if note:
        reporter.say(note)
    evaluator, metric = (dev_metric.evaluator, dev_metric.metric) if dev_metric else (None, None)
    arguments = training_arguments(recipe, folder, device, metric, reporter)
    # Evaluators and trackers print; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr), explain_failures(recipe.train, arguments, folder):
        before = _untrained_metrics(folder, model, evaluator)
        if metric is not None and before is not None:
            reporter.say(f"Untrained: {metric} {before[metric]:.4f}")
        trainer = fit(recipe.train, model, arguments, rows, label_counts, evaluator, reporter, checkpoint)
        after = evaluator(model) if evaluator else None
    return {
        **_training_record(recipe, model, trainer, rows),
        "metric": metric,
        "before": before,
        "after": after,
        "resumed_from": checkpoint_step(checkpoint) if checkpoint else None,
        "seconds": round(seconds_before + time.monotonic() - started, 1),
        "device": _device_name(device),
        "versions": package_versions("accelerate", "datasets", "tokenizers"),
    }


def _training_record(recipe: Recipe, model: Any, trainer: Any, rows: pl.DataFrame) -> dict[str, Any]:
    """Record the model, the rows, the loss, the arguments, the steps and the history of a training."""
    from minerkit.training.trainer import training_history

    state = trainer.state
    return {
        "model": _describe_model(recipe, model),
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
        "history": training_history(state.log_history),
    }


def _describe_model(recipe: Recipe, model: Any) -> dict[str, Any]:
    """Describe a model: its family, base model, size, maximum length in tokens, and similarity."""
    return {
        "family": recipe.train.family,
        "base": recipe.train.base,
        "revision": model.model_card_data.base_model_revision,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "max_length": length if (length := model.max_seq_length) and length < math.inf else None,
        "similarity": getattr(model, "similarity_fn_name", None),
    }


def _untrained_metrics(folder: Path, model: Any, evaluator: Any) -> dict[str, float] | None:
    """Evaluate the untrained model once, and store the metrics for a resumed training."""
    if evaluator is None:
        return None
    file = folder / "untrained.json"
    if file.is_file():
        metrics: dict[str, float] = json.loads(file.read_text())
        return metrics
    metrics = {name: float(value) for name, value in evaluator(model).items()}
    with atomic_write(file) as stream:
        stream.write(json.dumps(metrics).encode())
    return metrics


def _device_name(device: str) -> str:
    """Name the GPU, or the processor type and number of threads."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"
