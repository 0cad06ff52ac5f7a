"""What README and docs say: their commands exist, their recipes validate, their links lead somewhere."""

import pkgutil
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml

from minerkit.cli import app
from minerkit.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def fences(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in some languages."""
    for language, block in re.findall(r"^```([^\n]*)\n(.*?)^```", page.read_text(), re.M | re.S):
        if language in languages:
            yield block


def commands(page: Path) -> list[str]:
    """The calls of minerkit in shell and console blocks, and those named in the text."""
    found = []
    for block in (*fences(page, "bash"), *fences(page, "console")):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?minerkit ", line)]
        found += re.findall(r"\.venv/bin/(minerkit [^&\n]+)", block)
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return found + [call for call in re.findall(r"`(minerkit [^`]+)`", text) if call.split()[1].islower()]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_can_be_parsed(page):
    group = typer.main.get_command(app)
    for line in commands(page):
        words = shlex.split(line)[1:]
        if words[0].startswith("-"):
            assert words[0] in {"--version", "--install-completion"}, line
            continue
        command = group.commands[words[0]]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert all(word in known | {"-h"} for word in words[1:] if re.match(r"--?[a-z]", word)), line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_recipe_and_key_is_one(page):
    for block in fences(page, "yaml"):
        values = yaml.safe_load(block)
        if isinstance(values, dict) and values.keys() & {"source", "extends"}:
            values.pop("extends", None)
            Recipe.model_validate(values)
    for line in commands(page):
        given = re.findall(r"--set (\S+)", line)
        name = re.search(r"(?:-r|--recipe) (\S+)", line)
        if given and name and not name[1].endswith(".yaml"):
            overrides = dict(item.split("=", 1) for item in given)
            load_recipe(name[1], {key: yaml.safe_load(value) for key, value in overrides.items()})


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http:", "https:")):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            assert there.exists(), target
            headings = re.findall(r"^#+ (.*)", there.read_text(), re.M) if anchor else []
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
            assert not anchor or anchor in slugs, target


def test_a_readme_is_short():
    assert all(len(page.read_text().splitlines()) <= 200 for page in READMES)


def test_both_readmes_have_the_same_commands_and_figures():
    english, chinese = READMES

    def figures(page: Path) -> list[str]:
        table = [line for line in page.read_text().splitlines() if re.match(r"\|.*\d+ s", line)]
        return [number for line in table for number in re.findall(r"\d[\d,.]*", line)]

    languages = ("bash", "console", "yaml", "python")
    assert list(fences(english, *languages)) == list(fences(chinese, *languages))
    assert figures(english) == figures(chinese) and len(figures(english)) > 20
    pages = [set(re.findall(r"\]\((docs/[^)]+)\)", page.read_text())) for page in READMES]
    assert pages[0] == pages[1]


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^[a-z-]+$", (ROOT / "docs/index.md").read_text(), re.M)
    assert sorted(listed) == sorted(
        path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index"
    )


def test_the_reference_of_the_recipe_is_that_of_the_models():
    made = runpy.run_path(str(ROOT / "docs/make_recipe_reference.py"))["reference"]()
    page = (ROOT / "docs/recipe-reference.md").read_text()
    assert page == made, "run python docs/make_recipe_reference.py"


def test_the_example_of_the_python_api_runs():
    (code,) = (block for block in fences(ROOT / "docs/python-api.md", "python") if "SplitQueries" in block)
    names: dict = {}
    exec(code, names)
    assert len(names["rows"]) == 12 and names["rows"].columns == ["query", "positive", "negative"]
    assert ("q0", "d08") not in names["negatives"].select("query_id", "doc_id").rows()


def test_every_command_has_help():
    for name, command in typer.main.get_command(app).commands.items():
        assert command.help and command.epilog.startswith("Example: minerkit "), name


def test_the_picture_of_the_report_is_small():
    assert (ROOT / "docs/images/report.png").stat().st_size < 200_000


def test_every_documented_member_is_one():
    blocks = fences(ROOT / "docs" / "python-api.md", "{eval-rst}")
    found = [
        (name, member)
        for block in blocks
        for name, members in re.findall(r"autoclass:: (\S+)\n +:members: (.*)", block)
        for member in members.split(", ")
    ]
    assert found and all(hasattr(pkgutil.resolve_name(name), member) for name, member in found)
