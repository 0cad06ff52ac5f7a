import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit import schema
from minerkit.clean import clean, tables
from minerkit.recipe import Clean
from minerkit.text import normalise

#: Few letters and many blanks: empty, short and repeated texts are frequent.
CELLS = st.one_of(st.none(), st.text(alphabet="aA ？?\u200b", max_size=4))


def raw(*rows: tuple[str | None, str | None]) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows, schema={"query": pl.String, "positive": pl.String}, orient="row"
    ).with_row_index("line", offset=1)
    return frame.select("query", "positive", pl.format("a.jsonl:{}", "line").alias("source"))


def reasons(frame: pl.DataFrame, **rules) -> list[tuple[str, str]]:
    """Place and reason of the rejected rows."""
    return clean(frame, Clean(**rules))[1].select("source", "reason").rows()


def test_good_pairs_are_kept_trimmed_and_in_order():
    kept, rejected = clean(raw((" q2 ", "b\n"), ("q1", "Ａ  b")), Clean())
    assert kept.rows() == [("q2", "b", "a.jsonl:1"), ("q1", "Ａ  b", "a.jsonl:2")]
    assert rejected.is_empty()


@pytest.mark.parametrize("empty", [None, "", "  \n", "\u200b"])
def test_an_empty_query_is_rejected(empty):
    assert reasons(raw((empty, "p"), (empty, None))) == [
        ("a.jsonl:1", "empty query"),
        ("a.jsonl:2", "empty query"),
    ]


@pytest.mark.parametrize("empty", [None, "", "  \n", "\u200b"])
def test_an_empty_positive_is_rejected(empty):
    assert reasons(raw(("q", empty))) == [("a.jsonl:1", "empty positive")]


def test_short_texts_are_rejected_by_their_normalised_length():
    frame = raw(("a   b", "a longer text"), ("a longer text", "four"), ("5...5", "5...5?!x"))
    assert reasons(frame, min_chars=5) == [
        ("a.jsonl:1", "query shorter than clean.min_chars"),
        ("a.jsonl:2", "positive shorter than clean.min_chars"),
    ]


def test_a_positive_that_repeats_the_query_is_rejected():
    frame = raw(("What is AI?", "what is  ａｉ"), ("what is AI", "what is AI about"))
    assert reasons(frame) == [("a.jsonl:1", "positive repeats the query")]


def test_a_pair_that_stood_before_is_rejected():
    frame = raw(("q", "p"), ("q", "other"), (" ｑ", "p "), ("Q", "p"), ("p", "q"))
    assert reasons(frame) == [("a.jsonl:3", "duplicate pair")]


def test_the_first_reason_is_given():
    frame = raw(("a", "a"), ("a", "a"), ("", ""))
    assert [reason for _, reason in reasons(frame, min_chars=2)] == [
        "query shorter than clean.min_chars",
        "query shorter than clean.min_chars",
        "empty query",
    ]


def test_a_rejected_row_shows_both_texts():
    _, rejected = clean(raw((" q ", " q"), ("q", None), (None, None)), Clean())
    assert rejected["text"].to_list() == ["q | q", "q", ""]
    assert set(rejected["stage"]) == {"clean"}
    assert schema.violations("rejected", rejected) == []


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12), st.integers(1, 3))
def test_every_row_is_kept_or_rejected_and_never_both(rows, least):
    frame = raw(*rows)
    kept, rejected = clean(frame, Clean(min_chars=least))
    assert kept["source"].to_list() == sorted(kept["source"], key=frame["source"].to_list().index)
    assert sorted([*kept["source"], *rejected["source"]]) == sorted(frame["source"])
    given_texts = {place: [text for text in texts if text] for *texts, place in frame.rows()}
    for place, shown in rejected.select("source", "text").rows():
        blank = [text for text in given_texts[place] if not normalise(text)]
        told = [text.strip() for text in given_texts[place] if text not in blank]
        assert shown == " | ".join(told)
    for *texts, place in kept.rows():
        assert texts == [text.strip() for text in given_texts[place]]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12))
def test_a_kept_pair_is_not_empty_not_the_query_and_not_a_repeat(rows):
    kept, _ = clean(raw(*rows), Clean())
    pairs = [(normalise(query), normalise(positive)) for query, positive, _ in kept.rows()]
    assert all(query and positive and query != positive for query, positive in pairs)
    assert len(set(pairs)) == len(pairs)


def test_ids_are_given_in_the_order_of_appearance():
    queries, corpus, qrels = tables(raw(("b", "y"), ("a", "x"), ("c", "y")))
    assert queries.rows() == [("q0000001", "b"), ("q0000002", "a"), ("q0000003", "c")]
    assert corpus.rows() == [("d0000001", "y"), ("d0000002", "x")]
    assert qrels.rows() == [
        ("q0000001", "d0000001", 1),
        ("q0000002", "d0000002", 1),
        ("q0000003", "d0000001", 1),
    ]


def test_the_first_spelling_of_a_text_is_kept():
    queries, corpus, qrels = tables(raw(("Ｑ one", "P  x"), ("Q one", "other"), ("q one", "P x")))
    assert queries["text"].to_list() == ["Ｑ one", "q one"]
    assert corpus["text"].to_list() == ["P  x", "other"]
    assert qrels.select("query_id", "doc_id").rows() == [
        ("q0000001", "d0000001"),
        ("q0000001", "d0000002"),
        ("q0000002", "d0000001"),
    ]


def test_a_query_may_have_several_positives():
    _, _, qrels = tables(raw(("q", "a"), ("q", "b"), ("q", "c")))
    assert qrels.group_by("query_id").len().rows() == [("q0000001", 3)]


def test_a_text_may_be_a_query_and_a_document():
    queries, corpus, _ = tables(raw(("a", "b"), ("b", "a")))
    assert queries["text"].to_list() == ["a", "b"]
    assert corpus["text"].to_list() == ["b", "a"]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12))
def test_tables_hold_every_pair_once_with_unique_ids_and_texts(rows):
    pairs, _ = clean(raw(*rows), Clean())
    queries, corpus, qrels = tables(pairs)
    for frame, name in ((queries, "query_id"), (corpus, "doc_id")):
        assert frame[name].is_unique().all()
        assert frame[name].is_sorted()
        assert len({normalise(text) for text in frame["text"]}) == len(frame)
    query, document = dict(queries.rows()), dict(corpus.rows())
    told = [(normalise(query[q]), normalise(document[d])) for q, d, _ in qrels.rows()]
    assert told == [(normalise(q), normalise(d)) for q, d, _ in pairs.rows()]
    assert qrels.schema["relevance"] == pl.Int32
