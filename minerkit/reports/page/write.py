"""One self-contained HTML page that shows a finished run: its account, its charts, and examples to browse."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.errors import RunError
from minerkit.recipe import load_recipe
from minerkit.reports.page.page import page
from minerkit.reports.page.sample import sample_examples
from minerkit.storage import Run, atomic_write

__all__ = ["write_report"]

FRAMES = ("queries", "corpus", "candidates", "judged", "negatives", "rejected")


def write_report(run: Run, out: Path, examples: int = 1000, seed: int = 12) -> dict[str, Any]:
    """Write the page of a finished run; the same run and arguments give the same bytes.

    Args:
        run: A finished run.
        out: The HTML file to write.
        examples: How many queries the page holds at most.
        seed: Seed of the draw of the queries.

    Returns:
        shown and queries (how many queries the page holds, and how many there are) and bytes (its size).

    Raises:
        RunError: The run was made by an earlier minerkit, a file of it is missing, or the page cannot be
            written.
    """
    stats = json.loads(_text(run.folder / "stats.json"))
    if not {"yield", "histograms"} <= stats.keys():
        raise RunError(
            f"{run.folder}/stats.json comes from an earlier minerkit; run `minerkit mine -r "
            f"{run.folder}/recipe.yaml --out {run.folder}` once more: finished stages are kept"
        )
    manifest = json.loads(_text(run.folder / "manifest.json"))
    recipe = load_recipe(run.folder / "recipe.yaml")
    frames: dict[str, pl.DataFrame] = {name: run.read(f"{name}.parquet") for name in FRAMES}
    trained = "training.json" in manifest["outputs"]
    training = run.read_json("training.json") if trained else None
    sample = sample_examples(frames, recipe.mine.negatives, examples, seed)
    recipe_text = _text(run.folder / "recipe.yaml")
    assets = {name: (files(__package__) / name).read_text("utf-8") for name in ("page.css", "browser.js")}
    html = page(
        stats, manifest, recipe, recipe_text, frames["rejected"], sample, run.folder, assets, training
    ).encode()
    try:
        with atomic_write(out) as stream:
            stream.write(html)
    except OSError as error:
        raise RunError(f"{out}: cannot write ({error.strerror}); choose another --out") from error
    return {"shown": len(sample["queries"]), "queries": len(frames["queries"]), "bytes": len(html)}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot read ({error.strerror}); `minerkit mine` makes it") from error
