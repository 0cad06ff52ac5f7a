import json
import re
from collections import Counter
from pathlib import Path

import pytest

from minerkit.errors import RecipeError
from minerkit.recipe.load import (
    bundled,
    copy_recipe,
    load_recipe,
    parse_override,
    recipe_names,
    recipe_path,
    recipe_yaml,
)
from minerkit.recipe.recipe import Encoder, Format, Recipe, Train
from minerkit.sources.reader import read
from minerkit.text.normalisation import normalise
from tests.support.cleaning import clean

LEAST = "name: my-corpus\nsource: {path: pairs.jsonl}\n"


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def fault(name: str | Path, overrides=None, sample: bool = False) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(name, overrides, sample)
    return str(caught.value)


def faults(file: Path, overrides=None) -> list[str]:
    """The listed faults, without the file's own path."""
    first, *listed = fault(file, overrides).splitlines()
    count = re.fullmatch(rf"recipe {re.escape(str(file))} has (\d+) faults?:", first)
    assert count and int(count[1]) == len(listed)
    return [line.strip().replace(f"{file}:", "") for line in listed]


# --- finding recipes ------------------------------------------------------------------------------------


def test_shipped_recipes_are_found_by_name():
    assert "gooaq" in recipe_names()
    assert recipe_names() == sorted(recipe_names())
    assert recipe_path("gooaq") == bundled("recipes") / "gooaq.yaml"


def test_recipes_are_found_by_path(tmp_path, monkeypatch):
    write(tmp_path, LEAST)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("mine.yaml").name == "my-corpus"
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe("mine.yaml")


def test_an_unknown_name_suggests_a_close_one():
    assert fault("goaq") == "no recipe named 'goaq'; did you mean 'gooaq'?; `minerkit ls` lists them"


def test_an_unknown_name_with_nothing_close_points_to_the_list():
    assert fault("xyzzy") == "no recipe named 'xyzzy'; `minerkit ls` lists them"


def test_a_missing_file_says_how_to_get_one():
    assert fault("deep/none.yaml").startswith("no recipe file deep/none.yaml; `minerkit cp gooaq none.yaml`")


# --- faults ---------------------------------------------------------------------------------------------


def test_all_faults_are_reported_at_once_with_their_lines(tmp_path):
    file = write(
        tmp_path,
        "name: my corpus\n"
        "source:\n"
        "  pth: pairs.jsonl\n"
        "  limit: 0\n"
        "mine:\n"
        "  negatvies: 4\n"
        "  shortfall: kep\n"
        "  keep: many\n"
        "spilt:\n"
        "  dev_queries: 10\n",
    )
    assert faults(file) == [
        "1: name: string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$', not 'my corpus'",
        "4: source.limit: input should be greater than or equal to 1, not 0",
        "3: source.pth: unknown key; did you mean 'path'?",
        "7: mine.shortfall: 'kep' is not one of 'keep', 'backfill' or 'drop'",
        "8: mine.keep: input should be a valid integer, unable to parse string as an integer, not 'many'",
        "6: mine.negatvies: unknown key; did you mean 'negatives'?",
        "9: spilt: unknown key; did you mean 'split'?",
    ]


def test_a_fault_of_a_whole_section_names_the_line_of_the_section(tmp_path):
    file = write(tmp_path, "name: x\nsource:\n  split: train\nmine: {negatives: 9,\n  range_max: 3}\n")
    assert faults(file) == [
        "2: source: name exactly one of hub and path",
        "4: mine: range_max 3 leaves no room: range_min and negatives need 9 places",
    ]


def test_a_missing_key_is_a_fault(tmp_path):
    file = write(tmp_path, "mine: {}\nsample: {}\n")
    assert faults(file) == [
        "(file): name: is missing",
        "(file): source: is missing",
        "2: sample.path: is missing",
    ]


def test_a_typo_in_an_optional_section_is_suggested(tmp_path):
    assert "3: sample.pth: unknown key; did you mean 'path'?" in faults(
        write(tmp_path, LEAST + "sample: {pth: x}\n")
    )


