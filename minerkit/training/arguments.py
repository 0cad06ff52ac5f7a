"""Build the arguments of the trainer from `train.args`.

A recipe may set any argument that the installed sentence-transformers knows, except those that minerkit sets
itself.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minerkit.errors import MissingExtraError, RecipeError
from minerkit.recipe import LOSSES, Recipe
from minerkit.runtime import Reporter, native_half
from minerkit.training.argument_types import check_arguments, type_hints
from minerkit.training.losses import check_loss

__all__ = ["check_training", "training_arguments", "training_seed"]

#: Arguments that minerkit sets itself, each with the option that replaces it.
RESERVED = {
    "output_dir": "--out",
    "use_cpu": "--device",
    "disable_tqdm": "--quiet",
    "resume_from_checkpoint": "--resume",
    "eval_strategy": "eval.steps",
    "eval_steps": "eval.steps",
    "eval_on_start": "eval; the untrained model is evaluated anyway",
    "save_strategy": "save_steps",
    "save_only_model": "save_steps; a checkpoint must hold all that training goes on from",
    "load_best_model_at_end": "eval; the best model is kept",
    "metric_for_best_model": "eval; its first metric decides",
    "greater_is_better": "eval; its first metric decides",
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), "minerkit train and minerkit eval"),
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_token", "hub_strategy"), "minerkit push"),
}
#: Arguments that must be positive; trainers accept 0 and below, then train nothing or divide by zero.
POSITIVE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
)
#: Experiment trackers in minerkit's extra `tracking`.
TRACKING = ("codecarbon", "trackio")
#: Half-precision arguments; the message about an unsupported device names the first one of the recipe.
HALF_PRECISION = ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval")
DEFAULT_SEED = 12


def training_seed(recipe: Recipe) -> int:
    """Return the seed of a training.

    Args:
        recipe: The recipe, with checked training arguments.

    Returns:
        `train.args.seed`, or 12.
    """
    return int(recipe.train.args.get("seed", DEFAULT_SEED))


def check_training(recipe: Recipe, device: str) -> None:
    """Check the loss, its parameters and the training arguments, before anything is mined or loaded.

    Args:
        recipe: The recipe.
        device: cpu, cuda or mps.

    Raises:
        RecipeError: The loss cannot learn from the format, or arguments are unknown or of the wrong type.
        MissingExtraError: A tracker in `report_to` is not installed.
    """
    metric = "metric" if recipe.split.dev_queries else None
    fault = recipe.train.format_fault(recipe.format.type, recipe.format.scores)
    if fault is None and recipe.train.early_stopping and metric is None:
        fault = "train.early_stopping needs dev queries; set split.dev_queries"
    if fault is not None:
        raise RecipeError(f"recipe {recipe.name} cannot be trained: {fault}")
    training_arguments(recipe, Path("unused"), device, metric, Reporter(quiet=True))


def training_arguments(
    recipe: Recipe, folder: Path, device: str, metric: str | None, reporter: Reporter
) -> Any:
    """Build the arguments of the trainer.

    Args:
        recipe: The recipe.
        folder: The folder of the checkpoints.
        device: cpu, cuda or mps.
        metric: The metric that selects the best model; None: nothing is evaluated.
        reporter: Receives notes on renamed arguments and on precision that the device does not support.

    Returns:
        A SentenceTransformerTrainingArguments or CrossEncoderTrainingArguments.

    Raises:
        RecipeError: Arguments are unknown or of the wrong type; the error lists all of them.
        MissingExtraError: A tracker in `report_to` is not installed.
    """
    arguments_class = _arguments_class(recipe)
    arguments, faults = _rename_warmup(recipe.train.args, reporter)
    faults += [
        f"train.args.{name}: minerkit sets it; use {RESERVED[name]}" for name in arguments if name in RESERVED
    ]
    hints = type_hints(arguments_class)
    fields = [field.name for field in dataclasses.fields(arguments_class) if field.init]
    types = {name: hints.get(name, Any) for name in fields if name not in RESERVED}
    allowed = {name: value for name, value in arguments.items() if name not in RESERVED}
    values, type_faults = check_arguments(allowed, types, "train.args")
    faults += type_faults + check_loss(recipe.train)[1]
    faults += [f"train.args.{name}: must be above 0" for name in POSITIVE if values.get(name, 1) <= 0]
    if not faults:
        _check_trackers(values.get("report_to"))
        values, note = _supported_precision(values, device)
        if note:
            reporter.say(note)
        values = _with_defaults(recipe, values, metric)
        try:
            return arguments_class(output_dir=str(folder), use_cpu=device == "cpu", **values)
        except (ValueError, TypeError, ImportError) as error:
            faults = [f"train.args: {str(error).strip().splitlines()[0]}"]
    lead = f"recipe {recipe.name} cannot be trained:"
    raise RecipeError(f"{lead} {faults[0]}" if len(faults) == 1 else "\n  ".join([lead, *faults]))


def _with_defaults(recipe: Recipe, values: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    """Add minerkit's defaults: when to evaluate, save and log, and which model is best."""
    # A fraction of all steps: short trainings are evaluated and logged too, and an interrupted long one loses
    # a tenth at most.
    interval = recipe.eval.steps or values.get("save_steps") or 0.1
    defaults = {
        "save_strategy": "steps",
        "save_steps": interval,
        "save_total_limit": 2,
        "logging_steps": recipe.eval.steps or 0.02,
        "logging_first_step": True,
        "report_to": "none",
        "seed": training_seed(recipe),
        "disable_tqdm": True,
    }
    if metric is not None:
        defaults |= {"eval_strategy": "steps", "eval_steps": interval, "load_best_model_at_end": True}
        defaults |= {"metric_for_best_model": metric, "greater_is_better": True}
    if recipe.train.early_stopping:
        # A resumed training keeps the count of evaluations without improvement.
        defaults["restore_callback_states_from_checkpoint"] = True
    if LOSSES[recipe.train.loss].in_batch:
        defaults["batch_sampler"] = "no_duplicates"
    return {**defaults, **values}


