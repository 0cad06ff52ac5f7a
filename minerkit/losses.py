"""The loss a model is trained with, as the installed sentence-transformers describes it in a model card."""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minerkit.errors import RecipeError

__all__ = ["LOSSES", "Loss", "describe_loss", "pos_weight"]

#: The names a recipe uses -> the package of sentence-transformers and the class.
LOSSES: Mapping[str, tuple[str, str]] = {
    "bce": ("cross_encoder", "BinaryCrossEntropyLoss"),
    "mnrl": ("sentence_transformer", "MultipleNegativesRankingLoss"),
}
FAMILIES = ("cross_encoder", "sentence_transformer")


@dataclass(frozen=True)
class Loss:
    """A loss function: its class, the package it belongs to, and its parameters (None: it has none)."""

    name: str
    family: str
    parameters: Mapping[str, Any] | None


def describe_loss(name: str, given: Mapping[str, Any] | None = None) -> Loss:
    """Describe a loss without making a model.

    Args:
        name: `bce`, `mnrl`, or the name of a loss class of sentence-transformers.
        given: Parameters by their names in the class; others keep the library's defaults, and what the class
            does not know is passed over.

    Returns:
        The loss, its parameters as the installed library lists them.

    Raises:
        RecipeError: There is no such loss.
    """
    family, found = _find(name)
    known = inspect.signature(found.__init__).parameters
    wanted = {
        key: _value(key, value) for key, value in (given or {}).items() if key in known and value is not None
    }
    try:
        loss = found(_shell(family), **wanted)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise RecipeError(f"{name} cannot be described by its name alone: {error}") from error
    return Loss(name=found.__name__, family=family, parameters=_parameters(loss))


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


def _find(name: str) -> tuple[str, Any]:
    families = {family: _losses(family) for family in FAMILIES}
    if name in LOSSES:
        family, name = LOSSES[name]
        return family, families[family][name]
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


def _shell(family: str) -> Any:
    """Make a model without weights, enough for a loss to be made of."""
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer

    base: Any = CrossEncoder if family == "cross_encoder" else SentenceTransformer
    shell = type("Shell", (base,), {"__init__": torch.nn.Module.__init__, "num_labels": 1})
    return shell()


def _parameters(loss: Any) -> dict[str, Any] | None:
    return dict(loss.get_config_dict()) if hasattr(loss, "get_config_dict") else None


def _value(key: str, value: Any) -> Any:
    """Give a parameter the form the loss takes it in."""
    if key == "pos_weight":
        import torch

        return torch.tensor(value)
    if key == "similarity_fct":
        from sentence_transformers import util

        return {"dot": util.dot_score, "cosine": util.cos_sim}[value]
    return value
