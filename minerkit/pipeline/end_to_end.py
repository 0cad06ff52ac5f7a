"""From a recipe to a trained model on the Hub: every stage, from the first that is not done."""

from pathlib import Path
from typing import Any

from minerkit.errors import HubError
from minerkit.hub import check_access
from minerkit.pipeline.commands import train
from minerkit.pipeline.finished import evaluate_run, push_run, report_run
from minerkit.recipe import Recipe
from minerkit.reports import push_command, summarise_run
from minerkit.runtime import Reporter
from minerkit.storage import load

__all__ = ["run"]


def run(
    recipe: Recipe,
    out: Path,
    push: str | None = None,
    model_repo: str | None = None,
    *,
    private: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
    memory_gb: float | None = None,
) -> dict[str, Any]:
    """Do everything: mine a recipe, train its model, evaluate it, write the report, and push.

    Stages that are done, with the same recipe and the same input, are not done again. What is wrong with the
    training or the push is found before anything is mined.

    Args:
        recipe: The recipe.
        out: The run folder.
        push: The data set on the Hub, as user/name; None: nothing is pushed.
        model_repo: The model on the Hub; None: it is called as the data set is.
        private: Create private repositories.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        memory_gb: Gigabytes that mining may use; None: half of what is free.

    Returns:
        What `minerkit.reports.stats.run_summary.summarise_run` gives.

    Raises:
        MinerkitError: Something the user can mend; finished stages and checkpoints are kept.
    """
    reporter = reporter or Reporter(quiet=True)
    if push is not None:
        check_access([("dataset", push), ("model", model_repo or push)], private, reporter)
    train(recipe, out, device, reporter, memory_gb=memory_gb)  # mines first
    if recipe.split.dev_queries:
        evaluate_run(out, device=device, reporter=reporter, again=False)
    report_run(out, reporter=reporter, again=False)
    if push is None:
        return summarise_run(load(out))
    return summarise_run(load(out), _pushed(out, push, model_repo or push, private, reporter))


def _pushed(out: Path, repo: str, model_repo: str, private: bool, reporter: Reporter) -> list[dict[str, Any]]:
    """Push the run and its model; where that fails, say that only this is left to do."""
    try:
        return push_run(out, repo, model_repo, private=private, reporter=reporter)
    except HubError as error:
        again = push_command(str(out), repo, model_repo, private)
        raise HubError(f"{error}; all but the push is done, and `{again}` does the rest") from error