def _rename_warmup(arguments: Mapping[str, Any], reporter: Reporter) -> tuple[dict[str, Any], list[str]]:
    """Rename `warmup_ratio` to `warmup_steps`, which takes a fraction of the steps too."""
    values = dict(arguments)
    if "warmup_ratio" not in values:
        return values, []
    if "warmup_steps" in values:
        return values, ["train.args.warmup_ratio: is now called warmup_steps, which is set too; remove one"]
    values["warmup_steps"] = values.pop("warmup_ratio")
    fraction = values["warmup_steps"]
    reporter.say(f"train.args.warmup_ratio is now called warmup_steps: {fraction} of all steps")
    return values, []


def _supported_precision(values: Mapping[str, Any], device: str) -> tuple[dict[str, Any], str]:
    """Remove half-precision arguments that the device does not support; also return a note about them."""
    import torch

    requested = [name for name in HALF_PRECISION if values.get(name)]
    supported = {"bf16": native_half(device) == "bfloat16", "fp16": device == "cuda"}
    missing = [name for name in requested if not supported[name[:4]]]
    remaining = {name: value for name, value in values.items() if name not in missing}
    if not missing:
        return remaining, ""
    if device == "cuda" and values.get("bf16"):
        note = f"{torch.cuda.get_device_name()} has no bf16: fp16 is used in its place"
        return remaining | {"fp16": True}, note
    return remaining, f"{missing[0]}: the {device} here has none of its own; float32 is used in its place"


def _check_trackers(report_to: Any) -> None:
    """Check that the trackers in `report_to` exist and are installed."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    names = [report_to] if isinstance(report_to, str) else report_to or []
    for name in names:
        if name in {"none", "all"}:
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise RecipeError(f"train.args.report_to: no tracker is called {name!r}; there are {known}")
        if name not in get_available_reporting_integrations():
            package = "'minerkit[tracking]'" if name in TRACKING else name
            raise MissingExtraError(f"train.args.report_to: {name} is not installed; `pip install {package}`")


def _arguments_class(recipe: Recipe) -> Any:
    """Return the class of training arguments for the recipe's model family."""
    if recipe.train.family == "cross_encoder":
        from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

        return CrossEncoderTrainingArguments
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments
