"""Every sentence for the terminal: one that holds for some runs is there when it is so, and else is not."""

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from minerkit.reports.stats.run_summary import summarise_run
from minerkit.reports.terminal.evaluation import render_comparison
from minerkit.reports.terminal.ingest import render_ingest
from minerkit.reports.terminal.run_stats import render_run_stats
from minerkit.reports.terminal.run_summary import render_run_summary
from minerkit.reports.terminal.tables import render_details, render_profile
from minerkit.reports.terminal.training import render_training
from tests.support.made_stats import made_stats, without_dev


def shown(found: RenderableType) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found)
    return re.sub(r"[ \n]+", " ", console.export_text())


def there_and_absent(words: str, there: list[str], absent: list[str]) -> None:
    assert there and all(words in text for text in there)
    assert not [text for text in absent if words in text]


# --- ingest ----------------------------------------------------------------------------------------------

SPLIT = {"queries": 3, "documents": 7, "groups": 2}
EMPTY = {"queries": 0, "documents": 0, "groups": 0}
INTAKE = {
    "rows": 9, "queries": 5, "documents": 9, "positives": 5, "judged_negatives": 0, "partly_relevant": 0,
    "unjudged_documents": 0, "groups": 0, "splits": {"train": SPLIT, "dev": EMPTY}, "rejected": [],
    "pairs": [{"query": "a", "positive": "b"}],
}  # fmt: skip
DEV = {"splits": {"train": SPLIT, "dev": {"queries": 2, "documents": 2, "groups": 1}}}
BAD = {"rejected": [{"rows": 2, "reason": "not JSON", "first": "a:1"}]}


def ingest(**changes: Any) -> str:
    return shown(render_ingest({**INTAKE, **changes}, "run"))


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("judged negatives 4", [ingest(judged_negatives=4)], []),
        ("judged negatives", [ingest(judged_negatives=4)], [ingest()]),
        ("partly relevant", [ingest(partly_relevant=4)], [ingest()]),
        ("documents without a query", [ingest(unjudged_documents=4)], [ingest()]),
        ("groups 3", [ingest(groups=3)], [ingest()]),
        ("groups 3 (2 train, 1 dev)", [ingest(groups=3, **DEV)], [ingest(groups=3)]),
        ("queries 5 (3 train, 2 dev)", [ingest(**DEV)], [ingest()]),
        ("What was rejected", [ingest(**BAD)], [ingest()]),
        ("2 not JSON a:1", [ingest(**BAD)], [ingest()]),
        ("1 random pairs", [ingest()], [ingest(pairs=[])]),
    ],
)
def test_an_ingest_says_what_there_was(words, there, absent):
    there_and_absent(words, there, absent)


# --- the account of a run --------------------------------------------------------------------------------


def account(stats: dict[str, Any] | None = None, **changes: Any) -> str:
    found = stats or made_stats(**changes)
    return shown(render_run_stats(found, "run")) + shown(render_details(found))


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("skipped by relative_margin 3 3", [account()], [account(splits__train__skipped={})]),
        ("skipped by", [account()], [account(splits__train__skipped={}, splits__dev__skipped={})]),
        ("dropped for too few 4 0", [account(splits__train__dropped_queries=4)], [account()]),
        ("backfilled 2 0", [account(splits__train__backfilled=2)], [account()]),
        ("; rejected: 1 duplicate pair", [account()], [account(rejected=[])]),
        ("Search: exact, recall 1.000", [account()], [account(search={"mode": "ann", "recall": 0.99})]),
        ("Search: ann, recall 0.990", [account(search={"mode": "ann", "recall": 0.99})], [account()]),
        ("chosen, those that fill gaps included", [account(splits__train__backfilled=2)], [account()]),
        ("Texts in both splits: 0 queries, 0 documents", [account()], [account(without_dev())]),
        ("stored, positives left out", [account()], []),
    ],
)
def test_the_account_of_a_run_says_what_was_so(words, there, absent):
    there_and_absent(words, there, absent)


def test_a_data_set_says_which_documents_are_both():
    found: dict[str, Any] = {"rows": 3, "columns": {}}
    queries = {"queries": 2, "positives": {"0%": 1}, "negatives": {"0%": 1}, "both": 0}
    words = "documents are positive and negative for one query"
    both = shown(render_profile({**found, "per_query": {**queries, "both": 1}}, "data"))
    there_and_absent(words, [both], [shown(render_profile({**found, "per_query": queries}, "data"))])


# --- training, evaluation, and the end of a run ----------------------------------------------------------

