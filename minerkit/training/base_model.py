"""Load the base model, the model that training starts from.

It is a model of the Hub, a model folder, or `scratch`: a small BERT created from the run's own text.
"""

from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import EncoderError, TrainingError
from minerkit.recipe import LOSSES, Recipe
from minerkit.runtime import load_model
from minerkit.training.scratch_model import scratch_folder

__all__ = ["check_base", "load_base"]


def check_base(recipe: Recipe) -> None:
    """Check that the base model loads, before hours of mining.

    Args:
        recipe: The recipe.

    Raises:
        TrainingError: The model cannot be loaded with the recipe's settings.
    """
    if recipe.train.base != "scratch":
        _load(recipe, recipe.train.base, "cpu", 0)


def load_base(recipe: Recipe, texts: pl.Series | None, device: str, seed: int) -> Any:
    """Load the base model.

    Args:
        recipe: The recipe.
        texts: The train texts that `scratch` is created from; None for any other base model.
        device: cpu, cuda or mps.
        seed: Seed of newly initialised weights.

    Returns:
        A CrossEncoder or SentenceTransformer.

    Raises:
        TrainingError: The model cannot be loaded with the recipe's settings.
    """
    name = recipe.train.base
    if texts is not None:
        name = str(scratch_folder(texts, recipe.train.family, seed))
    return _load(recipe, name, device, seed)


def _load(recipe: Recipe, name: str, device: str, seed: int) -> Any:
    """Load a model by Hub name or folder, with the recipe's revision, length limit and similarity."""
    train = recipe.train
    if train.revision is not None and Path(name).expanduser().is_dir():
        raise TrainingError(f"train.revision: {name} is a folder and has none; leave it out")
    try:
        model = load_model(name, train.family, device, seed, train.revision)
    except EncoderError as error:
        reason = str(error).rstrip(".")
        raise TrainingError(f"train.base: {reason}; name another, or set train.base=scratch") from error
    config = getattr(model.transformers_model, "config", None)
    limit = getattr(config, "max_position_embeddings", None)
    if train.max_length is not None:
        if limit is not None and train.max_length > limit:
            raise TrainingError(
                f"train.max_length: {train.max_length} is above the {limit} tokens that {name} can take"
            )
        try:
            model.max_seq_length = train.max_length
        except AttributeError as error:
            raise TrainingError(
                f"train.max_length: {name} takes texts of any length; leave it out"
            ) from error
    if LOSSES[train.loss].similarity:
        # The saved model compares vectors as the loss did; the losses' default is cosine.
        model.similarity_fn_name = train.loss_args.get("similarity", "cosine")
    # The last two names of a folder look like a Hub name; the model card must not look it up on the Hub.
    model.model_card_data.local_files_only = Path(name).expanduser().is_dir()
    return model
