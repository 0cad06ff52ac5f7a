"""Pushes to, and loads from, a test server of the Hub in another process, with the real clients."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from minerkit.reports.cards.dataset_card import dataset_card
from minerkit.storage.run_folder import load, locked
from tests.support.hub import TOKEN, Hub

CONFIGS = {
    "labeled-pair": ["train", "dev"],
    "pairs": ["train", "dev"],
    "queries": ["train", "dev"],
    "qrels": ["train", "dev"],
    "corpus": ["corpus"],
}
PUSH = """
from pathlib import Path
from minerkit.pipeline.finished import push_run
from minerkit.runtime.progress import Reporter
result = push_run(Path({run!r}), {repo!r}, reporter=Reporter(), {options})
"""


def push(client, run: Path, repo: str, options: str = "") -> dict:
    """Push from a client's process; return the result for the first repository."""
    return client(PUSH.format(run=str(run), repo=repo, options=options))[0]


def command(hub: Hub, home: Path, *arguments: str, **options) -> subprocess.Popen[str]:
    """Start minerkit as a process."""
    line = [sys.executable, "-c", "from minerkit.cli import main; main()", *arguments]
    environment = {**hub.environment(home, options.pop("token", TOKEN)), "NO_COLOR": "1", "COLUMNS": "120"}
    environment |= options.pop("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, env=environment, text=True, **pipes, **options)


def error_line(*arguments, code: int = 1, **options) -> str:
    """Run a command that must fail with one line and show no token; return the line."""
    process = command(*arguments, **options)
    out, err = process.communicate()
    assert (process.returncode, out) == (code, ""), err
    assert "hf_" not in err
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    return lines[0]


def without_card(files: dict[str, str]) -> dict[str, str]:
    """Leave out the card, which holds the name of its repository."""
    return {path: digest for path, digest in files.items() if path != "README.md"}


@pytest.fixture(scope="module")
def reference(served, client, sample_run) -> dict[str, str]:
    """The files of a push without failures."""
    push(client, sample_run, "user/reference")
    return served.files("user/reference")


@pytest.fixture
def run(sample_run, tmp_path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(sample_run, tmp_path / "gooaq"))


@pytest.mark.parametrize("either", [pytest.param("lfs", marks=pytest.mark.slow), "xet"], indirect=True)
def test_datasets_loads_every_config_row_for_row(hub, either, sample_run, request):
    repo, start = f"user/{request.node.callspec.id}", len(hub.requests())
    result = push(either, sample_run, repo)
    assert result["commit"] and len(hub.commits(repo)) == 2  # the first commit is that of the new repository
    assert bool(hub.requests("PUT /_lfs/", start)) == ("lfs" in repo)
    assert bool(hub.requests("xet-write-token", start)) == ("xet" in repo)
    loaded = either(f"""
import datasets
result = {{}}
for config in datasets.get_dataset_config_names({repo!r}):
    for split, rows in datasets.load_dataset({repo!r}, config).items():
        result.setdefault(config, {{}})[split] = rows.to_list()
""")
    assert {config: list(splits) for config, splits in loaded.items()} == CONFIGS
    frames = {name: pl.read_parquet(sample_run / f"{name}.parquet") for name in [*CONFIGS][1:]}
    for split in ("train", "dev"):
        rows = pl.read_parquet(sample_run / f"{split}.parquet").rows(named=True)
        assert loaded["labeled-pair"][split] == rows
        queries = frames["queries"].filter(pl.col("split") == split)
        assert loaded["queries"][split] == queries.rows(named=True)
        qrels = frames["qrels"].join(queries, on="query_id", how="semi", maintain_order="left")
        assert loaded["qrels"][split] == qrels.rows(named=True)
        pairs = frames["pairs"].join(
            queries, left_on="query", right_on="text", how="semi", maintain_order="left"
        )
        assert loaded["pairs"][split] == pairs.rows(named=True)
    assert loaded["corpus"]["corpus"] == frames["corpus"].rows(named=True)
    assert len(loaded["pairs"]["train"]) + len(loaded["pairs"]["dev"]) == len(frames["pairs"])


@pytest.mark.parametrize("either", ["lfs", "xet"], indirect=True)
def test_a_repeated_push_makes_no_commit_and_sends_nothing(hub, either, sample_run, request):
    repo = f"user/again-{request.node.callspec.id}"
    push(either, sample_run, repo)
    before = len(hub.requests())
    result = push(either, sample_run, repo)
    assert (result["changed"], result["commit"]) == ([], None)
    assert len(hub.commits(repo)) == 2
    assert hub.requests("^(POST|PUT)", before) == []


def test_columns_have_the_types_that_users_of_datasets_expect(hub, client, reference):
    types = client("""
import datasets
result = {c: {k: str(v) for k, v in datasets.load_dataset("user/reference", c, split=s).features.items()}
          for c, s in (("labeled-pair", "train"), ("corpus", "corpus"), ("qrels", "dev"))}
""")
    text = "Value('string')"
    assert types["labeled-pair"] == {"question": text, "answer": text, "label": "Value('int64')"}
    assert types["corpus"] == {"doc_id": text, "text": text, "group": text}
    assert types["qrels"] == {"query_id": text, "doc_id": text, "relevance": "Value('int32')"}


def test_the_training_rows_are_the_default_config(hub, client, reference):
    assert client("""
import datasets
result = datasets.load_dataset("user/reference", split="dev").column_names
""") == ["question", "answer", "label"]


@pytest.mark.slow
def test_rows_can_be_streamed(hub, client, reference, sample_run):
    row = client("""
import datasets
result = next(iter(datasets.load_dataset("user/reference", "corpus", split="corpus", streaming=True)))
""")
    assert row == pl.read_parquet(sample_run / "corpus.parquet").row(0, named=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "action",
    ["lose", *(pytest.param(it, marks=pytest.mark.slow) for it in (503, 429, 412, 409, "drop", "html"))],
)
def test_a_failed_commit_is_retried(hub, client, sample_run, reference, action):
    repo = f"user/commit-{action}"
    hub.fail(r"POST .*/commit/", action)
    result = push(client, sample_run, repo)
    assert without_card(hub.files(repo)) == without_card(reference)
    assert len(hub.commits(repo)) == 2
    assert result["commit"] and len(result["changed"]) == len(reference)


@pytest.mark.parametrize(
    ("request_", "action"),
    [
        pytest.param(r"GET /api/datasets/user/", 503, marks=pytest.mark.slow),
        pytest.param(r"POST /api/repos/create", 429, marks=pytest.mark.slow),
        pytest.param(r"POST .*/preupload/", "drop", marks=pytest.mark.slow),
        pytest.param(r"POST .*/objects/batch", 503, marks=pytest.mark.slow),
        (r"PUT /_lfs/", "drop"),
        pytest.param(r"POST /_lfs/.*/verify", 500, marks=pytest.mark.slow),
        pytest.param(r"POST /api/validate-yaml", "html", marks=pytest.mark.slow),
    ],
)
def test_a_failed_request_at_any_other_step_is_retried(hub, client, sample_run, reference, request_, action):
    repo = f"user/at-{abs(hash(request_))}"
    hub.fail(request_, action)
    push(client, sample_run, repo)
    assert without_card(hub.files(repo)) == without_card(reference)
    assert len(hub.commits(repo)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "upload"), [("lfs", "PUT /_lfs/"), ("xet", "xet-write-token")])
