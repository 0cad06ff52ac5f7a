import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.mining.examples import format_examples
from minerkit.recipe.recipe import Format

TYPES = ["pair", "triplet", "n-tuple", "labeled-pair", "labeled-list"]


def scored(*rows: tuple[str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float32}, orient="row"
    )


#: q1 has two positives; q2 has one negative, the others two; the rows are not in the order of the queries.
QUERIES = pl.DataFrame({"query_id": ["q3", "q1", "q2"], "text": ["third", "first", "second"]})
CORPUS = pl.DataFrame({"doc_id": list("abcxyz"), "text": ["A", "B", "C", "X", "Y", "Z"]})
POSITIVES = scored(("q1", "b", 0.75), ("q2", "c", 0.5), ("q1", "a", 1.0), ("q3", "a", 0.25))
NEGATIVES = scored(
    ("q2", "x", 0.375), ("q1", "y", 0.625), ("q1", "x", 0.5), ("q3", "z", 0.125), ("q3", "x", 0.0625)
)


def examples(format_type: str, scores: bool = False, **options) -> pl.DataFrame:
    return format_examples(
        QUERIES, CORPUS, POSITIVES, NEGATIVES, Format(type=format_type, scores=scores), **options
    )


def test_pair():
    found = examples("pair")
    assert found.rows() == [("third", "A"), ("first", "B"), ("first", "A"), ("second", "C")]
    assert found.schema == {"query": pl.String, "positive": pl.String}


def test_pair_with_scores():
    found = examples("pair", scores=True)
    assert found.rows() == [
        ("third", "A", 0.25),
        ("first", "B", 0.75),
        ("first", "A", 1.0),
        ("second", "C", 0.5),
    ]
    assert found.schema == {"query": pl.String, "positive": pl.String, "score": pl.Float32}


def test_triplet_has_every_combination():
    found = examples("triplet")
    assert found.rows() == [
        ("third", "A", "Z"),
        ("third", "A", "X"),
        ("first", "B", "Y"),
        ("first", "B", "X"),
        ("first", "A", "Y"),
        ("first", "A", "X"),
        ("second", "C", "X"),
    ]
    assert found.schema == {"query": pl.String, "positive": pl.String, "negative": pl.String}


def test_triplet_with_scores():
    found = examples("triplet", scores=True)
    assert found.columns == ["query", "positive", "negative", "scores"]
    assert found.schema["scores"] == pl.List(pl.Float32)
    assert found["scores"].to_list() == [
        [0.25, 0.125],
        [0.25, 0.0625],
        [0.75, 0.625],
        [0.75, 0.5],
        [1.0, 0.625],
        [1.0, 0.5],
        [0.5, 0.375],
    ]


def test_n_tuple_leaves_out_queries_with_fewer_negatives():
    found = examples("n-tuple")
    assert found.rows() == [("third", "A", "Z", "X"), ("first", "B", "Y", "X"), ("first", "A", "Y", "X")]
    assert found.columns == ["query", "positive", "negative_1", "negative_2"]


def test_n_tuple_with_scores():
    found = examples("n-tuple", scores=True)
    assert found.columns == ["query", "positive", "negative_1", "negative_2", "scores"]
    assert found["scores"].to_list() == [[0.25, 0.125, 0.0625], [0.75, 0.625, 0.5], [1.0, 0.625, 0.5]]


@pytest.mark.parametrize(
    ("width", "rows"), [(1, [("second", "C", "X")]), (2, examples("n-tuple").rows()), (3, [])]
)
def test_n_tuple_has_the_requested_width(width, rows):
    found = examples("n-tuple", width=width)
    assert found.columns == ["query", "positive", *(f"negative_{i + 1}" for i in range(width))]
    assert found.rows() == rows


def test_labeled_pair_has_positives_before_negatives():
    found = examples("labeled-pair")
    assert found.rows() == [
        ("third", "A", 1),
        ("third", "Z", 0),
        ("third", "X", 0),
        ("first", "B", 1),
        ("first", "A", 1),
        ("first", "Y", 0),
        ("first", "X", 0),
        ("second", "C", 1),
        ("second", "X", 0),
    ]
    assert found.schema == {"query": pl.String, "positive": pl.String, "label": pl.Int64}


