import json
import shutil
from pathlib import Path

import pytest

from minerkit.training.checkpoints import (
    checkpoint_step,
    describe_resume,
    mark_complete,
    open_checkpoints,
    remove_checkpoints,
    training_seconds,
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
        mark_complete(checkpoint, step / 2)
    return folder


def checkpoint_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_training_resumes_from_the_checkpoint_with_the_highest_step(folder):
    checkpoint, note = open_checkpoints(folder, KEY, resume=True)
    assert (checkpoint.name, checkpoint_step(checkpoint)) == ("checkpoint-12", 12)
    assert training_seconds(checkpoint) == 6.0
    assert note == "Training goes on from checkpoint-12"
    assert training_seconds(None) == 0.0


@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimizer.pt", "trainer_state.json", "1_Pooling/config.json", "whole.json"]
)
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_skipped_and_removed(file, damage, folder):
    path = folder / "checkpoint-12" / file
    path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:-1])
    if damage == "gone":
        path.unlink()
    checkpoint, _ = open_checkpoints(folder, KEY, resume=True)
    assert checkpoint.name == "checkpoint-10"
    assert checkpoint_names(folder) == ["checkpoint-10", "checkpoint-2"]


def test_a_checkpoint_whose_best_checkpoint_is_damaged_is_skipped(folder):
    (folder / "checkpoint-10/model.safetensors").write_text("")
    checkpoint, _ = open_checkpoints(folder, KEY, resume=True)
    assert checkpoint.name == "checkpoint-2" and checkpoint_names(folder) == ["checkpoint-2"]


def test_an_incomplete_checkpoint_is_skipped(folder):
    (folder / "checkpoint-14").mkdir()
    (folder / "checkpoint-14/model.safetensors").write_text("half")
    assert open_checkpoints(folder, KEY, resume=True)[0].name == "checkpoint-12"
    assert "checkpoint-14" not in checkpoint_names(folder)


def test_training_starts_anew_without_a_complete_checkpoint(folder):
    for marker in folder.glob("checkpoint-*/whole.json"):
        marker.unlink()
    assert open_checkpoints(folder, KEY, resume=True) == (None, "") and checkpoint_names(folder) == []


def test_a_moved_folder_can_be_resumed_from(folder, tmp_path):
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
def test_checkpoints_of_another_training_are_removed_with_a_note_on_what_changed(other, changed, folder):
    assert open_checkpoints(folder, other, resume=True) == (
        None,
        f"Training starts anew: its checkpoints were made with another {changed}",
    )
    assert checkpoint_names(folder) == [] and open_checkpoints(folder, other, resume=True) == (None, "")


def test_without_resume_checkpoints_are_removed(folder):
    assert open_checkpoints(folder, KEY, resume=False) == (None, "") and checkpoint_names(folder) == []


def test_the_message_after_an_interruption_names_the_last_checkpoint(folder, tmp_path):
    assert describe_resume(folder) == "the same command goes on from checkpoint-12"
    assert describe_resume(tmp_path / "nothing").startswith("the same command trains from the start")


def test_files_of_trackers_are_kept_when_checkpoints_are_removed(folder, tmp_path):
    (folder / "emissions.csv").write_text("co2")
    (folder / "runs").mkdir()
    (folder / "runs/events").write_text("loss")
    remove_checkpoints(folder, tmp_path / "logs")
    assert not folder.exists() and (tmp_path / "logs/emissions.csv").read_text() == "co2"
    assert (tmp_path / "logs/runs/events").read_text() == "loss"


def test_no_log_folder_is_created_without_logs(folder, tmp_path):
    remove_checkpoints(shutil.copytree(folder, tmp_path / "copy"), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
