"""What the commands share: the application, its options, and how results are printed."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "DeviceOption", "InputOption", "JsonOption", "LimitOption", "MemoryOption", "OutOption", "QuietOption",
    "RecipeOption", "RunArgument", "SampleOption", "SetOption", "app", "as_text", "print_result", "print_run",
    "recipe_of",
]  # fmt: skip

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)


def _complete_recipe() -> list[str]:
    """List the shipped recipes, for the completion of the shell."""
    from minerkit.recipe import recipe_names

    return recipe_names()


RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        "-r",
        help="A shipped recipe's name, or a recipe file.",
        autocompletion=_complete_recipe,
    ),
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="key.sub=value; may be repeated.")]
InputOption = Annotated[
    str | None, typer.Option("--input", help="Read this file, folder or glob, not the source.")
]
SampleOption = Annotated[bool, typer.Option("--sample", help="Use the recipe's bundled corpus; no network.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The run folder; default runs/<name>.")]
LimitOption = Annotated[int | None, typer.Option("--limit", help="Read only the first rows.")]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where models run.")]
MemoryOption = Annotated[
    float | None, typer.Option("--memory-gb", help="Memory mining may use; default half of what is free.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def recipe_of(name: str, set_: list[str] | None, input_: str | None, sample: bool, limit: int | None) -> Any:
    """Load the recipe a command line asks for."""
    from minerkit.recipe import load_recipe, parse_override

    if not name:
        raise typer.BadParameter("name a recipe: --recipe gooaq")
    if input_ is not None and sample:
        raise typer.BadParameter("--input and --sample exclude each other")
    overrides: dict[str, Any] = {}
    if input_ is not None:
        overrides |= {"source.hub": None, "source.path": input_, "source.limit": None}
    overrides |= dict(parse_override(text) for text in set_ or [])
    if limit is not None:
        overrides["source.limit"] = limit
    return load_recipe(name, overrides, sample)


def print_run(folder: Path, format_: str) -> None:
    """Print the account of a run."""
    from minerkit.reports import render_run_stats
    from minerkit.storage import load

    found = load(folder).read_json("stats.json")
    print_result(as_text(found) if format_ == "json" else render_run_stats(found, str(folder)))


def as_text(found: Any) -> str:
    """Write a result as JSON."""
    return json.dumps(found, indent=1, ensure_ascii=False)


def print_result(found: Any) -> None:
    """Print text or tables; these wider than the terminal where their numbers would be cut otherwise."""
    from rich.console import Console
    from rich.measure import Measurement

    if isinstance(found, str):
        typer.echo(found)
        return
    console = Console(highlight=False, soft_wrap=True)
    unbounded = console.options.update(max_width=10_000)
    console.width = max(console.width, Measurement.get(console, unbounded, found).minimum)
    console.print(found)
