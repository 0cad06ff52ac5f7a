import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from minerkit.recipe.load import bundled, recipe_names, recipe_yaml
from minerkit.recipe.recipe import Clean, Encoder, Format, Mine, Recipe, Sample, Source, Split, Train

LEAST = {"name": "mine", "source": {"path": "pairs.jsonl"}}


def mine(**rules) -> Mine:
    return Mine.model_validate(rules)


def message(model: type[BaseModel], values) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return str(caught.value)


def accepted(values) -> bool:
    return jsonschema.Draft202012Validator(Recipe.model_json_schema()).is_valid(values)


# --- defaults -------------------------------------------------------------------------------------------


def test_a_recipe_needs_a_name_and_a_source():
    assert set(Recipe.model_validate(LEAST).model_dump()) == set(Recipe.model_fields)
    text = message(Recipe, {})
    assert "name\n  Field required" in text
    assert "source\n  Field required" in text
    assert text.startswith("2 validation errors")


def test_defaults_of_the_other_sections():
    recipe = Recipe.model_validate(LEAST)
    assert recipe.clean == Clean(min_chars=1, near_duplicate=0.9)
    assert recipe.split == Split(dev_queries=0, by="query", seed=12)
    assert recipe.encoder == Encoder(model="static", normalize=True, dtype="float16")
    assert recipe.format == Format(type="labeled-pair", scores=False)
    assert recipe.mine == mine()
    assert (recipe.rerank, recipe.card, recipe.sample) == (None, None, None)
    assert (recipe.language, recipe.languages, recipe.license) == (None, [], "unknown")


def test_default_rules_of_mining():
    assert mine().model_dump() == {
        "negatives": 5,
        "positive_ratio": None,
        "absolute_margin": None,
        "relative_margin": 0.05,
        "max_score": None,
        "min_score": None,
        "range_min": 0,
        "range_max": None,
        "shortfall": "backfill",
        "strategy": "top",
        "seed": 12,
        "keep": 50,
        "judged": True,
        "exclude_group": None,
        "round_trip": None,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 0.05),
        ({"absolute_margin": None}, 0.05),
        ({"absolute_margin": 0}, None),
        ({"absolute_margin": 0.1, "relative_margin": 0.2}, 0.2),
        ({"relative_margin": None}, None),
        ({"relative_margin": 0}, 0),
    ],
)
def test_relative_margin_has_a_default_only_without_an_absolute_margin(given, expected):
    assert mine(**given).relative_margin == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 5), ({"negatives": 3}, 3), ({"negatives": None}, 5), ({"positive_ratio": 0.2}, None)],
)
def test_negatives_have_a_default_only_without_a_ratio(given, expected):
    assert mine(**given).negatives == expected


def test_format_may_be_written_as_its_name_alone():
    recipe = Recipe.model_validate({**LEAST, "format": "triplet"})
    assert recipe.format == Format(type="triplet", scores=False)


# --- faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [{}, {"hub": "user/data", "path": "pairs.jsonl"}])
def test_a_source_has_one_place(place):
    assert "name exactly one of hub and path" in message(Source, place)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"negatives": 4, "positive_ratio": 0.2}, "negatives and positive_ratio exclude each other"),
        ({"positive_ratio": 0.2, "shortfall": "keep"}, "so shortfall must be backfill or drop"),
        ({"range_max": 4}, "range_max 4 leaves no room: range_min and negatives need 5 places"),
        ({"range_min": 96, "range_max": 100}, "range_min and negatives need 101 places"),
        ({"min_score": 0.6, "max_score": 0.5}, "min_score 0.6 is above max_score 0.5"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules, words):
    assert words in message(Mine, rules)


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        ("lsa", "revision", "main"),
        ("lsa", "query_prompt", "query: "),
        ("lsa", "document_prompt", "passage: "),
        ("lsa", "max_length", 64),
        ("static", "revision", "main"),
        ("static", "max_length", 64),
    ],
)
def test_what_an_encoder_made_from_the_corpus_has_no_use_for_is_refused(model, key, value):
    line = f"{key} does nothing where the model is {model}; leave it out (null)"
    assert line in message(Encoder, {"model": model, key: value})
    assert getattr(Encoder(model="some/model", **{key: value}), key) == value


def test_a_model_from_nothing_has_no_revision():
    assert "revision does nothing where the base is scratch" in message(Train, {"revision": "main"})
    assert Train(base="some/model", revision="main").revision == "main"


@pytest.mark.parametrize("key", ["config", "revision"])
def test_only_a_data_set_on_the_hub_has_configurations_and_revisions(key):
    assert f"{key} is of a data set on the Hub" in message(Source, {"path": "a.csv", key: "x"})
    assert getattr(Source(hub="user/data", **{key: "x"}), key) == "x"


