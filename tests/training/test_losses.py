import re
from pathlib import Path

import pytest

from minerkit.errors import RecipeError
from minerkit.recipe.recipe import LOSSES, Train
from minerkit.training.losses import check_loss, describe_loss, resolve_pos_weight


def test_bce_is_described_with_its_parameters():
    description = describe_loss(Train(loss="bce", pos_weight=5))
    assert (description.name, description.family) == ("BinaryCrossEntropyLoss", "cross_encoder")
    assert description.parameters == {"activation_fn": "torch.nn.modules.linear.Identity", "pos_weight": 5}
    assert describe_loss("bce").parameters["pos_weight"] is None


def test_mnrl_is_described_with_its_parameters():
    description = describe_loss(Train(loss="mnrl", loss_args={"scale": 1.0, "similarity": "dot"}))
    assert (description.name, description.family) == ("MultipleNegativesRankingLoss", "sentence_transformer")
    assert (description.parameters["scale"], description.parameters["similarity_fct"]) == (1.0, "dot_score")
    assert describe_loss("mnrl").parameters["scale"] == 20.0


def test_pos_weight_does_not_change_other_losses():
    assert describe_loss(Train(loss="mnrl", pos_weight=5)) == describe_loss("mnrl")


def test_auto_is_negatives_per_positive():
    assert describe_loss(Train(loss="bce"), 100, 425).parameters["pos_weight"] == 4.25


@pytest.mark.parametrize("name", [*LOSSES, "LambdaLoss", "RankNetLoss", "CoSENTLoss", "MarginMSELoss"])
def test_losses_are_described_without_a_model(name):
    assert describe_loss(name).parameters


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BinaryCrossEntropy", "did you mean BinaryCrossEntropyLoss?"),
        ("zzz", "or the name of a loss class"),
        ("MatryoshkaLoss", "cannot be described by its name alone"),
    ],
)
def test_an_unknown_loss_is_reported_in_one_line(name, message):
    with pytest.raises(RecipeError, match=name) as error:
        describe_loss(name)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "positives", "negatives", "weight"),
    [
        ("auto", 100, 500, 5),
        ("auto", 4, 17, 4.25),
        ("auto", 0, 10, None),
        ("auto", 10, 0, None),
        (5.0, 1, 1, 5),
        (2.5, 1, 1, 2.5),
        (None, 1, 9, None),
    ],
)
def test_the_weight_of_positives(setting, positives, negatives, weight):
    resolved = resolve_pos_weight(setting, positives, negatives)
    assert (resolved, type(resolved)) == (weight, type(weight))


def test_the_documentation_lists_every_loss_with_its_formats():
    lines = (Path(__file__).parents[2] / "docs/training-and-evaluation.md").read_text().splitlines()
    rows = [
        line.split("|")[1:4]
        for line in lines
        if re.match(r"\| `[a-z-]+`.* \| a (reranker|bi-encoder) \|", line)
    ]
    listed = {
        name: (model.strip(), tuple(re.findall("`(.+?)`", formats)), "with scores" in formats)
        for names, model, formats in rows
        for name in re.findall("`(.+?)`", names)
    }
    models = {"cross_encoder": "a reranker", "sentence_transformer": "a bi-encoder"}
    assert listed == {name: (models[spec.family], spec.formats, spec.scores) for name, spec in LOSSES.items()}


@pytest.mark.parametrize(
    ("loss", "format_type", "scores", "line"),
    [
        ("mse", "labeled-pair", False, "train.loss: mse learns from scores; set format.scores: true"),
        ("bce", "labeled-pair", True, "train.loss: bce takes no scores; set format.scores: false"),
        (
            "bce",
            "triplet",
            False,
            "bce wants labeled-pair; the recipe makes triplet; set format: labeled-pair, or",
        ),
        ("mnrl", "n-tuple", False, None),
        ("reranker-margin-mse", "n-tuple", True, None),
    ],
)
def test_a_loss_that_does_not_fit_the_format_is_reported(loss, format_type, scores, line):
    fault = Train(loss=loss).format_fault(format_type, scores)
    assert fault == line if line is None else line in fault


@pytest.mark.parametrize(
    ("loss", "args", "line"),
    [
        ("bce", {"pos_weight": 3}, "train.loss_args.pos_weight: set train.pos_weight"),
        ("bce", {"similarity": "dot"}, "train.loss_args.similarity: no such argument"),
        ("mnrl", {"scale": "x"}, "train.loss_args.scale: input should be a valid number"),
        ("mnrl", {"scal": 1}, "train.loss_args.scal: no such argument; did you mean 'scale'?"),
        ("mnrl", {"similarity": "angle"}, "train.loss_args.similarity: input should be 'dot' or 'cosine'"),
    ],
)
def test_parameters_of_losses_are_checked(loss, args, line):
    _, (fault,) = check_loss(Train(loss=loss, loss_args=args))
    assert line in fault
