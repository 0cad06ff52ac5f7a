import itertools

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.mining.sampling import count_needed_candidates, sample_negatives
from minerkit.recipe.recipe import Mine


def filtered(queries: dict[str, list[tuple[float, str | None]]]) -> pl.DataFrame:
    """Filtered candidates, from query -> (score, reason) of its candidates d0, d1, ..., best first."""
    rows = [
        (query, f"d{index}", index + 1, score, reason)
        for query, candidates in queries.items()
        for index, (score, reason) in enumerate(candidates)
    ]
    frame = pl.DataFrame(rows, schema=["query_id", "doc_id", "rank", "score", "reason"], orient="row")
    return frame.with_columns(
        source=pl.lit("dense"), pos_score=pl.lit(0.9), reason=pl.col("reason").cast(pl.String)
    )


def counts(**positives: int) -> pl.DataFrame:
    return pl.DataFrame({"query_id": list(positives), "positives": list(positives.values())})


def draw(frame: pl.DataFrame, positives: pl.DataFrame, **rules) -> tuple[dict[str, list[str]], pl.DataFrame]:
    negatives, accounts = sample_negatives(frame, positives, Mine.model_validate(rules))
    return dict(negatives.group_by("query_id", maintain_order=True).agg("doc_id").rows()), accounts


FIVE = {"q": [(0.8, None), (0.7, "near_duplicate"), (0.6, None), (0.5, None), (0.4, None)]}


def test_top_takes_the_hardest_eligible():
    assert draw(filtered(FIVE), counts(q=1), negatives=2)[0] == {"q": ["d0", "d2"]}


def test_range_min_skips_the_hardest_eligible():
    assert draw(filtered(FIVE), counts(q=1), negatives=2, range_min=1)[0] == {"q": ["d2", "d3"]}


def test_a_random_draw_is_seeded_and_stays_within_keep():
    frame = filtered({"q": [(1 - i / 100, None) for i in range(60)]})
    first, again, other = (
        draw(frame, counts(q=1), strategy="random", negatives=5, seed=s, keep=20)[0] for s in (1, 1, 2)
    )
    assert first == again != other
    assert all(int(doc[1:]) < 20 for doc in first["q"] + other["q"])


def test_the_random_draw_of_a_query_does_not_depend_on_other_queries():
    pool = [(1 - i / 100, None) for i in range(40)]
    single = draw(filtered({"q": pool}), counts(q=1), strategy="random")[0]["q"]
    among_others = draw(filtered({"a": pool, "q": pool}), counts(a=1, q=1), strategy="random")[0]["q"]
    assert single == among_others


def test_a_random_draw_takes_every_candidate_equally_often():
    frame = filtered({f"q{i:03}": [(1 - d / 100, None) for d in range(10)] for i in range(400)})
    found, _ = draw(frame, counts(**{f"q{i:03}": 1 for i in range(400)}), strategy="random", negatives=5)
    times = [sum(f"d{d}" in docs for docs in found.values()) for d in range(10)]
    assert min(times) > 150 and max(times) < 250  # 200 expected, standard deviation 10


SHORT = {
    "q": [(0.8, None), (0.7, "relative_margin"), (0.6, "rank_range"), (0.5, "rank_range")],
    "r": FIVE["q"],
}


def test_shortfall_keep_leaves_a_query_short():
    found, accounts = draw(filtered(SHORT), counts(q=1, r=1), negatives=3, shortfall="keep")
    assert found == {"q": ["d0"], "r": ["d0", "d2", "d3"]}
    assert not accounts["dropped"].any()


def test_shortfall_backfill_fills_from_below_the_range_and_marks_it():
    negatives, _ = sample_negatives(filtered(SHORT), counts(q=1, r=1), Mine.model_validate({"negatives": 3}))
    of_short_query = negatives.filter(pl.col("query_id") == "q")
    assert of_short_query.select("doc_id", "fill").rows() == [
        ("d0", "mined"),
        ("d2", "backfill"),
        ("d3", "backfill"),
    ]