def test_files_of_a_kind_of_their_own_have_no_configuration():
    assert "config belongs to format" in message(Source, {"hub": "a/b", "format": "beir", "config": "x"})


@pytest.mark.parametrize("section", [{"mine": {"exclude_group": True}}, {"split": {"by": "group"}}])
def test_a_collection_has_no_groups(section):
    values = {"name": "t", "source": {"path": "x", "format": "beir"}, **section}
    assert "needs groups, which format beir has none of" in message(Recipe, values)


@pytest.mark.parametrize(
    "rules",
    [
        {"range_max": 5},
        {"range_min": 95, "range_max": 100},
        {"positive_ratio": 0.2, "range_max": 1},
        {"positive_ratio": 0.2, "shortfall": "drop"},
        {"min_score": 0.5, "max_score": 0.5},
    ],
)
def test_rules_that_only_just_fit_are_accepted(rules):
    assert mine(**rules)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (Source, {"path": "a", "limit": 0}),
        (Source, {"path": "a", "max_bad": 1.1}),
        (Clean, {"min_chars": 0}),
        (Clean, {"near_duplicate": 0}),
        (Clean, {"near_duplicate": 1.01}),
        (Split, {"dev_queries": -1}),
        (Split, {"by": "moon"}),
        (Encoder, {"truncate_dim": 1}),
        (Encoder, {"dtype": "bfloat16"}),
        (Mine, {"negatives": 0}),
        (Mine, {"positive_ratio": 0}),
        (Mine, {"positive_ratio": 1}),
        (Mine, {"absolute_margin": -0.1}),
        (Mine, {"shortfall": "ignore"}),
        (Mine, 5),
        (Format, "pairs"),
        (Recipe, {**LEAST, "rerank": {"model": "some/model"}}),
        (Sample, {}),
        (Recipe, {**LEAST, "name": "a/b"}),
        (Recipe, {**LEAST, "name": ".hidden"}),
    ],
)
def test_values_out_of_bounds_are_refused(model, values):
    message(model, values)


@pytest.mark.parametrize("section", ["clean", "split", "encoder", "mine", "format", "train", "eval"])
def test_unknown_keys_are_refused_in_every_section(section):
    assert "Extra inputs are not permitted" in message(Recipe, {**LEAST, section: {"unheard_of": 1}})


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Recipe.model_validate(LEAST).mine.negatives = 4


# --- the JSON Schema for editors --------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_json_schema_accepts_the_shipped_recipes(name):
    values = yaml.safe_load((bundled("recipes") / f"{name}.yaml").read_text())
    jsonschema.validate(values, Recipe.model_json_schema())


@pytest.mark.parametrize("name", recipe_names())
def test_json_schema_accepts_resolved_recipes(name):
    from minerkit.recipe.load import load_recipe

    jsonschema.validate(yaml.safe_load(recipe_yaml(load_recipe(name))), Recipe.model_json_schema())


@pytest.mark.parametrize(
    "values",
    [
        LEAST,
        {**LEAST, "format": "n-tuple"},
        {**LEAST, "format": {"type": "n-tuple", "scores": True}},
        {**LEAST, "rerank": None},
        {"extends": "gooaq"},
        {"extends": "gooaq", "name": "mine", "mine": {"negatives": 4}},
    ],
)
def test_json_schema_accepts_what_a_recipe_may_say(values):
    assert accepted(values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "mine"},
        {**LEAST, "mnie": {}},
        {**LEAST, "mine": {"negatvies": 4}},
        {**LEAST, "mine": {"negatives": 0}},
        {**LEAST, "rerank": {"model": "some/model"}},
        {**LEAST, "format": "pairs"},
        {**LEAST, "format": {"type": "pairs"}},
        {**LEAST, "extends": 3},
    ],
)
def test_json_schema_refuses_what_a_recipe_may_not_say(values):
    assert not accepted(values)


def test_json_schema_explains_the_keys():
    source = Recipe.model_json_schema()["$defs"]["Source"]["properties"]
    assert source["limit"]["description"].startswith("Read only the first rows")


@pytest.mark.parametrize(
    ("query", "positive"), [("a", "a"), ("label", "b"), ("a", "negative_3"), ("a", "scores")]
)
def test_columns_that_the_training_rows_cannot_have_are_refused(query, positive):
    with pytest.raises(ValidationError, match=r"name two columns|is a column of the training rows"):
        Recipe.model_validate({"name": "t", "source": {"path": "x", "query": query, "positive": positive}})