def test_a_killed_push_resumes_without_sending_files_again(hub, run, tmp_path, reference, mode, upload):
    repo, start = f"user/killed-{mode}", len(hub.requests())
    options = {"env": {"HF_HUB_DISABLE_XET": "0" if mode == "xet" else "1"}}
    hub.fail(upload, 60.0, skip=3)
    process = command(hub, tmp_path, "push", str(run), "--repo", repo, **options)
    wait_for(lambda: len(hub.requests(upload, start)) == 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert hub.files(repo) == {}
    hub.heal()
    uploaded, again = hub.requests("PUT /_lfs/", start)[:3], len(hub.requests())
    process = command(hub, tmp_path, "push", str(run), "--repo", repo, **options)
    assert process.wait() == 0, process.stderr.read()
    assert without_card(hub.files(repo)) == without_card(reference)
    assert len(hub.commits(repo)) == 2
    assert not set(uploaded) & set(hub.requests("PUT /_lfs/", again))
    assert not list((run / ".stages").glob("push*"))


@pytest.mark.slow
def test_a_push_survives_a_restart_of_the_hub(run, tmp_path, reference):
    hub = Hub(tmp_path / "hub")
    try:
        hub.fail("PUT /_lfs/", 60.0, skip=3)
        process = command(hub, tmp_path, "push", str(run), "--repo", "user/away")
        wait_for(lambda: len(hub.requests("PUT /_lfs/")) == 4)
        hub.stop()
        time.sleep(1)
        hub.start()
        assert process.wait() == 0, process.stderr.read()
        assert without_card(hub.files("user/away")) == without_card(reference)
        assert len(hub.commits("user/away")) == 2
    finally:
        hub.stop()


def wait_for(condition, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_concurrent_pushes_both_succeed(hub, client, sample_run, run, tmp_path, reference):
    from minerkit.pipeline.commands import mine
    from minerkit.recipe.load import load_recipe

    mine(load_recipe(run / "recipe.yaml", {"format": "triplet"}), run)
    hub.fail("POST .*/commit/", "overtake")  # the first commit waits until the other is made
    processes = [
        command(hub, tmp_path / f"home-{number}", "push", str(folder), "--repo", "user/both")
        for number, folder in enumerate((sample_run, run))
    ]
    messages = "".join(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], messages
    assert "another commit came first; trying again" in messages
    assert len(hub.commits("user/both")) == 3
    assert client("""
import datasets
result = sorted(datasets.get_dataset_config_names("user/both"))
""") == sorted([*CONFIGS, "triplet"])
    assert client("""
import datasets
result = [len(datasets.load_dataset("user/both", name, split="dev")) for name in ("labeled-pair", "triplet")]
""") == [len(pl.read_parquet(folder / "dev.parquet")) for folder in (sample_run, run)]


def test_a_run_in_use_is_not_pushed(hub, run, tmp_path):
    with locked(run):
        assert "another minerkit is at work" in error_line(
            hub, tmp_path, "push", str(run), "--repo", "user/used"
        )


@pytest.mark.slow
def test_changed_rows_replace_the_old_files_and_other_files_are_kept(hub, client, run, reference):
    client("from minerkit.hub import dataset_files; dataset_files.SHARD_BYTES = 100_000")
    try:
        push(client, run, "user/shards")
    finally:
        client("dataset_files.SHARD_BYTES = 500_000_000")
    names = [path for path in hub.files("user/shards") if path.startswith("corpus/")]
    assert names == [
        f"corpus/corpus-{number:05d}-of-{len(names):05d}.parquet" for number in range(len(names))
    ]
    assert len(names) > 1
    load = (
        "import datasets; result = datasets.load_dataset('user/shards', 'corpus', split='corpus').to_list()"
    )
    assert client(load) == pl.read_parquet(run / "corpus.parquet").rows(named=True)
    client("""
from huggingface_hub import HfApi
repo = {"repo_id": "user/shards", "repo_type": "dataset"}
HfApi().upload_file(path_or_fileobj=b"kept", path_in_repo="notes.txt", **repo)
""")
    push(client, run, "user/shards")
    files = hub.files("user/shards")
    assert files.pop("notes.txt")
    assert without_card(files) == without_card(reference)


def test_keys_that_only_the_card_on_the_hub_has_are_kept(hub, client, run):
    push(client, run, "user/card")
    edit = """
from huggingface_hub import DatasetCard
card = DatasetCard.load("user/card")
card.data["gated"], card.data["license"] = "manual", "other"
card.data["configs"].append({"config_name": "mine", "data_files": [{"split": "train", "path": "mine/*"}]})
card.push_to_hub("user/card", repo_type="dataset")
"""
    client(edit)
    commits = len(hub.commits("user/card"))
    push(client, run, "user/card")
    assert len(hub.commits("user/card")) == commits + 1
    data, body = client("""
from huggingface_hub import DatasetCard
card = DatasetCard.load("user/card")
result = [card.data.to_dict(), card.text]
""")
    card = dataset_card(load(run), "user/card")
    assert (data["license"], data["gated"]) == ("apache-2.0", "manual")
    assert [config["config_name"] for config in data["configs"]] == sorted([*CONFIGS, "mine"])
    assert [config["config_name"] for config in data["configs"] if config.get("default")] == ["labeled-pair"]
    assert card.endswith(body) and body.lstrip().startswith("#")
    assert push(client, run, "user/card")["commit"] is None


@pytest.mark.slow
def test_the_model_is_pushed_to_its_own_repository(hub, run, tmp_path):
    (run / "model/1_Pooling").mkdir(parents=True)
    (run / "model/model.safetensors").write_bytes(b"weights")
    (run / "model/1_Pooling/config.json").write_text("{}")
    (run / "model/README.md").write_text("---\nlicense: mit\n---\n# Model\n")
    arguments = ("push", str(run), "--repo", "user/with", "--model-repo", "user/with", "--quiet", "--json")
    process = command(hub, tmp_path, *arguments)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert [(result["kind"], result["repo"]) for result in json.loads(out)] == [
        ("dataset", "user/with"),
        ("model", "user/with"),
    ]
    files = hub.files("user/with", "models")
    assert sorted(files) == ["1_Pooling/config.json", "README.md", "model.safetensors"]


def test_a_missing_model_is_reported_before_any_request(hub, client, run):
    with pytest.raises(RuntimeError, match=r"RunError: .* holds no model/"):
        push(client, run, "user/none", "model_repo='user/none'")
    assert not hub.requests("user/none")


@pytest.mark.slow
def test_a_branch_is_created_and_main_not_changed(hub, client, sample_run, reference):
    push(client, sample_run, "user/branch", "revision='v2'")
    assert without_card(hub.files("user/branch", branch="v2")) == without_card(reference)
    assert hub.files("user/branch") == {}


@pytest.mark.slow
def test_private_repositories_need_the_token_and_public_ones_are_refused(hub, client, sample_run):
    push(client, sample_run, "user/secret", "private=True")
    load = "import datasets; result = len(datasets.load_dataset('user/secret', split='dev', token=%r))"
    assert client(load % TOKEN)
    with pytest.raises(RuntimeError, match="RepositoryNotFoundError"):
        client("from huggingface_hub import HfApi; HfApi(token=False).dataset_info('user/secret')")
    assert push(client, sample_run, "user/secret", "private=True")["commit"] is None
    push(client, sample_run, "user/open")
    with pytest.raises(RuntimeError, match="HubError: user/open is public already"):
        push(client, sample_run, "user/open", "private=True")


def test_a_dry_run_lists_the_files_without_a_request(hub, client, run, tmp_path):
    start, rows = len(hub.requests()), len(pl.read_parquet(run / "train.parquet"))
    arguments = ("push", str(run), "--repo", "user/dry", "--dry-run", "--quiet")
    process = command(hub, tmp_path, *arguments, token=None)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "dataset user/dry: 10 files" in out
    assert f"{rows:,} rows  labeled-pair/train-00000-of-00001.parquet" in out
    files = {file["path"]: file for file in push(client, run, "user/dry", "dry_run=True")["files"]}
    assert files["corpus/corpus-00000-of-00001.parquet"]["rows"] == 630
    assert files["README.md"]["rows"] is None and files["README.md"]["bytes"] > 1000
    assert hub.requests(since=start) == []


def test_a_run_that_fails_its_audit_is_pushed_only_by_force(hub, run, tmp_path, client):
    path = run / "negatives.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame, frame.head(1)]).write_parquet(path)
    line = error_line(hub, tmp_path, "push", str(run), "--repo", "user/broken")
    assert "breaks" in line and "a document once a query" in line and "--force" in line
    assert not hub.requests("user/broken")
    assert push(client, run, "user/broken", "force=True")["commit"]


@pytest.mark.slow
def test_a_missing_token_or_hub_is_reported_in_one_line(hub, sample_run, tmp_path):
    arguments = ("push", str(sample_run), "--quiet", "--repo", "user/x")
    assert "hf auth login" in error_line(hub, tmp_path, *arguments, token=None)
    assert "cannot be reached" in error_line(
        hub, tmp_path, *arguments, env={"HF_ENDPOINT": "http://127.0.0.1:9"}
    )
    assert "HF_HUB_OFFLINE is set" in error_line(hub, tmp_path, *arguments, env={"HF_HUB_OFFLINE": "1"})


@pytest.mark.parametrize(
    ("folder", "repo", "line"),
    [
        ("", "other/x", "HubError: other/x: the token may not do this"),
        ("", "a/b/c", "HubError: 'a/b/c' is no name for a repository"),
        ("", "x", "HubError: 'x' lacks the user or organisation"),
        ("..", "user/x", "RunError: .* holds no finished run"),
        ("none", "user/x", "RunError: no run folder"),
    ],
)
def test_invalid_repositories_and_run_folders_are_reported_in_one_line(
    hub, client, sample_run, folder, repo, line
):
    with pytest.raises(RuntimeError, match=line) as caught:
        push(client, sample_run / folder, repo)
    assert "\n" not in str(caught.value)


def test_an_unknown_token_is_reported_without_showing_it(hub, client, sample_run):
    client("import os; os.environ['HF_TOKEN'] = 'hf_Unknown'")
    try:
        with pytest.raises(RuntimeError, match="does not accept the token") as caught:
            push(client, sample_run, "user/x")
        assert "hf_Unknown" not in str(caught.value)
    finally:
        client(f"os.environ['HF_TOKEN'] = {TOKEN!r}")


@pytest.mark.slow
def test_a_card_that_the_hub_refuses_is_reported(hub, client, run):
    hub.fail("POST /api/validate-yaml", 400)
    with pytest.raises(RuntimeError, match="user/yaml: the Hub refuses"):
        push(client, run, "user/yaml")


@pytest.mark.slow
def test_the_stored_login_is_used_and_no_token_is_written(hub, run, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/token").write_text(TOKEN)
    process = command(hub, tmp_path / "home", "push", str(run), "--repo", "user/login", token=None)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert TOKEN not in out + err
    assert not [path for path in run.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [
        ["--limit", "3"],
        pytest.param(["--set", "source.limit=null"], marks=pytest.mark.slow),
    ],
    ids=["streamed", "whole"],
)
def test_recipes_read_from_the_hub(hub, client, tmp_path, limit):
    client("""
import datasets
rows = [{"question": f"what is number {n}?", "answer": f"it is {n}, I said {n}"} for n in range(5)]
datasets.Dataset.from_list(rows).push_to_hub("sentence-transformers/gooaq")
""")
    counts = ingested(hub, tmp_path, "gooaq", "--set", "split.dev_queries=0", *limit)
    rows = 3 if "--limit" in limit else 5
    assert (counts["rows"], counts["positives"], counts["documents"]) == (rows, rows, rows)


def test_a_judged_collection_is_read_from_the_hub(hub, client, tmp_path):
    client("""
import huggingface_hub, json
files = {
    "corpus.jsonl": [{"_id": f"d{n}", "title": f"Number {n}", "text": "stands here"} for n in range(6)],
    "queries.jsonl": [{"_id": f"q{n}", "text": f"what is {n}?"} for n in range(4)],
}
texts = {name: "".join(json.dumps(row) + "\\n" for row in rows) for name, rows in files.items()}
head = "query-id\\tcorpus-id\\tscore\\n"
texts["qrels/train.tsv"] = head + "".join(f"q{n}\\td{n}\\t1\\n" for n in range(3))
texts["qrels/test.tsv"] = head + "q3\\td3\\t1\\n"
api = huggingface_hub.HfApi()
name = "user/collection"
api.create_repo(name, repo_type="dataset")
for path, text in texts.items():
    api.upload_file(path_or_fileobj=text.encode(), path_in_repo=path, repo_id=name, repo_type="dataset")
""")
    counts = ingested(
        hub, tmp_path, "ai-ir", "--set", "split.dev_queries=0", "--set", "source.hub=user/collection"
    )
    assert (counts["positives"], counts["documents"], counts["queries"]) == (3, 6, 3)
    reasons = [row["reason"] for row in counts["rejected"]]
    assert reasons == ["no judgement of this query was read"]


def ingested(hub: Hub, folder: Path, *arguments: str) -> dict:
    """Ingest a recipe from the Hub; return the counts."""
    process = command(hub, folder, "ingest", "--json", "-r", *arguments, token=None, cwd=folder)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)
