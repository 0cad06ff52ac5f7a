"""The command line: results go to stdout, progress to stderr, heavy imports wait until they are needed."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from minerkit.errors import AuditError, MinerkitError

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)

RecipeOption = Annotated[
    str, typer.Option("--recipe", "-r", help="A shipped recipe's name, or a recipe file.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="key.sub=value; may be repeated.")]
InputOption = Annotated[
    str | None, typer.Option("--input", help="Read this file, folder or glob, not the source.")
]
SampleOption = Annotated[bool, typer.Option("--sample", help="Use the recipe's bundled corpus; no network.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The run folder; default runs/<name>.")]
LimitOption = Annotated[int | None, typer.Option("--limit", help="Read only the first rows.")]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where models run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def main() -> None:
    """Run the command line; print errors a user can mend as one line each."""
    try:
        app()
    except MinerkitError as error:
        print(f"minerkit: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        print("minerkit: stopped; the same command goes on from the last finished stage", file=sys.stderr)  # noqa: T201
        sys.exit(130)


@app.callback()
def _about() -> None:
    """Turn a raw corpus into leak-free hard negatives, one recipe file at a time.

    Start with: minerkit mine --recipe gooaq --sample
    """


@app.command("ls", epilog="Example: minerkit ls")
def list_recipes(as_json: JsonOption = False) -> None:
    """List the shipped recipes."""
    from minerkit.recipes import load_recipe, names

    rows = []
    for name in names():
        recipe = load_recipe(name)
        language = recipe.language if isinstance(recipe.language, str) else ", ".join(recipe.language)
        source = f"hub:{recipe.source.hub}" if recipe.source.hub else str(recipe.source.path)
        sample = "yes" if recipe.sample else "no"
        rows.append(
            {
                "name": name,
                "language": language,
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
    from minerkit.recipe import Recipe
    from minerkit.recipes import recipe_yaml

    if schema:
        typer.echo(json.dumps(Recipe.model_json_schema(), indent=1))
    else:
        typer.echo(recipe_yaml(_recipe(recipe, set_, None, sample, None)), nl=False)


@app.command(epilog="Example: minerkit validate -r my-corpus.yaml")
def validate(recipe: RecipeOption, set_: SetOption = None) -> None:
    """Check a recipe; all faults are listed together."""
    found = _recipe(recipe, set_, None, False, None)
    typer.echo(f"{recipe}: recipe {found.name!r} is valid")


@app.command(epilog="Example: minerkit cp gooaq my-corpus.yaml")
def cp(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a recipe file.")],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Copy a recipe to a file of your own, to start from."""
    from minerkit.recipes import copy_recipe

    file = copy_recipe(recipe, file)
    typer.echo(f"{file}: edit it, then run `minerkit mine -r {file}`")


@app.command(epilog="Example: minerkit ingest -r gooaq --input pairs.jsonl.gz --set source.positive=passage")
def ingest(
    recipe: RecipeOption,
    input_: InputOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn a raw corpus into queries, corpus, qrels and pairs; say what was rejected, and show some pairs."""
    from minerkit import pipeline
    from minerkit.intake import render_intake
    from minerkit.progress import Reporter

    spec = _recipe(recipe, set_, input_, sample, limit)
    run = pipeline.ingest(spec, out or Path("runs") / spec.name, Reporter(quiet))
    account = pipeline.ingest_account(run, spec)
    _print(_json(account) if as_json else render_intake(account, str(run.folder)))


@app.command(epilog="Example: minerkit mine -r gooaq --input pairs.jsonl.gz --set source.positive=passage")
def mine(
    recipe: RecipeOption,
    input_: InputOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mine hard negatives: raw rows in, train.parquet and dev.parquet out."""
    from minerkit import pipeline
    from minerkit.progress import Reporter

    spec = _recipe(recipe, set_, input_, sample, limit)
    run = pipeline.mine(spec, out or Path("runs") / spec.name, device, Reporter(quiet))
    _print_run(run.folder, "json" if as_json else "text")


@app.command(epilog="Example: minerkit stats runs/gooaq --format card --layout current")
def stats(
    data: Annotated[
        str, typer.Argument(metavar="RUN|FILE.parquet|HUB-ID", help="A run, a file or a Hub data set.")
    ],
    format_: Annotated[
        Literal["card", "json", "text"],
        typer.Option("--format", help="A model card's table; or the whole data, as JSON or as tables."),
    ] = "text",
    layout: Annotated[
        Literal["classic", "current"],
        typer.Option(help="card: as in published cards, or as sentence-transformers 6 writes it."),
    ] = "classic",
    rows: Annotated[
        str | None, typer.Option(help="Count the first so many rows, or `all`; default: the layout's number.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Measure in this model's tokens (a Hub name or folder).")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="card: the loss to name: bce, mnrl, or a class; a run's recipe has one."),
    ] = None,
    split: Annotated[str, typer.Option(help="The split of a run or Hub data set.")] = "train",
    config: Annotated[str | None, typer.Option(help="The configuration (subset) of a Hub data set.")] = None,
) -> None:
    """Show what a model card shows of a data set, or describe it as a whole."""
    from minerkit.describe import describe, describe_text, section

    if rows not in (None, "all") and not (rows.isdigit() and int(rows)):
        raise typer.BadParameter("--rows takes a number of rows, or all")
    if format_ == "card" and layout == "classic" and model is not None:
        raise typer.BadParameter("the classic layout counts characters; --model goes with --layout current")
    if format_ == "card":
        typer.echo(section(data, split, config, layout, rows, model, loss))
        return
    found = describe(data, split, config, rows, model)
    _print(_json(found) if format_ == "json" else describe_text(data, found))


