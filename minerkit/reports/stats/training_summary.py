"""The account of a training, in words: the model, how it was made, and what that changed."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["before_after", "loading", "metric_of", "model_in_words"]

#: What the families are called, and the classes that load them.
FAMILIES = {
    "cross_encoder": ("reranker", "CrossEncoder"),
    "sentence_transformer": ("bi-encoder", "SentenceTransformer"),
}


def model_in_words(training: Mapping[str, Any]) -> str:
    """Describe what kind of model was trained, and how large it is.

    Args:
        training: A run's training.json.

    Returns:
        A few words.
    """
    return f"{FAMILIES[training['model']['family']][0]}, {training['model']['parameters']:,} parameters"


def metric_of(training: Mapping[str, Any]) -> str:
    """Name the metric that chose the model, without the names of the data set and of the similarity.

    Args:
        training: A run's training.json, of a training that was measured.

    Returns:
        For example ndcg@10 or average_precision.
    """
    plain = str(training["metric"]).rpartition("-dev_")[2].removeprefix(f"{training['model']['similarity']}_")
    return {"ap": "average_precision"}.get(plain, plain)


def before_after(training: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the metric that chose the model, before and after training.

    Args:
        training: A run's training.json.

    Returns:
        Both values; None where nothing was measured.
    """
    name = training["metric"]
    if name is None or training["before"] is None or training["after"] is None:
        return None
    return training["before"][name], training["after"][name]


def loading(training: Mapping[str, Any], folder: str) -> tuple[str, str]:
    """Write the two lines of Python that load the model.

    Args:
        training: A run's training.json.
        folder: The run folder.

    Returns:
        The lines.
    """
    maker = FAMILIES[training["model"]["family"]][1]
    return (
        f"from sentence_transformers import {maker}",
        f"model = {maker}({json.dumps(f'{folder}/model', ensure_ascii=False)})",
    )
