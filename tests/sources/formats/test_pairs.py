"""Pairs with groups, with grades, and from SQuAD's nesting; plain pairs are in test_sources.py."""

import json
from pathlib import Path

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Source
from minerkit.sources.formats.pairs import grade
from minerkit.sources.reader import read
from tests.support.reading import fault

STORIES = [
    {"story": "fox", "question": "who ran", "section": "The fox ran."},
    {"story": "fox", "question": "who slept", "section": ["The hen slept.", "The dog slept."]},
    {"story": "owl ", "question": "who flew", "section": "The owl flew."},
    {"story": None, "question": "who sang", "section": "A bird sang."},
    {"story": "", "question": "who ate", "section": "A cat ate."},
]


def put(folder: Path, name: str, data: object) -> Path:
    file = folder / name
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    if name.endswith(".jsonl") and isinstance(data, list):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data)
    file.write_text(text, encoding="utf-8")
    return file


def spec(path: Path | None, **keys) -> Source:
    given = {"query": "question", "positive": "section", **keys}
    return Source.model_validate(given if path is None else {"path": str(path), **given})


def both(source: Source) -> tuple[pl.DataFrame, list[tuple]]:
    """Entries, and rejected rows as (place, reason)."""
    batches = list(read(source.model_copy(update={"max_bad": 1.0})))
    rejected = pl.concat([batch.rejected for batch in batches])
    return pl.concat([batch.entries for batch in batches]), rejected.select("source", "reason").rows()


# --- groups ----------------------------------------------------------------------------------------------

GROUPED = [
    ("who ran", "The fox ran.", "fox"),
    ("who slept", "The hen slept.", "fox"),
    ("who slept", "The dog slept.", "fox"),
    ("who flew", "The owl flew.", "owl"),
    ("who sang", "A bird sang.", None),
    ("who ate", "A cat ate.", None),
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_a_column_names_the_group_of_query_and_document(tmp_path, name):
    if name.endswith("parquet"):
        rows = [{**row, "section": row["section"] if isinstance(row["section"], list) else [row["section"]]}
                for row in STORIES]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        put(tmp_path, name, STORIES)
    entries, rejected = both(spec(tmp_path / name, group="story"))
    assert entries.select("query", "document", "group").rows() == GROUPED
    assert entries["query_group"].equals(entries["group"].rename("query_group"))
    assert rejected == []


@pytest.mark.parametrize("limit", [None, 4])
def test_hub_rows_have_groups(monkeypatch, limit):
    data = datasets.Dataset.from_list([row for row in STORIES if isinstance(row["section"], str)])
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *_, streaming, **__: data.to_iterable_dataset() if streaming else data,
    )
    entries, _ = both(spec(None, hub="user/stories", group="story", limit=limit))
    assert entries.select("query", "group", "source").rows() == [
        ("who ran", "fox", "user/stories[0]"),
        ("who flew", "owl", "user/stories[1]"),
        ("who sang", None, "user/stories[2]"),
        ("who ate", None, "user/stories[3]"),
    ]


def test_a_group_that_is_no_text_rejects_the_row(tmp_path):
    rows = [
        {"story": ["fox"], "question": "q", "section": "p"},
        {"story": 3, "question": "q", "section": "p"},
    ]
    entries, rejected = both(spec(put(tmp_path, "a.jsonl", rows), group="story"))
    assert entries["group"].to_list() == ["3"]
    assert rejected == [("a.jsonl:1", "the group is not a text")]


def test_a_missing_group_lists_the_columns_there_are(tmp_path):
    file = put(tmp_path, "a.jsonl", STORIES)
    assert fault(spec(file, group="tale")) == (
        f"{file}: no column 'tale' (source.group); there are: story, question, section"
    )


# --- grades ----------------------------------------------------------------------------------------------


def test_a_column_holds_the_grade(tmp_path):
    labels = ["2", 1, 0, True, False, "true", 1.0, -3]
    rows = [{"question": "q", "section": f"p{n}", "label": label} for n, label in enumerate(labels)]
    entries, rejected = both(spec(put(tmp_path, "a.jsonl", rows), relevance="label"))
    assert entries["relevance"].to_list() == [2, 1, 0, 1, 0, 1, 1, 0]
    assert rejected == []


@pytest.mark.parametrize("label", [None, "", "yes", "nan", "inf", "1e400", [1], {}])
def test_an_odd_label_rejects_the_row(tmp_path, label):
    rows = [{"question": "q", "section": "p", "label": label}, {"question": "q", "section": "p", "label": 1}]
    entries, rejected = both(spec(put(tmp_path, "a.jsonl", rows), relevance="label"))
    assert len(entries) == 1
    assert rejected == [("a.jsonl:1", "relevance is not a number")]


