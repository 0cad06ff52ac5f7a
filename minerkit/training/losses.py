"""The loss a model is trained with: its parameters checked, its making, and how a model card describes it."""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from minerkit.errors import RecipeError
from minerkit.recipe import LOSSES, Train
from minerkit.training.argument_types import checked, hints

__all__ = ["Loss", "check_loss", "describe_loss", "make_loss", "pos_weight"]

FAMILIES = ("cross_encoder", "sentence_transformer")
#: What the classes call their ways to compare vectors; a recipe says `similarity`.
SIMILARITY = "similarity_fct"


@dataclass(frozen=True)
class Loss:
    """A loss function: its class, the package it belongs to, and its parameters (None: it has none)."""

    name: str
    family: str
    parameters: Mapping[str, Any] | None


def check_loss(train: Train) -> tuple[dict[str, Any], list[str]]:
    """Check the parameters of a recipe's loss against the installed sentence-transformers.

    Args:
        train: The recipe's `train` section.

    Returns:
        The parameters, converted, and a line for each fault.
    """
    spec, given, faults = LOSSES[train.loss], dict(train.loss_args), []
    if "pos_weight" in given and train.loss == "bce":
        del given["pos_weight"]
        faults.append("train.loss_args.pos_weight: set train.pos_weight")
    types = hints(_class(train.loss).__init__)
    ours = {"self", "model", "pos_weight", SIMILARITY}
    known = {name: types.get(name, Any) for name in _parameter_names(_class(train.loss)) if name not in ours}
    known |= {"similarity": Literal["dot", "cosine"]} if spec.similarity else {}
    values, wrong = checked(given, known, "train.loss_args")
    return values, faults + wrong


def make_loss(train: Train, model: Any, positives: int, negatives: int) -> Any:
    """Make the loss that trains a model.

    Args:
        train: The recipe's `train` section; its loss parameters are checked.
        model: A CrossEncoder or SentenceTransformer.
        positives: Training rows with label 1, for `pos_weight: auto`.
        negatives: Training rows with label 0.

    Returns:
        A loss of sentence-transformers.
    """
    return _class(train.loss)(model, **_options(train, positives, negatives))


def describe_loss(loss: Train | str, positives: int = 0, negatives: int = 0) -> Loss:
    """Describe a loss without making a model.

    Args:
        loss: A recipe's `train` section; or a loss with the library's defaults, by its name in a recipe or by
            its class in sentence-transformers.
        positives: Training rows with label 1, for `pos_weight: auto`.
        negatives: Training rows with label 0.

    Returns:
        The loss, its parameters as the installed library lists them.

    Raises:
        RecipeError: There is no such loss.
    """
    name = loss if isinstance(loss, str) else loss.loss
    options = {} if isinstance(loss, str) else _options(loss, positives, negatives)
    family, found = _find(name)
    try:
        made = found(_shell(family), **options)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RecipeError(f"{name} cannot be described by its name alone: {error}") from error
    parameters = dict(made.get_config_dict()) if hasattr(made, "get_config_dict") else None
    return Loss(name=found.__name__, family=family, parameters=parameters)


def pos_weight(given: float | str | None, positives: int, negatives: int) -> float | int | None:
    """Resolve the weight of positives in the BCE loss.

    Args:
        given: The recipe's `train.pos_weight`: a number, `auto` for negatives per positive, or None.
        positives: Training rows with label 1.
        negatives: Training rows with label 0.

    Returns:
        The weight, whole numbers as integers; None: no weight.
    """
    if given == "auto":
        given = negatives / positives if positives and negatives else None
    if given is None:
        return None
    number = float(given)
    return int(number) if number.is_integer() else number


def _options(train: Train, positives: int, negatives: int) -> dict[str, Any]:
    """Give the loss's parameters the form its class takes them in."""
    options, _ = check_loss(train)
    similarity = options.pop("similarity", None)
    if similarity is not None:
        from sentence_transformers import util

        all_with_all = {"dot": util.dot_score, "cosine": util.cos_sim}
        one_with_one = {"dot": util.pairwise_dot_score, "cosine": util.pairwise_cos_sim}
        functions = all_with_all if LOSSES[train.loss].similarity == "all" else one_with_one
        options[SIMILARITY] = functions[similarity]
    if train.loss == "bce":
        import torch

        weight = pos_weight(train.pos_weight, positives, negatives)
        options["pos_weight"] = None if weight is None else torch.tensor(weight)
    return options


def _class(name: str) -> Any:
    spec = LOSSES[name]
    return _losses(spec.family)[spec.maker]


def _find(name: str) -> tuple[str, Any]:
    if name in LOSSES:
        return LOSSES[name].family, _class(name)
    families = {family: _losses(family) for family in FAMILIES}
    for family, classes in families.items():
        if name in classes:
            return family, classes[name]
    known = [*LOSSES, *sorted({name for classes in families.values() for name in classes})]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"write {', '.join(LOSSES)}, or the name of a loss class"
    raise RecipeError(f"no loss {name!r} in the installed sentence-transformers; {hint}")


def _losses(family: str) -> dict[str, Any]:
    module = importlib.import_module(f"sentence_transformers.{family}.losses")
    return {name: getattr(module, name) for name in module.__all__ if name.endswith("Loss")}


def _parameter_names(maker: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in inspect.signature(maker.__init__).parameters.items() if p.kind in kinds]


def _shell(family: str) -> Any:
    """Make a model without weights, enough for a loss to be made of."""
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    base: Any = CrossEncoder if family == "cross_encoder" else SentenceTransformer
    members = {
        "__init__": torch.nn.Module.__init__,
        "num_labels": 1,
        # Some losses look what the first module is.
        "__getitem__": lambda self, place: torch.nn.Identity(),
    }
    return type("Shell", (base,), members)()
