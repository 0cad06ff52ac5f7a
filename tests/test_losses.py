import pytest

from minerkit.errors import RecipeError
from minerkit.losses import describe_loss, pos_weight
from minerkit.recipe import LOSSES, Train


def test_bce_has_its_parameters():
    found = describe_loss(Train(loss="bce", pos_weight=5))
    assert (found.name, found.family) == ("BinaryCrossEntropyLoss", "cross_encoder")
    assert found.parameters == {"activation_fn": "torch.nn.modules.linear.Identity", "pos_weight": 5}
    assert describe_loss("bce").parameters["pos_weight"] is None


def test_mnrl_has_its_parameters():
    found = describe_loss(Train(loss="mnrl", loss_args={"scale": 1.0, "similarity": "dot"}))
    assert (found.name, found.family) == ("MultipleNegativesRankingLoss", "sentence_transformer")
    assert (found.parameters["scale"], found.parameters["similarity_fct"]) == (1.0, "dot_score")
    assert describe_loss("mnrl").parameters["scale"] == 20.0


def test_the_weight_of_positives_is_of_no_concern_to_other_losses():
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
def test_a_loss_that_is_not_there_is_one_clear_line(name, message):
    with pytest.raises(RecipeError, match=name) as error:
        describe_loss(name)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "positives", "negatives", "weight"),
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
def test_the_weight_of_positives(given, positives, negatives, weight):
    found = pos_weight(given, positives, negatives)
    assert (found, type(found)) == (weight, type(weight))
