import math

import polars as pl
import pytest
import torch

from minerkit.mining.examples import format_examples
from minerkit.recipe.recipe import LOSSES, Format, Recipe
from minerkit.runtime.models import load_model
from minerkit.runtime.progress import Reporter
from minerkit.training.arguments import training_arguments
from minerkit.training.trainer import fit, training_history


def recipe_for(loss: str, **train) -> Recipe:
    args = {"max_steps": 1, "per_device_train_batch_size": 4, "learning_rate": 0.01} | train.pop("args", {})
    return Recipe.model_validate(
        {"name": "r", "source": {"path": "p"}, "train": {"loss": loss, "args": args, **train}}
    )


def rows_for(format_: Format, negatives: int) -> pl.DataFrame:
    """Training rows of six queries with two positives each, as a run writes them."""
    words = ["graph", "lease", "sulphur", "violin", "harbour", "tax"]
    queries = pl.DataFrame({"query_id": words, "text": [f"what is a {word}" for word in words]})
    pairs = [(word, f"{word}-{n}", 0.9 - n / 10) for word in words for n in range(2 + negatives)]
    scored = pl.DataFrame(
        pairs, schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float32}, orient="row"
    )
    corpus = scored.select("doc_id", text=pl.format("text {} number {}", "query_id", "doc_id"))
    position = pl.int_range(pl.len()).over("query_id")
    return format_examples(
        queries, corpus, scored.filter(position < 2), scored.filter(position >= 2), format_
    )


@pytest.fixture
def bases(reranker, bi_encoder) -> dict[str, str]:
    return {"cross_encoder": reranker, "sentence_transformer": bi_encoder}


@pytest.mark.parametrize(
    ("loss", "format_type", "negatives", "labels"),
    [
        (name, format_type, negatives, labels)
        for name, spec in LOSSES.items()
        for format_type in spec.formats
        for negatives, labels in (
            ((1, "float"), (5, "int"))
            if format_type == "labeled-list" and not spec.scores
            else ((1, "int"), (1, "float"))
            if format_type == "labeled-pair" and not spec.scores
            else ((1, "int"), (5, "int"))
            if format_type in ("n-tuple", "labeled-list")
            else ((1, "int"),)
        )
    ],
)
def test_every_loss_learns_from_every_format_it_takes(loss, format_type, negatives, labels, bases, tmp_path):
    format_ = Format(type=format_type, scores=LOSSES[loss].scores, labels=labels)
    recipe = recipe_for(loss)
    assert recipe.train.format_fault(format_.type, format_.scores) is None
    model = load_model(bases[recipe.train.family], recipe.train.family, "cpu")
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    rows, quiet = rows_for(format_, negatives), Reporter(quiet=True)
    arguments = training_arguments(recipe, tmp_path, "cpu", None, quiet)
    trainer = fit(recipe.train, model, arguments, rows, (12, 12 * negatives), None, quiet)
    (row,) = training_history(trainer.state.log_history)
    assert math.isfinite(row["loss"]) and row["loss"] > 0 and math.isfinite(row["grad_norm"])
    after = model.state_dict()
    assert any(not torch.equal(after[name], weights) for name, weights in before.items())
