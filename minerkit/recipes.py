"""Find, read, combine and check recipe files; every fault is reported, with its line."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from minerkit.errors import RecipeError
from minerkit.recipe import Recipe

__all__ = ["bundled", "copy_recipe", "load_recipe", "names", "parse_override", "recipe_path", "recipe_yaml"]

Location = tuple[str | int, ...]
#: The keys of a source that say where it is, not what it looks like.
PLACE = {"hub", "path", "config", "split", "revision", "limit"}
OF_CORPUS = ("license", "card")  # what a recipe cannot know of a corpus in another place


def bundled(folder: str) -> Path:
    """Find a folder that ships with minerkit, in a wheel or in a checkout.

    Args:
        folder: `recipes` or `data_cards`.

    Returns:
        The folder's path.
    """
    package = Path(__file__).parent
    return package / folder if (package / folder).is_dir() else package.parent / folder


def names() -> list[str]:
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
    if name in names():
        return bundled("recipes") / f"{name}.yaml"
    raise RecipeError(f"no recipe named {name!r}{_suggest(name, names())}; `minerkit ls` lists them")


def parse_override(text: str) -> tuple[str, Any]:
    """Read one `--set key.sub=value`.

    Args:
        text: A dotted key, an equals sign and a YAML value.

    Returns:
        The key and the value.

    Raises:
        RecipeError: The text is not of that form.
    """
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key.strip()):
        raise RecipeError(f"--set {text}: write key.sub=value, for example --set mine.negatives=4")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {text}: the value is not YAML ({_first_line(error)})") from error


def load_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None, sample: bool = False) -> Recipe:
    """Read a recipe, with what it extends and with overrides, and check it.

    Args:
        name: A shipped recipe's name, or the path of a YAML file.
        overrides: Values by dotted key that replace the file's.
        sample: Use the recipe's bundled sample as source, with what fits its size; then
            `encoder.model` is `lsa` and `train.base` is `scratch` unless the overrides set them.

    Returns:
        The checked recipe.

    Raises:
        RecipeError: The recipe is unknown or has faults; the message lists all of them.
    """
    path = recipe_path(str(name))
    values, lines = _resolve(path, ())
    overrides = dict(overrides or {})
    if sample:
        overrides = {**_sample_overrides(path, values), **overrides}
    elif overrides.get("source.hub") or overrides.get("source.path"):
        values = {key: value for key, value in values.items() if key not in OF_CORPUS}
    faults = []
    for key, value in overrides.items():
        fault = _assign(values, lines, key, value)
        if fault:
            faults.append(fault)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        faults += list(_faults(error, lines))
    if faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        raise RecipeError("\n".join([f"recipe {path} has {count}:", *(f"  {fault}" for fault in faults)]))
    return recipe


def copy_recipe(name: str, file: Path) -> Path:
    """Copy a recipe to start a new one from.

    Args:
        name: A shipped recipe's name, or the path of a YAML file.
        file: The file to write, `.yaml` added where it has no such ending; the recipe is named after it.

    Returns:
        The file written.

    Raises:
        RecipeError: The file exists or cannot be written.
    """
    if file.suffix not in {".yaml", ".yml"}:
        file = file.with_name(f"{file.name}.yaml")
    text = recipe_path(name).read_text(encoding="utf-8")
    new = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._") or "my-corpus"
    text = re.sub(r"(?m)^name:.*$", f"name: {new}", text).replace(f"--recipe {name}", f"--recipe {file}")
    text = re.sub(
        r"(?m)^card:.*$", "# card: about.md  (for the data card: what you know of the corpus)", text
    )
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise RecipeError(f"{file} is there already; name another file") from error
    except OSError as error:
        raise RecipeError(f"{file} cannot be written: {error.strerror}") from error
    return file


def recipe_yaml(recipe: Recipe) -> str:
    """Write a resolved recipe.

    Args:
        recipe: A checked recipe.

    Returns:
        YAML that holds every value and reads back to the same recipe.
    """
    return yaml.safe_dump(recipe.model_dump(), sort_keys=False, allow_unicode=True, width=100)


def _sample_overrides(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    sample = values.get("sample")
    if not isinstance(sample, dict) or not isinstance(sample.get("path"), str):
        raise RecipeError(f"recipe {path} ships no sample; name your own data with --input PATH")
    places = [base / sample["path"] for base in (path.parent, bundled("recipes"))]
    file = next((place for place in places if place.exists()), None)
    if file is None:
        raise RecipeError(f"recipe {path}: its sample {sample['path']} is not beside it")
    fixed = {"source.hub": None, "source.path": str(file), "source.limit": None}
    return {**fixed, "encoder.model": "lsa", "train.base": "scratch", **(sample.get("set") or {})}


def _resolve(path: Path, seen: tuple[Path, ...]) -> tuple[dict[str, Any], dict[Location, str]]:
    """Read a recipe file onto what it extends; keep where each key was written."""
    if path.resolve() in seen:
        raise RecipeError(f"recipe {path} extends itself")
    values, lines = _read(path)
    base = values.pop("extends", None)
    if base is None:
        return values, lines
    if not isinstance(base, str):
        raise RecipeError(f"{path}:{lines.get(('extends',), '1')}: extends takes one recipe's name or path")
    beside = path.parent / base
    parent, parent_lines = _resolve(
        beside if beside.is_file() else recipe_path(base), (*seen, path.resolve())
    )
    # A place that the new recipe names replaces the one it inherits, with all that belongs to it.
    inherited, named = parent.get("source"), values.get("source")
    if isinstance(inherited, dict) and isinstance(named, dict) and {"hub", "path"} & named.keys():
        parent = {key: value for key, value in parent.items() if key not in OF_CORPUS}
        parent["source"] = {key: value for key, value in inherited.items() if key not in PLACE}
    return _merge(parent, values), {**parent_lines, **lines}


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
        raise RecipeError(f"{where}: not YAML: {_first_line(error)}") from error
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


def _assign(values: dict[str, Any], lines: dict[Location, str], key: str, value: Any) -> str | None:
    *parents, last = key.split(".")
    target = values
    for depth, part in enumerate(parents):
        if target.get(part) is None:
            target[part] = {}
        elif part == "format" and isinstance(target[part], str):
            target[part] = {"type": target[part]}
        target = target[part]
        if not isinstance(target, dict):
            return f"--set {key}: {'.'.join(parents[: depth + 1])} has no keys below it"
    target[last] = value
    lines[tuple(key.split("."))] = f"--set {key}"
    return None


def _faults(error: ValidationError, lines: Mapping[Location, str]) -> Iterator[str]:
    for fault in error.errors():
        location = tuple(part for part in fault["loc"] if not str(part).startswith(("literal[", "function-")))
        known = location
        while known and known not in lines:
            known = known[:-1]
        key = ".".join(map(str, location)) or "recipe"
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_suggest(str(location[-1]), _fields(location[:-1]))}"
        elif fault["type"] == "missing":
            message = "is missing"
        elif fault["type"] == "literal_error":
            message = f"{fault['input']!r} is not one of {fault['ctx']['expected']}"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            if not isinstance(fault["input"], dict | BaseModel):
                message = f"{message[0].lower()}{message[1:]}, not {fault['input']!r}"
        yield f"{lines.get(known, '(file)')}: {key}: {message}"


def _fields(location: Location) -> list[str]:
    model: Any = Recipe
    for part in location:
        field = model.model_fields.get(part) if model else None
        options = getattr(field.annotation, "__args__", [field.annotation]) if field else []
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return list(model.model_fields) if model else []


def _suggest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
