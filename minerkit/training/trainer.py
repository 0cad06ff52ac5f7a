"""Run the trainers of sentence-transformers, with progress on stderr and checkpoints to resume from.

Importing this module loads torch.
"""

import contextlib
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import polars as pl
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.cross_encoder import CrossEncoderTrainer
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback, TrainerState
from transformers.utils import logging

from minerkit.recipe import Train
from minerkit.runtime import Advance, Reporter
from minerkit.training.checkpoints import mark_complete, training_seconds
from minerkit.training.losses import build_loss

__all__ = ["fit", "training_history"]

#: Entries of the trainer's log that measure an evaluation's speed, not the model.
SPEED_ENTRIES = (
    "eval_runtime",
    "eval_samples_per_second",
    "eval_steps_per_second",
    "eval_model_preparation_time",
)


class _ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Advances a progress bar that shows the loss, and reports the metric of each evaluation."""

    def __init__(self, reporter: Reporter, stack: contextlib.ExitStack, metric: str | None) -> None:
        self._reporter, self._stack, self._metric = reporter, stack, metric
        self._advance: Advance | None = None
        self._note = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        bar = self._reporter.bar("Training", state.max_steps - state.global_step)
        self._advance = self._stack.enter_context(bar)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._advance is not None:
            self._advance(1, self._note)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **kwargs: Any) -> None:
        if "loss" in logs:
            self._note = f"loss {logs['loss']:.4f}"

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any], **kwargs: Any
    ) -> None:
        value = metrics.get(f"eval_{self._metric}", metrics.get(self._metric or ""))
        if value is not None:
            self._reporter.say(f"Step {state.global_step:,}: {self._metric} {value:.4f}")


class _CheckpointCallback(TrainerCallback):  # type: ignore[misc]
    """Marks complete checkpoints, and corrects the path of the best one in a run folder that was moved."""

    def __init__(self, seconds_before: float) -> None:
        self._started = time.monotonic() - seconds_before

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.best_global_step is not None:
            best = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
            state.best_model_checkpoint = str(best)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        mark_complete(checkpoint, time.monotonic() - self._started)


def fit(
    train: Train,
    model: Any,
    arguments: Any,
    rows: pl.DataFrame,
    label_counts: tuple[int, int],
    evaluator: Any,
    reporter: Reporter,
    checkpoint: Path | None = None,
) -> Any:
    """Train a model in place; it ends with the weights of the best checkpoint.

    Args:
        train: The recipe's `train` section.
        model: A CrossEncoder or SentenceTransformer.
        arguments: The arguments of its trainer.
        rows: The train rows, with exactly the columns that the loss takes.
        label_counts: Number of positives and negatives among them.
        evaluator: Computes the metric that selects the best checkpoint; None: the last weights stay.
        reporter: Receives progress.
        checkpoint: The folder of a checkpoint to resume from; None: train from step 0.

    Returns:
        The trainer.
    """
    trainer_class = CrossEncoderTrainer if train.family == "cross_encoder" else SentenceTransformerTrainer
    with contextlib.ExitStack() as stack:
        stack.callback(logging.set_verbosity, logging.get_verbosity())
        logging.set_verbosity_error()  # transformers warns when checkpoints follow each other fast
        callbacks = [
            _ProgressCallback(reporter, stack, arguments.metric_for_best_model),
            _CheckpointCallback(training_seconds(checkpoint)),
        ]
        if train.early_stopping is not None and evaluator is not None:
            callbacks.append(EarlyStoppingCallback(train.early_stopping))
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar for the model card's examples
            trainer = trainer_class(
                model=model,
                args=arguments,
                train_dataset=datasets.Dataset.from_polars(rows),
                loss=build_loss(train, model, *label_counts),
                evaluator=evaluator,
                callbacks=callbacks,
            )
        trainer.remove_callback(PrinterCallback)  # prints to stdout, which is for results alone
        if checkpoint is not None and _has_ended(checkpoint):
            # The trainer would train one more step before it checks whether it has to stop.
            trainer._run_epoch = lambda **_: None
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # Half precision is for training alone: later scores must equal those of the saved model.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return trainer


def _has_ended(checkpoint: Path) -> bool:
    """Check whether a training had reached its end when it wrote a checkpoint."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return bool(state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"])


def training_history(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge the entries of a trainer's log into one row per step.

    Args:
        log: The entries; each has a step, and either losses or metrics.

    Returns:
        For each step `step` and `epoch`, and if they were logged `loss`, `learning_rate`, `grad_norm` and
        `metrics`.
    """
    rows: dict[int, dict[str, Any]] = {}
    for entry in log:
        metrics = {
            name.removeprefix("eval_"): value
            for name, value in entry.items()
            if name.startswith("eval_") and not name.startswith(SPEED_ENTRIES)
        }
        losses = {name: entry[name] for name in ("loss", "learning_rate", "grad_norm") if name in entry}
        if metrics or losses:
            row = rows.setdefault(entry["step"], {"step": entry["step"], "epoch": entry["epoch"]})
            row |= losses | ({"metrics": metrics} if metrics else {})
    return list(rows.values())
