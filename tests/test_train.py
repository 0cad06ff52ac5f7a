"""Training a run: what is written, and that a training that was cut short ends as if it had not been."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from minerkit import trainer
from minerkit.errors import TrainingError
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


@pytest.mark.parametrize("kind", ["early_stopping", "accumulation", "epochs"])
def test_a_cut_training_goes_on_with_what_it_counts(kind, run, retrieving, uncut, monkeypatch):
    own = {
        "early_stopping": {"early_stopping": 2, "args": {**ARGS, "max_steps": 20, "learning_rate": 1e-9}},
        "accumulation": {"args": {**ARGS, "gradient_accumulation_steps": 3}},
        # Of 100 rows or so, in batches of 32: the cut is in the second epoch.
        "epochs": {
            "args": {"num_train_epochs": 3, "per_device_train_batch_size": 128, "learning_rate": 0.01}
        },
    }[kind]
    recipe = changed(retrieving, train=own)
    account, _ = uncut(recipe)
    if kind == "early_stopping":
        assert account["steps"] == 6 < account["planned_steps"] == 20
    for step in {"early_stopping": (4, 6), "accumulation": (4,), "epochs": (account["steps"] - 2,)}[kind]:
        with monkeypatch.context() as patched, pytest.raises(Cut):
            cut_at(patched, step, "on_save")
            train(recipe, run, "cpu", quiet())
    train(recipe, run, "cpu", quiet())
    assert made(run) == uncut(recipe)


@pytest.fixture
def cut(reranking, run, monkeypatch) -> Path:
    """A run whose training of six steps was cut after checkpoint-4, with checkpoint-2 beside it."""
    with monkeypatch.context() as patched, pytest.raises(Cut):
        cut_at(patched, 4, "on_save")
        train(reranking, run, "cpu", quiet())
    assert {path.name for path in (run / ".stages/training").glob("check*")} == {
        "checkpoint-2",
        "checkpoint-4",
    }
    return run


FILES = [
    "model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
    "whole.json",
]


@pytest.mark.parametrize("file", FILES)
def test_a_checkpoint_that_is_not_whole_is_skipped(file, cut, reranking, uncut, capsys):
    damaged = cut / ".stages/training/checkpoint-4" / file
    damaged.write_bytes(damaged.read_bytes()[:20])
    train(reranking, cut, "cpu", Reporter())
    assert "Training goes on from checkpoint-2" in capsys.readouterr().err
    assert made(cut) == uncut(reranking)


def test_a_checkpoint_whose_best_one_is_gone_is_skipped(cut, reranking, uncut, capsys):
    folder = cut / ".stages/training"
    state = json.loads((folder / "checkpoint-4/trainer_state.json").read_text())
    shutil.rmtree(folder / f"checkpoint-{2 if state['best_global_step'] == 2 else 4}")
    train(reranking, cut, "cpu", Reporter())
    assert "Training goes on from checkpoint-4" not in capsys.readouterr().err
    assert made(cut) == uncut(reranking)


def test_a_run_that_was_moved_goes_on(cut, reranking, uncut, tmp_path, capsys):
    moved = cut.rename(tmp_path / "elsewhere")
    train(reranking, moved, "cpu", Reporter())
    assert "Training goes on from checkpoint-4" in capsys.readouterr().err
    assert made(moved) == uncut(reranking)


def test_another_training_starts_anew_and_says_why(cut, reranking, capsys):
    other = changed(reranking, train={"args": {**ARGS, "seed": 3}})
    train(other, cut, "cpu", Reporter())
    assert (
        "Training starts anew: its checkpoints were made with another train.args.seed"
        in capsys.readouterr().err
    )
    assert json.loads((cut / "training.json").read_text())["resumed_from"] is None


def test_without_resume_it_starts_anew(cut, reranking, uncut, capsys):
    train(reranking, cut, "cpu", Reporter(), resume=False)
    assert "checkpoint" not in capsys.readouterr().err
    assert made(cut) == uncut(reranking)


def test_a_trained_run_is_not_trained_again_and_a_changed_one_is(run, reranking, capsys):
    train(reranking, run, "cpu", quiet())
    before = (run / "training.json").stat().st_mtime_ns
    train(reranking, run, "cpu", Reporter())
    assert "train: done before, nothing to do" in capsys.readouterr().err
    assert (run / "training.json").stat().st_mtime_ns == before
    (run / "model/model.safetensors").write_bytes(b"")
    train(reranking, run, "cpu", Reporter())
    assert (run / "model/model.safetensors").stat().st_size and audit_run(run) == []
    assert not (run / "old-model").exists()


def test_a_model_of_other_rows_is_put_aside(run, reranking, capsys):
    train(reranking, run, "cpu", quiet())
    other = changed(reranking, mine={"negatives": 2})
    mine(other, run, "cpu", Reporter())
    assert "model/ was trained from other rows or settings, it is old-model/ now" in capsys.readouterr().err
    assert not (run / "model").exists() and not (run / "training.json").exists()
    assert (run / "old-model/model.safetensors").exists() and (run / "old-model/training.json").exists()
    assert not any("model" in name for name in json.loads((run / "manifest.json").read_text())["outputs"])
    assert audit_run(run) == []
    train(other, run, "cpu", quiet())
    assert audit_run(run) == [] and (run / "model").exists() and not (run / "old-model").exists()


def test_a_model_that_minerkit_did_not_make_stays_where_it_is(run, reranking):
    (run / "model").mkdir()
    (run / "model/config.json").write_text("{}")
    mine(reranking, run, "cpu", quiet())
    assert (run / "model/config.json").exists() and not (run / "old-model").exists()


def test_without_dev_queries_nothing_is_measured(pairs, reranking, tmp_path, capsys):
    recipe = changed(
        reranking, source={"path": pairs}, split={"dev_queries": 0}, train={"args": {**ARGS, "max_steps": 2}}
    )
    train(recipe, tmp_path / "run", "cpu", Reporter())
    said = capsys.readouterr().err
    assert said.count("split.dev_queries is 0: nothing is held out") == 1
    account = json.loads((tmp_path / "run/training.json").read_text())
    assert account["metric"] is account["before"] is account["after"] is account["best_step"] is None


@pytest.fixture
def pairs(sample_pairs, tmp_path) -> str:
    file = tmp_path / "pairs.parquet"
    sample_pairs.head(20).write_parquet(file)
    return str(file)


def test_a_dev_split_without_a_query_ends_it_before_training(run, reranking, monkeypatch):
    from minerkit import train as module

    monkeypatch.setattr(module, "dev_evaluator", lambda *_: None)
    with pytest.raises(
        TrainingError, match="has no dev queries to measure the model on, though split.dev_quer"
    ):
        train(reranking, run, "cpu", quiet())
    assert not (run / "model").exists() and audit_run(run) == []


@pytest.mark.parametrize(
    ("column", "line"), [("rows", "has no rows"), ("negatives", "the loss bce needs both")]
)
def test_nothing_to_learn_from_is_one_clear_line(column, line, run, reranking, monkeypatch):
    from minerkit.artefacts import Run

    read = Run.read_json

    def poor(self, name):
        found = read(self, name)
        found["splits"]["train"][column] = 0
        return found

    monkeypatch.setattr(Run, "read_json", poor)
    with pytest.raises(TrainingError, match=line):
        train(reranking, run, "cpu", quiet())


def test_what_trackers_write_is_kept(run, reranking, monkeypatch):
    begin = trainer._Checkpoints.on_train_begin

    def track(self, args, state, control, **kwargs):
        begin(self, args, state, control, **kwargs)
        (Path(args.output_dir) / "emissions.csv").write_text("co2\n1\n")

    monkeypatch.setattr(trainer._Checkpoints, "on_train_begin", track)
    train(reranking, run, "cpu", quiet())
    assert (run / "logs/emissions.csv").read_text() == "co2\n1\n" and audit_run(run) == []