@pytest.mark.parametrize("value", ["{model: some/model}", "{}", "some/model", "true"])
def test_reranking_is_refused_until_there_is_some(tmp_path, value):
    line = "3: rerank: candidates are not reranked yet; leave rerank out (null)"
    assert faults(write(tmp_path, f"{LEAST}rerank: {value}\n")) == [line]
    assert load_recipe(write(tmp_path, f"{LEAST}rerank: null\n", "none.yaml")).rerank is None


def test_reranking_set_by_hand_is_refused_by_that_name(tmp_path):
    assert faults(write(tmp_path, LEAST), {"rerank.model": "some/model"}) == [
        "--set rerank.model: rerank: candidates are not reranked yet; leave rerank out (null)"
    ]


def test_a_typo_in_the_format_is_a_fault_of_its_line(tmp_path):
    (found,) = faults(write(tmp_path, LEAST + "format: triplets\n"))
    assert found.startswith("3: format.type: 'triplets' is not one of 'pair', 'triplet'")


def test_a_section_that_is_no_mapping_is_a_fault(tmp_path):
    (found,) = faults(write(tmp_path, LEAST + "clean: 3\n"))
    assert found.startswith("3: clean: input should be a valid dictionary")


def test_a_key_given_twice_is_a_fault(tmp_path):
    file = write(tmp_path, LEAST + "mine:\n  negatives: 4\n  negatives: 5\n")
    assert fault(file) == f"{file}:5: mine.negatives is given twice"


def test_a_section_given_twice_is_a_fault(tmp_path):
    file = write(tmp_path, LEAST + "clean: {min_chars: 2}\nmine: {}\nclean: {near_duplicate: null}\n")
    assert fault(file) == f"{file}:5: clean is given twice"


@pytest.mark.parametrize(
    ("text", "line"),
    [("name: a\nmine: {negatives: 4\n", 3), ("name: a\n\tmine: 3\n", 2), ("a: b: c\n", 1), ("name: 'a\n", 2)],
)
def test_bad_yaml_names_the_line(tmp_path, text, line):
    file = write(tmp_path, text)
    message = fault(file)
    assert message.startswith(f"{file}:{line}: not YAML: ")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text\n", "# only a comment\n"])
def test_a_recipe_is_a_mapping(tmp_path, text):
    file = write(tmp_path, text)
    assert fault(file) == f"{file}: a recipe is a mapping of sections (name, source, mine, ...)"


def test_a_recipe_that_is_not_utf_8_is_one_clear_line(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"name: caf\xe9\n")
    assert fault(tmp_path / "mine.yaml") == f"{tmp_path}/mine.yaml: not UTF-8 text"


def test_a_yaml_mapping_inside_itself_is_one_clear_line(tmp_path):
    file = write(tmp_path, LEAST + "train: &t\n  args: *t\n")
    assert fault(file) == f"{file}: an alias stands inside its own anchor"


# --- extends --------------------------------------------------------------------------------------------


def test_a_recipe_takes_over_what_it_does_not_say(tmp_path):
    file = write(tmp_path, "extends: gooaq\nname: mine\nmine: {negatives: 4}\ntrain: {args: {seed: 1}}\n")
    base, found = load_recipe("gooaq"), load_recipe(file)
    assert found.name == "mine"
    assert found.mine == base.mine.model_copy(update={"negatives": 4})
    assert found.train.args == {**base.train.args, "seed": 1}
    assert (found.source, found.eval, found.clean) == (base.source, base.eval, base.clean)


def test_a_chain_of_recipes_is_followed(tmp_path):
    write(tmp_path, LEAST + "mine: {negatives: 3, keep: 9}\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\nmine: {negatives: 2}\n", "b.yaml")
    found = load_recipe(write(tmp_path, "extends: b.yaml\nname: last\n", "c.yaml"))
    assert (found.name, found.mine.negatives, found.mine.keep) == ("last", 2, 9)


def test_a_recipe_is_extended_from_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", LEAST, "base.yaml")
    file = write(tmp_path / "deep", "extends: base.yaml\nname: other\n")
    monkeypatch.chdir(tmp_path)
    assert load_recipe(file).source.path == "pairs.jsonl"


