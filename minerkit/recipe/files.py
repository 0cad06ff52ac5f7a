"""Find and read recipe files, with what they extend and the line of every key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from minerkit.errors import RecipeError, first_line, suggestion

__all__ = ["Location", "bundled", "elsewhere", "read_recipe", "recipe_names", "recipe_path"]

Location = tuple[str | int, ...]
#: The keys of a source that say where it is, not what it looks like.
PLACE = {"hub", "path", "config", "split", "revision", "limit", "qa", "topics", "qrels"}
#: What a recipe says of its corpus, and cannot know of one in another place.
OF_CORPUS = {"license", "card"}
#: What it says of a data set on the Hub, and knows of any other corpus that it is made for.
OF_HUB = {"language"}


def bundled(folder: str) -> Path:
    """Find a folder that ships with minerkit, in a wheel or in a checkout.

    Args:
        folder: `recipes` or `data_cards`.

    Returns:
        The folder's path.
    """
    package = Path(__file__).parent.parent
    return package / folder if (package / folder).is_dir() else package.parent / folder


def recipe_names() -> list[str]:
    """List the shipped recipes.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in bundled("recipes").glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """Find a recipe by name or path.

    Args:
        name: A shipped recipe's name, or the path of a YAML file.

    Returns:
        The file's path.

    Raises:
        RecipeError: There is no such recipe; close names are suggested.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or "/" in name:
        if path.is_file():
            return path
        raise RecipeError(f"no recipe file {name}; `minerkit cp gooaq {path.name}` makes one to start from")
    if name in recipe_names():
        return bundled("recipes") / f"{name}.yaml"
    raise RecipeError(f"no recipe named {name!r}{suggestion(name, recipe_names())}; `minerkit ls` lists them")


def read_recipe(path: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[Location, str]]:
    """Read a recipe file onto what it extends.

    Args:
        path: The recipe file.
        seen: The files that extend this one.

    Returns:
        The values, and for every key the file and line it stands in.

    Raises:
        RecipeError: The file is not YAML, or names what is not there.
    """
    if path.resolve() in seen:
        raise RecipeError(f"recipe {path} extends itself")
    values, lines = _read(path)
    base = values.pop("extends", None)
    if base is None:
        return values, lines
    if not isinstance(base, str):
        raise RecipeError(f"{path}:{lines.get(('extends',), '1')}: extends takes one recipe's name or path")
    beside = path.parent / base
    parent, parent_lines = read_recipe(
        beside if beside.is_file() else recipe_path(base), (*seen, path.resolve())
    )
    # A place that the new recipe names replaces the one it inherits, with all that belongs to it.
    inherited, named = parent.get("source"), values.get("source")
    if isinstance(inherited, dict) and isinstance(named, dict) and {"hub", "path"} & named.keys():
        parent = elsewhere(parent)
        parent["source"] = {key: value for key, value in inherited.items() if key not in PLACE}
    return _merge(parent, values), {**parent_lines, **lines}


def elsewhere(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a recipe cannot know of a corpus in another place than its own.

    Args:
        values: The recipe's values.

    Returns:
        The others.
    """
    source = values.get("source")
    unknown = OF_CORPUS | (OF_HUB if isinstance(source, dict) and source.get("hub") else set())
    return {key: value for key, value in values.items() if key not in unknown}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _read(path: Path) -> tuple[dict[str, Any], dict[Location, str]]:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise RecipeError(f"{where}: not YAML: {first_line(error)}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections (name, source, mine, ...)")
    lines = {}
    try:
        for location, mark in _positions(node, ()):
            if location in lines:
                raise RecipeError(f"{path}:{mark}: {'.'.join(map(str, location))} is given twice")
            lines[location] = f"{path}:{mark}"
    except RecursionError as error:
        raise RecipeError(f"{path}: an alias stands inside its own anchor") from error
    if isinstance(values.get("format"), str):  # so that keys of the section can be inherited
        values["format"] = {"type": values["format"]}
    return values, lines


def _positions(node: yaml.Node | None, at: Location) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _positions(value, here)
