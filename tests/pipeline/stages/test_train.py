"""Training a run: what is written, and that a training that was cut short ends as if it had not been."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minerkit.errors import TrainingError
from minerkit.pipeline.commands import mine, train
from minerkit.pipeline.finished import audit_run
from minerkit.pipeline.stages import train as module
from minerkit.recipe.recipe import Recipe
from minerkit.runtime.progress import Reporter
from minerkit.storage.run_folder import load
from minerkit.training import trainer

ARGS = {"max_steps": 6, "per_device_train_batch_size": 4, "learning_rate": 0.01}


def changed(recipe: Recipe, **sections) -> Recipe:
    """A recipe with other keys in its sections."""
    dump = recipe.model_dump()
    for name, keys in sections.items():
        dump[name] = {**dump[name], **keys} if isinstance(keys, dict) else keys
    return Recipe.model_validate(dump)


@pytest.fixture(scope="session")
def small(sample_pairs, tmp_path_factory):
    """A recipe of triplets and its mined run: few texts, and eight queries held out."""
    file = tmp_path_factory.mktemp("data") / "pairs.parquet"
    sample_pairs.head(40).write_parquet(file)
    recipe = Recipe.model_validate(
        {
            "name": "small",
            "source": {"path": str(file)},
            "split": {"dev_queries": 8},
            "encoder": {"model": "lsa"},
            "mine": {"negatives": 3},
            "format": "triplet",
        }
    )
    return recipe, mine(recipe, file.parent / "run", "cpu").folder


@pytest.fixture(scope="session")
def reranking(small, reranker) -> Recipe:
    """A reranker, measured and saved every two of six steps."""
    return changed(
        small[0],
        format="labeled-pair",
        train={"base": reranker, "loss": "bce", "args": ARGS, "max_length": 24},
        eval={"rerank": 5, "steps": 2},
    )


@pytest.fixture(scope="session")
def retrieving(small, bi_encoder) -> Recipe:
    """A bi-encoder, measured and saved every two of six steps."""
    return changed(
        small[0],
        train={"base": bi_encoder, "loss": "mnrl", "args": ARGS, "max_length": 24},
        eval={"steps": 2},
    )


@pytest.fixture
def run(small, tmp_path) -> Path:
    """A copy of a mined run."""
    return shutil.copytree(small[1], tmp_path / "run")


@pytest.fixture(autouse=True)
def one_thread():
    """Results depend on the number of threads; and one is fastest for models as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Cut(Exception):
    """The process ends."""


