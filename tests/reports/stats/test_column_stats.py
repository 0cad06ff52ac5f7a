import datetime
import json
from decimal import Decimal

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from minerkit.reports.stats.column_stats import LAYOUT_ROWS, dataset_stats, layout_stats


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
        "mean": "1.00 elements",
        "max": "2 elements",
    }
    assert details([[0.5, 1.0]] * 3) == {"type": "list", "size": "2 elements"}
    assert details([[1, 2], [3, 4]], pl.Array(pl.Int64, 2)) == {"type": "list", "size": "2 elements"}


def test_the_mean_size_of_lists_is_over_rows():
    assert details([["a"]] * 9 + [["a"] * 11])["mean"] == "2.00 elements"


def test_labels_have_shares():
    assert details([0, 1, 0, 0, 0, 0, 0]) == {"type": "int", "0": "~85.71%", "1": "~14.29%"}


def test_labels_are_sorted_by_value():
    assert list(details([10, 2, 2, 2, -1])) == ["type", "-1", "2", "10"]


def test_a_label_that_all_rows_have_is_not_marked_approximate():
    assert details([1, 1]) == {"type": "int", "1": "100.00%"}


def test_integers_of_more_than_1000_values_have_a_range():
    assert details(list(range(1000)))["999"] == "~0.10%"
    frame = pl.DataFrame({"column": range(1001)})
    found = dataset_stats(frame, None)["statistics"]["column"]["details"]
    assert found == {"min": "0", "mean": "500.0", "max": "1000"}


def test_numbers_have_a_range():
    assert details([0.5, 0.25, 0.123456]) == {"type": "float", "min": "0.12", "mean": "0.29", "max": "0.5"}


def test_booleans_have_shares():
    assert details([True, False, True, True]) == {"type": "bool", "False": "~25.00%", "True": "~75.00%"}


def test_nulls_are_left_out_of_ranges_and_counted_in_shares():
    assert details(["ab", None])["mean"] == "2.0 characters"
    assert details([1, None, None, None]) == {"type": "int", "1": "~25.00%"}


def test_the_first_row_decides_what_a_column_is():
    assert details([None, "a"]) == {"type": "NoneType"}
    assert details([None, 1]) == {"type": "NoneType"}


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64, pl.Float32, pl.Boolean, pl.List(pl.String)])
def test_a_column_without_rows_has_no_details(dtype):
    assert list(details([], dtype)) == ["type"]


def test_other_types_are_named():
    assert details([datetime.date(2024, 1, 1)]) == {"type": "datetime.date"}
    assert details([Decimal("1.5")]) == {"type": "decimal.Decimal"}
    assert details([b"raw"]) == {"type": "bytes"}
    assert details([{"a": 1}]) == {"type": "dict"}


def test_categories_are_texts():
    assert details(["a", "b"], pl.Categorical)["max"] == "1 characters"


def test_the_stored_type_is_reported():
    frame = pl.DataFrame({"a": ["x"], "b": [[1.0]]}, schema={"a": pl.String, "b": pl.List(pl.Float32)})
    found = dataset_stats(frame)["statistics"]
    assert [column["dtype"] for column in found.values()] == ["string", "list[float32]"]


def test_texts_are_measured_by_the_tokens_function():
    frame = pl.DataFrame({"text": ["a b c", None, "a"]})
    found = dataset_stats(frame, tokens=lambda texts: texts.str.count_matches("[a-z]").cast(pl.Int64))
    expected = {"min": "1 tokens", "mean": "2.0 tokens", "max": "3 tokens"}
    assert found["statistics"]["text"]["details"] == expected


def test_a_column_may_be_called_count():
    found = dataset_stats(pl.DataFrame({"count": [1, 1], "len": [1, 0]}))
    assert found["statistics"]["count"]["details"] == {"1": "100.00%"}


def test_statistics_are_computed_from_the_first_rows_only():
    frame = pl.DataFrame({"label": [1] * 5 + [0] * 15})
    found = dataset_stats(frame, rows=10)
    assert (found["size"], found["counted"]) == (20, 10)
    assert found["statistics"]["label"]["details"] == {"0": "~50.00%", "1": "~50.00%"}


def test_rows_none_computes_statistics_from_all_rows():
    found = dataset_stats(pl.DataFrame({"label": [0] * 1000 + [1] * 1000}), rows=None)
    assert found["counted"] == 2000
    assert found["statistics"]["label"]["details"] == {"0": "~50.00%", "1": "~50.00%"}


@pytest.mark.parametrize(("size", "classic", "current"), [(3, 3, 3), (102, 102, 100), (2000, 1000, 100)])
def test_a_layout_states_its_own_number_of_rows(size, classic, current):
    frame = pl.DataFrame({"label": [0] * size})
    assert layout_stats(frame, "classic")["counted"] == classic
    assert layout_stats(frame, "current")["counted"] == current
    assert set(LAYOUT_ROWS) == {"classic", "current"}


def test_the_first_three_rows_are_samples():
    assert dataset_stats(pl.DataFrame({"a": list("wxyz")}))["samples"] == [["w"], ["x"], ["y"]]


def test_samples_are_cut_after_1000_characters():
    samples = dataset_stats(pl.DataFrame({"a": ["x" * 1001, "y" * 1000]}))["samples"]
    assert samples == [["x" * 1000 + "..."], ["y" * 1000]]


def test_statistics_are_json():
    frame = pl.DataFrame(
        {
            "q": ["a"], "s": [[0.5]], "l": [1], "b": [True], "f": [float("nan")], "r": [b"raw"], "n": [None],
            "d": [datetime.date(2024, 1, 1)], "m": [{"a": b"x"}],
        }
    )  # fmt: skip
    found = dataset_stats(frame)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.integers(-3, 3), st.floats(-1e6, 1e6), st.lists(st.booleans())),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 70),
)
def test_statistics_equal_those_computed_in_plain_python(rows, count):
    frame = pl.DataFrame(rows, schema=["text", "label", "score", "list"], orient="row")
    found = {name: column["details"] for name, column in dataset_stats(frame, count)["statistics"].items()}
    texts, labels, scores, lists = (list(column) for column in zip(*rows[:count], strict=True))
    lengths, sizes = [len(text) for text in texts], [len(values) for values in lists]
    assert found["text"] == {
        "min": f"{min(lengths)} characters",
        "mean": f"{round(sum(lengths) / len(lengths), 2)} characters",
        "max": f"{max(lengths)} characters",
    }
    about = "~" if len(set(labels)) > 1 else ""
    shares = {str(label): f"{about}{labels.count(label) / len(labels):.2%}" for label in sorted(set(labels))}
    assert found["label"] == shares
    assert found["score"]["min"] == str(round(min(scores), 2) + 0.0)
    assert found["score"]["max"] == str(round(max(scores), 2) + 0.0)
    assert float(found["score"]["mean"]) == pytest.approx(sum(scores) / len(scores), abs=0.0051)
    if len(set(sizes)) > 1:
        assert found["list"]["mean"] == f"{sum(sizes) / len(sizes):.2f} elements"
