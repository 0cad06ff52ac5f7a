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

NO_EXCLUSIONS = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String, "reason": pl.String})


def random_split(seed: int, n: int, m: int) -> tuple[SplitQueries, pl.DataFrame, np.ndarray]:
    """Random queries and documents, with one to three positives a query: split, qrels, exact scores."""
    rng = np.random.default_rng(seed)
    queries, documents = (rng.standard_normal((size, 6)).astype(np.float32) for size in (n, m))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    ids = [f"q{i:03}" for i in range(n)], [f"d{i:03}" for i in range(m)]
    pairs = {(ids[0][q], ids[1][d]) for q in range(n) for d in rng.integers(0, m, rng.integers(1, 4))}
    qrels = pl.DataFrame(sorted(pairs), schema=["query_id", "doc_id"], orient="row").with_columns(relevance=1)
    vectors = Vectors.of(queries), Vectors.of(documents)
    split = split_queries(ids[0], vectors[0], ids[1], vectors[1], qrels)
    return split, qrels, np.round(queries.astype(np.float64) @ documents.astype(np.float64).T, 6)


def split_queries(
    query_ids, query_vectors, doc_ids, documents, qrels, excluded=NO_EXCLUSIONS, rules=None
) -> SplitQueries:
    return SplitQueries.of(
        pl.Series(query_ids),
        query_vectors,
        pl.Series(doc_ids),
        ExactIndex(documents),
        qrels,
        excluded,
        rules or Mine(),
    )


def retrieve(
    queries: SplitQueries, qrels: pl.DataFrame, excluded: pl.DataFrame, rules: Mine, needed
) -> pl.DataFrame:
    """Retrieve the candidates, by id, of the same queries with other qrels, exclusions and rules."""
    split = with_pairs(queries, qrels, excluded, rules)
    split = replace(split, needed=np.asarray(needed), single_pass=queries.single_pass)
    return split.to_ids(module.retrieve(split, rules))


def with_pairs(queries: SplitQueries, qrels, excluded=NO_EXCLUSIONS, rules=None) -> SplitQueries:
    """The same queries and documents with other qrels, exclusions and rules."""
    return split_queries(
        queries.query_ids,
        queries.query_vectors,
        queries.doc_ids,
        queries.index.documents,
        qrels,
        excluded,
        rules,
    )


@given(
    seed=st.integers(0, 3000),
    margin=st.sampled_from([0.0, 0.1, 0.4]),
    keep=st.sampled_from([1, 4, 50]),
    single_pass=st.booleans(),
)
def test_every_query_gets_its_eligible_documents_while_there_are_any(seed, margin, keep, single_pass):
    queries, qrels, scores = random_split(seed, 6, 40)
    queries = replace(queries, single_pass=single_pass)
    rules = Mine.model_validate({"relative_margin": margin, "keep": keep})
    rng = np.random.default_rng(seed)
    excluded_pairs = {
        (f"q{q:03}", f"d{d:03}") for q, d in zip(rng.integers(0, 6, 8), rng.integers(0, 40, 8), strict=True)
    }
    excluded_pairs -= set(qrels.select("query_id", "doc_id").rows())
    excluded = pl.DataFrame(
        [(*pair, "near_duplicate") for pair in sorted(excluded_pairs)],
        schema=NO_EXCLUSIONS.schema,
        orient="row",
    )
    found = retrieve(queries, qrels, excluded, rules, np.full(6, 5))
    filtered = filter_false_negatives(found, excluded, rules)
    for row in range(6):
        query = f"q{row:03}"
        positives = {int(d[1:]) for q, d in qrels.select("query_id", "doc_id").rows() if q == query}
        limit = thresholds(np.array([min(scores[row, d] for d in positives)]), rules)["relative_margin"][0]
        order = [d for d in np.argsort(-scores[row], kind="stable") if d not in positives]
        eligible = [d for d in order if scores[row, d] <= limit and (query, f"d{d:03}") not in excluded_pairs]
        accepted = filtered.filter((pl.col("query_id") == query) & pl.col("reason").is_null())
        assert accepted["doc_id"].to_list()[:5] == [f"d{d:03}" for d in eligible[:5]]
        others = found.filter(
            (pl.col("query_id") == query) & (pl.col("relevance") == 0) & pl.col("rank").is_not_null()
        )
        ranked = others.sort("rank").select("doc_id", "rank").rows()
        assert ranked[:keep] == [(f"d{d:03}", rank) for rank, d in enumerate(order[:keep], 1)]


@pytest.mark.slow
@given(seed=st.integers(0, 3000), most_need=st.integers(1, 40))
def test_one_pass_and_two_passes_find_the_same_candidates(seed, most_need):
    queries, qrels, _ = random_split(seed, 9, 60)
    rules, needed = Mine.model_validate({"relative_margin": 0.1, "keep": 3}), np.full(9, most_need)
    needed[:4] = np.random.default_rng(seed).integers(1, 60, 4)
    one_pass, two_passes = (
        retrieve(replace(queries, single_pass=single_pass), qrels, NO_EXCLUSIONS, rules, needed)
        for single_pass in (True, False)
    )
    assert one_pass.equals(two_passes)


def test_positives_are_scored_whether_retrieved_or_not():
    queries, qrels, _ = random_split(5, 6, 40)
    found = retrieve(queries, qrels, NO_EXCLUSIONS, Mine.model_validate({"keep": 1}), np.full(6, 1))
    positives = found.filter(pl.col("relevance") > 0)
    assert set(positives.select("query_id", "doc_id").rows()) == set(
        qrels.select("query_id", "doc_id").rows()
    )
    assert positives["score"].is_finite().all()


