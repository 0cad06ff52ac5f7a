from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.mining import candidates as module
from minerkit.mining.filters import filter_false_negatives, thresholds
from minerkit.mining.split_queries import SplitQueries
from minerkit.recipe.recipe import Mine
from minerkit.search import ExactIndex

NOTHING = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String})


def world(seed: int, n: int, m: int) -> tuple[SplitQueries, pl.DataFrame, np.ndarray]:
    """Random queries and documents, with one to three positives a query."""
    rng = np.random.default_rng(seed)
    queries, documents = (rng.standard_normal((size, 6)).astype(np.float32) for size in (n, m))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    ids = [f"q{i:03}" for i in range(n)], [f"d{i:03}" for i in range(m)]
    rows = {(ids[0][q], ids[1][d]) for q in range(n) for d in rng.integers(0, m, rng.integers(1, 4))}
    qrels = pl.DataFrame(sorted(rows), schema=["query_id", "doc_id"], orient="row").with_columns(relevance=1)
    vectors = Vectors.of(queries), Vectors.of(documents)
    found = split_queries(ids[0], vectors[0], ids[1], vectors[1], qrels)
    return found, qrels, np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6)


def split_queries(
    query_ids, queries, doc_ids, documents, qrels, excluded=NOTHING, rules=None
) -> SplitQueries:
    return SplitQueries.of(
        pl.Series(query_ids),
        queries,
        pl.Series(doc_ids),
        ExactIndex(documents),
        qrels,
        excluded,
        rules or Mine(),
    )


def retrieve(
    queries: SplitQueries, qrels: pl.DataFrame, excluded: pl.DataFrame, rules: Mine, wanted
) -> pl.DataFrame:
    """Retrieve for judgements, exclusions and rules; candidates by id."""
    made = split_queries(
        queries.query_ids, queries.queries, queries.doc_ids, queries.index.documents, qrels, excluded, rules
    )
    made = replace(made, wanted=np.asarray(wanted), single_pass=queries.single_pass)
    return made.to_ids(module.retrieve(made, rules))


@given(
    seed=st.integers(0, 3000),
    margin=st.sampled_from([0.0, 0.1, 0.4]),
    keep=st.sampled_from([1, 4, 50]),
    single_pass=st.booleans(),
)
def test_every_query_gets_its_eligible_documents_while_there_are_any(seed, margin, keep, single_pass):
    queries, qrels, scores = world(seed, 6, 40)
    queries = replace(queries, single_pass=single_pass)
    rules = Mine.model_validate({"relative_margin": margin, "keep": keep})
    rng = np.random.default_rng(seed)
    shut = {
        (f"q{q:03}", f"d{d:03}") for q, d in zip(rng.integers(0, 6, 8), rng.integers(0, 40, 8), strict=True)
    }
    shut -= set(qrels.select("query_id", "doc_id").rows())
    excluded = pl.DataFrame(
        [(*pair, "near_duplicate") for pair in sorted(shut)], schema=NOTHING.schema, orient="row"
    )
    found = retrieve(queries, qrels, excluded, rules, np.full(6, 5))
    judged = filter_false_negatives(found, excluded, rules)
    for row in range(6):
        query = f"q{row:03}"
        positives = {int(d[1:]) for q, d in qrels.select("query_id", "doc_id").rows() if q == query}
        limit = thresholds(np.array([min(scores[row, d] for d in positives)]), rules)["relative_margin"][0]
        order = [d for d in np.argsort(-scores[row], kind="stable") if d not in positives]
        eligible = [d for d in order if scores[row, d] <= limit and (query, f"d{d:03}") not in shut]
        mine = judged.filter((pl.col("query_id") == query) & pl.col("reason").is_null())["doc_id"].to_list()
        assert mine[:5] == [f"d{d:03}" for d in eligible[:5]]
        kept = found.filter(
            (pl.col("query_id") == query) & (pl.col("relevance") == 0) & pl.col("rank").is_not_null()
        )
        ranked = kept.sort("rank").select("doc_id", "rank").rows()
        assert ranked[:keep] == [(f"d{d:03}", place + 1) for place, d in enumerate(order[:keep])]


@given(seed=st.integers(0, 3000), wanted=st.integers(1, 40))
def test_looking_below_the_ceilings_of_all_queries_or_of_few_finds_the_same(seed, wanted):
    queries, qrels, _ = world(seed, 9, 60)
    rules, sizes = Mine.model_validate({"relative_margin": 0.1, "keep": 3}), np.full(9, wanted)
    sizes[:4] = np.random.default_rng(seed).integers(1, 60, 4)
    each = [
        retrieve(replace(queries, single_pass=single_pass), qrels, NOTHING, rules, sizes)
        for single_pass in (True, False)
    ]
    assert each[0].equals(each[1])


def test_positives_are_scored_whether_retrieved_or_not():
    queries, qrels, _ = world(5, 6, 40)
    found = retrieve(queries, qrels, NOTHING, Mine.model_validate({"keep": 1}), np.full(6, 1))
    positives = found.filter(pl.col("relevance") > 0)
    assert set(positives.select("query_id", "doc_id").rows()) == set(
        qrels.select("query_id", "doc_id").rows()
    )
    assert positives["score"].is_finite().all()


