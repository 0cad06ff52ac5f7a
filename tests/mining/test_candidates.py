from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.embeddings.vectors import Vectors
from minerkit.mining import candidates as module
from minerkit.mining.candidates import hit_rates, rankings
from minerkit.mining.collection import Collection
from minerkit.mining.filters import filter_false_negatives, rank_window, thresholds
from minerkit.recipe.recipe import Mine
from minerkit.search import Index

NOTHING = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String})


def world(seed: int, n: int, m: int) -> tuple[Collection, pl.DataFrame, np.ndarray]:
    """Random queries and documents, with one to three positives a query."""
    rng = np.random.default_rng(seed)
    queries, documents = (rng.standard_normal((size, 6)).astype(np.float32) for size in (n, m))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    ids = [f"q{i:03}" for i in range(n)], [f"d{i:03}" for i in range(m)]
    rows = {(ids[0][q], ids[1][d]) for q in range(n) for d in rng.integers(0, m, rng.integers(1, 4))}
    qrels = pl.DataFrame(sorted(rows), schema=["query_id", "doc_id"], orient="row").with_columns(relevance=1)
    collection = Collection(
        pl.Series(ids[0]), Vectors.of(queries), pl.Series(ids[1]), Index(Vectors.of(documents))
    )
    return collection, qrels, np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6)


def retrieve(collection: Collection, judged: pl.DataFrame, shut: pl.DataFrame, *rest) -> pl.DataFrame:
    """Retrieve for pairs named by id."""
    judged, shut = collection.positions(judged), collection.positions(shut)
    return collection.named(module.retrieve(collection, judged, shut, *rest))


@given(
    seed=st.integers(0, 3000),
    margin=st.sampled_from([0.0, 0.1, 0.4]),
    keep=st.sampled_from([1, 4, 50]),
    together=st.booleans(),
)
def test_every_query_gets_its_eligible_documents_while_there_are_any(seed, margin, keep, together):
    collection, qrels, scores = world(seed, 6, 40)
    collection = replace(collection, together=together)
    rules = Mine.model_validate({"relative_margin": margin, "keep": keep})
    rng = np.random.default_rng(seed)
    shut = {
        (f"q{q:03}", f"d{d:03}") for q, d in zip(rng.integers(0, 6, 8), rng.integers(0, 40, 8), strict=True)
    }
    shut -= set(qrels.select("query_id", "doc_id").rows())
    excluded = pl.DataFrame(
        [(*pair, "near_duplicate") for pair in sorted(shut)], schema=NOTHING.schema, orient="row"
    )
    found = retrieve(collection, qrels, excluded, rules, np.full(6, 5))
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
    collection, qrels, _ = world(seed, 9, 60)
    rules, sizes = Mine.model_validate({"relative_margin": 0.1, "keep": 3}), np.full(9, wanted)
    sizes[:4] = np.random.default_rng(seed).integers(1, 60, 4)
    each = [
        retrieve(replace(collection, together=together), qrels, NOTHING, rules, sizes)
        for together in (True, False)
    ]
    assert each[0].equals(each[1])


def test_positives_are_scored_whether_retrieved_or_not():
    collection, qrels, _ = world(5, 6, 40)
    found = retrieve(collection, qrels, NOTHING, Mine.model_validate({"keep": 1}), np.full(6, 1))
    positives = found.filter(pl.col("relevance") > 0)
    assert set(positives.select("query_id", "doc_id").rows()) == set(
        qrels.select("query_id", "doc_id").rows()
    )
    assert positives["score"].is_finite().all()


