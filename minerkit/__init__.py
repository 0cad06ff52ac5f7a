"""Leak-free hard negatives, training tables and search models from a corpus you already have."""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Recipe": "minerkit.recipe.recipe",
    "dataset_stats": "minerkit.reports.stats.column_stats",
    "format_examples": "minerkit.mining.examples",
    "filter_false_negatives": "minerkit.mining.filters",
    "load": "minerkit.storage.run_folder",
    "load_recipe": "minerkit.recipe.load",
    "mine": "minerkit.pipeline.commands",
    "retrieve": "minerkit.mining.candidates",
    "run": "minerkit.pipeline.end_to_end",
    "sample_negatives": "minerkit.mining.sampling",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that `import minerkit` stays light."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'minerkit' has no attribute {name!r}")