TRAINING: dict[str, Any] = {
    "model": {"family": "cross_encoder", "parameters": 7, "base": "scratch", "similarity": None},
    "loss": {"name": "bce", "class": "BinaryCrossEntropyLoss"},
    "rows": 9, "columns": ["query", "answer", "label"], "steps": 4, "planned_steps": 4, "epochs": 1.0,
    "seconds": 2.0, "device": "cpu", "resumed_from": None, "metric": None, "before": None, "after": None,
    "best_step": None,
}  # fmt: skip
SCORED = {"metric": "t-dev_ndcg@10", "before": {"t-dev_ndcg@10": 0.25}, "after": {"t-dev_ndcg@10": 0.5}}


def training(**changes: Any) -> str:
    return shown(render_training({**TRAINING, **changes}, "run"))


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("stopped early", [training(planned_steps=8)], [training()]),
        ("taken up at step 2", [training(resumed_from=2)], [training()]),
        ("ndcg@10 0.2500 before, 0.5000 after (+0.2500)", [training(**SCORED)], [training()]),
        ("best at step 4", [training(best_step=4)], [training()]),
    ],
)
def test_a_training_says_what_happened(words, there, absent):
    there_and_absent(words, there, absent)


METRICS = {
    "map@100": 0.5,
    "mrr@10": 0.5,
    "ndcg@10": 0.6,
    "accuracy@1": 0.4,
    "accuracy@10": 0.8,
    "recall@30": 0.9,
}
ENCODER = {"kind": "encoder", "name": "lsa", "metrics": METRICS}
RERANKER = {"kind": "trained", "name": "run/model", "family": "cross_encoder", "metrics": METRICS}
BI_ENCODER = RERANKER | {"family": "sentence_transformer"}


def compared(*rows: dict[str, Any]) -> str:
    dev = {"queries": 2, "positives": 2, "documents": 9, "retrieved": 100, "reranked": 30, "places": []}
    return shown(render_comparison({"dev": dev, "rows": [ENCODER, *rows]}))


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("in brackets the difference to the retrieved order.", [compared(RERANKER)], [compared()]),
        ("A reranker orders the first 30 retrieved; 90.0%", [compared(RERANKER)], [compared(BI_ENCODER)]),
    ],
)
def test_a_comparison_says_what_was_compared(words, there, absent):
    there_and_absent(words, there, absent)


def end(
    stats: dict[str, Any], scores: dict[str, Any] | None = None, base: str = "scratch", **found: Any
) -> str:
    made = {"recipe": "t", "url": "https://huggingface.co/u/n", "kind": "dataset", "commit": "c"}
    account = TRAINING | {"model": {**TRAINING["model"], "base": base}}
    files = {"stats.json": stats, "training.json": account, "manifest.json": {"recipe": "t"}}
    run = SimpleNamespace(folder=SimpleNamespace(__truediv__=None), read_json=files.__getitem__)
    run.folder = Folder()
    summary = summarise_run(run, [made] if found.get("pushed") else [])
    return shown(render_run_summary({**summary, "scores": {"ndcg@10": scores} if scores else {}}))


class Folder:
    """A folder without files."""

    def __truediv__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(exists=lambda: False)

    def __str__(self) -> str:
        return "run"


WORSE = {"encoder": 0.7, "lexical": 0.4, "untrained": 0.1, "trained": 0.6}
STATS = made_stats()


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("9 train rows of 3 queries", [end(STATS)], [end(made_stats(splits__train__dropped_queries=1))]),
        ("9 train rows of 2 queries", [end(made_stats(splits__train__dropped_queries=1))], [end(STATS)]),
        ("3 dev rows of 1 queries", [end(STATS)], [end(without_dev())]),
        ("made from the run's text", [end(STATS)], [end(STATS, base="some/model")]),
        ("from some/model", [end(STATS, base="some/model")], [end(STATS)]),
        ("How the dev split is ranked", [end(STATS, WORSE)], [end(STATS)]),
        ("The encoder alone ranks better than the trained", [end(STATS, WORSE)], [
            end(STATS), end(STATS, WORSE | {"trained": 0.8}), end(STATS, WORSE | {"lexical": 0.9}),
            end(STATS, WORSE | {"trained": None}),
        ]),
        ("BM25 alone ranks better", [end(STATS, WORSE | {"lexical": 0.9})], [end(STATS, WORSE)]),
        ("try a pretrained model as train.base", [end(STATS, WORSE)], [end(STATS, WORSE, "some/model")]),
        ("try a larger train.base", [end(STATS, WORSE, "some/model")], [end(STATS, WORSE)]),
        ("minerkit eval run --model another/model", [end(STATS)], [end(without_dev())]),
        ("minerkit push run --repo user/name", [end(STATS)], [end(STATS, pushed=True)]),
        ("https://huggingface.co/u/n", [end(STATS, pushed=True)], [end(STATS)]),
    ],
)  # fmt: skip
def test_the_end_of_a_run_says_what_was_made_and_what_can_be_done(words, there, absent):
    there_and_absent(words, there, absent)
