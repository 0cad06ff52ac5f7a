"""What is done with a finished run holds its lock, where it writes into the run."""

import subprocess
import sys

import pytest

from minerkit.errors import RunError
from minerkit.pipeline.finished import evaluate_run, push_run, report_run


@pytest.fixture
def busy_run(sample_run):
    """A run on which another process is at work."""
    code = (
        "import sys; from pathlib import Path; from minerkit.storage import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(sample_run)], **pipes) as process:
        assert process.stdout.readline() == b"locked\n"
        yield sample_run
        process.stdin.close()


@pytest.mark.parametrize(
    "command",
    [evaluate_run, report_run, lambda folder: push_run(folder, "user/name", dry_run=True)],
    ids=["eval", "report", "push"],
)
def test_a_run_that_is_written_to_is_left_alone(busy_run, command):
    with pytest.raises(RunError, match="another minerkit is at work on this run"):
        command(busy_run)


def test_a_page_beside_the_run_needs_no_lock(busy_run, tmp_path):
    made = report_run(busy_run, tmp_path / "page.html", examples=3)
    assert made["shown"] == 3 and (tmp_path / "page.html").stat().st_size == made["bytes"]


@pytest.mark.parametrize("command", [evaluate_run, report_run])
def test_a_folder_without_a_run_is_left_as_it_is(tmp_path, command):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds no finished run"):
        command(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
