"""Every key of a recipe changes something that can be seen: here is a check, or the test that shows it."""

import ast
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from minerkit.recipe import Recipe
from tests.support.recipe_effects import CHECKS, Kit

pytest.register_assert_rewrite(
    *(f"tests.recipe.effects_on_{what}" for what in ("the_corpus", "mining", "models"))
)
from tests.recipe import effects_on_mining, effects_on_models, effects_on_the_corpus  # noqa: E402, F401

TESTS = Path(__file__).parents[1]
#: Functions that mine, which takes a second.
MINING = {"mined", "card", "per_query", "scores", "stats"}
#: Keys whose effect another test shows: one that names the key.
ELSEWHERE = {
    "search.mode": "search/test_plan.py::test_all_is_asked_together_where_the_best_leave_many_queries_short",
    "search.recall_target": "search/test_plan.py::test_effort_rises_until_the_target_is_met",
    "mine.round_trip": (
        "pipeline/test_commands.py::"
        "test_a_question_that_does_not_find_its_own_positive_is_dropped_by_the_round_trip"
    ),
    "split.shared_documents": (
        "pipeline/test_commands.py::test_documents_of_the_other_side_are_mined_only_where_the_recipe_says_so"
    ),
    "train.early_stopping": "pipeline/stages/test_train.py::test_a_cut_training_goes_on_with_what_it_counts",
    "eval.nano_beir": "evaluation/test_recipe_evaluators.py::test_nano_beir_from_a_folder",
    "eval.nano_beir_data": "evaluation/test_recipe_evaluators.py::test_nano_beir_from_a_folder",
}


def keys(model: type[BaseModel] = Recipe, above: str = "") -> Iterator[str]:
    """List the keys of a recipe, sections left out."""
    for name, field in model.model_fields.items():
        options = get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if section is None:
            yield f"{above}{name}"
        else:
            yield from keys(section, f"{above}{name}.")


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


@pytest.fixture(scope="module")
def kit(tmp_path_factory, sample_pairs) -> Kit:
    return Kit(tmp_path_factory.mktemp("kit"), sample_pairs.head(80))


def test_every_key_has_one_check():
    there = set(CHECKS) | set(ELSEWHERE)
    assert set(keys()) - there == set(), "these keys need a check that shows their effect"
    assert there - set(keys()) == set(), "these are no keys"
    assert set(CHECKS) & set(ELSEWHERE) == set(), "one check is enough"


@pytest.mark.parametrize("key", sorted(ELSEWHERE))
def test_the_test_that_shows_a_key_is_there_and_names_it(key):
    file, _, name = ELSEWHERE[key].partition("::")
    source = (TESTS / file).read_text()
    found = [node for node in ast.parse(source).body if getattr(node, "name", None) == name]
    assert found, f"no {name} in {file}"
    first = min(node.lineno for node in (*found[0].decorator_list, found[0]))
    lines = source.splitlines()[first - 1 : found[0].end_lineno]
    assert key.rpartition(".")[2] in "\n".join(lines)


def test_a_key_without_a_check_is_found():
    class More(Recipe):
        unheard_of: int = 0

    assert set(keys(More)) - set(keys()) == {"unheard_of"}
    assert {"source.hub", "mine.negatives", "sample.set", "name", "rerank"} <= set(keys())


def _fixtures(check: Callable[..., None]) -> tuple[str, ...]:
    return check.__code__.co_varnames[: check.__code__.co_argcount]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key, marks=[pytest.mark.slow] * bool(MINING & set(check.__code__.co_names)))
        for key, check in sorted(CHECKS.items())
    ],
)
def test_a_key_does_what_it_says(key, request):
    check = CHECKS[key]
    check(**{name: request.getfixturevalue(name) for name in _fixtures(check)})
