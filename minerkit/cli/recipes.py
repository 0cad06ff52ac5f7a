"""Commands on recipes: ls, show, validate, cp."""

import json
from pathlib import Path
from typing import Annotated

import typer

from minerkit.cli.options import JsonOption, RecipeOption, SampleOption, SetOption, app, recipe_of

__all__ = ["cp", "list_recipes", "show", "validate"]


@app.command("ls", epilog="Example: minerkit ls")
def list_recipes(as_json: JsonOption = False) -> None:
    """List the shipped recipes."""
    from minerkit.recipe import load_recipe, recipe_names

    rows = []
    for name in recipe_names():
        recipe = load_recipe(name)
        source = f"hub:{recipe.source.hub}" if recipe.source.hub else str(recipe.source.path)
        sample = "yes" if recipe.sample else "no"
        rows.append(
            {
                "name": name,
                "language": ", ".join(recipe.languages),
                "license": recipe.license,
                "source": source,
                "sample": sample,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command(epilog="Example: minerkit show -r gooaq --set mine.negatives=4")
def show(
    recipe: RecipeOption = "",
    set_: SetOption = None,
    sample: SampleOption = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")
    ] = False,
) -> None:
    """Print a recipe as it resolves, every default filled in."""
    from minerkit.recipe import Recipe, recipe_yaml

    if schema:
        typer.echo(json.dumps(Recipe.model_json_schema(), indent=1))
    else:
        typer.echo(recipe_yaml(recipe_of(recipe, set_, None, sample, None)), nl=False)


@app.command(epilog="Example: minerkit validate -r my-corpus.yaml")
def validate(recipe: RecipeOption, set_: SetOption = None) -> None:
    """Check a recipe, training arguments and all; all faults are listed together."""
    from minerkit.pipeline import check_recipe

    found = recipe_of(recipe, set_, None, False, None)
    check_recipe(found)
    typer.echo(f"{recipe}: recipe {found.name!r} is valid")


@app.command(epilog="Example: minerkit cp gooaq my-corpus.yaml")
def cp(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a recipe file.")],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Copy a recipe to a file of your own, to start from."""
    from minerkit.recipe import copy_recipe

    file = copy_recipe(recipe, file)
    typer.echo(f"{file}: edit it, then run `minerkit mine -r {file}`")
