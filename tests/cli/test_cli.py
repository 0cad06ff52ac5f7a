"""The command as a user types it, in a process of its own."""

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest


def minerkit(*arguments: str, cwd: Path | None = None, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from minerkit.cli import main; main()", *arguments]
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **options.pop("env", {})}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, **options)


def fails(*arguments: str, cwd: Path | None = None, code: int = 1, **options) -> str:
    """Run a command that must fail with one clear message and no traceback."""
    done = minerkit(*arguments, cwd=cwd, **options)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = minerkit("mine", "--recipe", "gooaq", "--sample", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


def test_mine_sample_prints_a_summary_and_writes_the_run(mined):
    out = (mined / "stdout.txt").read_text()
    for word in (
        "positives",
        "negatives",
        "queries left short",
        "Scores",
        "Retrieval",
        "runs/gooaq/train.parquet",
    ):
        assert word in out
    assert "Encoding" in (mined / "stderr.txt").read_text()
    assert "Encoding" not in out
    assert pl.read_parquet(mined / "runs/gooaq/train.parquet").columns == ["question", "answer", "label"]


def test_audit_of_the_sample_is_clean(mined):
    done = minerkit("audit", "runs/gooaq", cwd=mined)
    assert (done.returncode, done.stdout) == (0, "runs/gooaq: clean\n")


def test_audit_names_a_breach_and_fails(mined, tmp_path):
    import shutil

    shutil.copytree(mined / "runs", tmp_path / "runs")
    path = tmp_path / "runs/gooaq/negatives.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame, frame.head(1)]).write_parquet(path)
    done = minerkit("audit", "runs/gooaq", cwd=tmp_path)
    assert done.returncode == 1
    assert "BREACH negatives: a document once a query" in done.stdout
    assert "query_id=q" in done.stdout


@pytest.mark.slow
def test_eval_prints_a_table_and_keeps_it(mined):
    done = minerkit("eval", "runs/gooaq", cwd=mined)
    assert done.returncode == 0, done.stderr
    assert "retrieved order (lsa)" in done.stdout and "BM25" in done.stdout
    assert "Scoring (BM25)" in done.stderr
    quiet = minerkit("eval", "runs/gooaq", "--json", "--quiet", cwd=mined)
    assert quiet.stderr == ""
    kept = json.loads((mined / "runs/gooaq/evaluation.json").read_text())
    assert json.loads(quiet.stdout) == kept
    assert kept["dev"]["queries"] == 60


@pytest.mark.slow
def test_eval_without_what_it_needs_is_one_clear_line(mined, tmp_path):
    assert "no run folder nowhere" in fails("eval", "nowhere", cwd=tmp_path)
    assert "no such model folder" in fails("eval", "runs/gooaq", "--model", "./nothing", cwd=mined)


def test_json_and_quiet(mined):
    done = minerkit("mine", "-r", "gooaq", "--sample", "--json", "--quiet", cwd=mined)
    assert done.stderr == ""
    assert json.loads(done.stdout)["input"]["rows"] == 659


@pytest.mark.slow
def test_stats_of_a_run_and_of_a_file(mined):
    card = minerkit("stats", "runs/gooaq", "--format", "card", cwd=mined).stdout
    assert "* Columns: <code>question</code>, <code>answer</code>, and <code>label</code>" in card
    found = json.loads(minerkit("stats", "runs/gooaq/train.parquet", "--format", "json", cwd=mined).stdout)
    run = json.loads(minerkit("stats", "runs/gooaq", "--format", "json", cwd=mined).stdout)
    assert found["rows"] == run["splits"]["train"]["rows"] == run["train"]["size"]
    assert found["per_query"]["positives"] == run["per_query"]["train"]["positives"]


@pytest.mark.parametrize("arguments", [("-h",), ("ls",), ("mine", "-h")])
def test_help_and_ls_do_not_import_torch(arguments):
    code = (
        "import sys; from minerkit.cli import app\n"
        f"try: app({list(arguments)!r})\n"
        "except SystemExit: pass\n"
        "names = {'torch', 'sentence_transformers', 'transformers', 'datasets', 'sklearn'}\n"
        "heavy = names & set(sys.modules)\n"
        "sys.exit(len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_ls_names_recipe_language_licence_source_and_sample():
    done = minerkit("ls")
    assert "hub:sentence-transformers/gooaq" in done.stdout
    assert json.loads(minerkit("ls", "--json").stdout)[0].keys() == {
        "name",
        "language",
        "license",
        "source",
        "sample",
    }


def test_cp_and_show(tmp_path):
    assert minerkit("cp", "gooaq", "mine.yaml", cwd=tmp_path).returncode == 0
    shown = minerkit("show", "-r", "mine.yaml", "--set", "mine.negatives=7", cwd=tmp_path).stdout
    assert "negatives: 7" in shown and "name: mine" in shown
    assert "is there already" in fails("cp", "gooaq", "mine.yaml", cwd=tmp_path)


@pytest.mark.slow
def test_a_copied_recipe_is_valid(tmp_path):
    assert minerkit("cp", "gooaq", "mine.yaml", cwd=tmp_path).returncode == 0
    assert "is valid" in minerkit("validate", "-r", "mine.yaml", cwd=tmp_path).stdout


@pytest.mark.slow
def test_input_replaces_the_source(tmp_path, sample_pairs):
    sample_pairs.head(120).rename({"query": "q", "positive": "a"}).write_csv(tmp_path / "mine.csv")
    done = minerkit(
        "mine", "-r", "gooaq", "--input", "mine.csv", "--set", "source.query=q", "--set", "source.positive=a",
        "--set", "encoder.model=lsa", "--set", "split.dev_queries=10", "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "out/train.parquet").columns == ["q", "a", "label"]


def test_ingest_stops_before_mining(tmp_path):
    done = minerkit(
        "ingest", "-r", "gooaq", "--sample", "--limit", "50", "--set", "split.dev_queries=5", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/gooaq/qrels.parquet").is_file()
    assert not (tmp_path / "runs/gooaq/candidates.parquet").exists()


PAIR = json.dumps(
    {"question": "how long is a piece of string", "answer": "as long as it needs to be, they say"}
)


def bad_gzip() -> bytes:
    return gzip.compress((PAIR + "\n").encode() * 2000)[:-40]


BAD_INPUT = {
    "missing.jsonl": (None, "no file at missing.jsonl"),
    "empty.jsonl": (b"", "empty.jsonl is empty"),
    "empty.csv": (b"", "empty.csv is empty"),
    "columns.csv": (b"q,a\n1,2\n", "no column 'question' (source.query); there are: q, a"),
    "broken.jsonl.gz": (bad_gzip(), "damaged gzip"),
    "cut.jsonl": (f'{PAIR}\n{PAIR}\n{{"question": "cut'.encode(), "cut.jsonl:3: not JSON"),
    "latin.jsonl": (b'{"question": "caf\xe9", "answer": "x"}\n', "latin.jsonl:1: invalid UTF-8"),
    "notes.docx": (b"PK", "unknown format"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (at % 4 > 0)) for at, name in enumerate(BAD_INPUT)]
)
def test_bad_input_is_one_clear_line(tmp_path, name):
    content, message = BAD_INPUT[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    error = fails("mine", "-r", "gooaq", "--input", name, "--quiet", cwd=tmp_path)
    assert message in error
    assert error.count("\n") == 1


def test_all_faults_of_a_recipe_are_shown(tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "name: bad\nsource: {path: x.jsonl}\n"
        "mine:\n  negatves: 3\n  shortfall: kep\nsplit: {dev_queries: many}\n"
    )
    error = fails("validate", "-r", "bad.yaml", cwd=tmp_path)
    assert "3 faults" in error
    assert "bad.yaml:4: mine.negatves: unknown key; did you mean 'negatives'?" in error
    assert "bad.yaml:5" in error and "bad.yaml:6" in error


def test_an_unknown_recipe_is_suggested():
    assert "did you mean 'gooaq'" in fails("mine", "-r", "goaq")


@pytest.mark.slow
def test_no_network_says_what_to_do_instead(tmp_path):
    error = fails("mine", "-r", "gooaq", "--quiet", cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"})
    assert "--sample" in error and "--input" in error


def test_usage_errors_exit_with_two(tmp_path):
    fails("mine", "--no-such-option", code=2)
    fails("mine", "-r", "gooaq", "--sample", "--input", "x", code=2)
    fails("stats", "x", "--rows", "some", code=2)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_run_intact(mined, tmp_path):
    import shutil

    shutil.copytree(mined / "runs", tmp_path / "runs")
    before = {f.name: f.read_bytes() for f in (tmp_path / "runs/gooaq").iterdir() if f.is_file()}

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    error = fails(
        "mine",
        "-r",
        "gooaq",
        "--sample",
        "--set",
        "mine.negatives=3",
        "--quiet",
        cwd=tmp_path,
        preexec_fn=small_files,
    )
    assert "cannot write" in error
    assert {f.name: f.read_bytes() for f in (tmp_path / "runs/gooaq").iterdir() if f.is_file()} == before
    assert minerkit("audit", "runs/gooaq", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_training_the_static_encoder_prints_nothing_to_stdout(tmp_path):
    done = minerkit(
        "mine", "-r", "gooaq", "--sample", "--set", "encoder.model=static", "--json", "--quiet", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["queries"]["train"] == 560
    assert done.stderr == ""


@pytest.mark.slow
def test_a_device_that_is_not_there_is_one_clear_line(tmp_path):
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    error = fails("mine", "-r", "gooaq", "--sample", "--device", "mps", "--quiet", cwd=tmp_path)
    assert "no such device" in error


@pytest.mark.slow
def test_an_interrupt_ends_without_a_traceback_and_keeps_finished_stages(tmp_path):
    import signal
    import time

    command = [
        sys.executable,
        "-c",
        "from minerkit.cli import main; main()",
        "mine",
        "-r",
        "gooaq",
        "--sample",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    marker = tmp_path / "runs/gooaq/.stages/ingest.json"
    for _ in range(600):
        if marker.exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert error.splitlines()[-1] == (
        "minerkit: stopped; the same command goes on from the last finished stage"
    )
    assert "Traceback" not in error
    again = minerkit("mine", "-r", "gooaq", "--sample", cwd=tmp_path)
    assert again.returncode == 0
    assert "ingest: done before" in again.stderr


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            "train.loss=lambda",
            "train.loss: lambda wants labeled-list; the recipe makes labeled-pair; set format",
        ),
        pytest.param(
            "train.args.lerning_rate=1",
            "no such argument; did you mean 'learning_rate'?",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "train.base=nobody/nothing",
            "train.base: nobody/nothing: the model cannot be loaded",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_wrong_with_a_training_is_found_before_anything_is_mined(setting, line, tmp_path):
    said = fails("train", "-r", "gooaq", "--sample", "--device", "cpu", "--set", setting, cwd=tmp_path)
    assert line in said and len(said.splitlines()) == 1 and not (tmp_path / "runs").exists()


def test_too_little_memory_is_one_clear_line(tmp_path):
    done = minerkit("mine", "-r", "gooaq", "--sample", "--memory-gb", "0.2", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "minerkit: --memory-gb 0.2 is too little to work in; allow at least 1"
    ]


def test_the_version_is_that_of_the_package():
    from minerkit import __version__

    done = minerkit("--version")
    assert (done.returncode, done.stdout) == (0, f"minerkit {__version__}\n")


@pytest.mark.parametrize(
    ("typed", "word", "completed"), [("minerkit va", 1, "validate"), ("minerkit show -r goo", 3, "gooaq")]
)
def test_the_shell_completes_commands_and_recipes(typed, word, completed):
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(word), "_MINERKIT_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv[0] = 'minerkit'; from minerkit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert done.stdout.split() == [completed], done.stderr
