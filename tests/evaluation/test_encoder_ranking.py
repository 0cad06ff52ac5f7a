import numpy as np
import polars as pl

from minerkit.embeddings.vectors import Vectors
from minerkit.evaluation.encoder_ranking import rank_documents, ranking_metrics
from minerkit.mining.split_queries import SplitQueries
from tests.mining.test_candidates import NO_EXCLUSIONS, random_split, split_queries


def ranked_by(queries: SplitQueries, excluded: pl.DataFrame, depth: int) -> pl.DataFrame:
    return rank_documents(
        queries.query_ids, queries.query_vectors, queries.doc_ids, queries.index, excluded, depth
    )


def test_metrics_count_the_best_ranked_positive():
    eye = np.eye(4, dtype=np.float32)
    documents = np.vstack([eye, eye * 0.5]).astype(np.float32)
    qrels = pl.DataFrame(
        {"query_id": ["q0", "q1", "q1"], "doc_id": ["d0", "d5", "d3"], "relevance": [1, 1, 1]}
    )
    doc_ids = [f"d{i}" for i in range(8)]
    queries = split_queries(["q0", "q1"], Vectors.of(eye[:2]), doc_ids, Vectors.of(documents), qrels)
    metrics = ranking_metrics(ranked_by(queries, qrels.clear(), depth=8), qrels, 2, depth=8)
    assert metrics == {"accuracy@1": 0.5, "accuracy@10": 1.0, "accuracy@8": 1.0, "mrr@10": 0.75}


def test_rankings_hold_the_best_documents_and_add_no_positives():
    queries, _, scores = random_split(9, 6, 40)
    ranked = ranked_by(queries, NO_EXCLUSIONS, depth=7)
    assert ranked["query_id"].to_list() == [f"q{row:03}" for row in range(6) for _ in range(7)]
    assert ranked["rank"].to_list() == [*range(1, 8)] * 6
    for row in range(6):
        order = np.argsort(-scores[row], kind="stable")[:7]
        ranking = ranked.filter(pl.col("query_id") == f"q{row:03}")
        assert ranking["doc_id"].to_list() == [f"d{d:03}" for d in order]
        assert np.allclose(ranking["score"], scores[row, order], atol=1e-6)


def test_rankings_leave_out_excluded_documents():
    queries, qrels, _ = random_split(3, 6, 40)
    positives = set(qrels.select("query_id", "doc_id").rows())
    pairs = [(f"q{q:03}", f"d{d:03}") for q in range(6) for d in range(40)]
    excluded = pl.DataFrame(
        [pair for pair in pairs if pair not in positives], schema=["query_id", "doc_id"], orient="row"
    )
    ranked = ranked_by(queries, excluded, depth=3)
    assert set(ranked.select("query_id", "doc_id").rows()) <= positives
    assert ranking_metrics(ranked, qrels, 6, depth=3)["accuracy@1"] == 1.0


def test_metrics_do_not_depend_on_the_order_of_rows():
    ranks = np.random.default_rng(4).integers(1, 11, 2000)
    ids = [f"q{i}" for i in range(2000)]
    ranked = pl.DataFrame({"query_id": ids, "doc_id": ids, "rank": ranks})
    qrels = pl.DataFrame({"query_id": ids, "doc_id": ids, "relevance": [1] * 2000})
    values = {
        ranking_metrics(ranked.sample(fraction=1, shuffle=True, seed=s), qrels, 2000)["mrr@10"]
        for s in range(9)
    }
    assert len(values) == 1
