import polars as pl
import pytest

from minerkit.mining.exclusions import find_exclusions
from minerkit.text.normalisation import match_key

NO_LINKS = pl.DataFrame(schema={"left": pl.String, "right": pl.String})


def texts(name: str, **rows: str) -> pl.DataFrame:
    frame = pl.DataFrame({name: list(rows), "text": list(rows.values())})
    return frame.with_columns(key=match_key(pl.col("text")))


def grades(*rows: tuple[str, str] | tuple[str, str, int]) -> pl.DataFrame:
    graded = [(*row, 1)[:3] for row in rows]
    return pl.DataFrame(graded, schema=["query_id", "doc_id", "relevance"], orient="row")


def links(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["left", "right"], orient="row")


QUERIES = texts("query_id", q1="what is tea", q2="what is ice")
CORPUS = texts(
    "doc_id",
    a="Tea is a drink.",
    b="tea is a drink",
    c="Tea is a hot drink",
    d="Frozen water",
    e="What is tea?",
    f="What is the tea",
)


def test_spelling_variants_of_a_positive_are_listed():
    found = find_exclusions(QUERIES, CORPUS, grades(("q1", "a")), NO_LINKS)
    assert ("q1", "b", "positive_text") in found.rows()


@pytest.mark.parametrize(
    "link", [("tea is a drink", "tea is a hot drink"), ("tea is a hot drink", "tea is a drink")]
)
def test_near_duplicates_of_a_positive_are_listed_in_either_direction_of_the_link(link):
    found = find_exclusions(QUERIES, CORPUS, grades(("q1", "a")), links(link))
    assert found.rows() == [
        ("q1", "b", "positive_text"),
        ("q1", "c", "near_duplicate"),
        ("q1", "e", "query_text"),
    ]


@pytest.mark.parametrize("link", [("what is tea", "what is the tea"), ("what is the tea", "what is tea")])
def test_the_query_and_its_near_duplicates_are_listed(link):
    found = find_exclusions(QUERIES, CORPUS, grades(("q1", "d")), links(link))
    assert found.rows() == [("q1", "e", "query_text"), ("q1", "f", "query_text")]


def test_positives_are_never_listed():
    all_positive = grades(("q1", "a"), ("q1", "b"), ("q1", "c"), ("q1", "e"))
    near = links(("tea is a drink", "tea is a hot drink"))
    assert find_exclusions(QUERIES, CORPUS, all_positive, near).is_empty()


def test_each_document_is_listed_once_with_the_first_reason():
    # b is a variant of positive a, near positive c, and near the query; e is the query, and near a.
    near = links(("tea is a drink", "tea is a hot drink"), ("what is tea", "tea is a drink"))
    found = find_exclusions(QUERIES, CORPUS, grades(("q1", "a"), ("q1", "c")), near)
    assert found.rows() == [("q1", "b", "positive_text"), ("q1", "e", "near_duplicate")]


def test_a_document_judged_irrelevant_is_not_a_positive():
    found = find_exclusions(QUERIES, CORPUS, grades(("q2", "d"), ("q2", "a", 0)), NO_LINKS)
    assert found.filter(query_id="q2").is_empty()


def test_exclusions_belong_to_one_query():
    found = find_exclusions(QUERIES, CORPUS, grades(("q1", "a"), ("q2", "d")), NO_LINKS)
    assert set(found["query_id"]) == {"q1"}


def test_rows_are_sorted_by_query_and_document():
    found = find_exclusions(QUERIES, CORPUS, grades(("q2", "b"), ("q1", "a")), NO_LINKS)
    assert found.rows() == [
        ("q1", "b", "positive_text"),
        ("q1", "e", "query_text"),
        ("q2", "a", "positive_text"),
    ]


def test_no_exclusions_have_the_same_columns():
    found = find_exclusions(QUERIES, texts("doc_id", d="Frozen water"), grades(("q2", "d")), NO_LINKS)
    assert found.is_empty()
    assert found.schema == {"query_id": pl.String, "doc_id": pl.String, "reason": pl.String}


def test_a_document_with_a_grade_below_the_threshold_is_partly_relevant():
    qrels = grades(("q1", "a", 2), ("q1", "c", 1), ("q1", "d", 0))
    found = find_exclusions(QUERIES, CORPUS, qrels, NO_LINKS, min_relevance=2)
    assert ("q1", "c", "partly_relevant") in found.rows()
    assert "d" not in found.filter(pl.col("query_id") == "q1")["doc_id"].to_list()


def test_documents_of_the_querys_group_are_excluded_if_groups_are_given():
    groups = pl.DataFrame(
        [("q1", "g"), ("a", "g"), ("c", "g"), ("d", "h"), ("q2", "h")], schema=["id", "group"], orient="row"
    )
    qrels = grades(("q1", "a"), ("q2", "d"))
    found = find_exclusions(QUERIES, CORPUS, qrels, NO_LINKS, groups)
    assert ("q1", "c", "same_group") in found.rows()
    assert found.filter(pl.col("reason") == "same_group")["query_id"].unique().to_list() == ["q1"]
    assert found.join(qrels, on=["query_id", "doc_id"], how="semi").is_empty()