def test_rank_range_is_searched_beyond_keep():
    queries, qrels, _ = random_split(7, 6, 40)
    rules = Mine.model_validate({"absolute_margin": 0.3, "range_max": 20, "keep": 2, "shortfall": "keep"})
    deep = retrieve(queries, qrels, NO_EXCLUSIONS, rules, np.full(6, 5))
    wide = retrieve(queries, qrels, NO_EXCLUSIONS, rules.model_copy(update={"keep": 40}), np.full(6, 5))

    def eligible(frame: pl.DataFrame) -> list[tuple]:
        filtered = filter_false_negatives(frame, NO_EXCLUSIONS, rules).filter(pl.col("reason").is_null())
        return filtered.select("query_id", "doc_id", "rank").rows()

    assert eligible(deep) == eligible(wide)


def test_documents_judged_irrelevant_are_candidates_wherever_they_rank():
    queries, qrels, scores = random_split(7, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    worst = [f"d{np.argmin(scores[row]):03}" for row in range(6)]
    best = [
        next(f"d{d:03}" for d in np.argsort(-scores[row]) if (f"q{row:03}", f"d{d:03}") not in positives)
        for row in range(6)
    ]
    rows = [(f"q{row:03}", doc, 0) for row in range(6) for doc in (worst[row], best[row])]
    rows = [row for row in rows if row[:2] not in positives]
    with_irrelevant = pl.concat([qrels, pl.DataFrame(rows, schema=qrels.schema, orient="row")])
    found = retrieve(queries, with_irrelevant, NO_EXCLUSIONS, Mine.model_validate({"keep": 3}), np.full(6, 1))
    marked = found.filter(pl.col("source") == "judged")
    assert set(marked.select("query_id", "doc_id").rows()) == {row[:2] for row in rows}
    assert marked.filter(pl.col("doc_id").is_in(best))["rank"].drop_nulls().to_list().count(1) == 6
    assert found.select("query_id", "doc_id").is_unique().all()
    for query, doc, score in marked.select("query_id", "doc_id", "score").rows():
        assert abs(score - scores[int(query[1:]), int(doc[1:])]) < 1e-6
    rules = Mine.model_validate({"keep": 3, "judged": False})
    unmarked = retrieve(queries, with_irrelevant, NO_EXCLUSIONS, rules, np.full(6, 1))
    assert set(unmarked["source"]) == {"dense"}


@pytest.mark.parametrize("rules", [{}, {"range_max": 6, "shortfall": "keep"}, {"keep": 2}], ids=str)
@pytest.mark.parametrize("sizes", [[30], [1] * 30, [7, 16, 7]], ids=["whole", "one by one", "uneven"])
@pytest.mark.parametrize("needed", [[4], [4, 1, 9]], ids=["all need as many", "some need more"])
def test_shards_of_a_split_get_the_candidates_of_the_whole(rules, sizes, needed):
    queries, qrels, _ = random_split(11, 30, 60)
    rules = Mine.model_validate({"relative_margin": 0.1, "negatives": 4, "keep": 5, **rules})
    excluded = pl.DataFrame(
        [(f"q{q:03}", f"d{d:03}", "near_duplicate") for q in range(30) for d in range(q % 4, 60, 11)],
        schema=NO_EXCLUSIONS.schema,
        orient="row",
    ).join(qrels, on=["query_id", "doc_id"], how="anti")
    irrelevant = pl.DataFrame({"query_id": ["q003", "q021"], "doc_id": ["d000", "d001"], "relevance": [0, 0]})
    irrelevant = irrelevant.cast(qrels.schema).join(qrels, on=["query_id", "doc_id"], how="anti")
    qrels = pl.concat([qrels, irrelevant])
    needed = np.resize(needed, 30)
    whole = retrieve(queries, qrels, excluded, rules, needed)
    split = replace(with_pairs(queries, qrels, excluded, rules), needed=needed)
    shards, start = [], 0
    for size in sizes:
        shard = split.subset(np.arange(start, start + size))
        shards.append(shard.to_ids(module.retrieve(shard, rules)))
        start += size
    assert pl.concat(shards).equals(whole)


def test_candidates_are_sorted_by_query_and_score_with_positives_before_equal_scores():
    eye = np.eye(2, dtype=np.float32)
    documents = np.vstack([eye[0], eye[1], eye[0], eye[0]])
    qrels = pl.DataFrame({"query_id": ["q0", "q1"], "doc_id": ["d2", "d0"]}).with_columns(relevance=1)
    ids = [f"d{i}" for i in range(4)]
    queries = split_queries(["q0", "q1"], Vectors.of(eye), ids, Vectors.of(documents), qrels)
    rules = Mine.model_validate({"relative_margin": None, "keep": 4})
    found = retrieve(queries, qrels, NO_EXCLUSIONS, rules, np.full(2, 1))
    assert found.select("query_id", "doc_id", "rank").rows() == [
        ("q0", "d2", 1), ("q0", "d0", 1), ("q0", "d3", 2), ("q0", "d1", 3),
        ("q1", "d1", 1), ("q1", "d0", 2), ("q1", "d2", 2), ("q1", "d3", 3),
    ]  # fmt: skip
