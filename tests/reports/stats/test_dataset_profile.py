import json

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given

from minerkit.reports.stats.dataset_profile import profile, quantiles, text_profile


def scripts(*texts: str | None) -> dict[str, float]:
    return text_profile(pl.DataFrame({"value": texts}, schema={"value": pl.String}))["scripts"]


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=80))
def test_quantiles_are_the_nearest_values(values):
    series = pl.Series("value", values)
    found = quantiles(series.value_counts().rename({"count": "rows"}).sort("value"))
    ordered = sorted(values)
    for share in (0, 5, 25, 50, 75, 95, 100):
        exact = share / 100 * (len(values) - 1)
        assert found[f"{share}%"] in {ordered[int(exact)], ordered[min(len(values) - 1, int(exact) + 1)]}
        assert abs(ordered.index(found[f"{share}%"]) - exact) <= max(0.5, values.count(found[f"{share}%"]))
    assert found["mean"] == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_no_values_have_no_quantiles():
    assert quantiles(pl.DataFrame({"value": [], "rows": []})) == {}
    assert quantiles(pl.DataFrame({"value": [None], "rows": [3]})) == {}


def test_texts_are_measured_and_distinct_texts_counted():
    found = text_profile(pl.DataFrame({"value": ["ab", "abcd", "ab", None]}))
    assert found["distinct"] == 2
    assert (found["characters"]["0%"], found["characters"]["100%"]) == (2, 4)
    assert found["characters"]["mean"] == pytest.approx(8 / 3, abs=1e-4)
    assert "tokens" not in found


def test_tokens_are_counted_in_addition_to_characters():
    words = lambda texts: texts.str.count_matches(r"\w+").cast(pl.Int64)  # noqa: E731
    found = text_profile(pl.DataFrame({"value": ["a b c", None, "d"]}), words)
    assert (found["tokens"]["0%"], found["tokens"]["100%"]) == (1, 3)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("What is HBM?", "Latin"),
        ("Überhitzung im Maß", "Latin"),
        ("先进封装", "Han"),
        ("DRAM 市场由三星垄断", "Han"),
        ("the founder of 中芯 is known for his work on DRAM", "Latin"),
        ("что такое полупроводник", "Cyrillic"),
        ("τι είναι ημιαγωγός", "Greek"),
        ("반도체란 무엇인가", "Hangul"),
        ("ما هو أشباه الموصلات", "Arabic"),
        ("สารกึ่งตัวนำคืออะไร", "Thai"),
        ("ひらがなだけ", "Hiragana"),
        ("კომპიუტერი არის", "other"),
    ],
)
def test_a_text_has_the_script_that_most_of_it_is_in(text, script):
    assert scripts(text) == {script: 1.0}


def test_script_shares_leave_out_texts_without_letters():
    found = scripts("one", "two", "第三", "2024", "½", "", None)
    assert found == {"Latin": pytest.approx(2 / 3, abs=1e-6), "Han": pytest.approx(1 / 3, abs=1e-6)}
    assert scripts("1", None) == {}


def test_labels_have_shares():
    frame = pl.DataFrame({"label": [0, 0, 1, None], "same": [True, False, True, True]})
    found = profile(frame)["columns"]
    assert found["label"] == {"type": "int", "nulls": 1, "shares": {"0": 0.666667, "1": 0.333333}}
    assert found["same"] == {"type": "bool", "nulls": 0, "shares": {"False": 0.25, "True": 0.75}}


def test_many_values_have_quantiles():
    frame = pl.DataFrame({"score": [i / 40 for i in range(21)], "nan": [float("nan")] * 21})
    found = profile(frame)["columns"]
    assert "shares" not in found["score"]
    assert (found["score"]["values"]["50%"], found["score"]["values"]["100%"]) == (0.25, 0.5)
    assert found["nan"] == {"type": "float", "nulls": 0, "shares": {}}


def test_lists_are_measured_and_their_texts_too():
    frame = pl.DataFrame({"documents": [["ab", "c"], ["ab"], None], "labels": [[1, 0], [1], [0]]})
    found = profile(frame)["columns"]
    assert found["documents"]["elements"]["100%"] == 2
    assert (found["documents"]["nulls"], found["documents"]["distinct"]) == (1, 2)
    assert found["labels"]["elements"]["mean"] == pytest.approx(4 / 3, abs=1e-4)


FORMATS = {
    "labeled-pair": {
        "query": ["q", "q", "q", "r"], "document": ["a", "b", "c", "a"], "label": [1, 0, 0, 1],
    },
    "float labels": {
        "sentence_0": ["q", "q", "q", "r"], "sentence_1": ["a", "b", "c", "a"], "label": [1.0, 0.0, 0.4, 0.5],
    },
    "labeled-list": {
        "query": ["q", "r"], "documents": [["a", "b", "c"], ["a"]], "labels": [[1, 0, 0], [1]],
    },
}  # fmt: skip


@pytest.mark.parametrize("format_name", FORMATS)
def test_documents_are_counted_per_query_in_every_format(format_name):
    found = profile(pl.DataFrame(FORMATS[format_name]))["per_query"]
    assert (found["queries"], found["both"]) == (2, 0)
    assert (found["positives"]["0%"], found["positives"]["100%"]) == (1, 1)
    assert (found["negatives"]["0%"], found["negatives"]["100%"]) == (0, 2)


def test_triplets_and_tuples_count_each_document_once():
    frame = pl.DataFrame(
        {
            "query": ["q", "q", "r"], "positive": ["a", "b", "a"],
            "negative_1": ["c", "c", "d"], "negative_2": ["d", "d", "e"], "scores": [[1.0]] * 3,
        }
    )  # fmt: skip
    found = profile(frame)["per_query"]
    assert (found["positives"]["100%"], found["negatives"]["0%"], found["negatives"]["100%"]) == (2, 2, 2)
    assert profile(frame.select("query", "positive"))["per_query"]["negatives"]["100%"] == 0


def test_a_document_that_is_both_is_reported():
    frame = pl.DataFrame({"query": ["q", "q", "r"], "document": ["a", "a", "a"], "label": [1, 0, 0]})
    assert profile(frame)["per_query"]["both"] == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"query_id": ["q1"], "text": ["a"], "split": ["train"], "group": [None]},
        {"doc_id": ["d1"], "text": ["a"]},
        {"query": ["q"], "document": ["d"], "label": [1], "more": [2]},
        {"query": ["q"], "positive": ["d"], "remark": ["r"]},
        {"label": [1]},
    ],
)
def test_tables_that_are_not_training_rows_have_no_counts_per_query(columns):
    assert "per_query" not in profile(pl.DataFrame(columns))


def test_a_file_has_the_profile_of_its_frame(tmp_path):
    frame = pl.DataFrame(FORMATS["labeled-list"] | {"score": [0.5, None], "other": [b"a", b"b"]})
    frame.write_parquet(tmp_path / "data.parquet", row_group_size=1)
    found = profile(pl.scan_parquet(tmp_path / "data.parquet"))
    assert found == profile(frame)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_no_rows_give_empty_statistics():
    found = profile(pl.DataFrame(FORMATS["labeled-pair"]).head(0))
    assert found["rows"] == 0
    assert found["columns"]["query"] == {
        "type": "string", "nulls": 0, "distinct": 0, "characters": {}, "scripts": {},
    }  # fmt: skip
    assert found["per_query"] == {"queries": 0, "positives": {}, "negatives": {}, "both": 0}
