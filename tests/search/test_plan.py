from types import SimpleNamespace

import numpy as np
import pytest

from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import finished
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Search
from minerkit.search import ExactIndex, Hits, Request
from minerkit.search import plan as tuning
from minerkit.search.decimals import exact_scores
from minerkit.search.ivf import InvertedLists
from minerkit.search.plan import Plan, recall, tune_search
from minerkit.search.request import Pairs
from tests.search.test_ivf import topics


@pytest.fixture(scope="module")
def index() -> ExactIndex:
    return ExactIndex(topics(1, 3000))


def asked(k: int) -> list[Request]:
    queries = topics(2, 300)
    ceilings = np.random.default_rng(4).uniform(0.2, 0.7, 300)
    return [Request(queries, k, Pairs.empty()), Request(queries, 3, Pairs.empty(), ceilings)]


def test_queries_are_drawn_from_all(monkeypatch):
    assert tuning.draw_sample(5).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(tuning, "SAMPLE", 3)
    rows = tuning.draw_sample(1000)
    assert rows.tolist() == tuning.draw_sample(1000).tolist() == sorted(set(rows.tolist())) and len(rows) == 3


def test_exact_is_exact(index):
    plan = tune_search(index, asked(10), 300, Search(mode="exact"))
    assert plan == Plan("exact", plan.single_pass) and plan.searcher(index) is index
    assert plan.facts() == {"mode": "exact", "recall": 1.0}


def test_a_search_that_takes_no_time_is_exact(index):
    assert tune_search(index, asked(10), 300, Search(mode="auto")).mode == "exact"


@pytest.mark.parametrize("target", [0.5, 0.9, 1.0])
def test_effort_rises_until_the_target_is_met(index, target):
    queries = topics(2, 300)
    plan = tune_search(
        index, [Request(queries, 10, Pairs.empty())], 300, Search(mode="ann", recall_target=target)
    )
    assert plan.mode == "ann" and plan.recall >= target
    asked = Request(queries, 10, Pairs.empty())
    assert recall(plan.searcher(index).top(asked), index.top(asked)) == plan.recall
    assert plan.facts()["probes"] == plan.probes >= 1


def test_a_higher_target_takes_more_probes(index):
    plans = [
        tune_search(index, asked(10), 300, Search(mode="ann", recall_target=share)) for share in (0.3, 1.0)
    ]
    assert plans[0].probes < plans[1].probes


def test_auto_takes_lists_only_where_they_save_time(index, monkeypatch):
    monkeypatch.setattr(tuning, "EXACT_SECONDS", 0.0)
    clock = iter(np.cumsum([0.0, 0.0, 0.0, 100.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).tolist())
    monkeypatch.setattr(tuning, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert tune_search(index, asked(10), 300, Search(recall_target=0.5)).mode == "ann"
    clock = iter(np.cumsum([0.0, 0.0, 0.0, 1.0, 0.0, 100.0, 1.0, 1.0]).tolist())
    assert tune_search(index, asked(10), 300, Search(recall_target=0.5)).mode == "exact"


def test_compiling_is_not_taken_for_searching(index, monkeypatch):
    clock, seen = [0.0], set()
    monkeypatch.setattr(tuning, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    search = ExactIndex.search

    def slow_at_first(self: ExactIndex, *requests: Request):
        clock[0] += 0.001 if seen else 1000.0
        seen.add(len(requests[0]))
        return search(self, *requests)

    monkeypatch.setattr(ExactIndex, "search", slow_at_first)
    assert tune_search(index, asked(10), 300, Search(mode="auto")).mode == "exact"


def test_a_plan_comes_back_from_its_tables(index):
    plan = tune_search(index, asked(10), 300, Search(mode="ann", recall_target=0.9))
    search_again = Plan.of(plan.frames(), index.documents.dim)
    assert search_again.facts() == plan.facts()
    assert isinstance(search_again.searcher(index), InvertedLists)
    assert (search_again.found.centroids == plan.found.centroids).all()
    assert (search_again.found.list_of == plan.found.list_of).all()
    for single_pass in (True, False):
        assert Plan.of(Plan("exact", single_pass).frames(), 48) == Plan("exact", single_pass)


@pytest.mark.parametrize("mode", ["auto", "exact"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("how", ["ceilings", "excluded"])
def test_all_is_asked_together_where_the_best_leave_many_queries_short(index, mode, share, how):
    best = Request(topics(2, 300), 10, Pairs.empty())
    hits, few = index.top(best), np.arange(300) < 300 * share
    # Of the ten best, three are to be left: enough for three, too few for those of whom only two are.
    scores = exact_scores(hits.scores)
    ceilings = np.where(few, scores[:, 8], scores[:, 7]) if how == "ceilings" else None
    documents = hits.documents[:, :8].ravel()
    keep = np.tile(np.arange(8) < 7, 300) | np.repeat(few, 8)
    excluded = Pairs.of(np.repeat(np.arange(300), 8)[keep], documents[keep])
    below = Request(best.queries, 3, Pairs.empty() if how == "ceilings" else excluded, ceilings)
    assert tune_search(index, [best, below], 300, Search(mode=mode)).single_pass == (
        share >= tuning.SINGLE_PASS_SHARE
    )
    assert not tune_search(index, [best], 300, Search(mode=mode)).single_pass


def test_recall_counts_what_there_was_to_find():
    best = Hits(np.array([[1, 2], [3, -1]]), np.zeros((2, 2), np.float32))
    hits = Hits(np.array([[2, 5], [3, -1]]), np.zeros((2, 2), np.float32))
    assert recall(hits, best) == pytest.approx(2 / 3)
    assert recall(Hits.empty(2, 2), Hits.empty(2, 2)) == 1.0


@pytest.mark.slow
def test_an_approximate_run_says_so_and_fills_every_query(tmp_path):
    exact = pipeline.mine(load_recipe("ai-ir", sample=True), tmp_path / "exact", "cpu")
    spec = load_recipe("ai-ir", {"search.mode": "ann", "search.recall_target": 0.8}, sample=True)
    run = pipeline.mine(spec, tmp_path / "ann", "cpu")
    assert finished.audit_run(tmp_path / "ann") == []
    facts = run.read_json("manifest.json")["search"]
    assert facts["mode"] == "ann" and facts["recall"] >= 0.8 and facts["probes"] > 0
    assert len(run.read("negatives.parquet")) == len(exact.read("negatives.parquet"))
