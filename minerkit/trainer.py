"""The trainers of sentence-transformers, with progress on stderr and errors a user can mend.

Importing this loads torch.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.cross_encoder import CrossEncoderTrainer
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from minerkit.errors import TrainingError
from minerkit.losses import make_loss
from minerkit.progress import Advance, Reporter
from minerkit.recipe import LOSSES, Train

__all__ = ["enough_memory", "fit", "history"]

#: What torch says where memory ends, on GPUs and CPUs.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class _Progress(TrainerCallback):  # type: ignore[misc]
    """Moves a bar with the loss, and says the metric of each evaluation."""

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


def fit(
    train: Train,
    model: Any,
    arguments: Any,
    rows: pl.DataFrame,
    labels: tuple[int, int],
    evaluator: Any,
    reporter: Reporter,
    checkpoint: Path | None = None,
) -> Any:
    """Train a model; the best one is in it afterwards.

    Args:
        train: The recipe's `train` section.
        model: A CrossEncoder or SentenceTransformer.
        arguments: The arguments of its trainer.
        rows: The train rows: exactly the columns the loss takes.
        labels: How many of them are positives and negatives.
        evaluator: Measures the metric by which models are compared; None: the last model is kept.
        reporter: Where progress goes.
        checkpoint: The folder of a checkpoint to go on from.

    Returns:
        The trainer.
    """
    maker = CrossEncoderTrainer if train.family == "cross_encoder" else SentenceTransformerTrainer
    with contextlib.ExitStack() as stack:
        callbacks = [_Progress(reporter, stack, arguments.metric_for_best_model)]
        if train.early_stopping is not None and evaluator is not None:
            callbacks.append(EarlyStoppingCallback(train.early_stopping))
        trainer = maker(
            model=model,
            args=arguments,
            train_dataset=datasets.Dataset.from_polars(rows),
            loss=make_loss(train, model, *labels),
            evaluator=evaluator,
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)  # it prints to stdout, where only results go
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # Half precision was for training: from here on the model scores as it will when it is loaded.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return trainer


def history(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put a trainer's log in rows.

    Args:
        log: Its entries: losses and metrics apart, each with its step.

    Returns:
        A row a step: `step`, `epoch`, and where they were measured `loss`, `learning_rate`, `grad_norm` and
        `metrics`.
    """
    rows: dict[int, dict[str, Any]] = {}
    for entry in log:
        metrics = {
            name.removeprefix("eval_"): value
            for name, value in entry.items()
            if name.startswith("eval_") and not name.startswith(TIMES)
        }
        losses = {name: entry[name] for name in ("loss", "learning_rate", "grad_norm") if name in entry}
        if metrics or losses:
            row = rows.setdefault(entry["step"], {"step": entry["step"], "epoch": entry["epoch"]})
            row |= losses | ({"metrics": metrics} if metrics else {})
    return list(rows.values())


#: What the trainer measures of itself in an evaluation.
TIMES = (
    "eval_runtime",
    "eval_samples_per_second",
    "eval_steps_per_second",
    "eval_model_preparation_time",
)


@contextlib.contextmanager
def enough_memory(train: Train, arguments: Any) -> Iterator[None]:
    """Say what to do where memory ends.

    Args:
        train: The recipe's `train` section.
        arguments: The arguments of its trainer.

    Yields:
        Nothing.

    Raises:
        TrainingError: There is not enough memory.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        ended = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not ended and not any(words in str(error).lower() for words in OUT_OF_MEMORY):
            raise
        size, times = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
        if LOSSES[train.loss].in_batch:
            advice = "set train.loss=cached-mnrl with train.loss_args.mini_batch_size=16"
            advice += " (the batch stays as large)" if train.loss == "mnrl" else " or smaller"
        else:
            advice = (
                f"set train.args.per_device_train_batch_size={max(1, size // 2)} and "
                f"train.args.gradient_accumulation_steps={times * 2}"
            )
        raise TrainingError(
            f"out of memory with {size} rows at a time; {advice}, or a lower train.max_length"
        ) from error
