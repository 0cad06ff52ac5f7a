"""Write docs/recipe-reference.md from the models of the recipe: `python docs/make_recipe_reference.py`."""

import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from minerkit.recipe import Recipe

PAGE = Path(__file__).with_name("recipe-reference.md")
HEAD = """# All keys of a recipe

This page is made from the models that check a recipe (`python docs/make_recipe_reference.py`). `null` turns a
key off. `minerkit show --schema` prints the same as JSON Schema.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")


def reference() -> str:
    """Write the reference.

    Returns:
        Markdown: the keys of the recipe itself, then a table a section.
    """
    models = {name: _model(field.annotation) for name, field in Recipe.model_fields.items()}
    sections = {name: model for name, model in models.items() if model is not None}
    plain = [name for name in Recipe.model_fields if name not in sections]
    parts = [HEAD, "## Keys of the recipe itself\n", _table(Recipe, plain)]
    for name, model in sections.items():
        parts += [f"## `{name}`\n", f"{_sentence(model)}\n", _table(model, list(model.model_fields))]
    return "\n".join(parts)


def _model(annotation: Any) -> type[BaseModel] | None:
    """Find the section that a field holds."""
    options = typing.get_args(annotation) or (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().replace("\n", " ").replace("    ", "")


def _table(model: type[BaseModel], names: list[str]) -> str:
    rows = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for name in names:
        field = model.model_fields[name]
        meaning = " ".join((field.description or "").split())
        default = "required" if field.is_required() else f"`{_default(field)}`"
        cells = (f"`{name}`", _values(field.annotation), default, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(field: Any) -> str:
    value = field.default_factory() if field.default is PydanticUndefined else field.default
    return json.dumps(value, ensure_ascii=False)


def _values(annotation: Any) -> str:
    """Say in words what a key takes."""
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(options[0])
    if origin is Literal:
        return ", ".join(f"`{option}`" for option in options)
    if origin in (Union, types.UnionType):
        return " or ".join(_values(option) for option in options if option is not type(None))
    if origin is list:
        return f"list of {_values(options[0])}"
    if origin is dict:
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "true, false", type(None): "`null`"}
    return names.get(annotation, "any value")


if __name__ == "__main__":
    main()
