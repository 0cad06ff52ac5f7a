import json
import re

import polars as pl
import pytest

from minerkit.stats import card, dataset_stats


def details(values: list, dtype=None) -> dict:
    found = dataset_stats(pl.DataFrame({"column": pl.Series(values, dtype=dtype)}))["statistics"]["column"]
    return {"type": found["type"], **found["details"]}


def test_texts_are_measured_in_characters():
    assert details(["a", "半导体", "abcdef"]) == {
        "type": "string",
        "min": "1 characters",
        "mean": "3.33 characters",
        "max": "6 characters",
    }


def test_lists_are_measured_in_elements():
    assert details([["a"], ["b", "c"], []]) == {
        "type": "list",
        "min": "0 elements",
        "mean": "1.0 elements",
        "max": "2 elements",
    }


def test_labels_have_shares():
    assert details([0, 1, 0, 0, 0, 0, 0]) == {"type": "int", "0": "~85.71%", "1": "~14.29%"}


def test_labels_are_sorted_by_value():
    assert list(details([10, 2, 2, 2, -1])) == ["type", "-1", "2", "10"]


def test_integers_of_many_values_have_a_range():
    assert details(list(range(11))) == {"type": "int", "min": "0", "mean": "5.0", "max": "10"}
    assert details(list(range(10)))["9"] == "~10.00%"


def test_numbers_have_a_range():
    assert details([0.5, 0.25, 0.123456]) == {"type": "float", "min": "0.12", "mean": "0.29", "max": "0.5"}


def test_truth_values_have_shares():
    assert details([True, False, True, True]) == {"type": "bool", "False": "~25.00%", "True": "~75.00%"}


def test_nulls_are_left_out_of_ranges_and_counted_in_shares():
    assert details(["ab", None])["mean"] == "2.0 characters"
    assert details([1, None, None, None]) == {"type": "int", "1": "~25.00%"}


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64, pl.Float32, pl.Boolean, pl.List(pl.String)])
def test_a_column_without_values_has_no_details(dtype):
    assert list(details([], dtype)) == ["type"]


def test_other_types_are_named():
    assert details([None, None]) == {"type": "Null"}


def test_a_column_may_be_called_count():
    found = dataset_stats(pl.DataFrame({"count": [1, 1], "len": [1, 0]}))
    assert found["statistics"]["count"]["details"] == {"1": "~100.00%"}


def test_statistics_look_at_the_first_rows_only():
    frame = pl.DataFrame({"label": [1] * 5 + [0] * 15})
    found = dataset_stats(frame, rows=10)
    assert (found["size"], found["counted"]) == (20, 10)
    assert found["statistics"]["label"]["details"] == {"0": "~50.00%", "1": "~50.00%"}


def test_statistics_look_at_all_rows_when_asked_to():
    found = dataset_stats(pl.DataFrame({"label": [0] * 1000 + [1] * 1000}), rows=None)
    assert found["counted"] == 2000
    assert found["statistics"]["label"]["details"] == {"0": "~50.00%", "1": "~50.00%"}


def test_the_first_three_rows_are_samples():
    assert dataset_stats(pl.DataFrame({"a": list("wxyz")}))["samples"] == [("w",), ("x",), ("y",)]


def test_statistics_are_json():
    frame = pl.DataFrame({"q": ["a"], "s": [[0.5]], "l": [1], "b": [True], "f": [0.5]})
    found = dataset_stats(frame)
    assert json.loads(json.dumps(found))["size"] == 1


CARD = """\
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
LIST = "<li>min: 0 elements</li><li>mean: 1.0 elements</li><li>max: 2 elements</li>"


def unpadded(table: str) -> str:
    """A card whose table cells have no padding."""
    return re.sub(r":-+\|", ":-|", re.sub(r" +\|", " |", table))


def test_card_is_the_section_of_a_model_card():
    frame = pl.DataFrame(
        {"text": ["a|b\nc", "what", "where"], "list": [["x"], ["y", "z"], []], "label": [1, 0, 0]}
    )
    expected = CARD.replace("TEXT", TEXT).replace("LIST", LIST)
    assert unpadded(card(dataset_stats(frame))) == unpadded(expected)


def test_card_tables_are_aligned():
    frame = pl.DataFrame({"a": ["short", "a | longer\none"], "column": [1, 0]})
    assert card(dataset_stats(frame)).splitlines()[-4:] == [
        "  | a                               | column         |",
        "  |:--------------------------------|:---------------|",
        "  | <code>short</code>              | <code>1</code> |",
        "  | <code>a \\| longer<br>one</code> | <code>0</code> |",
    ]


@pytest.mark.parametrize(
    ("columns", "listed"),
    [
        (["a"], "<code>a</code>"),
        (["a", "b"], "<code>a</code> and <code>b</code>"),
        (["a", "b", "c"], "<code>a</code>, <code>b</code>, and <code>c</code>"),
    ],
)
def test_card_lists_the_columns(columns, listed):
    assert f"* Columns: {listed}\n" in card(dataset_stats(pl.DataFrame({name: ["x"] for name in columns})))


def test_card_cuts_long_texts():
    table = card(dataset_stats(pl.DataFrame({"a": ["x" * 1001, "y" * 1000]})))
    assert f"<code>{'x' * 1000}...</code>" in table
    assert f"<code>{'y' * 1000}</code>" in table


def test_card_writes_thousands():
    assert "* Size: 12,345 training samples" in card(dataset_stats(pl.DataFrame({"a": [1] * 12345})))
