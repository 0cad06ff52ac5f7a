"""What is said of a training."""

import io

import pytest
from rich.console import Console

from minerkit.reports.stats.training_summary import before_after, describe_model, loading_lines, metric_name
from minerkit.reports.terminal.training import render_training


def training(**changes) -> dict:
    found = {
        "model": {
            "family": "cross_encoder",
            "base": "some/base",
            "parameters": 1_160_833,
            "similarity": None,
        },
        "rows": 3361,
        "columns": ["question", "answer", "label"],
        "loss": {"name": "bce", "class": "BinaryCrossEntropyLoss"},
        "metric": "gooaq-dev_ndcg@10",
        "before": {"gooaq-dev_ndcg@10": 0.125},
        "after": {"gooaq-dev_ndcg@10": 0.375},
        "best_step": 22,
        "steps": 106,
        "planned_steps": 106,
        "epochs": 1.0,
        "resumed_from": None,
        "seconds": 428.9,
        "device": "cpu",
    }
    return {**found, **changes}


def shown(found: dict, folder: str = "runs/gooaq") -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_training(found, folder))
    return console.export_text()


def test_the_table_says_what_was_trained_and_what_that_changed():
    text = shown(training())
    for words in (
        "reranker, 1,160,833 parameters",
        "some/base",
        "bce (BinaryCrossEntropyLoss)",
        "3,361 (question, answer, label)",
        "106, 1 epochs",
        "429 s on cpu",
        "0.1250 before, 0.3750 after (+0.2500)",
        'CrossEncoder("runs/gooaq/model")',
    ):
        assert words in text
    assert "early" not in text and "taken up" not in text


def test_a_training_that_was_cut_and_one_that_stopped_early_say_so():
    text = shown(training(steps=60, resumed_from=40))
    assert "60 of 106, stopped early" in text
    assert "taken up at step" in text


def test_a_training_without_dev_queries_names_no_metric():
    found = training(metric=None, before=None, after=None, best_step=None)
    assert before_after(found) is None
    assert "before" not in shown(found)


@pytest.mark.parametrize(
    ("metric", "similarity", "plain"),
    [
        ("gooaq-dev_ndcg@10", None, "ndcg@10"),
        ("a-dev_b-dev_dot_ndcg@10", "dot", "ndcg@10"),
        ("captions-dev_average_precision", None, "average_precision"),
        ("captions-dev_cosine_ap", "cosine", "average_precision"),
    ],
)
def test_a_metric_is_named_without_data_set_and_similarity(metric, similarity, plain):
    model = {**training()["model"], "similarity": similarity}
    assert metric_name(training(metric=metric, model=model)) == plain


def test_a_bi_encoder_is_loaded_by_its_own_class_and_any_folder_is_quoted():
    model = {**training()["model"], "family": "sentence_transformer"}
    found = training(model=model)
    assert describe_model(found).startswith("bi-encoder")
    folder = 'runs/a "b" \\c'
    names: dict = {"SentenceTransformer": lambda path: path}
    exec(loading_lines(found, folder)[1], names)
    assert names["model"] == f"{folder}/model"
