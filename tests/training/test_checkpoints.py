import json
import shutil
from pathlib import Path

import pytest

from minerkit.training.checkpoints import (
    mark_whole,
    open_checkpoints,
    outlook,
    remove_checkpoints,
    seconds_before,
    step_of,
)

KEY = {"train": {"args": {"seed": 12}, "loss": "bce"}, "files": {"train.parquet": "ab"}}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Checkpoints of steps 2, 10 and 12; at 12, the best was 10."""
    folder = tmp_path / "training"
    assert open_checkpoints(folder, KEY, resume=True) == (None, "")
    for step, best in ((2, 2), (10, 10), (12, 10)):
        checkpoint = folder / f"checkpoint-{step}"
        (checkpoint / "1_Pooling").mkdir(parents=True)
        for file in ("model.safetensors", "optimizer.pt", "1_Pooling/config.json"):
            (checkpoint / file).write_text(f"{file} {step}")
        (checkpoint / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
        mark_whole(checkpoint, step / 2)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_the_last_one_by_step_is_taken(folder):
    found, said = open_checkpoints(folder, KEY, resume=True)
    assert (found.name, step_of(found), seconds_before(found)) == ("checkpoint-12", 12, 6.0)
    assert said == "Training goes on from checkpoint-12"
    assert seconds_before(None) == 0.0


@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimizer.pt", "trainer_state.json", "1_Pooling/config.json", "whole.json"]
)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_one_that_lost_something_is_skipped_and_removed(file, damage, folder):
    path = folder / "checkpoint-12" / file
    path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:-1])
    if damage == "gone":
        path.unlink()
    found, _ = open_checkpoints(folder, KEY, resume=True)
    assert found.name == "checkpoint-10" and names(folder) == ["checkpoint-10", "checkpoint-2"]


def test_one_whose_best_is_not_whole_is_skipped(folder):
    (folder / "checkpoint-10/model.safetensors").write_text("")
    found, _ = open_checkpoints(folder, KEY, resume=True)
    assert found.name == "checkpoint-2" and names(folder) == ["checkpoint-2"]


def test_one_that_was_being_written_is_skipped(folder):
    (folder / "checkpoint-14").mkdir()
    (folder / "checkpoint-14/model.safetensors").write_text("half")
    assert open_checkpoints(folder, KEY, resume=True)[0].name == "checkpoint-12"
    assert "checkpoint-14" not in names(folder)


def test_none_that_is_whole_is_a_start(folder):
    for marker in folder.glob("checkpoint-*/whole.json"):
        marker.unlink()
    assert open_checkpoints(folder, KEY, resume=True) == (None, "") and names(folder) == []


def test_a_moved_folder_serves(folder, tmp_path):
    moved = folder.rename(tmp_path / "elsewhere")
    assert open_checkpoints(moved, KEY, resume=True)[0] == moved / "checkpoint-12"


@pytest.mark.parametrize(
    ("other", "changed"),
    [
        ({**KEY, "train": {"args": {"seed": 3}, "loss": "bce"}}, "train.args.seed"),
        ({**KEY, "train": {"args": {}, "loss": "mse"}}, "train.args.seed, train.loss"),
        ({**KEY, "files": {"train.parquet": "cd"}}, "files.train.parquet"),
    ],
)
def test_those_of_another_training_are_removed_and_it_is_said_what_changed(other, changed, folder):
    assert open_checkpoints(folder, other, resume=True) == (
        None,
        f"Training starts anew: its checkpoints were made with another {changed}",
    )
    assert names(folder) == [] and open_checkpoints(folder, other, resume=True) == (None, "")


def test_without_resume_they_are_removed(folder):
    assert open_checkpoints(folder, KEY, resume=False) == (None, "") and names(folder) == []


def test_the_outlook_of_a_training_that_is_cut(folder, tmp_path):
    assert outlook(folder) == "the same command goes on from checkpoint-12"
    assert outlook(tmp_path / "nothing").startswith("the same command trains from the start")


def test_what_trackers_wrote_outlives_the_checkpoints(folder, tmp_path):
    (folder / "emissions.csv").write_text("co2")
    (folder / "runs").mkdir()
    (folder / "runs/events").write_text("loss")
    remove_checkpoints(folder, tmp_path / "logs")
    assert not folder.exists() and (tmp_path / "logs/emissions.csv").read_text() == "co2"
    assert (tmp_path / "logs/runs/events").read_text() == "loss"


def test_no_folder_of_logs_without_logs(folder, tmp_path):
    remove_checkpoints(shutil.copytree(folder, tmp_path / "copy"), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
