"""What cards say of the mining: parameters, subsets, the data's name, the command that does it again."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minerkit.errors import RecipeError
from minerkit.recipe import Recipe, bundled, load_recipe, recipe_names
from minerkit.reports.cards.sentences import qrels_words, rows_words

__all__ = ["command", "data_name", "is_sample", "mining_parameters", "names_folders", "portable", "subsets"]

#: Above so many `--set`, a recipe file is the shorter way.
MOST = 8

#: What the subsets hold that every run has.
STRATEGIES = {
    "pairs": "every query of the cleaned corpus with each of its positives; no negatives.",
    "corpus": "every distinct document once; texts are equal when they are after NFKC and collapsing blanks.",
    "queries": "every distinct query once, with its split.",
}


def mining_parameters(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """List what decided the negatives.

    Args:
        recipe: The resolved recipe.

    Yields:
        Name and value; rules that are off are left out.
    """
    yield "encoder", portable(recipe.encoder.model)
    yield "score", "cosine similarity" if recipe.encoder.normalize else "dot product"
    for key, value in recipe.mine.model_dump().items():
        if value is not None:
            yield f"mine.{key}", str(value)
    if recipe.clean.near_duplicate is not None:
        yield "clean.near_duplicate", str(recipe.clean.near_duplicate)
    yield "split.seed", str(recipe.split.seed)


def subsets(recipe: Recipe, stats: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Describe the subsets of the data set.

    Args:
        recipe: The resolved recipe.
        stats: The run's stats.json.

    Yields:
        name, rows, strategy, example (JSON) and columns (name, type, details): of the pairs, the mined rows,
        then corpus, queries and qrels.
    """
    words = {**STRATEGIES, recipe.format.type: rows_words(recipe, stats), "qrels": qrels_words(recipe)}
    mined = {split: stats[split] for split in stats["splits"]}
    every = {"pairs": {"train": stats["subsets"]["pairs"]}, recipe.format.type: mined}
    every |= {name: {"train": stats["subsets"][name]} for name in ("corpus", "queries", "qrels")}
    for name, splits in every.items():
        first = splits.get("train") or next(iter(splits.values()))
        example = dict(zip(first["columns"], first["samples"][0] if first["samples"] else [], strict=False))
        sizes = [
            f"{found['size']:,}{f' {split}' if len(splits) > 1 else ''}" for split, found in splits.items()
        ]
        yield {
            "name": name,
            "rows": ", ".join(sizes),
            "strategy": words[name],
            "example": "\n".join(
                f"  {line}" for line in json.dumps(example, indent=2, ensure_ascii=False).splitlines()
            ),
            "columns": [
                {
                    "name": column,
                    "type": found["dtype"],
                    "details": ", ".join(f"{key}: {value}" for key, value in found["details"].items()),
                }
                for column, found in first["statistics"].items()
            ],
        }


def portable(value: Any) -> Any:
    """Leave of absolute paths the last part: where a file lay on somebody's disk is nobody's business.

    Args:
        value: A recipe's value, or a mapping of such.

    Returns:
        The same without folders.
    """
    if isinstance(value, dict):
        return {key: portable(inner) for key, inner in value.items()}
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def names_folders(recipe: Recipe) -> bool:
    """Check whether a recipe names places on a disk that `portable` leaves out.

    Args:
        recipe: The resolved recipe.

    Returns:
        Whether who makes the run again has to name them; not for a bundled sample.
    """
    values = recipe.model_dump()
    return portable(values) != values and not is_sample(recipe)


def is_sample(recipe: Recipe) -> bool:
    """Check whether a recipe's source is a sample that ships with minerkit.

    Args:
        recipe: The resolved recipe.

    Returns:
        True for a bundled sample.
    """
    path = recipe.source.path
    return path is not None and Path(path).is_relative_to(bundled("recipes") / "samples")


def data_name(recipe: Recipe) -> str:
    """Name the data that a recipe makes.

    Args:
        recipe: The resolved recipe.

    Returns:
        The recipe's name; where a recipe for a data set on the Hub was given other data, the name of these.
    """
    if recipe.name not in recipe_names() or is_sample(recipe):
        return recipe.name
    own, source = load_recipe(recipe.name).source.hub, recipe.source
    if own is None or source.hub == own:
        return recipe.name
    given = source.hub or Path(str(source.path)).name
    plain = " ".join(re.findall(r"[\w./-]+", given))  # a file may be called anything
    return f"{plain} (recipe {recipe.name})"


def command(recipe: Recipe, verb: str) -> str | None:
    """Find the command that resolves to this very recipe.

    Args:
        recipe: The resolved recipe.
        verb: `mine` or `train`.

    Returns:
        The command, with what was set by hand; absolute paths in it keep their last part only. None where it
        is no shipped recipe, or too much was set.
    """
    if recipe.name not in recipe_names():
        return None
    sample = is_sample(recipe)
    try:
        shipped = load_recipe(recipe.name, sample=sample)
        changed = dict(_changes(shipped.model_dump(), recipe.model_dump()))
        if len(changed) > MOST or load_recipe(recipe.name, changed, sample) != recipe:
            return None
    except RecipeError:
        return None
    given = [
        f"--set {shlex.quote(f'{key}={json.dumps(portable(value), ensure_ascii=False)}')}"
        for key, value in changed.items()
    ]
    return " ".join([f"minerkit {verb} --recipe {recipe.name}{' --sample' if sample else ''}", *given])


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """List what was set otherwise, by dotted key."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            yield from ((f"{key}.{inner}", changed) for inner, changed in _changes(old[key], value))
        elif key not in old or value != old[key]:
            yield key, value