def test_rank_range_is_searched_beyond_keep():
    collection, qrels, _ = world(7, 6, 40)
    rules = Mine.model_validate({"absolute_margin": 0.3, "range_max": 20, "keep": 2, "shortfall": "keep"})
    deep = retrieve(collection, qrels, NOTHING, rules, np.full(6, 5))
    wide = retrieve(collection, qrels, NOTHING, rules.model_copy(update={"keep": 40}), np.full(6, 5))

    def eligible(frame: pl.DataFrame) -> list[tuple]:
        judged = filter_false_negatives(frame, NOTHING, rules).filter(pl.col("reason").is_null())
        return judged.select("query_id", "doc_id", "rank").rows()

    assert eligible(deep) == eligible(wide)


def test_hit_rates_count_the_first_positive():
    eye = np.eye(4, dtype=np.float32)
    documents = np.vstack([eye, eye * 0.5]).astype(np.float32)
    collection = Collection(
        pl.Series(["q0", "q1"]),
        Vectors.of(eye[:2]),
        pl.Series([f"d{i}" for i in range(8)]),
        Index(Vectors.of(documents)),
    )
    qrels = pl.DataFrame(
        {"query_id": ["q0", "q1", "q1"], "doc_id": ["d0", "d5", "d3"], "relevance": [1, 1, 1]}
    )
    rates = hit_rates(rankings(collection, qrels.clear(), depth=8), qrels, 2, depth=8)
    assert rates == {"accuracy@1": 0.5, "accuracy@10": 1.0, "accuracy@8": 1.0, "mrr@10": 0.75}