@pytest.mark.parametrize(
    ("base", "over", "hub", "path"),
    [
        ("{hub: user/data, query: q}", "{path: a.jsonl}", None, "a.jsonl"),
        ("{path: a.jsonl, query: q}", "{hub: user/data}", "user/data", None),
        ("{path: a.jsonl, query: q}", "{path: b.jsonl}", None, "b.jsonl"),
        ("{hub: user/data, query: q}", "{positive: p}", "user/data", None),
    ],
)
def test_a_place_replaces_the_inherited_place(tmp_path, base, over, hub, path):
    write(tmp_path, f"name: base\nsource: {base}\n", "base.yaml")
    source = load_recipe(write(tmp_path, f"extends: base.yaml\nsource: {over}\n")).source
    assert (source.hub, source.path, source.query) == (hub, path, "q")


@pytest.mark.parametrize("base", ["triplet", "{type: triplet}"])
def test_scores_are_added_to_an_inherited_format(tmp_path, base):
    write(tmp_path, f"{LEAST}format: {base}\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\nformat: {scores: true}\n")
    assert load_recipe(file).format == Format(type="triplet", scores=True)


def test_an_inherited_format_is_replaced_by_name(tmp_path):
    write(tmp_path, f"{LEAST}format: {{type: triplet, scores: true}}\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\nformat: pair\n")
    assert load_recipe(file).format.type == "pair"


def test_a_fault_is_reported_where_it_was_written(tmp_path):
    base = write(tmp_path, LEAST + "mine:\n  negatives: 0\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\nclean: {min_chars: 0}\n")
    at_least = "input should be greater than or equal to 1, not 0"
    assert fault(file).splitlines()[1:] == [
        f"  {file}:2: clean.min_chars: {at_least}",
        f"  {base}:4: mine.negatives: {at_least}",
    ]


@pytest.mark.parametrize("chain", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_recipe_that_extends_itself_is_refused(tmp_path, chain):
    for name, base in zip(chain, [*chain[1:], chain[0]], strict=True):
        write(tmp_path, f"extends: {base}.yaml\n", f"{name}.yaml")
    assert fault(tmp_path / "a.yaml").endswith("/a.yaml extends itself")


def test_an_unknown_base_suggests_a_close_one(tmp_path):
    assert "did you mean 'gooaq'?" in fault(write(tmp_path, "extends: gooaqq\n"))


def test_extends_takes_one_name(tmp_path):
    file = write(tmp_path, "name: x\nextends: [a, b]\n")
    assert fault(file).endswith(f"{file}:2: extends takes one recipe's name or path")


# --- overrides ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("mine.negatives=4", "mine.negatives", 4),
        ("mine.absolute_margin=0.5", "mine.absolute_margin", 0.5),
        ("mine.range_max=null", "mine.range_max", None),
        ("mine.range_max=", "mine.range_max", None),
        ("train.args.bf16=false", "train.args.bf16", False),
        ("source.path=a=b.jsonl", "source.path", "a=b.jsonl"),
        ("eval.nano_beir=[nq, msmarco]", "eval.nano_beir", ["nq", "msmarco"]),
        (" name = my-corpus ", "name", "my-corpus"),
    ],
)
def test_overrides_are_yaml_values_by_dotted_key(text, key, value):
    assert parse_override(text) == (key, value)


@pytest.mark.parametrize("text", ["mine.negatives", "=4", "mine..negatives=4", ".a=1", "a b=1", ""])
def test_an_override_of_another_form_is_refused(text):
    with pytest.raises(RecipeError, match=r"write key\.sub=value, for example --set mine\.negatives=4"):
        parse_override(text)


def test_an_override_that_is_not_yaml_is_refused():
    with pytest.raises(RecipeError, match=r"--set mine\.negatives=\[4: the value is not YAML"):
        parse_override("mine.negatives=[4")


def test_overrides_replace_and_add_values():
    overrides = {"mine.negatives": 4, "sample.path": "a.csv", "train.args.new_key": 1, "format.scores": True}
    found = load_recipe("gooaq", overrides)
    assert found.mine.negatives == 4
    assert found.sample is not None and found.sample.path == "a.csv"
    assert found.train.args["new_key"] == 1
    assert found.train.args["bf16"] is True
    assert found.format == Format(type="labeled-pair", scores=True)


