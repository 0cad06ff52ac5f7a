"""The benchmark of training: its recipes can be trained, and it reads the right metrics."""

import argparse
import json
import sys

import pytest

from bench import train
from minerkit.recipe.load import bundled
from minerkit.recipe.recipe import Recipe
from minerkit.training.arguments import check_training


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    train.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("model_type", train.MODELS)
def test_its_recipes_can_be_trained(model_type, minilm, tmp_path):
    options = {
        "model_type": model_type,
        "pairs": tmp_path / "p.csv",
        "query": "question",
        "positive": "answer",
    }
    options |= {"model": minilm, "dev": 5, "steps": 3, "bf16": False}
    recipe = Recipe.model_validate(train.recipe(argparse.Namespace(**options)))
    check_training(recipe, "cpu")


def test_the_metrics_of_a_reranker():
    metrics = {"x_map": 0.1, "x_mrr@10": 0.2, "x_ndcg@10": 0.3, "x_base_mrr@10": 0.4, "x_base_ndcg@10": 0.5}
    after = {**metrics, "x_mrr@10": 0.6, "x_ndcg@10": 0.7}
    assert train.dev_metrics({"before": metrics, "after": after}) == {
        "ndcg@10 before": 0.3,
        "ndcg@10 after": 0.7,
        "ndcg@10 retrieved": 0.5,
        "mrr@10 before": 0.2,
        "mrr@10 after": 0.6,
        "mrr@10 retrieved": 0.4,
    }


@pytest.mark.slow
def test_one_line_per_seed_and_a_summary(minilm, monkeypatch, capsys):
    sample = str(bundled("recipes") / "samples" / "gooaq.jsonl")
    sizes = ["--limit", "120", "--dev", "20", "--steps", "2", "--seeds", "1", "2", "--no-bf16"]
    first, second, summary = run(
        monkeypatch, capsys, "bi-encoder", "--pairs", sample, "--model", minilm, *sizes
    )
    assert (first["seed"], second["seed"]) == (1, 2)
    assert first["steps"] == 2
    assert first["ndcg@10 before"] == second["ndcg@10 before"]
    mean = (first["ndcg@10 after"] + second["ndcg@10 after"]) / 2
    assert summary["gain on before"] == pytest.approx(mean - first["ndcg@10 before"], abs=2e-4)
