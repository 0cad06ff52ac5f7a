"""Combine, check, copy and write recipes; every fault is reported, with its line."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from minerkit.errors import RecipeError, first_line, suggestion
from minerkit.recipe.files import Location, bundled, elsewhere, read_recipe, recipe_names, recipe_path
from minerkit.recipe.recipe import OF_LOADED, Recipe

__all__ = [
    "bundled",
    "copy_recipe",
    "load_recipe",
    "parse_override",
    "recipe_names",
    "recipe_path",
    "recipe_yaml",
]

#: The keys of a source that name files; in a sample, beside the recipe.
FILES = ("source.qa", "source.topics", "source.qrels")
#: A corpus in another place has no configuration or revision of the recipe's own.
ANYWHERE = {"source.config": None, "source.revision": None}


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
        raise RecipeError(f"--set {text}: the value is not YAML ({first_line(error)})") from error


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
    values, lines = read_recipe(path)
    overrides = dict(overrides or {})
    if sample:
        overrides = {**_sample_overrides(path, values, overrides), **overrides}
    elif overrides.get("source.hub") or overrides.get("source.path"):
        values = elsewhere(values)
        overrides = {**ANYWHERE, **overrides}
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
    text = re.sub(r"(?m)^card:.*$", "# card: about.md  (what you know of the corpus, for the card)", text)
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


def _sample_overrides(path: Path, values: dict[str, Any], by_hand: Mapping[str, Any]) -> dict[str, Any]:
    sample = values.get("sample")
    if not isinstance(sample, dict) or not isinstance(sample.get("path"), str):
        raise RecipeError(f"recipe {path} ships no sample; name your own data with --input PATH")
    fixed = {"source.hub": None, "source.path": _beside(path, sample["path"]), "source.limit": None}
    given = sample.get("set") or {}
    files = {key: _beside(path, given[key]) for key in FILES if given.get(key)}
    made = {**fixed, **ANYWHERE, "encoder.model": "lsa", "train.base": "scratch", **given, **files}
    # What the recipe says of a model that is loaded, it does not say of one that is made from the sample.
    named = {**made, **by_hand}
    unsaid = [f"encoder.{key}" for key in OF_LOADED.get(str(named["encoder.model"]), ())]
    unsaid += ["train.revision"] if named["train.base"] == "scratch" else []
    return {**dict.fromkeys(unsaid), **made}


def _beside(recipe: Path, name: str) -> str:
    """Find a file beside a recipe, or among the shipped ones."""
    for base in (recipe.parent, bundled("recipes")):
        if (base / name).exists():
            return str(base / name)
    raise RecipeError(f"recipe {recipe}: its sample {name} is not beside it")


def _assign(values: dict[str, Any], lines: dict[Location, str], key: str, value: Any) -> str | None:
    *parents, last = key.split(".")
    target = values
    for depth, part in enumerate(parents):
        if target.get(part) is None:
            target[part] = {}
            lines[tuple(parents[: depth + 1])] = f"--set {key}"
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
            message = f"unknown key{suggestion(str(location[-1]), _fields(location[:-1]))}"
        elif fault["type"] == "missing":
            message = "is missing"
        elif fault["type"] == "literal_error":
            message = f"{fault['input']!r} is not one of {fault['ctx']['expected']}"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            # What a validator of ours says is a whole sentence.
            if fault["type"] != "value_error" and not isinstance(fault["input"], dict | BaseModel):
                message = f"{message[0].lower()}{message[1:]}, not {fault['input']!r}"
        yield f"{lines.get(known, '(file)')}: {key}: {message}"


def _fields(location: Location) -> list[str]:
    model: Any = Recipe
    for part in location:
        field = model.model_fields.get(part) if model else None
        options = getattr(field.annotation, "__args__", [field.annotation]) if field else []
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return list(model.model_fields) if model else []
