"""From raw rows to a trained model: cut after every stage, done again, and pushed."""

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console

import minerkit
from minerkit.errors import RecipeError
from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import end_to_end as endtoend
from minerkit.pipeline import finished
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Recipe
from minerkit.reports.terminal.run_summary import render_run_summary
from minerkit.runtime.progress import Reporter
from tests.support.hub import TOKEN

DECLARED = {stage.name: stage for stage in pipeline.STAGES}
STAGES = ["ingest", "search", "select", "format", "finish", "train", "eval", "report"]


class Lines(Reporter):
    """Keeps what is said."""

    def __init__(self):
        super().__init__(quiet=True)
        self.lines = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def skipped(self) -> list[str]:
        """The stages that were done before."""
        return [line.split(":")[0] for line in self.lines if line.endswith("done before, nothing to do")]


@pytest.fixture(scope="module")
def recipe_file(sample_pairs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("endtoend")
    sample_pairs.head(60).write_parquet(folder / "pairs.parquet")
    args = {"per_device_train_batch_size": 32, "num_train_epochs": 1, "learning_rate": 0.001}
    values = {
        "name": "tiny",
        "source": {"path": str(folder / "pairs.parquet")},
        "split": {"dev_queries": 12},
        "encoder": {"model": "lsa"},
        "mine": {"negatives": 3},
        "train": {"base": "scratch", "max_length": 24, "args": {**args, "save_steps": 0.5}},
        "eval": {"rerank": 8},
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def recipe(recipe_file) -> Recipe:
    return load_recipe(recipe_file)


@pytest.fixture(scope="module")
def done(recipe, recipe_file) -> tuple[Path, dict]:
    """The folder of a run that is done, and its account; copy the folder to change it."""
    folder = recipe_file.parent / "done"
    return folder, minerkit.run(recipe, folder, device="cpu")


@pytest.fixture
def run(done, tmp_path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "tiny"))


def rows(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.parquet")}


def times(folder: Path) -> dict[str, int]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "lock"]
    return {str(file): file.stat().st_mtime_ns for file in files}


def test_a_run_mines_trains_scores_and_reports(done):
    folder, account = done
    assert finished.audit_run(folder) == []
    assert [Path(name).name for name in account["files"]] == [
        "train.parquet", "dev.parquet", "model", "report.html", "README.md", "evaluation.json",
    ]  # fmt: skip
    stats = json.loads((folder / "stats.json").read_text())
    assert account["data"]["splits"]["train"]["rows"] == stats["splits"]["train"]["rows"]
    assert account["recipe"] == "tiny" and account["pushed"] == []


def test_the_scores_are_those_of_the_training_and_of_the_evaluation(done):
    folder, account = done
    training = json.loads((folder / "training.json").read_text())
    systems = json.loads((folder / "evaluation.json").read_text())["rows"]
    found = {row["kind"]: row["metrics"]["ndcg@10"] for row in systems}
    assert account["scores"] == {
        "ndcg@10": {
            "encoder": found["encoder"],
            "lexical": found["lexical"],
            "untrained": training["before"]["tiny-dev_ndcg@10"],
            "trained": training["after"]["tiny-dev_ndcg@10"],
        }
    }
    assert found["trained"] == pytest.approx(account["scores"]["ndcg@10"]["trained"], abs=1e-9)


def test_the_lines_of_the_summary_load_the_model(done):
    names: dict = {}
    exec("\n".join(done[1]["model"]["load"]), names)
    assert names["model"].predict([("a question", "an answer")]).shape == (1,)


def test_the_report_says_what_was_trained(done):
    folder, account = done
    scores = account["scores"]["ndcg@10"]
    page = (folder / "report.html").read_text()
    assert f"{scores['untrained']:.4f} before training, {scores['trained']:.4f} after" in page
    assert account["model"]["kind"] in page


def test_a_second_run_does_nothing_and_says_the_same(done, recipe):
    folder, account = done
    before, reporter = times(folder), Lines()
    assert endtoend.run(recipe, folder, device="cpu", reporter=reporter) == account
    assert times(folder) == before
    assert reporter.skipped() == STAGES


def test_cut_in_any_stage_it_goes_on_at_the_first_that_is_not_done(done, recipe, tmp_path, monkeypatch):
    def cut(*args, **kwargs):
        raise KeyboardInterrupt

    for place, stage in enumerate(STAGES):
        reporter = Lines()
        with monkeypatch.context() as patch:
            if stage in DECLARED:
                patch.setitem(DECLARED[stage].__dict__, "perform", cut)
            elif stage == "eval":
                patch.setattr(finished, "compare_systems", cut)
            else:
                patch.setattr(finished, "write_report", cut)
            with pytest.raises(KeyboardInterrupt):
                endtoend.run(recipe, tmp_path / "run", device="cpu", reporter=reporter)
        assert reporter.skipped() == STAGES[: max(0, place - 1)], stage
    account = endtoend.run(recipe, tmp_path / "run", device="cpu")
    assert account["scores"] == done[1]["scores"]
    assert rows(tmp_path / "run") == rows(done[0])
    assert finished.audit_run(tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["ingest", "search", "format", "finish", "train", "evaluate"])
def test_killed_after_a_stage_the_same_command_goes_on(done, recipe_file, tmp_path, stage):
    command = [sys.executable, "-c", "from minerkit.cli import main; main()", "run", "-r", str(recipe_file)]
    command += ["--out", str(tmp_path / "run"), "--device", "cpu", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    marker = tmp_path / "run/.stages" / f"{stage}.json"
    until = time.monotonic() + 600
    while not marker.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert marker.exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    name = {"evaluate": "eval"}.get(stage, stage)
    assert f"{name}: done before, nothing to do" in again.stderr
    assert rows(tmp_path / "run") == rows(done[0])
    assert json.loads(again.stdout)["scores"] == done[1]["scores"]


def test_scores_of_other_models_stay_when_nothing_changed(run, recipe):
    finished.evaluate_run(run, [str(run / "model")], device="cpu")
    reporter = Lines()
    endtoend.run(recipe, run, device="cpu", reporter=reporter)
    assert "eval" in reporter.skipped()
    kinds = [row["kind"] for row in json.loads((run / "evaluation.json").read_text())["rows"]]
    assert kinds == ["encoder", "lexical", "trained", "model"]


@pytest.mark.slow
def test_another_model_is_scored_anew(run, recipe_file):
    other = load_recipe(recipe_file, {"train.args.seed": 5})
    reporter = Lines()
    endtoend.run(other, run, device="cpu", reporter=reporter)
    assert reporter.skipped() == ["ingest", "search", "select", "format"]  # the recipe is written by `finish`


@pytest.mark.slow
def test_without_dev_queries_nothing_is_scored(recipe_file, tmp_path):
    bare = load_recipe(recipe_file, {"split.dev_queries": 0})
    account = endtoend.run(bare, tmp_path / "run", device="cpu")
    assert account["scores"] == {}
    assert not (tmp_path / "run/evaluation.json").exists()
    assert "How the dev split is ranked" not in shown(account)


def shown(account: dict) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_run_summary(account))
    return console.export_text()


def test_the_summary_shows_rows_scores_places_and_what_next(done):
    account = done[1]
    text, scores = shown(account), account["scores"]["ndcg@10"]
    assert f"{account['data']['splits']['train']['rows']:,} train rows" in text
    gain = f"{scores['trained']:.4f} ({scores['trained'] - scores['untrained']:+.4f})"
    for value in (f"{scores['encoder']:.4f}", f"{scores['lexical']:.4f}", gain):
        assert value in text
    for line in (*account["files"], *account["model"]["load"], *account["next"]):
        assert line.replace(" ", "") in "".join(text.split())


@pytest.mark.parametrize(
    ("encoder", "words", "said"),
    [(0.7, 0.4, "The encoder alone ranks better"), (0.3, 0.7, "BM25 alone ranks better"), (0.5, 0.4, "")],
)
def test_a_model_that_ranks_worse_than_what_was_there_is_said_to(done, encoder, words, said):
    scores = {"ndcg@10": {"encoder": encoder, "lexical": words, "untrained": 0.1, "trained": 0.6}}
    text = shown({**done[1], "scores": scores})
    assert said in text and ("ranks better" in text) == bool(said)


def test_a_metric_the_encoder_lacks_has_a_column_of_its_own(done):
    scores = {
        "ndcg@10": {"encoder": 0.5, "lexical": 0.4, "untrained": None, "trained": 0.6},
        "average_precision": {"encoder": None, "lexical": None, "untrained": 0.2, "trained": 0.7},
    }
    text = shown({**done[1], "scores": scores})
    lines = {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line.strip()}
    assert lines["before training"][2:] == ["0.2000"]
    assert lines["after training"][2:] == ["0.6000", "0.7000", "(+0.5000)"]


def test_faults_of_the_training_are_found_before_anything_is_mined(recipe_file, tmp_path):
    wrong = load_recipe(recipe_file, {"train.args.learning_rat": 1})
    with pytest.raises(RecipeError, match="learning_rat"):
        endtoend.run(wrong, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


RUN = """
from pathlib import Path
from minerkit.pipeline import end_to_end as endtoend
from minerkit.recipe.load import load_recipe
result = endtoend.run(load_recipe({recipe!r}), Path({out!r}), {options}, device="cpu")
"""


def push(client, recipe: Path, out: Path, options: str) -> dict:
    return client(RUN.format(recipe=str(recipe), out=str(out), options=options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("push='name'", "lacks the user or organisation"),
        ("push='user/name', model_repo='a b'", "is no name for a repository"),
        ("push='other/name'", "it may write to user, sentence-transformers"),
        ("push='user/name', model_repo='other/name'", "other/name: the token is that of user"),
    ],
)
def test_faults_of_a_push_are_found_before_anything_is_mined(
    hub, client, recipe_file, tmp_path, options, message
):
    with pytest.raises(RuntimeError, match=f"HubError: .*{message}"):
        push(client, recipe_file, tmp_path / "run", options)
    assert not (tmp_path / "run").exists()


def test_a_public_repository_is_not_pushed_to_as_private(hub, client, recipe_file, tmp_path):
    client("from huggingface_hub import HfApi; HfApi().create_repo('user/public')")
    with pytest.raises(RuntimeError, match="user/public is public already"):
        push(client, recipe_file, tmp_path / "run", "push='user/public', private=True")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("token", "message"),
    [(None, "no token for the Hub"), ("hf_TokenToRead", "can only read"), ("hf_Bad", "not accept the token")],
)
def test_a_token_that_cannot_push_is_one_line_at_the_start(hub, recipe_file, tmp_path, token, message):
    command = [sys.executable, "-c", "from minerkit.cli import main; main()", "run", "-r", str(recipe_file)]
    command += ["--push", "user/name", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        command, env=hub.environment(tmp_path, token), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_push_makes_one_commit_a_repository_and_again_none(hub, client, recipe_file, run):
    account = push(client, recipe_file, run, "push='user/tiny'")
    urls = [f"{hub.url}/datasets/user/tiny", f"{hub.url}/user/tiny"]
    assert [made["url"] for made in account["pushed"]] == urls
    assert all(made["commit"] for made in account["pushed"])
    assert not any(line.startswith("minerkit push") for line in account["next"])
    for kind in ("datasets", "models"):
        assert len(hub.commits("user/tiny", kind)) == 2  # the first is that of the new repository
    assert "model.safetensors" in hub.files("user/tiny", "models")
    card = client("""
from huggingface_hub import hf_hub_download
result = open(hf_hub_download("user/tiny", "README.md", repo_type="dataset")).read()
""")
    assert "[user/tiny](https://huggingface.co/user/tiny)" in card
    again = push(client, recipe_file, run, "push='user/tiny'")
    assert [made["commit"] for made in again["pushed"]] == [None, None]
    for kind in ("datasets", "models"):
        assert len(hub.commits("user/tiny", kind)) == 2


@pytest.mark.slow
def test_a_push_that_fails_leaves_the_run_whole_and_says_how_to_repeat_it(hub, client, recipe_file, run):
    hub.fail(r"POST .*/models/user/fails/commit/", 403)
    with pytest.raises(RuntimeError) as caught:
        push(client, recipe_file, run, "push='user/data', model_repo='user/fails', private=True")
    again = f"minerkit push {run} --repo user/data --model-repo user/fails --private"
    assert again in str(caught.value) and TOKEN not in str(caught.value)
    assert hub.heal() == []
    assert finished.audit_run(run) == []
    client(f"""
import contextlib, io
from minerkit.cli import app
with contextlib.redirect_stdout(io.StringIO()):
    app({again.split()[1:]!r}, standalone_mode=False)
""")
    assert "model.safetensors" in hub.files("user/fails", "models")
    assert len(hub.commits("user/data")) == 2
