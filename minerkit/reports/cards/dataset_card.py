"""The data set card of a run: front matter for the Hub, and what a reader must know."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minerkit.errors import RecipeError
from minerkit.recipe import Recipe, bundled, load_recipe, recipe_yaml
from minerkit.reports.cards import sentences
from minerkit.reports.cards import training_dataset as card_tables
from minerkit.reports.cards.mining_facts import (
    command,
    data_name,
    is_sample,
    mining_parameters,
    names_folders,
    portable,
    subsets,
)
from minerkit.storage import Run, atomic_write

__all__ = ["card_markdown", "dataset_card", "handwritten_notes", "write_card"]

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10**7: "1M<n<10M"}
#: What the formats train: rerankers from labels, embedding models from positives and negatives side by side.
TASKS = {
    "labeled-pair": ["text-ranking", "text-retrieval"],
    "labeled-list": ["text-ranking", "text-retrieval"],
    "pair": ["feature-extraction", "sentence-similarity", "text-retrieval"],
    "triplet": ["feature-extraction", "sentence-similarity", "text-retrieval"],
    "n-tuple": ["feature-extraction", "sentence-similarity", "text-retrieval"],
}


def dataset_card(run: Run, repo: str | None = None, model_repo: str | None = None) -> str:
    """Write the card of a run's data set.

    Args:
        run: A finished run.
        repo: The data set's name on the Hub, for the lines that load it; None: they leave a gap for it, and
            load the local files as well.
        model_repo: The name on the Hub of the model that was trained on it; None: there is none.

    Returns:
        Markdown with a YAML front matter, without `configs` and `dataset_info`, which a push adds.

    Raises:
        MinerkitError: The recipe names a hand-written part that is not there, or the run is damaged.
    """
    return card_markdown(
        load_recipe(run.folder / "recipe.yaml"), run.read_json("stats.json"), repo, model_repo
    )


def write_card(run: Run, recipe: Recipe) -> None:
    """Write the card into the run, as README.md; it is the user's to edit, so no hash is kept of it.

    Args:
        run: A run whose stages are done.
        recipe: The recipe it was made from.
    """
    with atomic_write(run.folder / "README.md") as stream:
        stream.write(card_markdown(recipe, run.read_json("stats.json")).encode())


def card_markdown(
    recipe: Recipe, stats: Mapping[str, Any], repo: str | None = None, model_repo: str | None = None
) -> str:
    """Write a data set's card; every number in it is one of the statistics.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.
        repo: The data set's name on the Hub; None: not pushed yet.
        model_repo: The name on the Hub of the model that was trained on it; None: there is none.

    Returns:
        Markdown with a YAML front matter.
    """
    import jinja2

    loader = jinja2.PackageLoader("minerkit.reports.cards", "")
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {
        "cell": _cell,
        "code": _code,
        "number": _number,
        "percent": lambda share: f"{share:.2%}",
        "score": lambda value: f"{value:.4f}",
        "sentence": lambda text: f"{text[:1].upper()}{text[1:].rstrip('.')}.",
    }
    sample, mined = is_sample(recipe), sentences.has_negatives(recipe, stats)
    reasons = dict.fromkeys(reason for found in stats["rules"].values() for reason in found["refused"])
    return environment.get_template("dataset_card.md").render(
        front_matter=_front_matter(recipe, stats, sample, mined),
        title=_title(recipe, sample, mined),
        sample=sample,
        source=_source(recipe, sample),
        license=recipe.license,
        stats=stats,
        kept=stats["yield"]["kept_queries"],
        rows={name: split["rows"] for name, split in stats["splits"].items()},
        mined=mined,
        lacking=sentences.some_lack_negatives(stats),
        filled=any(split["backfilled"] for split in stats["splits"].values()),
        judged=sentences.judged_negatives(stats),
        about=list(sentences.about_negatives(recipe, stats)),
        repo=repo,
        model_repo=model_repo,
        format=recipe.format.type,
        parameters=list(mining_parameters(recipe)),
        subsets=list(subsets(recipe, stats)),
        rules=list(sentences.safeguards(recipe, sentences.judged_negatives(stats))),
        reasons=list(reasons),
        remains=list(sentences.remains(recipe, stats)),
        notes=_notes(recipe),
        command=command(recipe, "mine"),
        moved=names_folders(recipe),
        recipe=recipe_yaml(Recipe.model_validate(portable(recipe.model_dump()))).rstrip(),
    )


def handwritten_notes(recipe: Recipe) -> str | None:
    """Read the part of a data set's card that is written by hand.

    Args:
        recipe: A checked recipe.

    Returns:
        The Markdown file its `card` names, beside the working directory or among the shipped ones; None where
        it names none.

    Raises:
        RecipeError: There is no such file, or it is not UTF-8 text.
    """
    if recipe.card is None:
        return None
    for file in (Path(recipe.card).expanduser(), bundled("data_cards").parent / recipe.card):
        if file.is_file():
            try:
                return file.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise RecipeError(f"card: {file} is not UTF-8 text") from error
    raise RecipeError(f"card: no file {recipe.card}; write it, or set card: null")


def _front_matter(recipe: Recipe, stats: Mapping[str, Any], sample: bool, mined: bool) -> str:
    from huggingface_hub import DatasetCardData

    rows = sum(split["rows"] for split in stats["splits"].values())
    data = DatasetCardData(
        language=recipe.language,
        license=recipe.license,
        # Pairs of a source that somebody else has put together are found, not made.
        annotations_creators=[
            "machine-generated" if mined or recipe.source.format == "documents" else "found"
        ],
        source_datasets=[recipe.source.hub] if recipe.source.hub else ["original"],
        size_categories=[next((name for limit, name in SIZES.items() if rows < limit), "10M<n<100M")],
        task_categories=TASKS[recipe.format.type],
        pretty_name=_title(recipe, sample, mined),
        tags=[
            "sentence-transformers",
            *(["hard-negatives"] if mined else []),
            "information-retrieval",
            "minerkit",
        ],
    )
    return f"---\n{data.to_yaml()}\n---"


def _title(recipe: Recipe, sample: bool, mined: bool) -> str:
    what = f"hard negatives, {recipe.format.type}" if mined else recipe.format.type
    return f"{data_name(recipe)}{', bundled sample' if sample else ''}: {what}"


def _source(recipe: Recipe, sample: bool) -> str:
    if recipe.source.hub:
        name = recipe.source.hub
        return f"[{name}](https://huggingface.co/datasets/{name})"
    if sample:
        return f"the sample `{Path(str(recipe.source.path)).name}` that is bundled with minerkit"
    return f"`{_code(portable(recipe.source.path))}`"


def _notes(recipe: Recipe) -> str:
    """Take the hand-written part: its title left out, its headings a level down, its front matter dropped."""
    text = handwritten_notes(recipe)
    if text is None:
        return ""
    if text.startswith("---\n"):
        text = text[4:].partition("\n---\n")[2]
    lines, fenced = [], False
    for line in text.strip().splitlines():
        fenced ^= line.startswith(("```", "~~~"))
        if not fenced and line.startswith("# "):
            continue
        lines.append(f"#{line}" if not fenced and line.startswith("#") else line)
    return "\n".join(lines).strip()


def _code(text: str) -> str:
    """Keep a user's text from ending the code it stands in."""
    return text.replace("`", "'")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _cell(text: str) -> str:
    """Keep a user's text from breaking out of a table cell, or being read as HTML or Markdown."""
    plain = html.escape(str(text), quote=False)
    for mark in "\\`*_[]":
        plain = plain.replace(mark, f"\\{mark}")
    return card_tables.cell(plain)
