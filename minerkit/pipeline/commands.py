"""The order of the stages: raw input, then queries, corpus and qrels, candidates, negatives, rows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minerkit.evaluation.comparison import compare
from minerkit.pipeline.context import Work
from minerkit.pipeline.invariants import Breach, audit
from minerkit.pipeline.manifest import write_manifest
from minerkit.pipeline.stages import finish, format, select
from minerkit.pipeline.stages import ingest as stages
from minerkit.pipeline.stages import search as searching
from minerkit.pipeline.stages import train as training
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Encoder, Recipe
from minerkit.reports.cards.dataset_card import hand_written, write_card
from minerkit.reports.stats.ingest import intake
from minerkit.runtime.devices import training_device
from minerkit.runtime.memory import budget, trim
from minerkit.runtime.progress import Reporter
from minerkit.sources.reader import fingerprint
from minerkit.storage import schema
from minerkit.storage.atomic import atomic_write, sha256
from minerkit.storage.run_folder import MARKERS, Run, load, locked
from minerkit.storage.stage import Stage, clear, staged
from minerkit.training.arguments import check_training
from minerkit.training.base_model import check_base

__all__ = ["audit_run", "evaluate_run", "ingest", "ingest_account", "mine", "train"]

#: The stages in order. A version is raised when the stage starts to write something else for the same recipe.
STAGES: dict[str, tuple[int, Callable[[Work, Stage], None]]] = {
    "ingest": (4, stages.ingest),  # -> queries, corpus, qrels, pairs
    "search": (6, searching.search),  # -> candidates
    "select": (3, select.select),  # -> judged, negatives
    "format": (2, format.write_examples),  # -> train, dev
    "finish": (6, finish.finish),  # -> rejected, stats.json, recipe.yaml
}
#: Raised when training starts to write something else for the same recipe.
TRAIN_VERSION = 1
#: Raised when models are scored in another way.
EVALUATION_VERSION = 1


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
        _do("ingest", Work(recipe, run, "cpu", budget(None), reporter or Reporter(quiet=True)))
    return run


def ingest_account(run: Run, recipe: Recipe) -> dict[str, Any]:
    """Count what the ingest of a run made of the raw corpus.

    Args:
        run: A run whose first stage is done.
        recipe: The recipe it was made from.

    Returns:
        What `minerkit.reports.stats.ingest.intake` gives.
    """
    frames = {name: run.read(f"{name}.parquet") for name in ("queries", "qrels", "pairs")}
    frames["corpus"] = run.scan("corpus.parquet").select("doc_id", "group").collect()
    frames |= {"documents": run.read(f"{MARKERS}/documents.parquet"), "rejected": run.rejected(["ingest"])}
    return intake(frames, (run.marker("ingest") or {})["facts"], recipe.split.seed)


def mine(
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    reporter: Reporter | None = None,
    memory_gb: float | None = None,
) -> Run:
    """Take a recipe from its raw corpus to train.parquet and dev.parquet.

    Stages that are done, with the same recipe and the same input, are not done again.

    Args:
        recipe: The recipe.
        out: The run folder.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        memory_gb: Gigabytes that mining may use; None: half of what is free.

    Returns:
        The run.

    Raises:
        MinerkitError: Something the user can mend; finished stages are kept.
    """
    hand_written(recipe)  # a missing file is found now, not after hours
    with locked(out) as run:
        _mine(Work(recipe, run, device, budget(memory_gb), reporter or Reporter(quiet=True)))
    return run


def train(
    recipe: Recipe,
    out: Path,
    device: str = "auto",
    reporter: Reporter | None = None,
    resume: bool = True,
    memory_gb: float | None = None,
) -> Run:
    """Take a recipe from its raw corpus to a trained model.

    What is wrong with the training is found before anything is mined. A training that was cut short goes on
    from its last checkpoint.

    Args:
        recipe: The recipe.
        out: The run folder.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        resume: Whether to use what is there of the same training: its model, or its last checkpoint.
        memory_gb: Gigabytes that mining may use; None: half of what is free.

    Returns:
        The run, with `model` and `training.json`.

    Raises:
        MinerkitError: Something the user can mend; finished stages and checkpoints are kept.
    """
    hand_written(recipe)
    check_training(recipe, training_device(device))
    check_base(recipe)
    with locked(out) as run:
        work = Work(recipe, run, device, budget(memory_gb), reporter or Reporter(quiet=True))
        _mine(work)
        key = _training_key(recipe, run)
        if resume and run.done("train", key):
            work.reporter.say("train: done before, nothing to do")
        else:
            with staged(run, "train", key) as stage:
                training.train(work, stage, key, resume)
            write_manifest(run, recipe, trained=True)
        training.clean_up(run)
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
    again: bool = True,
) -> dict[str, Any]:
    """Score models on the dev split of a finished run, and keep the result as evaluation.json.

    Args:
        folder: The run folder.
        models: Models beside the run's own, by folder or Hub name.
        base: Whether to score the model that training starts from.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        again: Whether to score although nothing has changed since the last time.

    Returns:
        What `minerkit.evaluation.comparison.compare` gives.

    Raises:
        MinerkitError: Something the user can mend.
    """
    run, recipe = load(folder), load_recipe(folder / "recipe.yaml")
    model = (run.marker("train") or {"outputs": {}})["outputs"]
    key = {"version": EVALUATION_VERSION, "of": _training_key(recipe, run), "model": model}
    if not again and run.done("evaluate", key):
        (reporter or Reporter(quiet=True)).say("eval: done before, nothing to do")
        return dict(run.read_json("evaluation.json"))
    found = compare(recipe, run, models, base, device, reporter)
    with atomic_write(folder / "evaluation.json") as stream:
        stream.write(json.dumps(found, indent=1, ensure_ascii=False).encode())
    run.mark("evaluate", key, ["evaluation.json"])
    return found


def _mine(work: Work) -> None:
    run, recipe = work.run, work.recipe
    for name in STAGES:
        _do(name, work)
    if not (run.folder / "manifest.json").is_file():
        trained = run.done("train", _training_key(recipe, run))
        if not trained:
            training.set_aside(run, work.reporter)
        write_card(run)
        write_manifest(run, recipe, trained)


def _do(name: str, work: Work) -> None:
    """Do a stage, unless it has been done with the same key."""
    version, step = STAGES[name]
    key = {"version": version, **_key(name, work.recipe, work.run)}
    if work.run.done(name, key):
        work.reporter.say(f"{name}: done before, nothing to do")
        clear(work.run, name)  # a run may have died just before that
        return
    with staged(work.run, name, key) as stage:
        step(work, stage)
    trim()


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
        how = {"encoder": _encoder_key(recipe.encoder), "search": dump["search"], "mine": rules}
        return {**how, **scope, **after}
    if name == "select":
        return {**_sections(dump, "mine"), **after}
    if name == "format":
        return {**_sections(dump, "format"), "names": recipe.names, **after}
    return {"recipe": dump, "card": hand_written(recipe), **after}


def _training_key(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Say what a model depends on: how it is trained and measured, its base, the rows, the dev split."""
    dump = recipe.model_dump()
    outputs = {
        file: digest
        for stage in ("ingest", "search", "select", "format")
        for file, digest in (run.marker(stage) or {"outputs": {}})["outputs"].items()
    }
    version = {"version": TRAIN_VERSION, "name": recipe.name, "base": _folder_hashes(recipe.train.base)}
    return {**version, **_sections(dump, "train", "eval"), "files": outputs}


def _sections(dump: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: dump[name] for name in names}


def _encoder_key(spec: Encoder) -> dict[str, Any]:
    """Identify the encoder without loading it: a changed folder is another encoder."""
    return {**spec.model_dump(), "files": _folder_hashes(spec.model)}


def _folder_hashes(model: str) -> list[str]:
    folder = Path(model).expanduser()
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    return [sha256(file) for file in files]
