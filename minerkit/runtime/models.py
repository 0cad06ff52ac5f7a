"""Models that are scored: what they are, and how they are loaded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from minerkit.errors import EncoderError

__all__ = ["Family", "load_model", "model_family"]

#: A cross_encoder scores pairs of texts, a sentence_transformer encodes each text.
Family = Literal["cross_encoder", "sentence_transformer"]

ARCHETYPES: Mapping[str, Family] = {
    "CrossEncoder": "cross_encoder",
    "SentenceTransformer": "sentence_transformer",
}
#: The files that say what a model is.
CONFIGS = ("config_sentence_transformers.json", "modules.json", "config.json")
#: Seed of a new classification head: a base model without one is scored the same every time.
SEED = 12


def model_family(name: str) -> Family:
    """Find out from a model's configuration what kind it is.

    Args:
        name: A folder or a Hub name.

    Returns:
        What sentence-transformers noted in it; else a bi-encoder where it lists modules, and a cross-encoder
        where transformers names a sequence classifier.

    Raises:
        EncoderError: There is no such model, or it is of another kind.
    """
    found = _configs(name)
    archetype = found.get("config_sentence_transformers.json", {}).get("model_type")
    if archetype is not None and archetype not in ARCHETYPES:
        raise EncoderError(f"{name} is a {archetype}; rerankers and dense bi-encoders can be evaluated")
    if archetype is not None:
        return ARCHETYPES[archetype]
    if not found.keys() & {"modules.json", "config.json"}:
        raise EncoderError(f"{name} holds no model: neither modules.json nor config.json")
    heads = found.get("config.json", {}).get("architectures") or []
    classifies = any(head.endswith("ForSequenceClassification") for head in heads)
    return "cross_encoder" if classifies and "modules.json" not in found else "sentence_transformer"


def load_model(
    name: str, family: Family, device: str = "auto", seed: int = SEED, revision: str | None = None
) -> Any:
    """Load a model of sentence-transformers.

    Args:
        name: A folder or a Hub name.
        family: What to load it as.
        device: auto, cpu, cuda or mps.
        seed: Seed of a head that the model does not come with.
        revision: A branch, tag or commit of a Hub model.

    Returns:
        A CrossEncoder with one score a pair, or a SentenceTransformer.

    Raises:
        EncoderError: There is no such model, or it cannot be loaded or used.
    """
    if not _configs(name, revision):
        raise EncoderError(f"{name} holds no model: neither modules.json nor config.json")
    import sentence_transformers
    import torch
    from sentence_transformers.util import disable_logging
    from transformers.utils import logging

    logging.disable_progress_bar()  # minerkit shows its own
    makers = {family: getattr(sentence_transformers, archetype) for archetype, family in ARCHETYPES.items()}
    try:
        path = _path(name)
        place = {"local_files_only": True} if Path(path).is_dir() else {"revision": revision}
        # A base model without a head is no fault: it gets a new one, the same every time.
        with disable_logging(), torch.random.fork_rng():
            torch.manual_seed(seed)
            model = makers[family](path, device=None if device == "auto" else device, **place)
    except Exception as error:
        raise _unloadable(name, error) from error
    special = getattr(model.tokenizer, "all_special_tokens", None)
    if special and len(model.tokenizer) <= len(special):
        raise EncoderError(f"{name} holds no vocabulary for its tokenizer; save the tokenizer there, too")
    if family == "cross_encoder" and model.num_labels != 1:
        raise EncoderError(f"{name} gives {model.num_labels} scores a pair; a reranker gives one")
    return model


def _configs(name: str, revision: str | None = None) -> dict[str, Any]:
    """Read what a model says about itself, by file name; of a Hub model, no more than these files come in."""
    from huggingface_hub import snapshot_download

    try:
        path = _path(name)
        if not Path(path).is_dir():
            path = snapshot_download(path, revision=revision, allow_patterns=list(CONFIGS))
        folder = Path(path)
        files = {file: folder / file for file in CONFIGS}
        return {file: json.loads(path.read_text("utf-8")) for file, path in files.items() if path.is_file()}
    except Exception as error:
        raise _unloadable(name, error) from error


def _path(name: str) -> str:
    """Return a folder's path, or a Hub name as it is."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or folder.exists():
        raise EncoderError(f"{name}: no such model folder")
    return name


def _unloadable(name: str, error: Exception) -> EncoderError:
    if isinstance(error, EncoderError):
        return error
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    hint = "" if Path(name).expanduser().is_dir() else "; with no network, name a model folder"
    return EncoderError(f"{name}: the model cannot be loaded: {first}{hint}")