def test_a_format_and_its_scores_can_be_set_together():
    found = load_recipe("gooaq", {"format": "triplet", "format.scores": True})
    assert found.format == Format(type="triplet", scores=True)


def test_faults_of_overrides_name_the_override(tmp_path):
    file = write(tmp_path, LEAST)
    assert faults(file, {"mine.negatvies": 4, "name.first": "x", "mine.keep": 0}) == [
        "--set name.first: name has no keys below it",
        "--set mine.keep: mine.keep: input should be greater than or equal to 1, not 0",
        "--set mine.negatvies: mine.negatvies: unknown key; did you mean 'negatives'?",
    ]


# --- samples --------------------------------------------------------------------------------------------


def test_a_sample_replaces_the_source_and_needs_no_download():
    found = load_recipe("gooaq", sample=True)
    assert found.source.hub is None
    assert found.source.path == str(bundled("recipes") / "samples" / "gooaq.jsonl")
    assert found.source.limit is None
    assert (found.source.query, found.source.positive) == ("question", "answer")
    assert (found.encoder.model, found.train.base) == ("lsa", "scratch")
    assert found.split.dev_queries == 60
    assert found.mine == load_recipe("gooaq").mine.model_copy(update={"range_max": None})


def test_overrides_go_before_what_a_sample_sets():
    overrides = {"encoder.model": "static", "split.dev_queries": 7, "source.limit": 99}
    found = load_recipe("gooaq", overrides, sample=True)
    assert (found.encoder.model, found.split.dev_queries, found.source.limit) == ("static", 7, 99)
    assert found.train.base == "scratch"


def test_a_sample_takes_nothing_that_is_said_of_a_model_it_does_not_use(tmp_path):
    write(tmp_path, "{}", "own.jsonl")
    encoder = "encoder: {model: some/model, revision: v1, query_prompt: 'q: ', max_length: 64}\n"
    train = "train: {base: some/model, revision: v1}\n"
    file = write(tmp_path, f"{LEAST}{encoder}{train}sample: {{path: own.jsonl}}\n")
    found = load_recipe(file, sample=True)
    assert found.encoder == Encoder(model="lsa") and found.train == Train()
    kept = load_recipe(file, {"encoder.model": "other/model", "train.base": "other/base"}, sample=True)
    assert (kept.encoder.revision, kept.encoder.query_prompt, kept.train.revision) == ("v1", "q: ", "v1")
    assert load_recipe(file, {"encoder.model": "static"}, sample=True).encoder.query_prompt == "q: "


def test_a_sample_is_found_beside_the_recipe(tmp_path):
    write(tmp_path, "{}", "own.jsonl")
    file = write(tmp_path, LEAST + "sample: {path: own.jsonl, set: {mine.negatives: 1}}\n")
    found = load_recipe(file, sample=True)
    assert found.source.path == str(tmp_path / "own.jsonl")
    assert found.mine.negatives == 1


def test_a_copied_or_derived_recipe_keeps_its_sample(tmp_path):
    file = write(tmp_path, "extends: gooaq\nname: mine\n")
    assert load_recipe(file, sample=True).source == load_recipe("gooaq", sample=True).source


def test_a_recipe_without_sample_says_so(tmp_path):
    file = write(tmp_path, LEAST)
    assert fault(file, sample=True) == f"recipe {file} ships no sample; name your own data with --input PATH"


def test_a_sample_that_is_not_there_is_a_fault(tmp_path):
    file = write(tmp_path, LEAST + "sample: {path: none.jsonl}\n")
    assert fault(file, sample=True) == f"recipe {file}: its sample none.jsonl is not beside it"


# --- writing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("name", recipe_names())
def test_a_resolved_recipe_reads_back_the_same(tmp_path, name, sample):
    recipe = load_recipe(name, sample=sample)
    assert load_recipe(write(tmp_path, recipe_yaml(recipe))) == recipe