def test_backfill_never_takes_a_suspected_positive():
    frame = filtered(
        {"q": [(0.8, None), (0.7, "relative_margin"), (0.6, "near_duplicate"), (0.5, "max_score")]}
    )
    found, accounts = draw(frame, counts(q=1), negatives=2)
    assert found == {}
    assert accounts.rows() == [("q", 1, 2, True)]


def test_shortfall_drop_drops_the_query():
    found, accounts = draw(filtered(SHORT), counts(q=1, r=1), negatives=3, shortfall="drop")
    assert found == {"r": ["d0", "d2", "d3"]}
    assert accounts.filter("dropped")["query_id"].to_list() == ["q"]


@given(
    ratio=st.sampled_from([0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 0.4, 0.5, 0.7]),
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), min_size=1, max_size=12),
)
def test_positive_ratio_is_exact_over_the_queries_kept(ratio, sizes):
    frame = filtered({f"q{i}": [(0.9 - d / 100, None) for d in range(n)] for i, (_, n) in enumerate(sizes)})
    if frame.is_empty():
        return
    negatives, accounts = sample_negatives(
        frame,
        counts(**{f"q{i}": p for i, (p, _) in enumerate(sizes)}),
        Mine.model_validate({"positive_ratio": ratio, "shortfall": "drop"}),
    )
    kept = accounts.filter(~pl.col("dropped"))["query_id"].to_list()
    positives = sum(p for i, (p, _) in enumerate(sizes) if f"q{i}" in kept)
    assert len(negatives) == int(positives * (1 - ratio) / ratio + 0.5 + 1e-9)
    assert set(negatives["query_id"]) <= set(kept)


def test_a_positive_ratio_of_a_fifth_gives_four_negatives_per_positive():
    frame = filtered({"q": [(0.9 - d / 100, None) for d in range(20)]})
    assert len(draw(frame, counts(q=3), positive_ratio=0.2)[0]["q"]) == 12


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, [5, 5]),
        ({"range_min": 3}, [8, 8]),
        ({"strategy": "random"}, [50, 50]),
        ({"positive_ratio": 0.2}, [4, 12]),
    ],
)
def test_as_many_candidates_are_needed_as_the_draw_takes_them_from(rules, expected):
    assert (
        count_needed_candidates(pl.Series([1, 3]).to_numpy(), Mine.model_validate(rules)).tolist() == expected
    )


@given(
    ratio=st.sampled_from([0.1, 0.15, 0.2, 0.3, 1 / 3, 0.4, 0.7]),
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), min_size=2, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=3),
    strategy=st.sampled_from(["top", "random"]),
)
def test_shards_get_the_negatives_of_the_whole_split(ratio, sizes, cuts, strategy):
    rules = Mine.model_validate({"positive_ratio": ratio, "shortfall": "drop", "strategy": strategy})
    frame = filtered(
        {f"q{i:02}": [(0.9 - d / 100, None) for d in range(n)] for i, (_, n) in enumerate(sizes)}
    )
    if frame.is_empty():
        return
    positives = counts(**{f"q{i:02}": p for i, (p, _) in enumerate(sizes)})
    whole, accounts = sample_negatives(frame, positives, rules)
    bounds = [0, *sorted(min(cut, len(sizes)) for cut in cuts), len(sizes)]
    positives_before, sampled = 0, []
    for start, end in itertools.pairwise(bounds):
        queries = positives[start:end]
        shard = frame.filter(pl.col("query_id").is_in(queries["query_id"].implode()))
        sampled.append(sample_negatives(shard, queries, rules, positives_before))
        positives_before += int(queries.filter(~sampled[-1][1]["dropped"])["positives"].sum())
    assert pl.concat(negatives for negatives, _ in sampled).equals(whole)
    assert pl.concat(account for _, account in sampled).equals(accounts)