@app.command(epilog="Example: minerkit card runs/gooaq --out README.md")
def card(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Write the card to this file.")] = None,
) -> None:
    """Print the data set card of a run, or write it to a file."""
    from minerkit.artefacts import load
    from minerkit.card import dataset_card
    from minerkit.files import replacing

    text = dataset_card(load(run))
    if out is None:
        typer.echo(text, nl=False)
        return
    with replacing(out) as stream:
        stream.write(text.encode())
    typer.echo(f"{out}: written")


@app.command(epilog="Example: minerkit audit runs/gooaq")
def audit(run: RunArgument) -> None:
    """Check every promise a run makes; exit 1 and name the rows where one is broken."""
    from minerkit.pipeline import audit_run

    breaches = audit_run(run)
    for breach in breaches:
        typer.echo(f"BREACH {breach.check}: {breach.rows:,} rows: {breach.examples}")
    if breaches:
        raise AuditError(
            f"{run} breaks {len(breaches)} of its promises; run `minerkit mine` again, or report it"
        )
    typer.echo(f"{run}: clean")


@app.command(epilog="Example: minerkit report runs/gooaq --examples 2000")
def report(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option("--out", help="The HTML file; default RUN/report.html.")] = None,
    examples: Annotated[
        int, typer.Option(min=1, max=20_000, help="How many queries the page lets one look through.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of their draw.")] = 12,
) -> None:
    """Show a run on one self-contained HTML page: its account, its charts, and examples to look through."""
    from minerkit.artefacts import load
    from minerkit.report import write_report

    file = out or run / "report.html"
    made = write_report(load(run), file, examples, seed)
    typer.echo(f"{file}: {made['shown']:,} of {made['queries']:,} queries, {made['bytes'] / 1e6:.1f} MB")


@app.command(epilog="Example: minerkit push runs/gooaq --repo user/name --dry-run")
def push(
    run: RunArgument,
    repo: Annotated[str, typer.Option(help="The data set on the Hub, as user/name.")],
    model_repo: Annotated[str | None, typer.Option(help="Push model/ too, as user/name.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Create the repositories private.")] = False,
    revision: Annotated[str | None, typer.Option(help="The branch to push to; default main.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go; no network.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Push although the audit finds breaches.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Push a run to the Hub: subsets, card and model, in one commit a repository; none if nothing is new."""
    from minerkit import hub
    from minerkit.progress import Reporter

    found = hub.push(
        run, repo, model_repo, private=private, revision=revision,
        force=force, dry_run=dry_run, reporter=Reporter(quiet),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for pushed in found:
        files = pushed["files"]
        about = f"{len(files)} files, {sum(file['bytes'] for file in files):,} bytes"
        if dry_run:
            typer.echo(f"{pushed['kind']} {pushed['repo']}: {about} would go")
            for file in files:
                rows = "" if file["rows"] is None else f"{file['rows']:,} rows"
                typer.echo(f"  {file['bytes']:>15,} bytes  {rows:>16}  {file['path']}")
        elif pushed["commit"]:
            typer.echo(
                f"{pushed['url']}: {len(pushed['changed'])} of {about} changed, commit {pushed['commit']}"
            )
        else:
            typer.echo(f"{pushed['url']}: {about}; nothing new, no commit")


def _recipe(name: str, set_: list[str] | None, input_: str | None, sample: bool, limit: int | None) -> Any:
    from minerkit.recipes import load_recipe, parse_override

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


def _print_run(folder: Path, format_: str) -> None:
    from minerkit.artefacts import load
    from minerkit.summary import render

    found = load(folder).read_json("stats.json")
    _print(_json(found) if format_ == "json" else render(found, str(folder)))


def _json(found: Any) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False)


def _print(found: Any) -> None:
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