def cut_at(monkeypatch, step: int, when: str = "on_step_end") -> None:
    """End the process at a step: on_step_end is before it is measured and saved, on_save after."""
    there = getattr(trainer._CheckpointCallback, when, lambda self, args, state, control, **kwargs: None)

    def hook(self, args, state, control, **kwargs):
        there(self, args, state, control, **kwargs)
        if state.global_step == step:
            raise Cut

    monkeypatch.setattr(trainer._CheckpointCallback, when, hook, raising=False)


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
def uncut(small, tmp_path_factory):
    """Gives what a recipe makes when nothing happens to it."""
    found = {}

    def of(recipe: Recipe) -> tuple[dict, dict]:
        name = recipe.model_dump_json()
        if name not in found:
            folder = shutil.copytree(small[1], tmp_path_factory.mktemp("uncut") / "run")
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


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "step", "when"),
    [
        ("reranking", 3, "on_step_end"),
        ("retrieving", 4, "on_save"),
        pytest.param("reranking", 6, "on_save", marks=slow),
        pytest.param("reranking", 4, "on_save", marks=slow),
        pytest.param("reranking", 6, "on_step_end", marks=slow),
        pytest.param("retrieving", 3, "on_step_end", marks=slow),
        pytest.param("retrieving", 6, "on_save", marks=slow),
    ],
)
def test_a_cut_training_goes_on_and_ends_the_same(kind, step, when, run, uncut, monkeypatch, request, capsys):
    recipe = request.getfixturevalue(kind)
    with monkeypatch.context() as patched, pytest.raises(Cut):
        cut_at(patched, step, when)
        train(recipe, run, "cpu", quiet())
    train(recipe, run, "cpu", Reporter())
    last = {"on_step_end": (step - 1) // 2 * 2, "on_save": step}[when]
    assert f"Training goes on from checkpoint-{last}" in capsys.readouterr().err
    assert json.loads((run / "training.json").read_text())["resumed_from"] == last
    assert made(run) == uncut(recipe)


@pytest.fixture
def falling(monkeypatch, bi_encoder):
    """The dev metric falls with every step: the first checkpoint is the best, on every chip."""
    start = load_file(Path(bi_encoder) / "model.safetensors")
    dev_evaluator = module.dev_evaluator

    def scripted(*arguments):
        evaluator, metric = dev_evaluator(*arguments)

        class Falling(type(evaluator)):
            def __call__(self, model, *rest, **options):
                now = model.transformers_model.state_dict()
                moved = sum(float((now[name] - weights).abs().sum()) for name, weights in start.items())
                return {**super().__call__(model, *rest, **options), metric: 1 / (1 + moved)}

        evaluator.__class__ = Falling
        return evaluator, metric

    monkeypatch.setattr(module, "dev_evaluator", scripted)


@pytest.mark.parametrize(
    "kind", ["early_stopping", pytest.param("accumulation", marks=slow), pytest.param("epochs", marks=slow)]
)
def test_a_cut_training_goes_on_with_what_it_counts(kind, run, retrieving, uncut, monkeypatch, falling):
    own = {
        "early_stopping": {"early_stopping": 2, "args": {**ARGS, "max_steps": 20}},
        "accumulation": {"args": {**ARGS, "gradient_accumulation_steps": 3}},
        "epochs": {"args": {"num_train_epochs": 3, "per_device_train_batch_size": 32, "learning_rate": 0.01}},
    }[kind]
    recipe = changed(retrieving, train=own)
    account, _ = uncut(recipe)
    if kind == "epochs":
        assert account["steps"] == 9  # three an epoch
    if kind == "early_stopping":
        assert account["steps"] == 6 < account["planned_steps"] == 20
    for step in {"early_stopping": (4, 6), "accumulation": (4,), "epochs": (4, 6)}[kind]:
        with monkeypatch.context() as patched, pytest.raises(Cut):
            cut_at(patched, step, "on_save")
            train(recipe, run, "cpu", quiet())
    train(recipe, run, "cpu", quiet())
    assert made(run) == uncut(recipe)


@pytest.fixture
def cut(reranking, run, monkeypatch) -> Path:
    """A run whose training of six steps was cut after checkpoint-4; checkpoint-2 is there, too."""
    with monkeypatch.context() as patched, pytest.raises(Cut):
        cut_at(patched, 4, "on_save")
        train(reranking, run, "cpu", quiet())
    assert {path.name for path in (run / ".stages/training").glob("check*")} == {
        "checkpoint-2",
        "checkpoint-4",
    }
    return run


def test_a_checkpoint_that_is_not_whole_is_skipped(cut, reranking, uncut, capsys):
    damaged = cut / ".stages/training/checkpoint-4/optimizer.pt"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    train(reranking, cut, "cpu", Reporter())
    assert "Training goes on from checkpoint-2" in capsys.readouterr().err
    assert made(cut) == uncut(reranking)


def test_a_run_that_was_moved_goes_on(run, retrieving, uncut, tmp_path, monkeypatch, capsys, falling):
    retrieving = changed(retrieving, train={"args": {**ARGS, "seed": 9}})
    account, _ = uncut(retrieving)
    assert account["best_step"] == 2  # the best checkpoint is not the last: it has to be found
    with monkeypatch.context() as patched, pytest.raises(Cut):
        cut_at(patched, 6, "on_save")
        train(retrieving, run, "cpu", quiet())
    moved = run.rename(tmp_path / "elsewhere")
    train(retrieving, moved, "cpu", Reporter())
    assert "Training goes on from checkpoint-6" in capsys.readouterr().err
    assert made(moved) == uncut(retrieving)


@pytest.mark.slow
def test_another_training_starts_anew_and_says_why(cut, reranking, capsys):
    other = changed(reranking, train={"args": {**ARGS, "seed": 3}})
    train(other, cut, "cpu", Reporter())
    assert (
        "Training starts anew: its checkpoints were made with another train.args.seed"
        in capsys.readouterr().err
    )
    assert json.loads((cut / "training.json").read_text())["resumed_from"] is None


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


@pytest.mark.slow
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


@pytest.mark.slow
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
    monkeypatch.setattr(module, "dev_evaluator", lambda *_: None)
    with pytest.raises(TrainingError, match="has no dev queries to measure the model on"):
        train(reranking, run, "cpu", quiet())
    assert not (run / "model").exists() and audit_run(run) == []


@pytest.mark.parametrize(
    ("rows", "negatives", "line"), [(0, 7, "has no rows"), (9, 0, "the loss bce needs both")]
)
def test_nothing_to_learn_from_is_one_clear_line(rows, negatives, line, run, reranking):
    counts = {"positives": 9, "negatives": negatives}
    with pytest.raises(TrainingError, match=line):
        module._check_labels(reranking, load(run), rows, counts)
    module._check_labels(reranking, load(run), 9, {"positives": 9, "negatives": 7})


def test_the_labels_of_the_train_rows_are_those_of_the_statistics(run):
    counts = module._train_statistics(load(run))
    stats = load(run).read_json("stats.json")["splits"]["train"]
    assert {**counts, "rows": stats["rows"]} == stats


@pytest.mark.slow
def test_what_trackers_write_is_kept(run, reranking, monkeypatch):
    begin = trainer._CheckpointCallback.on_train_begin

    def track(self, args, state, control, **kwargs):
        begin(self, args, state, control, **kwargs)
        (Path(args.output_dir) / "emissions.csv").write_text("co2\n1\n")

    monkeypatch.setattr(trainer._CheckpointCallback, "on_train_begin", track)
    train(reranking, run, "cpu", quiet())
    assert (run / "logs/emissions.csv").read_text() == "co2\n1\n" and audit_run(run) == []


class Command:
    """`minerkit train` in a process of its own, on a recipe of twenty steps that are measured every two."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.folder, self.file = folder, folder.parent / f"{folder.name}.yaml"
        self.file.write_text(recipe.model_dump_json(exclude={"sample"}))

    def start(self, **options) -> subprocess.Popen[str]:
        code = "from minerkit.cli import main; main()"
        command = [sys.executable, "-c", code, "train", "-r", str(self.file), "--out", str(self.folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*command, "--device", "cpu", "--json"], env=environment, text=True, **pipes, **options
        )

    def stop_at(self, file: str, signal_: int) -> tuple[int, str]:
        """Send a signal as soon as a file of the training is there."""
        process = self.start()
        while process.poll() is None and not (self.folder / ".stages/training" / file).exists():
            time.sleep(0.001)
        process.send_signal(signal_)
        _, said = process.communicate()
        return process.returncode, said


@pytest.fixture
def command(reranking, run) -> Command:
    args = {**ARGS, "max_steps": 20, "save_total_limit": 3}
    return Command(changed(reranking, train={"args": args}), run)


@pytest.fixture
def twin(command, small, tmp_path) -> Command:
    """The same, never stopped."""
    made = Command(Recipe.model_validate_json(command.file.read_text()), tmp_path / "twin")
    shutil.copytree(small[1], made.folder)
    process = made.start()
    out, said = process.communicate()
    assert process.returncode == 0 and json.loads(out), said
    return made


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_the_same(command, twin):
    places = [
        "checkpoint-2/whole.json",
        "checkpoint-6",
        "checkpoint-10/optimizer.pt",
        "checkpoint-20/whole.json",
    ]
    for place in places:
        assert command.stop_at(place, signal.SIGKILL)[0] == -signal.SIGKILL
    process = command.start()
    _, said = process.communicate()
    assert process.returncode == 0 and "Training goes on from checkpoint-" in said
    assert made(command.folder) == made(twin.folder)
    assert audit_run(command.folder) == []


@pytest.mark.slow
def test_a_stopped_process_says_how_to_go_on(command):
    code, said = command.stop_at("checkpoint-4/whole.json", signal.SIGINT)
    assert code == 130 and "Traceback" not in said
    assert "minerkit: stopped; the same command goes on from checkpoint-" in said.splitlines()[-1]


@pytest.mark.slow
def test_a_process_on_a_full_disk_says_so_and_goes_on_when_there_is_space(command, twin):
    def no_large_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_100_000, 2_100_000))

    # The model takes 2 MB, and the optimizer's state twice as much.
    process = command.start(preexec_fn=no_large_files)
    _, said = process.communicate()
    assert process.returncode == 1 and "Traceback" not in said
    assert "cannot write a checkpoint, the disk or a quota is full; free some space, then" in said
    assert command.start().wait() == 0
    assert made(command.folder) == made(twin.folder)


def test_scratch_sees_no_text_that_is_held_out(answers_run):
    run = answers_run[1]
    seen = set(module._train_texts(run))
    queries = run.read("queries.parquet")
    held = set(queries.filter(queries["split"] == "dev")["text"])
    assert held and not held & seen
    assert set(queries.filter(queries["split"] == "train")["text"]) < seen