def test_documents_judged_irrelevant_are_candidates_wherever_they_rank():
    collection, qrels, scores = world(7, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    last = [f"d{np.argmin(scores[row]):03}" for row in range(6)]
    first = [
        next(f"d{d:03}" for d in np.argsort(-scores[row]) if (f"q{row:03}", f"d{d:03}") not in positives)
        for row in range(6)
    ]
    rows = [(f"q{row:03}", doc, 0) for row in range(6) for doc in (last[row], first[row])]
    rows = [row for row in rows if row[:2] not in positives]
    judged = pl.concat([qrels, pl.DataFrame(rows, schema=qrels.schema, orient="row")])
    found = retrieve(collection, judged, NOTHING, Mine.model_validate({"keep": 3}), np.full(6, 1))
    marked = found.filter(pl.col("source") == "judged")
    assert set(marked.select("query_id", "doc_id").rows()) == {row[:2] for row in rows}
    assert marked.filter(pl.col("doc_id").is_in(first))["rank"].drop_nulls().to_list().count(1) == 6
    assert found.select("query_id", "doc_id").is_unique().all()
    for query, doc, score in marked.select("query_id", "doc_id", "score").rows():
        assert abs(score - scores[int(query[1:]), int(doc[1:])]) < 1e-6
    plain = retrieve(
        collection, judged, NOTHING, Mine.model_validate({"keep": 3, "judged": False}), np.full(6, 1)
    )
    assert set(plain["source"]) == {"dense"}


def test_rankings_hold_all_documents_and_force_none_in():
    collection, _, scores = world(9, 6, 40)
    ranked = rankings(collection, NOTHING, depth=7)
    assert ranked["query_id"].to_list() == [f"q{row:03}" for row in range(6) for _ in range(7)]
    assert ranked["rank"].to_list() == [*range(1, 8)] * 6
    for row in range(6):
        order = np.argsort(-scores[row], kind="stable")[:7]
        mine = ranked.filter(pl.col("query_id") == f"q{row:03}")
        assert mine["doc_id"].to_list() == [f"d{d:03}" for d in order]
        assert np.allclose(mine["score"], scores[row, order], atol=1e-6)


def test_rankings_leave_out_what_a_query_is_not_to_find():
    collection, qrels, _ = world(3, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    others = [(f"q{q:03}", f"d{d:03}") for q in range(6) for d in range(40)]
    without = pl.DataFrame(
        [pair for pair in others if pair not in positives], schema=["query_id", "doc_id"], orient="row"
    )
    ranked = rankings(collection, without, depth=3)
    assert set(ranked.select("query_id", "doc_id").rows()) <= positives
    assert hit_rates(ranked, qrels, 6, depth=3)["accuracy@1"] == 1.0


@pytest.mark.parametrize("rules", [{}, {"range_max": 6, "shortfall": "keep"}, {"keep": 2}], ids=str)
@pytest.mark.parametrize("sizes", [[30], [1] * 30, [7, 16, 7]], ids=["whole", "one by one", "uneven"])
@pytest.mark.parametrize("most", [[4], [4, 1, 9]], ids=["all want as many", "some want more"])
def test_candidates_retrieved_in_parts_are_those_of_the_whole(rules, sizes, most):
    collection, qrels, _ = world(11, 30, 60)
    rules = Mine.model_validate({"relative_margin": 0.1, "negatives": 4, "keep": 5, **rules})
    shut = pl.DataFrame(
        [(f"q{q:03}", f"d{d:03}", "near_duplicate") for q in range(30) for d in range(q % 4, 60, 11)],
        schema=NOTHING.schema,
        orient="row",
    ).join(qrels, on=["query_id", "doc_id"], how="anti")
    extra = pl.DataFrame({"query_id": ["q003", "q021"], "doc_id": ["d000", "d001"], "relevance": [0, 0]})
    judged = pl.concat([qrels, extra.cast(qrels.schema).join(qrels, on=["query_id", "doc_id"], how="anti")])
    wanted = np.resize(most, 30)
    whole = retrieve(collection, judged, shut, rules, wanted)
    places = rank_window(rules, collection.positions(qrels))
    parts, start = [], 0
    for size in sizes:
        part = collection.only(np.arange(start, start + size))
        parts.append(retrieve(part, judged, shut, rules, wanted[start : start + size], places))
        start += size
    assert pl.concat(parts).equals(whole)


def test_candidates_are_in_the_order_of_the_queries_best_first_positives_before_equals():
    eye = np.eye(2, dtype=np.float32)
    documents = np.vstack([eye[0], eye[1], eye[0], eye[0]])
    ids = pl.Series([f"d{i}" for i in range(4)])
    collection = Collection(pl.Series(["q0", "q1"]), Vectors.of(eye), ids, Index(Vectors.of(documents)))
    qrels = pl.DataFrame({"query_id": ["q0", "q1"], "doc_id": ["d2", "d0"]}).with_columns(relevance=1)
    rules = Mine.model_validate({"relative_margin": None, "keep": 4})
    found = retrieve(collection, qrels, NOTHING, rules, np.full(2, 1))
    assert found.select("query_id", "doc_id", "rank").rows() == [
        ("q0", "d2", 1), ("q0", "d0", 1), ("q0", "d3", 2), ("q0", "d1", 3),
        ("q1", "d1", 1), ("q1", "d0", 2), ("q1", "d2", 2), ("q1", "d3", 3),
    ]  # fmt: skip


def test_positions_leave_out_the_pairs_of_other_splits():
    collection, _, _ = world(1, 3, 5)
    pairs = [("q002", "d004", "x"), ("q001", "d000", "y"), ("q001", "d777", "z"), ("q999", "d000", "w")]
    frame = pl.DataFrame(pairs, schema=NOTHING.schema, orient="row")
    found = collection.positions(frame)
    assert found.select("query_id", "doc_id", "reason").rows() == [(1, 0, "y"), (2, 4, "x")]


def test_hit_rates_are_the_same_to_the_last_digit_in_any_order():
    ranks = np.random.default_rng(4).integers(1, 11, 2000)
    ids = [f"q{i}" for i in range(2000)]
    ranked = pl.DataFrame({"query_id": ids, "doc_id": ids, "rank": ranks})
    qrels = pl.DataFrame({"query_id": ids, "doc_id": ids, "relevance": [1] * 2000})
    found = {
        hit_rates(ranked.sample(fraction=1, shuffle=True, seed=s), qrels, 2000)["mrr@10"] for s in range(9)
    }
    assert len(found) == 1