@pytest.mark.parametrize("label", [0.5, "1.5", 2**31, -(2**40)])
def test_a_grade_is_a_whole_number_that_fits(label):
    assert grade(label) == "relevance is not a whole number"


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([])))
def test_a_grade_fits_its_column_or_there_is_a_reason(value):
    found = grade(value)
    assert isinstance(found, str) or 0 <= found < 2**31


# --- SQuAD -----------------------------------------------------------------------------------------------


def squad(*paragraphs: object, title: str = "Foxes") -> dict:
    return {"version": "2.0", "data": [{"title": title, "paragraphs": list(paragraphs)}]}


def test_squad_names_its_own_columns_and_its_titles_are_groups(tmp_path):
    data = squad(
        {"context": "The fox ran.", "qas": [{"id": "1", "question": "who ran"}, {"question": "did it"}]}
    )
    entries, rejected = both(Source(path=str(put(tmp_path, "a.json", data)), format="squad"))
    assert entries.rows() == [
        ("who ran", "The fox ran.", 1, "Foxes", "Foxes", "a.json[0]"),
        ("did it", "The fox ran.", 1, "Foxes", "Foxes", "a.json[1]"),
    ]
    assert rejected == []


def test_a_question_that_its_paragraph_does_not_answer_is_judged_irrelevant(tmp_path):
    questions = [
        {"question": "who ran", "is_impossible": False},
        {"question": "who flew", "is_impossible": True},
    ]
    file = put(tmp_path, "a.json", squad({"context": "The fox ran.", "qas": questions}))
    entries, _ = both(Source(path=str(file), format="squad"))
    assert entries.select("query", "relevance").rows() == [("who ran", 1), ("who flew", 0)]


@pytest.mark.parametrize(
    "paragraph",
    ["text", None, 7, {}, {"context": "p"}, {"context": "p", "qas": None}, {"context": "p", "qas": []}],
)
def test_a_paragraph_without_questions_is_a_row_without_a_query(tmp_path, paragraph):
    good = {"context": "The fox ran.", "qas": [{"question": "who ran"}]}
    entries, rejected = both(
        Source(path=str(put(tmp_path, "a.json", squad(paragraph, good))), format="squad")
    )
    assert entries["query"].to_list() == [None, "who ran"]
    assert rejected == []


def test_what_is_no_question_is_rejected(tmp_path):
    paragraph = {
        "context": "The fox ran.",
        "qas": ["who ran", {"question": "who ran"}, {"question": ["who"]}],
    }
    entries, rejected = both(Source(path=str(put(tmp_path, "a.json", squad(paragraph))), format="squad"))
    assert entries["query"].to_list() == ["who ran"]
    assert rejected == [("a.json[0]", "not an object"), ("a.json[2]", "not a text, or not UTF-8")]


def test_flat_squad_is_read_too(tmp_path):
    rows = [
        {"title": "Foxes", "context": "The fox ran.", "question": "who ran", "answers": {"text": ["fox"]}}
    ]
    entries, _ = both(Source(path=str(put(tmp_path, "a.jsonl", rows)), format="squad"))
    assert entries.select("query", "document", "group").rows() == [("who ran", "The fox ran.", "Foxes")]


@pytest.mark.parametrize("group", ["title", None])
def test_flat_squad_says_which_questions_are_not_answered(tmp_path, group):
    row = {"title": "Foxes", "context": "The fox ran.", "question": "who ran", "is_impossible": False}
    file = put(tmp_path, "a.jsonl", [row, row | {"question": "who flew", "is_impossible": True}])
    entries, _ = both(Source(path=str(file), format="squad", group=group))
    assert entries.select("query", "relevance").rows() == [("who ran", 1), ("who flew", 0)]


# --- places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_places_tell_files_of_one_name_apart(tmp_path, name):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, name, STORIES[:1])
    mark = ":1" if name == "a.jsonl" else "[0]"
    for path in (tmp_path, tmp_path / "*" / name):
        entries, _ = both(spec(path))
        assert entries["source"].to_list() == [f"x/{name}{mark}", f"y/{name}{mark}"]


def test_cmrc(real_data):
    file = real_data / "cmrc2018/squad-style-data/cmrc2018_dev.json"
    entries, rejected = both(Source(path=str(file), format="squad"))
    assert len(entries) == 3219
    assert entries["document"].n_unique() == 848
    assert rejected == []
