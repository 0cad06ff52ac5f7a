"""Leak-free hard negatives, training tables and search models from a corpus you already have."""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Recipe": "minerkit.recipe",
    "dataset_stats": "minerkit.stats",
    "format_examples": "minerkit.formats",
    "filter_false_negatives": "minerkit.filters",
    "load": "minerkit.artefacts",
    "load_recipe": "minerkit.recipes",
    "mine": "minerkit.pipeline",
    "retrieve": "minerkit.retrieve",
    "run": "minerkit.endtoend",
    "sample_negatives": "minerkit.samplers",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that `import minerkit` stays light."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'minerkit' has no attribute {name!r}")
