"""The manifest: what went in, what came out, and with which versions, seeds and timings."""

import json
from collections.abc import Sequence
from typing import Any

from minerkit.recipe import Recipe
from minerkit.runtime import package_versions
from minerkit.storage import Run, atomic_write

__all__ = ["write_manifest"]


def write_manifest(run: Run, recipe: Recipe, stages: Sequence[str]) -> None:
    """Write manifest.json, the last file of a run.

    Args:
        run: A run whose stages are done.
        recipe: The recipe it was made from.
        stages: The names of the stages that are done, in order.
    """
    markers: dict[str, Any] = {stage: run.marker(stage) or {} for stage in stages}
    search = markers["search"]["facts"]
    outputs = {
        name: digest
        for marker in markers.values()
        for name, digest in marker["outputs"].items()
        if not name.startswith(".")
    }
    manifest = {
        "recipe": recipe.name,
        "inputs": markers["ingest"]["facts"]["inputs"],
        "rows": {name: markers["ingest"]["facts"][name] for name in ("rows", "entries", "documents")},
        "outputs": dict(sorted(outputs.items())),
        "encoder": {"model": recipe.encoder.model, **search["encoder"], "note": search["note"]},
        "search": search["search"],
        "retrieval": search["retrieval"],
        "seeds": {"split": recipe.split.seed, "mine": recipe.mine.seed},
        "seconds": {stage: marker["seconds"] for stage, marker in markers.items()},
        "versions": package_versions(),
    }
    with atomic_write(run.folder / "manifest.json") as stream:
        stream.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode())