def test_labeled_pair_with_scores():
    found = examples("labeled-pair", scores=True)
    assert found.columns == ["query", "positive", "score"]
    assert found.schema["score"] == pl.Float32
    assert found["score"].to_list() == [0.25, 0.125, 0.0625, 0.75, 1.0, 0.625, 0.5, 0.5, 0.375]


def test_labeled_list_has_a_row_for_each_positive():
    found = examples("labeled-list")
    assert found.rows() == [
        ("third", ["A", "Z", "X"], [1, 0, 0]),
        ("first", ["B", "Y", "X"], [1, 0, 0]),
        ("first", ["A", "Y", "X"], [1, 0, 0]),
        ("second", ["C", "X"], [1, 0]),
    ]
    assert found.schema == {
        "query": pl.String,
        "positive": pl.List(pl.String),
        "labels": pl.List(pl.Int64),
    }


def test_labeled_list_with_scores():
    found = examples("labeled-list", scores=True)
    assert found.columns == ["query", "positive", "scores"]
    assert found.schema["scores"] == pl.List(pl.Float32)
    assert found["scores"].to_list() == [
        [0.25, 0.125, 0.0625],
        [0.75, 0.625, 0.5],
        [1.0, 0.625, 0.5],
        [0.5, 0.375],
    ]


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("format_type", TYPES)
@pytest.mark.parametrize(
    "names", [("text", "doc"), ("positive", "query"), ("order", "text"), ("doc_id", "query_id")]
)
def test_columns_may_have_any_names(names, format_type, scores):
    default, renamed = examples(format_type, scores), examples(format_type, scores, names=names)
    assert renamed.columns == [*names, *default.columns[2:]]
    assert renamed.rows() == default.rows()


@pytest.mark.parametrize("format_type", TYPES)
def test_only_the_queries_of_the_frame_are_written(format_type):
    found = format_examples(QUERIES.head(1), CORPUS, POSITIVES, NEGATIVES, Format(type=format_type))
    assert set(found["query"]) == {"third"}


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("format_type", TYPES)
def test_no_queries_give_no_rows_in_the_same_columns(format_type, scores):
    found = format_examples(
        QUERIES.clear(), CORPUS, POSITIVES, NEGATIVES, Format(type=format_type, scores=scores), width=2
    )
    assert found.schema == examples(format_type, scores).schema
    assert found.is_empty()


@pytest.mark.parametrize(
    ("format_type", "rows"), [("pair", 4), ("labeled-pair", 4), ("triplet", 0), ("labeled-list", 0)]
)
def test_queries_without_negatives_have_rows_in_formats_that_need_none(format_type, rows):
    found = format_examples(QUERIES, CORPUS, POSITIVES, NEGATIVES.clear(), Format(type=format_type))
    assert len(found) == rows


JUDGEMENTS = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.sampled_from("abcdef"), st.booleans()),
    unique_by=lambda row: row[:2],
    max_size=20,
)


@given(JUDGEMENTS, st.permutations("pqrs"), st.integers(1, 3))
def test_the_number_of_rows_follows_from_positives_and_negatives(judgements, order, width):
    queries = pl.DataFrame({"query_id": order, "text": [f"query {name}" for name in order]})
    corpus = pl.DataFrame({"doc_id": list("abcdef"), "text": list("ABCDEF")})
    positives = scored(*((q, d, 0.5) for q, d, relevant in judgements if relevant))
    negatives = scored(*((q, d, 0.25) for q, d, relevant in judgements if not relevant))

    def rows(format_type: str) -> pl.DataFrame:
        return format_examples(queries, corpus, positives, negatives, Format(type=format_type), width=width)

    n_positives = {name: len(positives.filter(query_id=name)) for name in order}
    n_negatives = {name: len(negatives.filter(query_id=name)) for name in order}
    assert len(rows("pair")) == len(positives)
    assert len(rows("labeled-pair")) == len(positives) + len(negatives)
    assert rows("labeled-pair")["label"].sum() == len(positives)
    assert len(rows("triplet")) == sum(n_positives[name] * n_negatives[name] for name in order)
    assert len(rows("n-tuple")) == sum(n_positives[name] for name in order if n_negatives[name] == width)
    assert len(rows("labeled-list")) == sum(n_positives[name] for name in order if n_negatives[name])
    for format_type in TYPES:
        blocks = [name for name, _ in itertools.groupby(rows(format_type)["query"])]
        assert blocks == [f"query {name}" for name in order if f"query {name}" in blocks]
