import copy
import html
import json
import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from minerkit.errors import RecipeError
from minerkit.pipeline import commands as pipeline
from minerkit.pipeline import finished
from minerkit.recipe.load import load_recipe
from minerkit.recipe.recipe import Recipe
from minerkit.reports.cards.dataset_card import card_markdown, dataset_card, handwritten_notes
from minerkit.storage.run_folder import load

NASTY = "a | b `c` <script>alert(1)</script> *d* [e](f) \\ _g_\n\n```\n# h\r--- &amp;"


@pytest.fixture(scope="module")
def card(sample_run) -> str:
    return dataset_card(load(sample_run))


@pytest.fixture(scope="module")
def stats(sample_run) -> dict:
    return load(sample_run).read_json("stats.json")


@pytest.fixture(scope="module")
def nasty_run(tmp_path_factory) -> Path:
    """A run whose texts, column names and file name try to break out."""
    folder = tmp_path_factory.mktemp("nasty")
    names = ("que|st`ion <b>", "*ans*_wer_|[x](y)")
    rows = [
        {names[0]: f"question {i} {NASTY}", names[1]: f"answer {i} of many {i * 7919} {NASTY}"}
        for i in range(40)
    ]
    pl.DataFrame(rows).write_ndjson(folder / "na|sty `file`.jsonl")
    recipe = Recipe.model_validate(
        {
            "name": "nasty",
            "source": {"path": str(folder / "na|sty `file`.jsonl"), "query": names[0], "positive": names[1]},
            "clean": {"near_duplicate": None},
            "encoder": {"model": "lsa"},
            "mine": {"negatives": 2},
        }
    )
    pipeline.mine(recipe, folder / "run", "cpu")
    return folder / "run"


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def tables(card: str) -> list[list[list[str]]]:
    """The card's tables as a Markdown reader sees them: rows of cells."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(DatasetCard(card).text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            found[-1][-1].append("")
        elif token.type == "inline" and found and found[-1] and found[-1][-1] and not found[-1][-1][-1]:
            found[-1][-1][-1] = token.content
    return found


def test_the_run_holds_its_card(sample_run, card):
    assert (sample_run / "README.md").read_text() == card


def test_the_front_matter_is_what_the_hub_knows(card):
    found = front_matter(card)
    assert DatasetCard(card).data.to_dict() == found
    assert found["language"] == "en" and found["license"] == "apache-2.0"
    assert found["size_categories"] == ["1K<n<10K"]
    assert found["task_categories"] == ["text-ranking", "text-retrieval"]
    assert found["source_datasets"] == ["original"]
    assert found["annotations_creators"] == ["machine-generated"]
    assert "sentence-transformers" in found["tags"] and found["pretty_name"].startswith("gooaq")
    assert not {"configs", "dataset_info"} & found.keys()


def test_the_front_matter_follows_recipe_and_size(stats):
    recipe = load_recipe("gooaq", {"language": ["zh", "en"], "format": "triplet"})
    big = copy.deepcopy(stats)
    big["splits"]["train"]["rows"] = 578_402
    found = front_matter(card_markdown(recipe, big))
    assert found["language"] == ["zh", "en"]
    assert found["source_datasets"] == ["sentence-transformers/gooaq"]
    assert found["size_categories"] == ["100K<n<1M"]
    assert found["task_categories"] == ["feature-extraction", "sentence-similarity", "text-retrieval"]


def test_every_section_is_there(card):
    headings = re.findall(r"(?m)^## (.*)$", card)
    assert headings == [
        "Load it", "Mining Parameters", "Dataset Subsets", "Statistics", "False negatives",
        "From raw rows to rows", "About the corpus", "Licence and source", "Make it again",
    ]  # fmt: skip
    subsets = re.findall(r"(?m)^### `(.*)`$", card)
    assert subsets == ["pairs", "labeled-pair", "corpus", "queries", "qrels"]
    assert card.count("* Collection strategy: ") == card.count("* Example:") == 5


def test_every_number_of_the_tables_is_in_stats_json(card, stats):
    leaves: list[float] = []

    def collect(value: object) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(inner)
        if isinstance(value, int | float):
            leaves.append(value)

    collect(stats)
    leaves += [1 - split["positive_share"] for split in stats["splits"].values()]
    known = {form.format(value) for value in leaves for form in ("{:,}", "{:,.2f}", "{:.2%}", "{:.4f}")}
    details = [
        column["details"] for part in ("train", "dev") for column in stats[part]["statistics"].values()
    ]
    details += [
        column["details"] for part in stats["subsets"].values() for column in part["statistics"].values()
    ]
    known |= set(re.findall(r"-?\d[\d,.]*%?", json.dumps(details)))
    body = card[: card.index("## About the corpus")]
    checked = 0
    for header, *rows in tables(body):
        if header[0] == "parameter":  # what the recipe says
            continue
        for row in rows:
            for number in re.findall(r"(?<![\w@])-?\d[\d,]*(?:\.\d+)?%?(?!\w)", " ".join(row[1:])):
                assert number.rstrip(",") in known, (header, row)
                checked += 1
    assert checked > 150


def test_the_card_follows_stats_json(stats):
    changed = copy.deepcopy(stats)
    changed["splits"]["train"]["negatives"] = 1_234_567
    changed["rules"]["train"]["eligible"] = 7_654_321
    changed["scores"]["gap"]["50%"] = 0.98765
    changed["subsets"]["corpus"]["size"] = 424_242
    changed["texts"]["documents"]["characters"]["95%"] = 31_337
    found = card_markdown(load_recipe("gooaq", sample=True), changed)
    for number in ("1,234,567", "7,654,321", "within 0.9877 of", "* Rows: 424,242", "| 31,337 |"):
        assert number in found


def test_users_text_breaks_no_table(nasty_run):
    found = dataset_card(load(nasty_run))
    assert len(tables(found)) == 12
    for header, *rows in tables(found):
        assert all(len(row) == len(header) for row in rows), header
    kinds = {token.type for token in MarkdownIt("commonmark").enable("table").parse(DatasetCard(found).text)}
    assert "html_block" not in kinds
    rendered = MarkdownIt("commonmark").enable("table").render(DatasetCard(found).text)
    assert "<script>" not in rendered and "<b>" not in rendered
    assert rendered.count("<h1>") == 1
    for name in pl.read_parquet(nasty_run / "train.parquet").columns:  # as written, no part of it markup
        assert f">{html.escape(name)}</td>" in rendered


def test_examples_are_the_data_s_own_rows(nasty_run):
    found = dataset_card(load(nasty_run))
    first = pl.read_parquet(nasty_run / "train.parquet").row(0, named=True)
    blocks = re.findall(r"(?ms)^  ```json\n(.*?)^  ```$", found)
    assert first in [json.loads(block) for block in blocks]


def test_no_folder_of_the_machine_is_told(nasty_run, sample_run):
    for run in (nasty_run, sample_run):
        found = dataset_card(load(run))
        assert str(run.parent) not in found
        assert str(Path.cwd()) not in found


def test_the_command_makes_it_again(sample_run, card, nasty_run, stats):
    assert "minerkit mine --recipe gooaq --sample\n" in card
    assert "minerkit mine --recipe gooaq\n" in card_markdown(load_recipe("gooaq"), stats)
    own = dataset_card(load(nasty_run))
    assert "Save this recipe as `recipe.yaml`, name in it where its files are, and run `minerkit" in own
    written = yaml.safe_load(re.findall(r"(?ms)^```yaml\n(.*?)^```", own)[-1])
    assert Recipe.model_validate(written).mine == load_recipe(nasty_run / "recipe.yaml").mine


def test_loading_lines_name_the_repository(sample_run, card):
    assert 'load_dataset("parquet", data_files=files)' in card
    assert 'load_dataset("user/name", "labeled-pair", split="train")' in card
    pushed = dataset_card(load(sample_run), "team/data")
    assert 'train = load_dataset("team/data", "labeled-pair", split="train")' in pushed
    assert 'dev = load_dataset("team/data", "labeled-pair", split="dev")' in pushed
    assert "user/name" not in pushed and "data_files" not in pushed


def test_the_local_loading_lines_work(sample_run, card, monkeypatch):
    code = card.split("```python\n")[2].split("```")[0]
    monkeypatch.chdir(sample_run)
    found: dict = {}
    exec(code, found)
    assert {name: len(rows) for name, rows in found["data"].items()} == {
        name: len(pl.read_parquet(f"{name}.parquet")) for name in ("train", "dev")
    }


@pytest.mark.parametrize("shape", ["pair", "triplet", "n-tuple", "labeled-list", "labeled-pair"])
@pytest.mark.parametrize("scores", [False, True])
def test_every_format_has_a_card(stats, shape, scores):
    recipe = load_recipe("gooaq", {"format.type": shape, "format.scores": scores})
    assert f"### `{shape}`" in card_markdown(recipe, stats)


def test_the_hand_written_part_is_a_level_down(tmp_path, stats):
    (tmp_path / "about.md").write_text(
        "---\nlicense: mit\n---\n# Title\n\nText.\n\n## Part\n\n```bash\n# a comment\n```\n"
    )
    recipe = load_recipe("gooaq", {"card": str(tmp_path / "about.md")})
    found = card_markdown(recipe, stats)
    part = found[found.index("## About the corpus") : found.index("## Licence")]
    assert part.strip() == "## About the corpus\n\nText.\n\n### Part\n\n```bash\n# a comment\n```"


def test_a_recipe_without_a_hand_written_part(stats):
    assert "About the corpus" not in card_markdown(load_recipe("gooaq", {"card": None}), stats)


def test_an_edited_card_stays_until_the_run_changes(tmp_path, sample_pairs):
    sample_pairs.head(60).write_parquet(tmp_path / "pairs.parquet")
    values = {"name": "t", "source": {"path": str(tmp_path / "pairs.parquet")}, "encoder": {"model": "lsa"}}
    run = pipeline.mine(Recipe.model_validate(values), tmp_path / "run")
    (run.folder / "README.md").write_text("my own words")
    pipeline.mine(Recipe.model_validate(values), tmp_path / "run")
    assert finished.audit_run(run.folder) == []
    assert (run.folder / "README.md").read_text() == "my own words"
    pipeline.mine(Recipe.model_validate({**values, "mine": {"negatives": 2}}), tmp_path / "run")
    assert (run.folder / "README.md").read_text() == dataset_card(run)


def test_a_missing_hand_written_part_is_found_before_the_work(tmp_path):
    recipe = load_recipe("gooaq", {"card": "none.md"}, sample=True)
    with pytest.raises(RecipeError, match=r"card: no file none\.md; write it, or set card: null"):
        pipeline.mine(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    with pytest.raises(RecipeError, match="not UTF-8"):
        handwritten_notes(load_recipe("gooaq", {"card": str(tmp_path / "latin.md")}))


@pytest.mark.slow
def test_the_card_is_made_anew_when_the_hand_written_part_changes(tmp_path, sample_pairs):
    sample_pairs.head(60).write_parquet(tmp_path / "pairs.parquet")
    (tmp_path / "about.md").write_text("# About\n\nFirst words.")
    recipe = Recipe.model_validate(
        {
            "name": "t", "source": {"path": str(tmp_path / "pairs.parquet")}, "encoder": {"model": "lsa"},
            "card": str(tmp_path / "about.md"),
        }
    )  # fmt: skip
    run = pipeline.mine(recipe, tmp_path / "run")
    assert "First words." in (run.folder / "README.md").read_text()
    (tmp_path / "about.md").write_text("# About\n\nOther words.")
    run = pipeline.mine(recipe, tmp_path / "run")
    assert "Other words." in (run.folder / "README.md").read_text()
    assert finished.audit_run(run.folder) == []


def test_the_command_prints_or_writes_it(sample_run, card, tmp_path):
    from typer.testing import CliRunner

    from minerkit.cli import app

    assert CliRunner().invoke(app, ["card", str(sample_run)]).output == card
    CliRunner().invoke(app, ["card", str(sample_run), "--out", str(tmp_path / "CARD.md")])
    assert (tmp_path / "CARD.md").read_text() == card