@pytest.mark.parametrize(
    "overrides",
    [
        {"mine.relative_margin": None, "mine.absolute_margin": None},
        {"mine.positive_ratio": 0.2, "mine.negatives": None, "mine.shortfall": "drop"},
        {"language": ["zh", "en"], "source.query": "问题", "sample.path": "样本.csv"},
        {"train.args.learning_rate": 5e-4, "train.pos_weight": None, "clean.near_duplicate": None},
    ],
)
def test_unusual_values_read_back_the_same(tmp_path, overrides):
    recipe = load_recipe("gooaq", overrides)
    assert load_recipe(write(tmp_path, recipe_yaml(recipe))) == recipe


def test_licence_and_card_are_of_the_source_they_speak_of(tmp_path):
    shipped = load_recipe("gooaq")
    assert (shipped.license, shipped.card) == ("apache-2.0", "data_cards/gooaq.md")
    assert load_recipe("gooaq", {"mine.negatives": 3}).license == "apache-2.0"
    assert load_recipe("gooaq", sample=True).card == "data_cards/gooaq.md"
    elsewhere = load_recipe("gooaq", {"source.hub": None, "source.path": "mine.jsonl"})
    assert (elsewhere.license, elsewhere.card) == ("unknown", None)
    named = load_recipe("gooaq", {"source.hub": None, "source.path": "mine.jsonl", "license": "mit"})
    assert named.license == "mit"
    own = load_recipe(write(tmp_path, "extends: gooaq\nname: own\nsource: {path: a.csv}\n"))
    assert (own.license, own.card) == ("unknown", None)


def test_the_language_of_a_data_set_on_the_hub_is_not_that_of_another_corpus(tmp_path):
    elsewhere = {"source.hub": None, "source.path": "mine.jsonl"}
    assert load_recipe("gooaq", elsewhere).language is None
    assert load_recipe("gooaq", {**elsewhere, "language": "fr"}).language == "fr"
    assert load_recipe(write(tmp_path, "extends: gooaq\nname: own\nsource: {path: a.csv}\n")).language is None
    assert load_recipe("gooaq").language == load_recipe("gooaq", sample=True).language == "en"
    # A recipe for a kind of corpus, and not for one data set, knows it.
    assert load_recipe("semiconductor-zh", {"source.path": "reports/"}).language == ["zh", "en"]


def test_another_place_has_no_configuration_or_revision_of_the_first(tmp_path):
    file = write(tmp_path, "name: a\nsource: {hub: a/b, config: c, revision: d}\n")
    found = load_recipe(file, {"source.hub": "c/d"}).source
    assert (found.config, found.revision) == (None, None)
    assert load_recipe(file, {"source.hub": None, "source.path": "x.csv"}).source.path == "x.csv"
    assert load_recipe(file, {"source.hub": "c/d", "source.revision": "v2"}).source.revision == "v2"


def test_a_copy_is_the_same_recipe_by_the_name_of_the_file(tmp_path):
    copy_recipe("gooaq", tmp_path / "my corpus.yaml")
    found = load_recipe(tmp_path / "my corpus.yaml")
    assert found == load_recipe("gooaq").model_copy(update={"name": "my-corpus", "card": None})
    first = (tmp_path / "my corpus.yaml").read_text().splitlines()[0]
    assert first == f"# minerkit mine --recipe {tmp_path}/my corpus.yaml"


def test_a_copy_whose_file_name_gives_no_name_gets_one(tmp_path):
    copy_recipe("gooaq", tmp_path / "半导体.yaml")
    assert load_recipe(tmp_path / "半导体.yaml").name == "my-corpus"


def test_a_copy_overwrites_nothing(tmp_path):
    file = write(tmp_path, "mine")
    with pytest.raises(RecipeError, match="is there already; name another file"):
        copy_recipe("gooaq", file)
    assert file.read_text() == "mine"


def test_a_copy_that_cannot_be_written_is_one_clear_line(tmp_path):
    with pytest.raises(RecipeError, match=r"none/mine\.yaml cannot be written: No such file or directory"):
        copy_recipe("gooaq", tmp_path / "none" / "mine.yaml")


# --- what ships -----------------------------------------------------------------------------------------


