"""What `minerkit stats` and `minerkit card` print, on a terminal and in a pipe."""

import io
import json
import re
import tempfile
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from minerkit.cli import app
from minerkit.errors import RunError, SourceError
from minerkit.reports.cards.section import training_dataset_section
from minerkit.reports.stats.description import describe_dataset
from minerkit.reports.terminal.describe import render_description


def call(*arguments: object, code: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(app, [str(part) for part in arguments])
    assert done.exit_code == code, done.output
    return done.output


def numbers(text: str) -> list[str]:
    return re.findall(r"(?<!\w)-?\d[\d,]*(?:\.\d+)?%?", text)


@pytest.fixture(scope="module")
def stats(sample_run):
    return json.loads((sample_run / "stats.json").read_text())


def test_a_run_s_numbers_are_its_stats_json(sample_run, stats):
    assert json.loads(call("stats", sample_run, "--format", "json")) == stats


def test_every_number_of_the_tables_is_in_stats_json(sample_run, stats):
    """Each number is one of the stats, formatted in one of the ways the tables know, or a share of two."""
    leaves: list[float] = []

    def collect(value: object) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(inner)
        if isinstance(value, int | float):
            leaves.append(value)

    collect({**stats, "train": None, "dev": None, "subsets": None})
    shares = [1 - split["positive_share"] for split in stats["splits"].values()]
    for found in stats["rules"].values():
        parts = [*found["refused"].values(), found["eligible"]]
        shares += [part / found["candidates"] for part in parts]
    known = {
        form.format(value) for value in [*leaves, *shares] for form in ("{:,}", "{:,.3f}", "{:.1%}", "{:.2%}")
    }
    text = call("stats", sample_run)
    text = re.sub(r"(accuracy|mrr|ndcg)@\d+|(\d+%\s+)+max|runs?/\S+|\S*/gooaq\S*", "", text)
    text = text.replace(stats["retrieval"]["queries"], "")
    assert [number for number in numbers(text) if number not in known] == []


def test_text_fits_80_columns_and_keeps_its_numbers(sample_run):
    lines = call("stats", sample_run).splitlines()
    assert all(
        len(line.rstrip()) <= 80 for line in lines if not re.match(r"(Input|Retrieval|Search|Files):? ", line)
    )
    assert "…" not in "".join(lines)


def test_numbers_are_never_cut():
    frame = pl.DataFrame(
        {
            "a column with a very long name that takes all the room there is": [
                10**15 + i for i in range(30)
            ],
            "text": [f"{i}" * i for i in range(30)],
        }
    )
    shown = call_on(frame)
    assert "…" not in shown
    assert f"{10**15:,}" in shown and f"{10**15 + 29:,}" in shown


def call_on(frame: pl.DataFrame) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "d.parquet"
        frame.write_parquet(file)
        return call("stats", file)


def test_a_file_is_described_as_a_whole(sample_run, stats):
    found = describe_dataset(str(sample_run / "train.parquet"))
    assert found["rows"] == stats["splits"]["train"]["rows"]
    assert found["per_query"]["queries"] == stats["splits"]["train"]["queries"]
    assert found["per_query"]["negatives"] == stats["per_query"]["train"]["negatives"]
    assert describe_dataset(str(sample_run / "train.parquet"), rows="7")["rows"] == 7
    text = call("stats", sample_run / "train.parquet")
    for word in ("Columns", "Length in characters", "Scripts", "Labels", "Documents a query"):
        assert word in text


def test_tokens_are_added_with_a_model(sample_run, minilm):
    found = describe_dataset(str(sample_run), model=minilm)["texts"]["queries"]
    assert found["tokens"]["0%"] >= 4 and found["tokens"]["mean"] < found["characters"]["mean"]
    assert "Length in tokens" in call("stats", sample_run / "dev.parquet", "--model", minilm)


def test_markup_in_a_name_is_text():
    assert "[bold]x[/bold]" in call_on(pl.DataFrame({"[bold]x[/bold]": ["a"]}))


def test_the_card_of_a_run_names_the_recipe_s_loss(sample_run, stats):
    found = call("stats", sample_run, "--format", "card")
    rows = stats["splits"]["train"]["rows"]
    assert found.startswith(f"* Size: {rows:,} training samples\n* Columns: <code>question</code>, ")
    assert "based on the first 1000 samples:" in found
    assert '"pos_weight": 5\n' in found and "BinaryCrossEntropyLoss" in found


def test_the_card_of_a_file_names_a_loss_when_asked(sample_run):
    file = str(sample_run / "train.parquet")
    assert "* Loss:" not in training_dataset_section(file)
    assert "MultipleNegativesRankingLoss" in training_dataset_section(file, loss="mnrl")
    assert training_dataset_section(str(sample_run)).startswith(training_dataset_section(file))


def test_dev_rows_are_evaluation_samples(sample_run, stats):
    rows = stats["splits"]["dev"]["rows"]
    assert training_dataset_section(str(sample_run), "dev").startswith(
        f"* Size: {rows:,} evaluation samples\n"
    )


def test_the_number_of_rows_can_be_chosen(sample_run, stats):
    size = stats["splits"]["train"]["rows"]
    for rows, counted in ((None, 1000), ("20", 20), ("all", size), (str(size + 1), size)):
        assert f"based on the first {counted} samples:" in training_dataset_section(
            str(sample_run), rows=rows
        )
    assert "based on the first 100 samples:" in training_dataset_section(str(sample_run), layout="current")
    assert "based on the first 20 samples:" in training_dataset_section(
        str(sample_run), layout="current", rows="20"
    )


def test_the_current_layout_counts_tokens(sample_run, minilm):
    file = str(sample_run / "train.parquet")
    assert " tokens" in training_dataset_section(file, layout="current", model=minilm)
    assert " characters" in training_dataset_section(file, layout="current")


def test_usage_is_explained(sample_run):
    assert "--layout current" in call("stats", sample_run, "--format", "card", "--model", "x", code=2)
    call("stats", sample_run, "--rows", "0", code=2)
    call("stats", sample_run, "--layout", "newest", code=2)


def test_what_is_not_there_is_one_clear_line(tmp_path):
    (tmp_path / "no.parquet").write_bytes(b"not Parquet")
    for data, kind in (
        (tmp_path, RunError),
        (tmp_path / "none.parquet", SourceError),
        (tmp_path / "no.parquet", SourceError),
        ("nobody/nothing", SourceError),
    ):
        for shown in (training_dataset_section, describe_dataset):
            with pytest.raises(kind) as error:
                shown(str(data))
            assert "\n" not in str(error.value)


def test_the_tables_of_a_file_are_those_of_its_profile(tmp_path):
    frame = pl.DataFrame({"query": ["a", "a"], "document": ["b", "b"], "label": [1, 0]})
    frame.write_parquet(tmp_path / "t.parquet")
    file = str(tmp_path / "t.parquet")
    out = io.StringIO()
    Console(file=out, width=80).print(render_description(file, describe_dataset(file)))
    assert "1 documents are positive and negative for one query" in out.getvalue()


def test_a_file_that_is_damaged_inside_is_one_clear_line(tmp_path):
    file = tmp_path / "t.parquet"
    pl.DataFrame({"text": [f"text {i} " * 9 for i in range(5000)]}).write_parquet(file, row_group_size=500)
    raw = bytearray(file.read_bytes())
    middle = len(raw) // 2
    raw[middle - 500 : middle + 500] = b"\xff" * 1000
    file.write_bytes(raw)
    for shown in (lambda data: training_dataset_section(data, rows="all"), describe_dataset):
        with pytest.raises(SourceError, match="damaged") as error:
            shown(str(file))
        assert "\n" not in str(error.value)


def test_a_split_that_a_run_lacks_is_named(sample_run):
    with pytest.raises(RunError, match=r"test\.parquet is missing; a run has the splits train and dev"):
        training_dataset_section(str(sample_run), "test")
