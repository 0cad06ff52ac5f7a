"""minerkit's negatives are the peer's, but for the leaks listed here."""

import polars as pl
import pytest

from bench.parity import compare, peer, recipe
from minerkit.pipeline import commands as pipeline


@pytest.fixture(scope="module")
def small_corpus(sample_pairs, tmp_path_factory) -> pl.DataFrame:
    """Pairs, some questions with two answers, and spellings of a positive planted elsewhere."""
    base = sample_pairs.head(220)
    first = base.row(0, named=True)
    planted = pl.DataFrame(
        {
            "query": ["what else is known about this", "what was said before", "how is it put in capitals"],
            "positive": [f"{first['positive']} ", first["query"], first["positive"].upper()],
        }
    )
    return pl.concat([base, planted])


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
def test_negatives_equal_the_peers_wherever_it_fills_a_query(small_corpus, minilm, tmp_path, rules):
    file = tmp_path / "pairs.parquet"
    small_corpus.write_parquet(file)
    spec = recipe(file, "query", "positive", minilm, rules)
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    counts, found = compare(run, spec, peer(small_corpus, spec, tmp_path))
    assert counts["mismatch"] == 0, found
    assert counts["equal"] > 100 or "max_score" in rules


def test_the_peers_known_leaks_are_these(small_corpus, minilm, tmp_path):
    """With no margin the peer takes spellings of the positive, and the question's own text, as negatives."""
    file = tmp_path / "pairs.parquet"
    small_corpus.write_parquet(file)
    spec = recipe(file, "query", "positive", minilm, {"range_max": 10, "negatives": 5})
    run = pipeline.mine(spec, tmp_path / "run", "cpu")
    theirs = peer(small_corpus, spec, tmp_path)
    first = small_corpus.row(0, named=True)
    taken = theirs.filter((pl.col("query") == first["query"]) & (pl.col("label") == 0))["document"].to_list()
    assert {f"{first['positive']} ", first["query"], first["positive"].upper()} <= set(taken)
    counts, found = compare(run, spec, theirs)
    assert counts["leak"] >= 1
    assert found.filter(pl.col("kind") == "mismatch").is_empty()
    ours = run.read("train.parquet").filter((pl.col("query") == first["query"]) & (pl.col("label") == 0))
    assert not {first["query"], first["positive"].upper()} & set(ours["positive"])
