"""A stage of the pipeline: its declaration, the key that says whether it is done, and how it is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minerkit.pipeline.context import Context
from minerkit.recipe import Recipe
from minerkit.runtime import release_memory
from minerkit.storage import Run, StageOutput, clear_shards, sha256, staged_output

__all__ = ["Stage", "do_stage", "folder_hashes", "sections", "stage_key"]


@dataclass(frozen=True)
class Stage:
    """A stage: its name, what it depends on, what it reads and writes, and what it does."""

    name: str
    #: Raised when the stage starts to write something else for the same recipe and files.
    version: int
    #: The values of the recipe that the output depends on, as JSON.
    settings: Callable[[Recipe], Mapping[str, Any]]
    #: The files of the run that the output depends on; a folder stands for all files in it.
    reads: tuple[str, ...]
    #: The files, and folders, that the stage writes, all of them every time.
    writes: tuple[str, ...]
    perform: Callable[[Context, StageOutput], None]


def do_stage(stage: Stage, context: Context, again: bool = False) -> bool:
    """Do a stage, unless it has been done with the same key.

    Args:
        stage: The stage.
        context: What it is given.
        again: Whether to do it although it has been done.

    Returns:
        Whether it was done now.
    """
    run = context.run
    key = stage_key(stage, context.recipe, run)
    if not again and run.done(stage.name, key):
        context.reporter.say(f"{stage.name}: done before, nothing to do")
        clear_shards(run, stage.name)  # a run may have died just before that
        return False
    with staged_output(run, stage.name, key) as output:
        stage.perform(context, output)
        if set(output.staged) != set(stage.writes):
            raise AssertionError(f"{stage.name} declares {stage.writes} and wrote {tuple(output.staged)}")
    release_memory()
    return True


def stage_key(stage: Stage, recipe: Recipe, run: Run) -> dict[str, Any]:
    """Compute the key of a stage: everything its output depends on.

    Args:
        stage: The stage.
        recipe: The recipe.
        run: The run, whose stages before this one are done.

    Returns:
        The stage's version, its settings, and the hashes of the files it reads, as JSON.
    """
    hashes = run.outputs()
    files = {name: hashes[name] for name in stage.reads if name in hashes}
    return {"version": stage.version, **stage.settings(recipe), "files": files}


def sections(recipe: Recipe, *names: str) -> dict[str, Any]:
    """Return sections of a recipe as JSON."""
    dump = recipe.model_dump(mode="json")
    return {name: dump[name] for name in names}


def folder_hashes(model: str) -> list[str]:
    """Hash the files of a model folder, so that a changed model is another one; none for a Hub name."""
    folder = Path(model).expanduser()
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    return [sha256(file) for file in files]
