import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.recipe.recipe import Clean
from minerkit.sources.records import ENTRIES
from minerkit.storage.schema import schema_violations
from minerkit.text.normalisation import normalise
from tests.support.cleaning import clean, cleaned

#: Few letters and many blanks: empty, short and repeated texts are frequent.
CELLS = st.one_of(st.none(), st.text(alphabet="aA ？?\u200b", max_size=4))


def raw(*rows: tuple) -> pl.DataFrame:
    """Entries: query, document, then relevance (1), the query's group and the document's."""
    whole = [(*row, *(1, None, None)[len(row) - 2 :], f"a.jsonl:{i}") for i, row in enumerate(rows, 1)]
    return pl.DataFrame(whole, schema=ENTRIES, orient="row")


def numbered(*rows: tuple) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Queries and corpus without their groups, and qrels."""
    queries, corpus, qrels, *_ = cleaned(raw(*rows))
    return queries.select("query_id", "text"), corpus.select("doc_id", "text"), qrels


def texts(frame: pl.DataFrame) -> list[tuple]:
    return frame.select("query", "document", "source").rows()


def reasons(frame: pl.DataFrame, **rules) -> list[tuple[str, str]]:
    """Place and reason of the rejected rows."""
    return clean(frame, Clean(**rules))[1].select("source", "reason").rows()


def test_good_pairs_are_kept_trimmed_and_in_order():
    kept, rejected = clean(raw((" q2 ", "b\n"), ("q1", "Ａ  b")), Clean())
    assert texts(kept) == [("q2", "b", "a.jsonl:1"), ("q1", "Ａ  b", "a.jsonl:2")]
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
    assert schema_violations("rejected", rejected) == []


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12), st.integers(1, 3))
def test_every_row_is_kept_or_rejected_and_never_both(rows, least):
    frame = raw(*rows)
    kept, rejected = clean(frame, Clean(min_chars=least))
    assert kept["source"].to_list() == sorted(kept["source"], key=frame["source"].to_list().index)
    assert sorted([*kept["source"], *rejected["source"]]) == sorted(frame["source"])
    given_texts = {place: [text for text in pair if text] for *pair, place in texts(frame)}
    for place, shown in rejected.select("source", "text").rows():
        blank = [text for text in given_texts[place] if not normalise(text)]
        told = [text.strip() for text in given_texts[place] if text not in blank]
        assert shown == " | ".join(told)
    for *pair, place in texts(kept):
        assert pair == [text.strip() for text in given_texts[place]]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12))
def test_a_kept_pair_is_not_empty_not_the_query_and_not_a_repeat(rows):
    kept, _ = clean(raw(*rows), Clean())
    pairs = [(normalise(query), normalise(positive)) for query, positive, _ in texts(kept)]
    assert all(query and positive and query != positive for query, positive in pairs)
    assert len(set(pairs)) == len(pairs)


def test_ids_are_given_in_the_order_of_appearance():
    queries, corpus, qrels = numbered(("b", "y"), ("a", "x"), ("c", "y"))
    assert queries.rows() == [("q0000001", "b"), ("q0000002", "a"), ("q0000003", "c")]
    assert corpus.rows() == [("d0000001", "y"), ("d0000002", "x")]
    assert qrels.rows() == [
        ("q0000001", "d0000001", 1),
        ("q0000002", "d0000002", 1),
        ("q0000003", "d0000001", 1),
    ]


def test_the_first_spelling_of_a_text_is_kept():
    queries, corpus, qrels = numbered(("Ｑ one", "P  x"), ("Q one", "other"), ("q one", "P x"))
    assert queries["text"].to_list() == ["Ｑ one", "q one"]
    assert corpus["text"].to_list() == ["P  x", "other"]
    assert qrels.select("query_id", "doc_id").rows() == [
        ("q0000001", "d0000001"),
        ("q0000001", "d0000002"),
        ("q0000002", "d0000001"),
    ]


def test_a_query_may_have_several_positives():
    _, _, qrels = numbered(("q", "a"), ("q", "b"), ("q", "c"))
    assert qrels.group_by("query_id").len().rows() == [("q0000001", 3)]


def test_a_text_may_be_a_query_and_a_document():
    queries, corpus, _ = numbered(("a", "b"), ("b", "a"))
    assert queries["text"].to_list() == ["a", "b"]
    assert corpus["text"].to_list() == ["b", "a"]


@given(st.lists(st.tuples(CELLS, CELLS), max_size=12))
def test_tables_hold_every_pair_once_with_unique_ids_and_texts(rows):
    pairs, _ = clean(raw(*rows), Clean())
    queries, corpus, qrels = numbered(*rows)
    for frame, name in ((queries, "query_id"), (corpus, "doc_id")):
        assert frame[name].is_unique().all()
        assert frame[name].is_sorted()
        assert len({normalise(text) for text in frame["text"]}) == len(frame)
    query, document = dict(queries.rows()), dict(corpus.rows())
    told = [(normalise(query[q]), normalise(document[d])) for q, d, _ in qrels.rows()]
    assert told == [(normalise(q), normalise(d)) for q, d, _ in texts(pairs)]
    assert qrels.schema["relevance"] == pl.Int32


def test_a_document_without_a_query_is_kept_once():
    frame = raw(("q", "a"), (None, "b", None), (None, "ｂ", None), (None, "a", None), (None, " ", None))
    kept, rejected = clean(frame, Clean())
    assert kept["document"].to_list() == ["a", "b", "a"]
    assert rejected.select("source", "reason").rows() == [
        ("a.jsonl:3", "duplicate document"),
        ("a.jsonl:5", "empty document"),
    ]
    queries, corpus, qrels = numbered(("q", "a"), (None, "b", None), (None, "a", None))
    assert corpus["text"].to_list() == ["a", "b"]
    assert (len(queries), len(qrels)) == (1, 1)


def test_the_higher_of_two_grades_is_kept_wherever_it_stands():
    frame = raw(("q", "a", 0), ("q", "b", 1), ("q", "a", 2), ("q", "a", 1))
    kept, rejected = clean(frame, Clean())
    assert kept.select("document", "relevance").rows() == [("b", 1), ("a", 2)]
    assert rejected["source"].to_list() == ["a.jsonl:1", "a.jsonl:4"]


def test_a_query_without_a_document_graded_high_enough_is_rejected_with_all_its_grades():
    frame = raw(("q", "a", 1), ("q", "b", 0), ("p", "a", 2), ("p", "b", 1))
    kept, rejected = clean(frame, Clean(), min_relevance=2)
    assert kept["query"].to_list() == ["p", "p"]
    assert rejected["reason"].to_list() == ["no positive for this query"] * 2
    assert cleaned(frame, Clean(), 2).qrels["relevance"].to_list() == [2, 1]


def test_texts_carry_their_first_group_and_are_known_by_all():
    frame = raw(("q", "a", 1, "g1", "h1"), ("q", "b", 1, "g2", "h2"), ("p", "a", 1, None, "h3"))
    queries, corpus, *_, query_groups, doc_groups, _ = cleaned(frame)
    groups = pl.concat([query_groups, doc_groups])
    assert queries["group"].to_list() == ["g1", None]
    assert corpus["group"].to_list() == ["h1", "h2"]
    assert set(groups.rows()) == {
        ("q0000001", "g1"), ("q0000001", "g2"), ("d0000001", "h1"), ("d0000001", "h3"), ("d0000002", "h2"),
    }  # fmt: skip


def test_a_query_of_function_words_is_rejected_where_the_recipe_says_so():
    frame = raw(("What does the text say?", "a"), ("What does the rotor say?", "b"))
    assert reasons(frame) == []
    found = reasons(frame, max_function_words=0.99)
    assert found == [("a.jsonl:1", "query without content of its own")]


@given(
    st.lists(
        st.tuples(CELLS, CELLS, st.one_of(st.none(), st.integers(0, 3))).map(
            lambda row: (None, row[1], None) if row[2] is None else row
        ),
        max_size=12,
    ),
    st.integers(1, 3),
)
def test_every_entry_is_a_judgement_a_document_or_rejected(rows, threshold):
    frame = raw(*rows)
    kept, rejected = clean(frame, Clean(), threshold)
    assert sorted([*kept["source"], *rejected["source"]]) == sorted(frame["source"])
    queries, corpus, qrels, *_ = cleaned(frame, Clean(), threshold)
    assert len(qrels) == kept["relevance"].count()
    assert qrels.select("query_id", "doc_id").is_unique().all()
    best = qrels.group_by("query_id").agg(pl.col("relevance").max())
    assert len(best) == len(queries)
    assert (best["relevance"] >= threshold).all()
    assert len(corpus) == len({normalise(text) for text in kept["document"]})


ROW = st.tuples(
    CELLS, CELLS, st.one_of(st.none(), st.integers(0, 2)), *[st.sampled_from([None, "g", "h"])] * 2
)


@settings(max_examples=50)
@given(st.lists(ROW, max_size=14), st.integers(1, 15))
def test_it_does_not_matter_how_many_entries_come_at_a_time(rows, part):
    frame = raw(*((None, *row[1:3], None, row[4]) if row[2] is None else row for row in rows))
    whole, parts = (cleaned(frame, part=size) for size in (max(1, len(frame)), part))
    for one, other in zip(whole, parts, strict=True):
        assert one.unique(maintain_order=True).equals(other.unique(maintain_order=True))
    for one, other in zip(whole[:4], parts[:4], strict=True):
        assert one.equals(other)
