"""Short facts of a training: the model, the metric that chose it, its change, the lines that load it."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["before_after", "describe_model", "loading_lines", "metric_name"]

#: Model family -> its name in texts, and the class that loads it.
FAMILIES = {
    "cross_encoder": ("reranker", "CrossEncoder"),
    "sentence_transformer": ("bi-encoder", "SentenceTransformer"),
}


def describe_model(training: Mapping[str, Any]) -> str:
    """Describe the type and size of the trained model.

    Args:
        training: A run's training.json.

    Returns:
        For example "reranker, 4,386,049 parameters".
    """
    return f"{FAMILIES[training['model']['family']][0]}, {training['model']['parameters']:,} parameters"


def metric_name(training: Mapping[str, Any]) -> str:
    """Return the name of the metric that chose the model, without data set and similarity.

    Args:
        training: A run's training.json, with metrics.

    Returns:
        For example ndcg@10 or average_precision.
    """
    name = str(training["metric"]).rpartition("-dev_")[2].removeprefix(f"{training['model']['similarity']}_")
    return {"ap": "average_precision"}.get(name, name)


def before_after(training: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the metric that chose the model, before and after training.

    Args:
        training: A run's training.json.

    Returns:
        Both values; None without metrics.
    """
    name = training["metric"]
    if name is None or training["before"] is None or training["after"] is None:
        return None
    return training["before"][name], training["after"][name]


def loading_lines(training: Mapping[str, Any], folder: str) -> tuple[str, str]:
    """Return the two lines of Python that load the model.

    Args:
        training: A run's training.json.
        folder: The run folder.

    Returns:
        The lines.
    """
    class_name = FAMILIES[training["model"]["family"]][1]
    return (
        f"from sentence_transformers import {class_name}",
        f"model = {class_name}({json.dumps(f'{folder}/model', ensure_ascii=False)})",
    )
