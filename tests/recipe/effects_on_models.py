"""What the keys of `train` and `eval` change, and those that stand above the sections."""

import json
from typing import Any

import polars as pl
import pytest

from minerkit.errors import EncoderError, RecipeError
from minerkit.evaluation import dev_evaluator
from minerkit.recipe import load_recipe
from minerkit.runtime import Reporter
from minerkit.training import describe_loss, load_base
from minerkit.training.arguments import training_arguments
from tests.support.recipe_effects import WORDS, Kit, shows


@shows("name")
def _(kit):
    assert kit.mined(name="other").read_json("manifest.json")["recipe"] == "other"
    assert "# other: hard negatives" in kit.card(name="other")


@shows("language")
def _(kit):
    assert "language: fr" in kit.card(language="fr")
    assert "language:" not in kit.card().split("# kit")[0]


@shows("license")
def _(kit):
    assert "license: mit" in kit.card()
    assert "license: cc-by-4.0" in kit.card(license="cc-by-4.0")


@shows("card")
def _(kit):
    about = kit.text("about.md", "# About\n\nA word about the corpus.")
    assert "A word about the corpus." in kit.card(card=str(about))
    assert "About the corpus" not in kit.card()


@shows("rerank")
def _(kit):
    with pytest.raises(RecipeError, match=r"rerank: candidates are not reranked yet"):
        kit.recipe(rerank="some/model")
    assert kit.recipe(rerank=None).rerank is None


@shows("sample.path")
def _(kit):
    file = kit.text("s.yaml", json.dumps({**LEAST, "sample": {"path": "pairs.jsonl"}}))
    assert load_recipe(file, sample=True).source.path == str(kit.pairs)


@shows("sample.set")
def _(kit):
    sample = {"path": "pairs.jsonl", "set": {"mine.negatives": 2}}
    file = kit.text("s.yaml", json.dumps({**LEAST, "sample": sample}))
    assert load_recipe(file, sample=True).mine.negatives == 2
    assert load_recipe(file).mine.negatives == 5


LEAST = {"name": "s", "source": {"path": "none"}}


# --- training -----------------------------------------------------------------------------------------


def base(kit: Kit, **train: Any) -> Any:
    recipe = kit.recipe(**{f"train__{name}": value for name, value in train.items()})
    return load_base(recipe, pl.Series(WORDS) if recipe.train.base == "scratch" else None, "cpu", 12)


@shows("train.base")
def _(kit, reranker):
    made, loaded = (base(kit, base=name) for name in ("scratch", reranker))
    assert loaded.transformers_model.config.hidden_size == 16 != made.transformers_model.config.hidden_size


@shows("train.revision")
def _(kit, reranker, monkeypatch):
    from minerkit.runtime import models

    fetched: list[str | None] = []

    def snapshot(name: str, revision: str | None = None, **_: Any) -> str:
        fetched.append(revision)
        return reranker

    def make(name: str, revision: str | None = None, **_: Any) -> Any:
        fetched.append(revision)
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("sentence_transformers.CrossEncoder", make)
    for revision in (None, "v2"):
        with pytest.raises(EncoderError):
            models.load_model("user/model", "cross_encoder", "cpu", 12, revision)
    assert fetched == [None, None, "v2", "v2"]
    passed = []
    monkeypatch.setattr("minerkit.training.base_model.load_model", lambda *given: passed.append(given[-1]))
    with pytest.raises(AttributeError):  # None is no model
        base(kit, base="user/model", revision="v2")
    assert passed == ["v2"]


@shows("train.max_length")
def _(kit, reranker):
    assert base(kit, base=reranker, max_length=24).max_seq_length == 24
    assert base(kit, base=reranker).max_seq_length > 24


@shows("train.loss")
def _(kit):
    found = {describe_loss(kit.recipe(train__loss=name).train).name for name in ("bce", "mnrl", "lambda")}
    assert len(found) == 3


@shows("train.loss_args")
def _(kit):
    scales = [
        describe_loss(kit.recipe(train__loss="mnrl", train__loss_args=args).train).parameters["scale"]
        for args in ({}, {"scale": 7})
    ]
    assert scales[0] != scales[1] == 7


@shows("train.pos_weight")
def _(kit):
    weights = [
        describe_loss(kit.recipe(train__pos_weight=weight).train, 10, 30).parameters["pos_weight"]
        for weight in ("auto", 2, None)
    ]
    assert [None if weight is None else float(weight) for weight in weights] == [3, 2, None]


@shows("train.args")
def _(kit):
    assert arguments(kit, train__args={"learning_rate": 0.25}).learning_rate == 0.25
    assert arguments(kit).learning_rate != 0.25


def arguments(kit: Kit, **keys: Any) -> Any:
    return training_arguments(kit.recipe(**keys), kit.folder, "cpu", "ndcg@10", Reporter(quiet=True))


# --- evaluation ---------------------------------------------------------------------------------------


def evaluator(kit: Kit, **keys: Any) -> tuple[Any, str]:
    found = dev_evaluator(kit.recipe(**keys), kit.mined())
    assert found is not None
    return found


@shows("eval.rerank")
def _(kit):
    for depth in (5, 7):
        samples = evaluator(kit, eval__rerank=depth)[0].samples
        assert {len(sample["documents"]) for sample in samples} == {depth}


@shows("eval.retrieval")
def _(kit):
    for places in ([3], [2, 4]):
        assert evaluator(kit, eval__retrieval=places, train__loss="mnrl")[0].accuracy_at_k == places


@shows("eval.classification")
def _(kit):
    assert evaluator(kit, eval__classification=True)[1] == "kit-dev_average_precision"
    assert evaluator(kit)[1] == "kit-dev_ndcg@10"


@shows("eval.steps")
def _(kit):
    assert arguments(kit, eval__steps=7).eval_steps == 7 != arguments(kit).eval_steps
