import numpy as np
import polars as pl

from minerkit.embeddings.vectors import Vectors
from minerkit.evaluation import encoder_ranking as module
from minerkit.evaluation.encoder_ranking import hit_rates
from minerkit.mining.split_queries import SplitQueries
from tests.mining.test_candidates import NOTHING, split_queries, world


def rankings(queries: SplitQueries, without: pl.DataFrame, depth: int) -> pl.DataFrame:
    return module.rankings(queries.query_ids, queries.queries, queries.doc_ids, queries.index, without, depth)


def test_hit_rates_count_the_first_positive():
    eye = np.eye(4, dtype=np.float32)
    documents = np.vstack([eye, eye * 0.5]).astype(np.float32)
    qrels = pl.DataFrame(
        {"query_id": ["q0", "q1", "q1"], "doc_id": ["d0", "d5", "d3"], "relevance": [1, 1, 1]}
    )
    doc_ids = [f"d{i}" for i in range(8)]
    queries = split_queries(["q0", "q1"], Vectors.of(eye[:2]), doc_ids, Vectors.of(documents), qrels)
    rates = hit_rates(rankings(queries, qrels.clear(), depth=8), qrels, 2, depth=8)
    assert rates == {"accuracy@1": 0.5, "accuracy@10": 1.0, "accuracy@8": 1.0, "mrr@10": 0.75}


def test_rankings_hold_all_documents_and_force_none_in():
    queries, _, scores = world(9, 6, 40)
    ranked = rankings(queries, NOTHING, depth=7)
    assert ranked["query_id"].to_list() == [f"q{row:03}" for row in range(6) for _ in range(7)]
    assert ranked["rank"].to_list() == [*range(1, 8)] * 6
    for row in range(6):
        order = np.argsort(-scores[row], kind="stable")[:7]
        mine = ranked.filter(pl.col("query_id") == f"q{row:03}")
        assert mine["doc_id"].to_list() == [f"d{d:03}" for d in order]
        assert np.allclose(mine["score"], scores[row, order], atol=1e-6)


def test_rankings_leave_out_what_a_query_is_not_to_find():
    queries, qrels, _ = world(3, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    others = [(f"q{q:03}", f"d{d:03}") for q in range(6) for d in range(40)]
    without = pl.DataFrame(
        [pair for pair in others if pair not in positives], schema=["query_id", "doc_id"], orient="row"
    )
    ranked = rankings(queries, without, depth=3)
    assert set(ranked.select("query_id", "doc_id").rows()) <= positives
    assert hit_rates(ranked, qrels, 6, depth=3)["accuracy@1"] == 1.0


def test_hit_rates_are_the_same_to_the_last_digit_in_any_order():
    ranks = np.random.default_rng(4).integers(1, 11, 2000)
    ids = [f"q{i}" for i in range(2000)]
    ranked = pl.DataFrame({"query_id": ids, "doc_id": ids, "rank": ranks})
    qrels = pl.DataFrame({"query_id": ids, "doc_id": ids, "relevance": [1] * 2000})
    found = {
        hit_rates(ranked.sample(fraction=1, shuffle=True, seed=s), qrels, 2000)["mrr@10"] for s in range(9)
    }
    assert len(found) == 1
