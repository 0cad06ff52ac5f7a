"""Training a run: what is written, and that a training that was cut short ends as if it had not been."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from minerkit import pipeline, trainer
from minerkit.errors import MinerkitError, TrainingError
from minerkit.pipeline import audit_run, mine, train
from minerkit.progress import Reporter
from minerkit.recipe import Recipe

ARGS = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 0.01}


def changed(recipe: Recipe, **sections) -> Recipe:
    """A recipe with other keys in its sections."""
    dump = recipe.model_dump()
    for name, keys in sections.items():
        dump[name] = {**dump[name], **keys} if isinstance(keys, dict) else keys
    return Recipe.model_validate(dump)


@pytest.fixture(scope="session")
def reranking(answers_run, reranker) -> Recipe:
    """A reranker, measured and saved every two of six steps."""
    return changed(
        answers_run[0],
        format="labeled-pair",
        train={"base": reranker, "loss": "bce", "args": ARGS, "max_length": 24},
        eval={"rerank": 5, "steps": 2},
    )


@pytest.fixture(scope="session")
def retrieving(answers_run, bi_encoder) -> Recipe:
    """A bi-encoder, measured and saved every two of six steps."""
    return changed(
        answers_run[0],
        train={"base": bi_encoder, "loss": "mnrl", "args": ARGS, "max_length": 24},
        eval={"rerank": None, "steps": 2},
    )


@pytest.fixture
def run(answers_run, tmp_path) -> Path:
    """A copy of a mined run."""
    return shutil.copytree(answers_run[1].folder, tmp_path / "run")


class Cut(Exception):
    """The process ends."""


def cut_at(monkeypatch, step: int, when: str = "on_step_end") -> None:
    """End the process at a step: on_step_end is before it is measured and saved, on_save after."""
    there = getattr(trainer._Checkpoints, when, lambda self, args, state, control, **kwargs: None)

    def hook(self, args, state, control, **kwargs):
        there(self, args, state, control, **kwargs)
        if state.global_step == step:
            raise Cut

    monkeypatch.setattr(trainer._Checkpoints, when, hook, raising=False)


def made(folder: Path) -> tuple[dict, dict]:
    """What must not depend on whether a training was cut: the account without times, and the weights."""
    account = json.loads((folder / "training.json").read_text())
    for key in ("seconds", "resumed_from"):
        del account[key]
    weights = load_file(folder / "model" / "model.safetensors")
    return account, {name: tensor.numpy().tobytes() for name, tensor in weights.items()}


def quiet() -> Reporter:
    return Reporter(quiet=True)


@pytest.fixture(scope="session")
def uncut(answers_run, tmp_path_factory):
    """Gives what a recipe makes when nothing happens to it."""
    found = {}

    def of(recipe: Recipe) -> tuple[dict, dict]:
        name = recipe.model_dump_json()
        if name not in found:
            folder = shutil.copytree(answers_run[1].folder, tmp_path_factory.mktemp("uncut") / "run")
            train(recipe, folder, "cpu")
            found[name] = made(folder)
        return found[name]

    return of


def test_a_model_is_written_with_its_account(reranking, run, capfd):
    train(reranking, run, "cpu")
    account = json.loads((run / "training.json").read_text())
    assert account["model"]["family"] == "cross_encoder" and account["model"]["max_length"] == 24
    assert [row["step"] for row in account["history"]] == [1, 2, 4, 6]
    assert account["best_step"] in (2, 4, 6) and account["steps"] == account["planned_steps"] == 6
    measured = {row["step"]: row["metrics"][account["metric"]] for row in account["history"][1:]}
    assert account["after"][account["metric"]] == max(measured.values()) == measured[account["best_step"]]
    assert set(account["before"]) == set(account["after"])
    manifest = json.loads((run / "manifest.json").read_text())
    assert {"training.json", "model/model.safetensors"} <= set(manifest["outputs"])
    assert audit_run(run) == []
    assert not (run / ".stages/training").exists()
    out, err = capfd.readouterr()
    assert out == "" and err == ""


@pytest.mark.parametrize("when", ["on_step_end", "on_save"])
@pytest.mark.parametrize("step", [3, 4, 6])
@pytest.mark.parametrize("kind", ["reranking", "retrieving"])
def test_a_cut_training_goes_on_and_ends_the_same(kind, step, when, run, uncut, monkeypatch, request, capsys):
    if when == "on_save" and step == 3:
        pytest.skip("nothing is saved there")
    recipe = request.getfixturevalue(kind)
    with monkeypatch.context() as patched, pytest.raises(Cut):
        cut_at(patched, step, when)
        train(recipe, run, "cpu", quiet())
    train(recipe, run, "cpu", Reporter())
    last = {"on_step_end": (step - 1) // 2 * 2, "on_save": step}[when]
    assert f"Training goes on from checkpoint-{last}" in capsys.readouterr().err
    assert json.loads((run / "training.json").read_text())["resumed_from"] == last
    assert made(run) == uncut(recipe)
