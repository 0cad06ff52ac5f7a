"""Losses of sentence-transformers: check their parameters, build them, and describe them for a model card.

`minerkit.recipe.LOSSES` lists them: a new loss is a line there.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from minerkit.errors import RecipeError
from minerkit.recipe import LOSSES, Train
from minerkit.training.argument_types import check_arguments, type_hints

__all__ = ["Loss", "build_loss", "check_loss", "describe_loss", "resolve_pos_weight"]

FAMILIES = ("cross_encoder", "sentence_transformer")
#: The constructor parameter of the loss classes for the similarity function; recipes call it `similarity`.
SIMILARITY_PARAMETER = "similarity_fct"


@dataclass(frozen=True)
class Loss:
    """A loss: its class name, its model family, and its parameters (None if it reports none)."""

    name: str
    family: str
    parameters: Mapping[str, Any] | None


def check_loss(train: Train) -> tuple[dict[str, Any], list[str]]:
    """Check the parameters of a recipe's loss against the installed sentence-transformers.

    Args:
        train: The recipe's `train` section.

    Returns:
        The valid parameters, converted to their types, and one line for each fault.
    """
    spec, arguments, faults = LOSSES[train.loss], dict(train.loss_args), []
    if "pos_weight" in arguments and train.loss == "bce":
        del arguments["pos_weight"]
        faults.append("train.loss_args.pos_weight: set train.pos_weight")
    loss_class = _loss_class(train.loss)
    hints = type_hints(loss_class.__init__)
    reserved = {"self", "model", "pos_weight", SIMILARITY_PARAMETER}
    types = {name: hints.get(name, Any) for name in _parameter_names(loss_class) if name not in reserved}
    types |= {"similarity": Literal["dot", "cosine"]} if spec.similarity else {}
    values, type_faults = check_arguments(arguments, types, "train.loss_args")
    return values, faults + type_faults


def build_loss(train: Train, model: Any, positives: int, negatives: int) -> Any:
    """Build the loss that trains a model.

    Args:
        train: The recipe's `train` section, with checked loss parameters.
        model: A CrossEncoder or SentenceTransformer.
        positives: Number of training rows with label 1, for `pos_weight: auto`.
        negatives: Number of training rows with label 0.

    Returns:
        A loss of sentence-transformers.
    """
    return _loss_class(train.loss)(model, **_constructor_arguments(train, positives, negatives))


def describe_loss(loss: Train | str, positives: int = 0, negatives: int = 0) -> Loss:
    """Describe a loss without loading a model.

    Args:
        loss: A recipe's `train` section, or the name of a loss with the library's defaults: its name in a
            recipe or its class name in sentence-transformers.
        positives: Number of training rows with label 1, for `pos_weight: auto`.
        negatives: Number of training rows with label 0.

    Returns:
        The loss, with its parameters as the installed library reports them.

    Raises:
        RecipeError: There is no such loss.
    """
    name = loss if isinstance(loss, str) else loss.loss
    options = {} if isinstance(loss, str) else _constructor_arguments(loss, positives, negatives)
    family, loss_class = _find_loss_class(name)
    try:
        instance = loss_class(_empty_model(family), **options)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RecipeError(f"{name} cannot be described by its name alone: {error}") from error
    parameters = dict(instance.get_config_dict()) if hasattr(instance, "get_config_dict") else None
    return Loss(name=loss_class.__name__, family=family, parameters=parameters)


def resolve_pos_weight(setting: float | str | None, positives: int, negatives: int) -> float | int | None:
    """Resolve the weight of positives in the BCE loss.

    Args:
        setting: The recipe's `train.pos_weight`: a number, `auto` for negatives per positive, or None.
        positives: Number of training rows with label 1.
        negatives: Number of training rows with label 0.

    Returns:
        The weight, as an integer if it is whole; None: no weight.
    """
    if setting == "auto":
        setting = negatives / positives if positives and negatives else None
    if setting is None:
        return None
    weight = float(setting)
    return int(weight) if weight.is_integer() else weight


def _constructor_arguments(train: Train, positives: int, negatives: int) -> dict[str, Any]:
    """Convert the recipe's loss parameters to the arguments of the loss class."""
    options, _ = check_loss(train)
    similarity = options.pop("similarity", None)
    if similarity is not None:
        from sentence_transformers import util

        all_pairs = {"dot": util.dot_score, "cosine": util.cos_sim}
        row_by_row = {"dot": util.pairwise_dot_score, "cosine": util.pairwise_cos_sim}
        functions = all_pairs if LOSSES[train.loss].similarity == "all" else row_by_row
        options[SIMILARITY_PARAMETER] = functions[similarity]
    if train.loss == "bce":
        import torch

        weight = resolve_pos_weight(train.pos_weight, positives, negatives)
        options["pos_weight"] = None if weight is None else torch.tensor(weight)
    return options


def _loss_class(name: str) -> Any:
    """Return the class of a loss by its name in a recipe."""
    spec = LOSSES[name]
    return _loss_classes(spec.family)[spec.maker]


def _find_loss_class(name: str) -> tuple[str, Any]:
    """Find the family and class of a loss by its name in a recipe or by its class name."""
    if name in LOSSES:
        return LOSSES[name].family, _loss_class(name)
    families = {family: _loss_classes(family) for family in FAMILIES}
    for family, classes in families.items():
        if name in classes:
            return family, classes[name]
    known = [*LOSSES, *sorted({name for classes in families.values() for name in classes})]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"write {', '.join(LOSSES)}, or the name of a loss class"
    raise RecipeError(f"no loss {name!r} in the installed sentence-transformers; {hint}")


def _loss_classes(family: str) -> dict[str, Any]:
    """List the loss classes that the installed sentence-transformers has for a model family, by name."""
    module = importlib.import_module(f"sentence_transformers.{family}.losses")
    return {name: getattr(module, name) for name in module.__all__ if name.endswith("Loss")}


def _parameter_names(loss_class: Any) -> list[str]:
    """List the constructor parameters that can be set by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in inspect.signature(loss_class.__init__).parameters.items() if p.kind in kinds]


def _empty_model(family: str) -> Any:
    """Create a model without weights, which is enough to construct a loss."""
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    base: Any = CrossEncoder if family == "cross_encoder" else SentenceTransformer
    members = {
        "__init__": torch.nn.Module.__init__,
        "num_labels": 1,
        # Some losses check the type of the first module.
        "__getitem__": lambda self, index: torch.nn.Identity(),
    }
    return type("EmptyModel", (base,), members)()