def test_gooaq_is_the_published_recipe():
    fitting = {
        "split.dev_queries": 60,
        "mine.range_max": None,
        "train.args.per_device_train_batch_size": 16,
        "train.args.learning_rate": 1e-3,
        "train.args.num_train_epochs": 3,
        "train.args.bf16": False,
        "eval.nano_beir": [],
        "eval.steps": 100,
    }
    sample = {"path": "samples/gooaq.jsonl", "set": fitting}
    assert load_recipe("gooaq") == Recipe.model_validate(
        {
            "name": "gooaq",
            "language": "en",
            "license": "apache-2.0",
            "source": {
                "hub": "sentence-transformers/gooaq",
                "split": "train",
                "limit": 100_000,
                "query": "question",
                "positive": "answer",
            },
            "clean": {"min_chars": 1, "near_duplicate": 0.9},
            "split": {"dev_queries": 1000, "by": "query", "seed": 12},
            "encoder": {"model": "sentence-transformers/static-retrieval-mrl-en-v1"},
            "mine": {
                "negatives": 5,
                "absolute_margin": 0,
                "range_max": 100,
                "shortfall": "keep",
                "strategy": "top",
                "seed": 12,
                "keep": 50,
            },
            "rerank": None,
            "format": "labeled-pair",
            "train": {
                "base": "prajjwal1/bert-tiny",
                "loss": "bce",
                "pos_weight": 5,
                "args": {
                    "per_device_train_batch_size": 2048,
                    "learning_rate": 5e-4,
                    "num_train_epochs": 1,
                    "warmup_ratio": 0.1,
                    "bf16": True,
                    "seed": 12,
                },
            },
            "eval": {"rerank": 30, "nano_beir": ["msmarco", "nfcorpus", "nq"], "steps": 20},
            "card": "data_cards/gooaq.md",
            "sample": sample,
        }
    )


def gooaq_sample() -> list[dict]:
    lines = (bundled("recipes") / "samples" / "gooaq.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_gooaq_sample_has_the_keys_of_the_raw_file():
    keys = ["id", "question", "short_answer", "answer", "answer_type", "answer_url"]
    assert all(list(row) == keys for row in gooaq_sample())


def test_gooaq_sample_gives_at_least_400_pairs():
    recipe = load_recipe("gooaq", sample=True)
    kept = [clean(batch.entries, recipe.clean)[0] for batch in read(recipe.source)]
    assert sum(map(len, kept)) >= 400


def test_gooaq_sample_has_what_real_corpora_have():
    rows = gooaq_sample()
    pairs = Counter((normalise(row["question"]), normalise(row["answer"])) for row in rows if row["answer"])
    answers = Counter(question for question, _ in pairs)
    assert any(row["answer"] is None for row in rows)
    assert any(count > 1 for count in pairs.values())
    assert any(count > 1 for count in answers.values())
    assert len({row["id"] for row in rows}) == len(rows)


def test_gooaq_sample_has_the_lengths_of_the_published_rows():
    rows = gooaq_sample()
    assert {21 <= len(row["question"]) <= 96 for row in rows} == {True}
    assert {51 <= len(row["answer"]) <= 405 for row in rows if row["answer"]} == {True}


def test_six_edited_lines_make_the_recipe_of_the_documentation(tmp_path):
    text = (Path(__file__).parents[2] / "docs/your-corpus.md").read_text()
    edits = text.partition("```diff\n")[2].partition("```")[0].splitlines()
    old = [line[1:] for line in edits if line.startswith("-")]
    new = [line[1:] for line in edits if line.startswith("+")]
    assert len(old) == len(new) == 6
    file = copy_recipe("ai-ir", tmp_path / "tldr.yaml")
    lines = file.read_text().splitlines()
    for before, after in zip(old, new, strict=True):
        lines[lines.index(before)] = after
    file.write_text("\n".join(lines))
    made = load_recipe(file)
    assert made.source.model_dump(exclude_defaults=True) == {
        "path": "examples.jsonl.gz",
        "query": "question",
        "positive": "answer",
    }
    assert (made.encoder.model, made.encoder.normalize) == ("static", True)
    assert (made.train.base, made.train.loss_args) == ("scratch", {"scale": 20})
