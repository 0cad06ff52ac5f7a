"""The order of the stages: raw input, then queries, corpus and qrels, candidates, negatives, rows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minerkit import schema, stages
from minerkit.artefacts import MARKERS, Run, Stage, load, locked
from minerkit.audit import Breach, audit
from minerkit.card import hand_written, write_card
from minerkit.comparison import compare
from minerkit.files import replacing, sha256
from minerkit.intake import intake
from minerkit.manifest import write_manifest
from minerkit.progress import Reporter
from minerkit.recipe import Encoder, Recipe
from minerkit.recipes import load_recipe
from minerkit.sources import fingerprint
from minerkit.stages import Work

__all__ = ["audit_run", "evaluate_run", "ingest", "ingest_account", "mine"]

#: The stages in order. A version is raised when the stage starts to write something else for the same recipe.
STAGES: dict[str, tuple[int, Callable[[Work, Stage], None]]] = {
    "ingest": (3, stages.ingest),  # -> queries, corpus, qrels, pairs
    "search": (3, stages.search),  # -> candidates
    "select": (2, stages.select),  # -> judged, negatives
    "format": (1, stages.write_examples),  # -> train, dev
    "finish": (5, stages.finish),  # -> rejected, stats.json, recipe.yaml
}


def ingest(recipe: Recipe, out: Path, reporter: Reporter | None = None) -> Run:
    """Turn the raw corpus into queries, corpus, qrels and pairs.

    Args:
        recipe: The recipe.
        out: The run folder.
        reporter: Where progress goes.

    Returns:
        The run.

    Raises:
        MinerkitError: Something the user can mend; what was in the run before is kept.
    """
    with locked(out) as run:
        _do("ingest", Work(recipe, run, "cpu", reporter or Reporter(quiet=True)))
    return run


def ingest_account(run: Run, recipe: Recipe) -> dict[str, Any]:
    """Count what the ingest of a run made of the raw corpus.

    Args:
        run: A run whose first stage is done.
        recipe: The recipe it was made from.

    Returns:
        What `minerkit.intake.intake` gives.
    """
    names = ("queries", "corpus", "qrels", "pairs")
    frames = {name: run.read(f"{name}.parquet") for name in names}
    frames |= {"documents": run.read(f"{MARKERS}/documents.parquet"), "rejected": run.rejected(["ingest"])}
    return intake(frames, (run.marker("ingest") or {})["facts"], recipe.split.seed)


def mine(recipe: Recipe, out: Path, device: str = "auto", reporter: Reporter | None = None) -> Run:
    """Take a recipe from its raw corpus to train.parquet and dev.parquet.

    Stages that are done, with the same recipe and the same input, are not done again.

    Args:
        recipe: The recipe.
        out: The run folder.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.

    Returns:
        The run.

    Raises:
        MinerkitError: Something the user can mend; finished stages are kept.
    """
    hand_written(recipe)  # a missing file is found now, not after hours
    with locked(out) as run:
        work = Work(recipe, run, device, reporter or Reporter(quiet=True))
        for name in STAGES:
            _do(name, work)
        if not (run.folder / "manifest.json").is_file():
            write_card(run)
            write_manifest(run, recipe)
    return run


def audit_run(folder: Path) -> list[Breach]:
    """Check every invariant of a finished run.

    Args:
        folder: The run folder.

    Returns:
        The breaches, none for a clean run.

    Raises:
        RunError: There is no finished run, or a file of it cannot be read.
    """
    run = load(folder)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    hashes = {
        name: sha256(run.folder / name) for name in manifest["outputs"] if (run.folder / name).is_file()
    }
    frames = {name: run.read(f"{name}.parquet") for name in [*schema.ARTEFACTS, "train", "dev"]}
    return audit(frames, load_recipe(run.folder / "recipe.yaml"), manifest, hashes)


def evaluate_run(
    folder: Path,
    models: Sequence[str] = (),
    base: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Score models on the dev split of a finished run, and keep the result as evaluation.json.

    Args:
        folder: The run folder.
        models: Models beside the run's own, by folder or Hub name.
        base: Whether to score the model that training starts from.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.

    Returns:
        What `minerkit.comparison.compare` gives.

    Raises:
        MinerkitError: Something the user can mend.
    """
    run = load(folder)
    found = compare(load_recipe(folder / "recipe.yaml"), run, models, base, device, reporter)
    with replacing(folder / "evaluation.json") as stream:
        stream.write(json.dumps(found, indent=1, ensure_ascii=False).encode())
    return found


def _do(name: str, work: Work) -> None:
    """Do a stage, unless it has been done with the same key."""
    version, step = STAGES[name]
    key = {"version": version, **_key(name, work.recipe, work.run)}
    if work.run.done(name, key):
        work.reporter.say(f"{name}: done before, nothing to do")
        return
    with work.run.stage(name, key) as stage:
        step(work, stage)


def _key(name: str, recipe: Recipe, run: Run) -> dict[str, Any]:
    """Say what a stage depends on: its sections of the recipe, and what the stage before it wrote."""
    dump = recipe.model_dump()
    if name == "ingest":
        return {**_sections(dump, "source", "clean", "split"), "inputs": fingerprint(recipe.source)}
    before = list(STAGES)[list(STAGES).index(name) - 1]
    after = {"after": dict((run.marker(before) or {"outputs": {}})["outputs"])}
    if name == "search":
        rules = {key: value for key, value in dump["mine"].items() if key != "seed"}
        scope = {"group": recipe.excludes_group, "shared": recipe.split.shared_documents}
        return {"encoder": _encoder_key(recipe.encoder), "mine": rules, **scope, **after}
    if name == "select":
        return {**_sections(dump, "mine"), **after}
    if name == "format":
        return {**_sections(dump, "format"), "names": recipe.names, **after}
    return {"recipe": dump, "card": hand_written(recipe), **after}


def _sections(dump: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: dump[name] for name in names}


def _encoder_key(spec: Encoder) -> dict[str, Any]:
    """Identify the encoder without loading it: a changed folder is another encoder."""
    folder = Path(spec.model).expanduser()
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    return {**spec.model_dump(exclude={"batch_size"}), "files": [sha256(file) for file in files]}
