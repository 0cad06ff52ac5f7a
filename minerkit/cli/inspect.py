"""Commands that look at a run: stats, card, eval, audit, report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from minerkit.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    app,
    as_text,
    print_result,
)
from minerkit.errors import AuditError

__all__ = ["audit", "card", "evaluate", "report", "stats"]


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
    from minerkit.reports import describe_dataset, render_description, training_dataset_section

    if rows not in (None, "all") and not (rows.isdigit() and int(rows)):
        raise typer.BadParameter("--rows takes a number of rows, or all")
    if format_ == "card" and layout == "classic" and model is not None:
        raise typer.BadParameter("the classic layout counts characters; --model goes with --layout current")
    if format_ == "card":
        typer.echo(training_dataset_section(data, split, config, layout, rows, model, loss))
        return
    found = describe_dataset(data, split, config, rows, model)
    print_result(as_text(found) if format_ == "json" else render_description(data, found))


@app.command(epilog="Example: minerkit card runs/gooaq --out README.md")
def card(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Write the card to this file.")] = None,
) -> None:
    """Print the data set card of a run, or write it to a file."""
    from minerkit.reports import dataset_card
    from minerkit.storage import atomic_write, load

    text = dataset_card(load(run))
    if out is None:
        typer.echo(text, nl=False)
        return
    with atomic_write(out) as stream:
        stream.write(text.encode())
    typer.echo(f"{out}: written")


@app.command(
    "eval", epilog="Example: minerkit eval runs/gooaq --base --model cross-encoder/ms-marco-MiniLM-L6-v2"
)
def evaluate(
    run: RunArgument,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A reranker or bi-encoder (Hub name or folder); may be repeated."),
    ] = None,
    base: Annotated[
        bool, typer.Option("--base", help="Score the model that training starts from, too.")
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare how the dev split is ranked: by the encoder, by BM25, by the run's model and by others."""
    from minerkit.pipeline import evaluate_run
    from minerkit.reports import render_comparison
    from minerkit.runtime import Reporter

    found = evaluate_run(run, model or (), base, device, Reporter(quiet))
    print_result(as_text(found) if as_json else render_comparison(found))


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
    from minerkit.pipeline import report_run

    file = out or run / "report.html"
    made = report_run(run, out, examples, seed) or {}
    typer.echo(f"{file}: {made['shown']:,} of {made['queries']:,} queries, {made['bytes'] / 1e6:.1f} MB")
