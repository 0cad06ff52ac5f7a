import polars as pl
import pytest

from minerkit.errors import RunError
from minerkit.storage.schema import (
    ARTEFACT_COLUMNS,
    empty_artefact,
    fit_artefact,
    schema_violations,
)

#: The contract: the columns of every artefact in their order; a question mark where nulls may stand.
COLUMNS = {
    "queries": "query_id text split group?",
    "corpus": "doc_id text group?",
    "qrels": "query_id doc_id relevance",
    "pairs": "query positive",
    "rejected": "stage reason source text?",
    "candidates": "query_id doc_id relevance source rank? score rerank_score?",
    "judged": "query_id doc_id source rank? score rerank_score? pos_score reason?",
    "negatives": "query_id doc_id source rank? score rerank_score? fill",
}
TYPES = {"relevance": pl.Int32, "rank": pl.Int32, "score": pl.Float32} | {
    "rerank_score": pl.Float32,
    "pos_score": pl.Float32,
}
QRELS = pl.DataFrame({"relevance": [1], "extra": [0], "doc_id": ["d"], "query_id": ["q"]})


def test_artefacts_have_the_columns_of_the_contract():
    named = {
        name: " ".join(column + "?" * nullable for column, (_, nullable) in columns.items())
        for name, columns in ARTEFACT_COLUMNS.items()
    }
    assert named == COLUMNS


@pytest.mark.parametrize("name", ARTEFACT_COLUMNS)
def test_columns_have_the_types_of_the_contract(name):
    expected = {column: TYPES.get(column, pl.String) for column in ARTEFACT_COLUMNS[name]}
    assert dict(empty_artefact(name).schema) == expected


@pytest.mark.parametrize("name", ARTEFACT_COLUMNS)
def test_an_empty_artefact_fits_its_contract(name):
    assert empty_artefact(name).is_empty()
    assert schema_violations(name, empty_artefact(name)) == []


def test_fit_orders_casts_and_drops_columns():
    shaped = fit_artefact("qrels", QRELS)
    assert shaped.rows() == [("q", "d", 1)]
    assert shaped.schema == {"query_id": pl.String, "doc_id": pl.String, "relevance": pl.Int32}


def test_fit_takes_positions_for_ids():
    rows = pl.DataFrame({"doc_id": [4], "query_id": [7], "relevance": [1]})
    shaped = fit_artefact("qrels", rows, ["query_id", "doc_id"])
    assert shaped.rows() == [(7, 4, 1)] and set(shaped.dtypes) == {pl.Int32}


def test_fit_adds_columns_that_may_be_null():
    shaped = fit_artefact("corpus", pl.DataFrame({"doc_id": ["d"], "text": ["t"]}))
    assert shaped.rows() == [("d", "t", None)]
    assert schema_violations("corpus", shaped) == []


def test_fit_refuses_a_missing_column():
    with pytest.raises(
        RunError, match="qrels: column 'doc_id' is missing; there are relevance, extra, query_id"
    ):
        fit_artefact("qrels", QRELS.drop("doc_id"))


def test_fit_refuses_nulls_where_none_may_stand():
    with pytest.raises(RunError, match="qrels: column 'doc_id' has 1 null rows"):
        fit_artefact("qrels", QRELS.with_columns(doc_id=pl.lit(None, pl.String)))


def test_violations_name_other_columns():
    assert schema_violations("qrels", QRELS) == [
        "columns are relevance, extra, doc_id, query_id; expected query_id, doc_id, relevance"
    ]


def test_violations_list_every_wrong_type_and_null():
    frame = pl.DataFrame({"query_id": ["q", None], "doc_id": [1, 2], "relevance": [1, 1]})
    assert schema_violations("qrels", frame) == [
        "column 'query_id' has 1 null rows",
        "column 'doc_id' is Int64; expected String",
        "column 'relevance' is Int64; expected Int32",
    ]
