"""minerkit and the peer choose the same negatives, except for known leaks of the peer."""

import polars as pl
import pytest

from bench.parity import compare_negatives, peer, recipe
from minerkit.pipeline import commands as pipeline


@pytest.fixture(scope="module")
def small_corpus(sample_pairs, tmp_path_factory) -> pl.DataFrame:
    """Pairs, some questions with two answers, and spelling variants of a positive as other documents."""
    base = sample_pairs.head(220)
    first = base.row(0, named=True)
    variants = pl.DataFrame(
        {
            "query": ["what else is known about this", "what was said before", "how is it put in capitals"],
            "positive": [f"{first['positive']} ", first["query"], first["positive"].upper()],
        }
    )
    return pl.concat([base, variants])


CASES = [
    {"relative_margin": 0.05, "range_max": 100, "negatives": 5},
    {"absolute_margin": 0.0, "range_max": 20, "negatives": 3},
    {"relative_margin": 0.1, "range_max": 30, "range_min": 4, "negatives": 4},
    {"absolute_margin": 0.1, "max_score": 0.5, "min_score": 0.1, "range_max": 60, "negatives": 5},
    {"range_max": 10, "negatives": 5},
]


@pytest.mark.parametrize(
    "rules", [CASES[1], *(pytest.param(case, marks=pytest.mark.slow) for case in (CASES[0], *CASES[2:]))]
)
def test_negatives_equal_the_peers_for_queries_that_it_fills(small_corpus, minilm, tmp_path, rules):
    file = tmp_path / "pairs.parquet"
    small_corpus.write_parquet(file)
    spec = recipe(file, "query", "positive", minilm, rules)
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    counts, differences = compare_negatives(run, spec, peer(small_corpus, spec, tmp_path))
    assert counts["mismatch"] == 0, differences
    assert counts["equal"] > 100 or "max_score" in rules


@pytest.mark.slow
def test_leaks_of_the_peer_are_recognised(small_corpus, minilm, tmp_path):
    """Without a margin the peer takes spelling variants of the positive and of the question as negatives."""
    file = tmp_path / "pairs.parquet"
    small_corpus.write_parquet(file)
    spec = recipe(file, "query", "positive", minilm, {"range_max": 10, "negatives": 5})
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    peer_rows = peer(small_corpus, spec, tmp_path)
    first = small_corpus.row(0, named=True)
    leaks = peer_rows.filter((pl.col("query") == first["query"]) & (pl.col("label") == 0))["document"]
    assert {f"{first['positive']} ", first["query"], first["positive"].upper()} <= set(leaks)
    counts, differences = compare_negatives(run, spec, peer_rows)
    assert counts["leak"] >= 1
    assert differences.filter(pl.col("verdict") == "mismatch").is_empty()
    ours = run.read("train.parquet").filter((pl.col("query") == first["query"]) & (pl.col("label") == 0))
    assert not {first["query"], first["positive"].upper()} & set(ours["positive"])