def test_rank_range_is_searched_beyond_keep():
    queries, qrels, _ = world(7, 6, 40)
    rules = Mine.model_validate({"absolute_margin": 0.3, "range_max": 20, "keep": 2, "shortfall": "keep"})
    deep = retrieve(queries, qrels, NOTHING, rules, np.full(6, 5))
    wide = retrieve(queries, qrels, NOTHING, rules.model_copy(update={"keep": 40}), np.full(6, 5))

    def eligible(frame: pl.DataFrame) -> list[tuple]:
        judged = filter_false_negatives(frame, NOTHING, rules).filter(pl.col("reason").is_null())
        return judged.select("query_id", "doc_id", "rank").rows()

    assert eligible(deep) == eligible(wide)


def test_documents_judged_irrelevant_are_candidates_wherever_they_rank():
    queries, qrels, scores = world(7, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    last = [f"d{np.argmin(scores[row]):03}" for row in range(6)]
    first = [
        next(f"d{d:03}" for d in np.argsort(-scores[row]) if (f"q{row:03}", f"d{d:03}") not in positives)
        for row in range(6)
    ]
    rows = [(f"q{row:03}", doc, 0) for row in range(6) for doc in (last[row], first[row])]
    rows = [row for row in rows if row[:2] not in positives]
    judged = pl.concat([qrels, pl.DataFrame(rows, schema=qrels.schema, orient="row")])
    found = retrieve(queries, judged, NOTHING, Mine.model_validate({"keep": 3}), np.full(6, 1))
    marked = found.filter(pl.col("source") == "judged")
    assert set(marked.select("query_id", "doc_id").rows()) == {row[:2] for row in rows}
    assert marked.filter(pl.col("doc_id").is_in(first))["rank"].drop_nulls().to_list().count(1) == 6
    assert found.select("query_id", "doc_id").is_unique().all()
    for query, doc, score in marked.select("query_id", "doc_id", "score").rows():
        assert abs(score - scores[int(query[1:]), int(doc[1:])]) < 1e-6
    plain = retrieve(
        queries, judged, NOTHING, Mine.model_validate({"keep": 3, "judged": False}), np.full(6, 1)
    )
    assert set(plain["source"]) == {"dense"}


@pytest.mark.parametrize("rules", [{}, {"range_max": 6, "shortfall": "keep"}, {"keep": 2}], ids=str)
@pytest.mark.parametrize("sizes", [[30], [1] * 30, [7, 16, 7]], ids=["whole", "one by one", "uneven"])
@pytest.mark.parametrize("most", [[4], [4, 1, 9]], ids=["all want as many", "some want more"])
def test_candidates_retrieved_in_parts_are_those_of_the_whole(rules, sizes, most):
    queries, qrels, _ = world(11, 30, 60)
    rules = Mine.model_validate({"relative_margin": 0.1, "negatives": 4, "keep": 5, **rules})
    shut = pl.DataFrame(
        [(f"q{q:03}", f"d{d:03}", "near_duplicate") for q in range(30) for d in range(q % 4, 60, 11)],
        schema=NOTHING.schema,
        orient="row",
    ).join(qrels, on=["query_id", "doc_id"], how="anti")
    extra = pl.DataFrame({"query_id": ["q003", "q021"], "doc_id": ["d000", "d001"], "relevance": [0, 0]})
    judged = pl.concat([qrels, extra.cast(qrels.schema).join(qrels, on=["query_id", "doc_id"], how="anti")])
    wanted = np.resize(most, 30)
    whole = retrieve(queries, judged, shut, rules, wanted)
    every = split_queries(
        queries.query_ids, queries.queries, queries.doc_ids, queries.index.documents,
        judged, shut, rules,
    )  # fmt: skip
    every, parts, start = replace(every, wanted=wanted), [], 0
    for size in sizes:
        part = every.subset(np.arange(start, start + size))
        parts.append(part.to_ids(module.retrieve(part, rules)))
        start += size
    assert pl.concat(parts).equals(whole)


def test_candidates_are_in_the_order_of_the_queries_best_first_positives_before_equals():
    eye = np.eye(2, dtype=np.float32)
    documents = np.vstack([eye[0], eye[1], eye[0], eye[0]])
    qrels = pl.DataFrame({"query_id": ["q0", "q1"], "doc_id": ["d2", "d0"]}).with_columns(relevance=1)
    ids = [f"d{i}" for i in range(4)]
    queries = split_queries(["q0", "q1"], Vectors.of(eye), ids, Vectors.of(documents), qrels)
    rules = Mine.model_validate({"relative_margin": None, "keep": 4})
    found = retrieve(queries, qrels, NOTHING, rules, np.full(2, 1))
    assert found.select("query_id", "doc_id", "rank").rows() == [
        ("q0", "d2", 1), ("q0", "d0", 1), ("q0", "d3", 2), ("q0", "d1", 3),
        ("q1", "d1", 1), ("q1", "d0", 2), ("q1", "d2", 2), ("q1", "d3", 3),
    ]  # fmt: skip
