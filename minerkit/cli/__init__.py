"""The command line: results go to stdout, progress to stderr, heavy imports wait until they are needed."""

import sys

# In the order in which `minerkit -h` lists their commands.
from minerkit.cli import recipes, making, looking, publishing  # isort: skip
from minerkit.cli.common import app
from minerkit.errors import MinerkitError

__all__ = ["looking", "main", "making", "publishing", "recipes"]


def main() -> None:
    """Run the command line; print errors a user can mend as one line each."""
    try:
        app()
    except MinerkitError as error:
        print(f"minerkit: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except SystemExit as end:
        # typer takes Ctrl-C for an exit like any other.
        stop = end.__context__.__cause__ if end.__context__ else None
        if not isinstance(stop, KeyboardInterrupt):
            raise
        outlook = str(stop) or "the same command goes on from the last finished stage"
        print(f"minerkit: stopped; {outlook}", file=sys.stderr)  # noqa: T201
        sys.exit(130)


@app.callback()
def _about() -> None:
    """Turn a raw corpus into leak-free hard negatives, one recipe file at a time.

    Start with: minerkit mine --recipe gooaq --sample
    """
