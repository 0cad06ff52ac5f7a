from pathlib import Path

import pytest
import torch

from minerkit.errors import MissingExtraError, RecipeError
from minerkit.recipe.recipe import Recipe
from minerkit.runtime.progress import Reporter
from minerkit.training.arguments import check_training, training_arguments, training_seed


def recipe_for(loss: str = "bce", dev: int = 10, steps: int | None = None, scores=False, **train) -> Recipe:
    sections = {
        "split": {"dev_queries": dev},
        "format": {"type": "labeled-pair", "scores": scores},
        "train": {"loss": loss, **train},
        "eval": {"steps": steps},
    }
    return Recipe.model_validate({"name": "r", "source": {"path": "p"}, **sections})


def arguments(recipe: Recipe, device: str = "cpu", metric: str | None = "m", tmp: str = "unused"):
    return training_arguments(recipe, Path(tmp), device, metric, Reporter())


def fault(recipe: Recipe) -> str:
    with pytest.raises(RecipeError) as error:
        check_training(recipe, "cpu")
    return str(error.value)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ({"lerning_rate": 1}, "train.args.lerning_rate: no such argument; did you mean 'learning_rate'?"),
        ({"learning_rate": "fast"}, "train.args.learning_rate: input should be a valid number"),
        ({"output_dir": "x"}, "train.args.output_dir: minerkit sets it; use --out"),
        ({"eval_steps": 5}, "train.args.eval_steps: minerkit sets it; use eval.steps"),
        ({"save_only_model": True}, "train.args.save_only_model: minerkit sets it; use save_steps"),
        ({"push_to_hub": True}, "minerkit sets it; use minerkit push"),
        ({"per_device_train_batch_size": 0}, "train.args.per_device_train_batch_size: must be above 0"),
        ({"num_train_epochs": -1}, "train.args.num_train_epochs: must be above 0"),
        ({"lr_scheduler_type": "cosin"}, "train.args: cosin is not a valid SchedulerType"),
        ({"warmup_ratio": 0.1, "warmup_steps": 5}, "train.args.warmup_ratio: is now called warmup_steps"),
        ({"report_to": "tensorbord"}, "no tracker is called 'tensorbord'; there are"),
    ],
)
def test_a_faulty_argument_is_reported_in_one_line(args, line):
    message = fault(recipe_for(args=args))
    assert line in message and "\n" not in message


def test_faults_of_arguments_and_loss_are_listed_together():
    message = fault(recipe_for("mse", scores=True, args={"sed": 1, "seed": "x"}, loss_args={"activation": 1}))
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == [
        "train.args.sed",
        "train.args.seed",
        "train.loss_args.activation",
    ]


def test_the_format_of_a_loss_is_checked_before_its_parameters():
    message = fault(recipe_for("lambda", loss_args={"x": 1}))
    assert message == (
        "recipe r cannot be trained: train.loss: lambda wants labeled-list; the recipe makes labeled-pair; "
        "set format: labeled-list, or train.loss to one of bce, mse, online-contrastive, cosent"
    )


def test_early_stopping_needs_a_dev_split():
    assert "train.early_stopping needs dev queries; set split.dev_queries" in fault(
        recipe_for(dev=0, early_stopping=2)
    )


def test_numbers_are_converted_and_any_argument_is_accepted():
    values = arguments(recipe_for(args={"learning_rate": "5e-4", "data_seed": 3, "optim": "sgd"}))
    assert (values.learning_rate, values.data_seed, values.optim) == (5e-4, 3, "sgd")


def test_defaults_for_evaluating_saving_and_logging():
    values = arguments(recipe_for(steps=20))
    assert (values.eval_steps, values.save_steps, values.logging_steps) == (20, 20, 20)
    assert values.load_best_model_at_end and values.metric_for_best_model == "m" and values.greater_is_better
    assert (values.seed, values.report_to, values.save_total_limit) == (12, [], 2)
    fractions = arguments(recipe_for())
    assert (fractions.eval_steps, fractions.save_steps, fractions.logging_steps) == (0.1, 0.1, 0.02)
    args = {"save_steps": 7, "logging_steps": 3, "save_total_limit": 5, "seed": 4}
    custom = arguments(recipe_for(args=args))
    assert (custom.eval_steps, custom.save_steps, custom.logging_steps) == (7, 7, 3)
    assert custom.save_total_limit == 5
    assert training_seed(recipe_for(args={"seed": 4})) == custom.seed == 4


def test_without_a_metric_nothing_is_evaluated():
    values = arguments(recipe_for(dev=0), metric=None)
    assert values.eval_strategy == "no" and not values.load_best_model_at_end and values.save_steps == 0.1


@pytest.mark.parametrize(("loss", "sampler"), [("mnrl", "no_duplicates"), ("triplet", "batch_sampler")])
def test_losses_with_in_batch_negatives_get_batches_without_duplicates(loss, sampler):
    assert arguments(recipe_for(loss)).batch_sampler == sampler


def test_warmup_ratio_becomes_the_same_fraction_of_warmup_steps(capsys):
    values = arguments(recipe_for(args={"warmup_ratio": 0.1}))
    assert values.get_warmup_steps(1000) == 100
    assert "train.args.warmup_ratio is now called warmup_steps: 0.1 of all steps" in capsys.readouterr().err


def test_unsupported_half_precision_falls_back_to_float32_with_a_note(monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False}, raising=False)
    values = arguments(recipe_for(args={"bf16": True, "fp16": False}))
    assert not values.bf16
    assert capsys.readouterr().err == "bf16: the cpu here has none of its own; float32 is used in its place\n"
    assert not arguments(recipe_for(args={"fp16": True})).fp16
    assert "fp16: the cpu here has none of its own" in capsys.readouterr().err


def test_bf16_is_used_if_the_device_supports_it(monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert arguments(recipe_for(args={"bf16": True})).bf16
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "package"),
    [("wandb", "wandb"), ("trackio", "'minerkit[tracking]'"), ("codecarbon", "'minerkit[tracking]'")],
)
def test_a_missing_tracker_is_reported_with_its_package(name, package, monkeypatch):
    from transformers import integrations

    monkeypatch.setattr(integrations, "get_available_reporting_integrations", lambda: ["tensorboard"])
    with pytest.raises(MissingExtraError) as error:
        check_training(recipe_for(args={"report_to": ["tensorboard", name]}), "cpu")
    assert str(error.value) == f"train.args.report_to: {name} is not installed; `pip install {package}`"
