"""The training arguments of a recipe: any that the installed sentence-transformers knows."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minerkit.errors import MissingExtraError, RecipeError
from minerkit.recipe import LOSSES, Recipe
from minerkit.runtime import Reporter, native_half
from minerkit.training.argument_types import checked, hints
from minerkit.training.losses import check_loss

__all__ = ["check_training", "training_arguments", "training_seed"]

#: Arguments that minerkit sets itself, and what to use in their place.
OURS = {
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
#: Arguments that trainers take at 0 and below, and then do nothing, or divide by.
ABOVE_ZERO = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
)
#: Trackers that come with an extra of minerkit.
TRACKING = ("codecarbon", "trackio")
#: Arguments of half precision, in the order in which a device that has none of it loses them.
HALF = ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval")
SEED = 12


def training_seed(recipe: Recipe) -> int:
    """Say which seed a training has.

    Args:
        recipe: The recipe; its training arguments are checked.

    Returns:
        `train.args.seed`, or 12.
    """
    return int(recipe.train.args.get("seed", SEED))


def check_training(recipe: Recipe, device: str) -> None:
    """Check the loss, its parameters and the training arguments, before anything is mined or loaded.

    Args:
        recipe: The recipe.
        device: cpu, cuda or mps.

    Raises:
        RecipeError: The loss cannot learn from the format, or arguments are unknown or of the wrong type.
        MissingExtraError: A tracker that `report_to` names is not installed.
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
    """Make the arguments of the trainer.

    Args:
        recipe: The recipe.
        folder: Where checkpoints go.
        device: cpu, cuda or mps.
        metric: The metric that decides which model is best; None: nothing is evaluated.
        reporter: Where it is said what is called otherwise by now, and what the device cannot do.

    Returns:
        A SentenceTransformerTrainingArguments or CrossEncoderTrainingArguments.

    Raises:
        RecipeError: Some are unknown or of the wrong type; all are listed.
        MissingExtraError: A tracker that `report_to` names is not installed.
    """
    maker = _class(recipe)
    given, faults = _renamed(recipe.train.args, reporter)
    faults += [f"train.args.{name}: minerkit sets it; use {OURS[name]}" for name in given if name in OURS]
    types = hints(maker)
    known = {field.name: types.get(field.name, Any) for field in dataclasses.fields(maker) if field.init}
    free = {name: value for name, value in given.items() if name not in OURS}
    types = {name: kind for name, kind in known.items() if name not in OURS}
    values, wrong = checked(free, types, "train.args")
    faults += wrong + check_loss(recipe.train)[1]
    faults += [f"train.args.{name}: must be above 0" for name in ABOVE_ZERO if values.get(name, 1) <= 0]
    if not faults:
        _check_trackers(values.get("report_to"))
        values, note = _precision(values, device)
        if note:
            reporter.say(note)
        try:
            return maker(output_dir=str(folder), use_cpu=device == "cpu", **_filled(recipe, values, metric))
        except (ValueError, TypeError, ImportError) as error:
            faults = [f"train.args: {str(error).strip().splitlines()[0]}"]
    lead = f"recipe {recipe.name} cannot be trained:"
    raise RecipeError(f"{lead} {faults[0]}" if len(faults) == 1 else "\n  ".join([lead, *faults]))


def _filled(recipe: Recipe, values: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    """Add what a recipe need not say: when to evaluate, save and log, and which model is best."""
    # A share of all steps: a short training is measured and logged, too; a long one loses a tenth at most.
    every = recipe.eval.steps or values.get("save_steps") or 0.1
    ours = {
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "logging_steps": recipe.eval.steps or 0.02,
        "logging_first_step": True,
        "report_to": "none",
        "seed": training_seed(recipe),
        "disable_tqdm": True,
    }
    if metric is not None:
        ours |= {"eval_strategy": "steps", "eval_steps": every, "load_best_model_at_end": True}
        ours |= {"metric_for_best_model": metric, "greater_is_better": True}
    if recipe.train.early_stopping:
        ours["restore_callback_states_from_checkpoint"] = True  # how long there was no better one
    if LOSSES[recipe.train.loss].in_batch:
        ours["batch_sampler"] = "no_duplicates"
    return {**ours, **values}


def _renamed(given: Mapping[str, Any], reporter: Reporter) -> tuple[dict[str, Any], list[str]]:
    """Give `warmup_ratio` the name it has by now; it stays a share of the steps."""
    values = dict(given)
    if "warmup_ratio" not in values:
        return values, []
    if "warmup_steps" in values:
        return values, ["train.args.warmup_ratio: is called warmup_steps by now, which is given, too"]
    values["warmup_steps"] = values.pop("warmup_ratio")
    share = values["warmup_steps"]
    reporter.say(f"train.args.warmup_ratio is called warmup_steps by now: {share} of all steps")
    return values, []


def _precision(values: Mapping[str, Any], device: str) -> tuple[dict[str, Any], str]:
    """Leave half precision out where the device has none of its own, and say so."""
    import torch

    wanted = [name for name in HALF if values.get(name)]
    able = {"bf16": native_half(device) == "bfloat16", "fp16": device == "cuda"}
    missing = [name for name in wanted if not able[name[:4]]]
    kept = {name: value for name, value in values.items() if name not in missing}
    if not missing:
        return kept, ""
    if device == "cuda" and values.get("bf16"):
        return kept | {"fp16": True}, f"{torch.cuda.get_device_name()} has no bf16: fp16 is used in its place"
    return kept, f"{missing[0]}: the {device} here has none of its own; float32 is used in its place"


def _check_trackers(wanted: Any) -> None:
    """See whether the trackers are installed that `report_to` names."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    names = [wanted] if isinstance(wanted, str) else wanted or []
    for name in names:
        if name in {"none", "all"}:
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise RecipeError(f"train.args.report_to: no tracker is called {name!r}; there are {known}")
        if name not in get_available_reporting_integrations():
            package = "'minerkit[tracking]'" if name in TRACKING else name
            raise MissingExtraError(f"train.args.report_to: {name} is not installed; `pip install {package}`")


def _class(recipe: Recipe) -> Any:
    import sentence_transformers

    cross = recipe.train.family == "cross_encoder"
    name = "CrossEncoderTrainingArguments" if cross else "SentenceTransformerTrainingArguments"
    from sentence_transformers import cross_encoder

    return getattr(cross_encoder if cross else sentence_transformers, name)
