"""The command that publishes a run: push."""

import json
from typing import Annotated

import typer

from minerkit.cli.options import JsonOption, QuietOption, RunArgument, app

__all__ = ["push"]


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
    from minerkit.pipeline import push_run
    from minerkit.runtime import Reporter

    found = push_run(
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
