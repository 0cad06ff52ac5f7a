"""The command line: results go to stdout, progress to stderr, heavy imports wait until they are needed."""

import sys
from typing import Annotated

import typer

import minerkit

# In the order in which `minerkit -h` lists their commands.
from minerkit.cli import recipes, build, inspect, publish  # isort: skip
from minerkit.cli.options import app
from minerkit.errors import MinerkitError

__all__ = ["build", "inspect", "main", "publish", "recipes"]

#: How typer ends after Ctrl-C.
INTERRUPTED = 130


def main() -> None:
    """Run the command line; print errors a user can mend as one line each."""
    try:
        app()
    except MinerkitError as error:
        print(f"minerkit: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        # typer takes Ctrl-C for an exit like any other, and keeps the interrupt as the cause. A training says
        # in one line where it goes on; polars words interrupts of its own, at length.
        stop = end.__context__.__cause__ if end.__context__ else None
        reasons = [str(word) for word in getattr(stop, "args", ()) if "\n" not in str(word)]
        outlook = (reasons or ["the same command goes on from the last finished stage"])[0]
        print(f"minerkit: stopped; {outlook}", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minerkit {minerkit.__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Turn a raw corpus into leak-free hard negatives, one recipe file at a time.

    Start with: minerkit mine --recipe gooaq --sample
    """
