"""Commands that make a run: ingest, mine, train, run."""

from pathlib import Path
from typing import Annotated

import typer

from minerkit.cli.options import (
    DeviceOption,
    InputOption,
    JsonOption,
    LimitOption,
    MemoryOption,
    OutOption,
    QuietOption,
    RecipeOption,
    SampleOption,
    SetOption,
    app,
    as_text,
    print_result,
    print_run,
    recipe_of,
)

__all__ = ["everything", "ingest", "mine", "train"]


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
    from minerkit.reports import render_ingest
    from minerkit.runtime import Reporter

    spec = recipe_of(recipe, set_, input_, sample, limit)
    run = pipeline.ingest(spec, out or Path("runs") / spec.name, Reporter(quiet))
    account = pipeline.ingest_account(run, spec)
    print_result(as_text(account) if as_json else render_ingest(account, str(run.folder)))


@app.command(epilog="Example: minerkit mine -r gooaq --input pairs.jsonl.gz --set source.positive=passage")
def mine(
    recipe: RecipeOption,
    input_: InputOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    memory_gb: MemoryOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mine hard negatives: raw rows in, train.parquet and dev.parquet out."""
    from minerkit import pipeline
    from minerkit.runtime import Reporter

    spec = recipe_of(recipe, set_, input_, sample, limit)
    run = pipeline.mine(spec, out or Path("runs") / spec.name, device, Reporter(quiet), memory_gb)
    print_run(run.folder, "json" if as_json else "text")


@app.command(epilog="Example: minerkit train -r gooaq --sample --set train.args.num_train_epochs=2")
def train(
    recipe: RecipeOption,
    input_: InputOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    memory_gb: MemoryOption = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from the last checkpoint, or begin anew.")
    ] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a reranker or a bi-encoder: mines if needed, then writes model/ and training.json."""
    from minerkit import pipeline
    from minerkit.reports import render_training
    from minerkit.runtime import Reporter

    spec = recipe_of(recipe, set_, input_, sample, limit)
    run = pipeline.train(spec, out or Path("runs") / spec.name, device, Reporter(quiet), resume, memory_gb)
    account = run.read_json("training.json")
    print_result(as_text(account) if as_json else render_training(account, str(run.folder)))


@app.command("run", epilog="Example: minerkit run -r gooaq --sample")
def everything(
    recipe: RecipeOption,
    push: Annotated[
        str | None,
        typer.Option(
            help="Push the data set to datasets/user/name and the model to user/name on the Hub, at the end."
        ),
    ] = None,
    model_repo: Annotated[
        str | None, typer.Option(help="Push the model to this user/name and not to that of --push.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Create the repositories private.")] = False,
    input_: InputOption = None,
    sample: SampleOption = False,
    out: OutOption = None,
    limit: LimitOption = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    memory_gb: MemoryOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Do everything: mine, train, score, report, and push; from the first stage that is not done."""
    if push is None and (model_repo or private):
        raise typer.BadParameter("--model-repo and --private go with --push")
    from minerkit import pipeline
    from minerkit.reports import render_run_summary
    from minerkit.runtime import Reporter

    spec = recipe_of(recipe, set_, input_, sample, limit)
    account = pipeline.run(
        spec, out or Path("runs") / spec.name, push, model_repo,
        private=private, device=device, reporter=Reporter(quiet), memory_gb=memory_gb,
    )  # fmt: skip
    print_result(as_text(account) if as_json else render_run_summary(account))
