"""The trainers of sentence-transformers, with progress on stderr and checkpoints that training goes on from.

Importing this loads torch.
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
from minerkit.training.checkpoints import mark_whole, seconds_before
from minerkit.training.losses import make_loss

__all__ = ["fit", "history"]


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


class _Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Notes which checkpoints are whole, and finds the best one where the run folder is by now."""

    def __init__(self, seconds: float) -> None:
        self._started = time.monotonic() - seconds

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.best_global_step is not None:
            best = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
            state.best_model_checkpoint = str(best)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        mark_whole(checkpoint, time.monotonic() - self._started)


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
        stack.callback(logging.set_verbosity, logging.get_verbosity())
        logging.set_verbosity_error()  # it warns of checkpoints that follow fast on each other
        callbacks = [
            _Progress(reporter, stack, arguments.metric_for_best_model),
            _Checkpoints(seconds_before(checkpoint)),
        ]
        if train.early_stopping is not None and evaluator is not None:
            callbacks.append(EarlyStoppingCallback(train.early_stopping))
        with contextlib.redirect_stderr(io.StringIO()):  # a bar for the examples of a card
            trainer = maker(
                model=model,
                args=arguments,
                train_dataset=datasets.Dataset.from_polars(rows),
                loss=make_loss(train, model, *labels),
                evaluator=evaluator,
                callbacks=callbacks,
            )
        trainer.remove_callback(PrinterCallback)  # it prints to stdout, where only results go
        if checkpoint is not None and _ended(checkpoint):
            # The trainer would learn one step more before it looks whether it has to stop.
            trainer._run_epoch = lambda **_: None
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    # Half precision was for training: from here on the model scores as it will when it is loaded.
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return trainer


def _ended(checkpoint: Path) -> bool:
    """Say whether a training was at its end when it wrote a checkpoint."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return bool(state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"])


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
