"""The training benchmark: its recipes can be trained, and it reads the right figures."""

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


@pytest.mark.parametrize("kind", train.KINDS)
def test_its_recipes_can_be_trained(kind, minilm, tmp_path):
    given = {"kind": kind, "pairs": tmp_path / "p.csv", "query": "question", "positive": "answer"}
    given |= {"model": minilm, "dev": 5, "steps": 3, "bf16": False}
    recipe = Recipe.model_validate(train.recipe(argparse.Namespace(**given)))
    check_training(recipe, "cpu")


def test_the_figures_of_a_reranker():
    metrics = {"x_map": 0.1, "x_mrr@10": 0.2, "x_ndcg@10": 0.3, "x_base_mrr@10": 0.4, "x_base_ndcg@10": 0.5}
    after = {**metrics, "x_mrr@10": 0.6, "x_ndcg@10": 0.7}
    assert train.figures({"before": metrics, "after": after}) == {
        "ndcg@10 before": 0.3,
        "ndcg@10 after": 0.7,
        "ndcg@10 retrieved": 0.5,
        "mrr@10 before": 0.2,
        "mrr@10 after": 0.6,
        "mrr@10 retrieved": 0.4,
    }


@pytest.mark.slow
def test_a_line_a_seed_and_what_they_have_in_common(minilm, monkeypatch, capsys):
    sample = str(bundled("recipes") / "samples" / "gooaq.jsonl")
    sizes = ["--limit", "120", "--dev", "20", "--steps", "2", "--seeds", "1", "2", "--no-bf16"]
    first, second, both = run(monkeypatch, capsys, "bi-encoder", "--pairs", sample, "--model", minilm, *sizes)
    assert (first["seed"], second["seed"]) == (1, 2)
    assert first["steps"] == 2
    assert first["ndcg@10 before"] == second["ndcg@10 before"]
    mean = (first["ndcg@10 after"] + second["ndcg@10 after"]) / 2
    assert both["gain on before"] == pytest.approx(mean - first["ndcg@10 before"], abs=2e-4)
