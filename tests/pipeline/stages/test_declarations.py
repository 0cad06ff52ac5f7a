"""A stage reads the files that it declares and no others, and writes those that it declares."""

import hashlib
import shutil
from pathlib import Path

import pytest

from minerkit.pipeline.context import Context
from minerkit.pipeline.pipeline import MINING, STAGES
from minerkit.pipeline.stage import Stage, do_stage, stage_key
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Recipe
from minerkit.runtime.progress import Reporter
from minerkit.storage.run_folder import MARKERS, Run, load


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bare_run(stage: Stage, whole: Path, folder: Path) -> Run:
    """A run that holds nothing but what a stage declares, and the markers of the stages before it."""
    names = [other.name for other in STAGES[: STAGES.index(stage)]]
    for file in (*stage.reads, *(f"{MARKERS}/{name}.json" for name in names)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / file, folder / file)
    (folder / MARKERS).mkdir(parents=True, exist_ok=True)
    return Run(folder)


def context(recipe: Recipe, run: Run) -> Context:
    return Context(recipe, run, "cpu", 1 << 30, Reporter(quiet=True))


@pytest.mark.parametrize("stage", MINING, ids=lambda stage: stage.name)
def test_a_stage_of_mining_needs_only_what_it_declares(stage, sample_run, tmp_path):
    run = bare_run(stage, sample_run, tmp_path)
    assert do_stage(stage, context(load_recipe("gooaq", sample=True), run))
    assert {file: digest(tmp_path / file) for file in stage.writes} == {
        file: digest(sample_run / file) for file in stage.writes
    }
    before = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")}
    assert before <= {*stage.reads, *stage.writes}


def test_training_needs_only_what_it_declares(sample_run, tmp_path):
    run = bare_run(STAGES[-1], sample_run, tmp_path)
    args = {"train.args.max_steps": 1, "train.max_length": 16, "eval.nano_beir": []}
    assert do_stage(STAGES[-1], context(load_recipe("gooaq", args, sample=True), run))
    assert all((tmp_path / name).exists() for name in STAGES[-1].writes)


def test_every_file_is_written_by_one_stage_and_read_by_later_ones():
    written: list[str] = []
    for stage in STAGES:
        assert set(stage.reads) <= set(written), stage.name
        assert not set(stage.writes) & set(written), stage.name
        written += stage.writes
    assert [stage.name for stage in STAGES] == ["ingest", "search", "select", "format", "finish", "train"]


@pytest.mark.parametrize("stage", STAGES[1:], ids=lambda stage: stage.name)
def test_a_key_changes_with_every_file_that_is_read(stage, sample_run, tmp_path):
    run, recipe = Run(shutil.copytree(sample_run, tmp_path / "run")), load_recipe("gooaq", sample=True)
    before = stage_key(stage, recipe, run)
    assert set(before["files"]) == set(stage.reads)
    for other in STAGES[: STAGES.index(stage)]:
        marker = run.marker(other.name)
        for file in set(marker["outputs"]) & set(stage.reads):
            run.mark(other.name, marker["key"], list(marker["outputs"]), facts=marker["facts"])
            original = (run.folder / file).read_bytes()
            (run.folder / file).write_bytes(b"changed")
            run.mark(other.name, marker["key"], list(marker["outputs"]), facts=marker["facts"])
            assert stage_key(stage, recipe, run) != before, file
            (run.folder / file).write_bytes(original)
        run.mark(other.name, marker["key"], list(marker["outputs"]), facts=marker["facts"])
    assert stage_key(stage, recipe, run) == before


def test_a_stage_that_writes_another_file_is_a_bug(sample_run, tmp_path):
    def perform(context, output):
        output.write_text("surprise.txt", "")

    run = Run(shutil.copytree(sample_run, tmp_path / "run"))
    stage = Stage("odd", 1, lambda recipe: {}, (), ("expected.txt",), perform)
    with pytest.raises(AssertionError, match="odd declares"):
        do_stage(stage, context(load_recipe("gooaq", sample=True), run))
    assert load(run.folder) and not (run.folder / "surprise.txt").exists()
