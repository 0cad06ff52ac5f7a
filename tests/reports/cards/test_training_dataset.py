"""The Markdown of the tables; that it is the library's own is test_model_card_contract.py's matter."""

import polars as pl
import pytest

from minerkit.reports.cards.training_dataset import markdown_table, training_dataset
from minerkit.reports.stats.column_stats import dataset_stats
from minerkit.training.losses import Loss

CLASSIC = """\
* Size: 3 training samples
* Columns: <code>text</code>, <code>list</code>, and <code>label</code>
* Approximate statistics based on the first 3 samples:
  |  | text | list | label |
  |:-|:-----|:-----|:------|
  | type | string | list | int |
  | details | <ul>TEXT</ul> | <ul>LIST</ul> | <ul><li>0: ~66.67%</li><li>1: ~33.33%</li></ul> |
* Samples:
  | text | list | label |
  |:-----|:-----|:------|
  | <code>a\\|b<br>c</code> | <code>['x']</code> | <code>1</code> |
  | <code>what</code> | <code>['y', 'z']</code> | <code>0</code> |
  | <code>where</code> | <code>[]</code> | <code>0</code> |"""
TEXT = "<li>min: 4 characters</li><li>mean: 4.67 characters</li><li>max: 5 characters</li>"
LIST = "<li>min: 0 elements</li><li>mean: 1.00 elements</li><li>max: 2 elements</li>"
FRAME = pl.DataFrame(
    {"text": ["a|b\nc", "what", "where"], "list": [["x"], ["y", "z"], []], "label": [1, 0, 0]}
)


def cells(section: str) -> list[str]:
    """A section whose table cells have no padding."""
    lines = []
    for line in section.splitlines():
        if line.startswith("  |:"):
            line = "  |" + "|".join(":-" for _ in line.strip(" |").split("|"))
        lines.append(" ".join(line.split()))
    return lines


def test_the_classic_section():
    expected = CLASSIC.replace("TEXT", TEXT).replace("LIST", LIST)
    assert cells(training_dataset(dataset_stats(FRAME))) == cells(expected)


def test_the_current_section_has_a_row_for_the_modality():
    lines = training_dataset(dataset_stats(FRAME), "current").splitlines()
    assert lines[6].split() == ["|", "modality", "|", "text", "|", "|", "|"]


def test_truth_values_are_integers_in_the_classic_layout():
    found = dataset_stats(pl.DataFrame({"same": [True, False]}))
    assert " int " in training_dataset(found) and " bool " not in training_dataset(found)
    assert " bool " in training_dataset(found, "current")


def test_tables_are_aligned():
    assert markdown_table(["a", "column"], [["short", "1"], ["a longer one", "0"]]).splitlines() == [
        "| a            | column |",
        "|:-------------|:-------|",
        "| short        | 1      |",
        "| a longer one | 0      |",
    ]


@pytest.mark.parametrize(
    ("columns", "listed"),
    [
        (["a"], "<code>a</code>"),
        (["a", "b"], "<code>a</code> and <code>b</code>"),
        (["a", "b", "c"], "<code>a</code>, <code>b</code>, and <code>c</code>"),
    ],
)
def test_columns_are_listed(columns, listed):
    section = training_dataset(dataset_stats(pl.DataFrame({name: ["x"] for name in columns})))
    assert f"* Columns: {listed}\n" in section


def test_long_lists_are_cut():
    section = training_dataset(dataset_stats(pl.DataFrame({"a": [list(range(6)), list(range(5))]})))
    assert "<code>[0, 1, 2, 3, 4, ...]</code>" in section and "<code>[0, 1, 2, 3, 4]</code>" in section


def test_sizes_have_thousands():
    section = training_dataset(dataset_stats(pl.DataFrame({"a": [1] * 12345})))
    assert section.startswith("* Size: 12,345 training samples\n")
    assert "based on the first 1000 samples:" in section


def test_dev_rows_are_evaluation_samples():
    assert training_dataset(dataset_stats(FRAME), kind="evaluation").startswith(
        "* Size: 3 evaluation samples\n"
    )


def test_a_data_set_without_rows_has_no_tables():
    section = training_dataset(dataset_stats(FRAME.head(0)))
    assert section.splitlines() == CLASSIC.replace("3 training", "0 training").splitlines()[:2]


def test_the_loss_stands_below_with_its_parameters():
    loss = Loss("SomeLoss", "cross_encoder", {"scale": 20.0, "names": ("a",), "weight": None})
    assert training_dataset(dataset_stats(FRAME), loss=loss).splitlines()[13:] == [
        "* Loss: [<code>SomeLoss</code>](https://sbert.net/docs/package_reference/cross_encoder/"
        "losses.html#someloss) with these parameters:",
        "  ```json",
        "  {",
        '      "scale": 20.0,',
        '      "names": [',
        '          "a"',
        "      ],",
        '      "weight": null',
        "  }",
        "  ```",
    ]
    assert "with these parameters" not in training_dataset(dataset_stats(FRAME), loss=Loss("A", "b", None))
