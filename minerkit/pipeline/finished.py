"""What is done with a finished run: audit it, score models on its dev split, write its page, push it."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import minerkit
from minerkit.errors import AuditError, RunError
from minerkit.evaluation import compare_systems
from minerkit.hub import check_repo_name, upload_run
from minerkit.pipeline.invariants import Breach, audit
from minerkit.pipeline.stage import stage_key
from minerkit.pipeline.stages import train as train_stage
from minerkit.recipe import load_recipe
from minerkit.reports import write_report
from minerkit.runtime import Reporter
from minerkit.storage import ARTEFACT_COLUMNS, Run, atomic_write, load, locked, sha256

__all__ = ["audit_run", "evaluate_run", "push_run", "report_run"]

#: Raised when models are scored in another way.
EVALUATION_VERSION = 1


def audit_run(folder: Path) -> list[Breach]:
    """Check every invariant of a finished run.

    Args:
        folder: The run folder.

    Returns:
        The breaches, none for a clean run.

    Raises:
        RunError: There is no finished run, or a file of it cannot be read.
    """
    run = load(folder)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    hashes = {
        name: sha256(run.folder / name) for name in manifest["outputs"] if (run.folder / name).is_file()
    }
    frames = {name: run.read(f"{name}.parquet") for name in [*ARTEFACT_COLUMNS, "train", "dev"]}
    return audit(frames, load_recipe(run.folder / "recipe.yaml"), manifest, hashes)


def evaluate_run(
    folder: Path,
    models: Sequence[str] = (),
    base: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
    again: bool = True,
) -> dict[str, Any]:
    """Score models on the dev split of a finished run, and keep the result as evaluation.json.

    Args:
        folder: The run folder.
        models: Models beside the run's own, by folder or Hub name.
        base: Whether to score the model that training starts from.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes.
        again: Whether to score although nothing has changed since the last time.

    Returns:
        What `minerkit.evaluation.compare_systems` gives.

    Raises:
        MinerkitError: Something the user can mend.
    """
    reporter = reporter or Reporter(quiet=True)
    with _locked(folder) as run:
        recipe = load_recipe(folder / "recipe.yaml")
        model = (run.marker("train") or {"outputs": {}})["outputs"]
        trained = stage_key(train_stage.STAGE, recipe, run)
        key = {"version": EVALUATION_VERSION, "of": trained, "model": model}
        if not again and run.done("evaluate", key):
            reporter.say("eval: done before, nothing to do")
            return dict(run.read_json("evaluation.json"))
        found = compare_systems(recipe, run, models, base, device, reporter)
        with atomic_write(folder / "evaluation.json") as stream:
            stream.write(json.dumps(found, indent=1, ensure_ascii=False).encode())
        run.mark("evaluate", key, ["evaluation.json"])
    return found


def report_run(
    folder: Path,
    out: Path | None = None,
    examples: int = 1000,
    seed: int = 12,
    reporter: Reporter | None = None,
    again: bool = True,
) -> dict[str, Any] | None:
    """Write the page of a finished run.

    Args:
        folder: The run folder.
        out: The HTML file; None: report.html in the run.
        examples: How many queries the page holds at most.
        seed: Seed of the draw of the queries.
        reporter: Where progress goes.
        again: Whether to write it although it has been written of the run as it is.

    Returns:
        What `minerkit.reports.page.write.write_report` gives; None where nothing was written.

    Raises:
        RunError: There is no finished run, a file of it is missing, or the page cannot be written.
    """
    page = out or folder / "report.html"
    with _locked(folder) if out is None else contextlib.nullcontext(load(folder)) as run:
        manifest = sha256(run.folder / "manifest.json")
        key = {"version": minerkit.__version__, "run": manifest, "folder": str(folder)}
        if not again and run.done("report", key) and page.is_file():
            (reporter or Reporter(quiet=True)).say("report: done before, nothing to do")
            return None
        made = write_report(run, page, examples, seed)
        if out is None:
            run.mark("report", key, [])  # no hash: a page with more examples is as good
    return made


def push_run(
    folder: Path,
    repo: str,
    model_repo: str | None = None,
    *,
    private: bool = False,
    revision: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """Push a finished run that keeps its promises: its subsets as configs, its card, its model.

    Each repository gets one commit, so that nobody reads half a push; when nothing is new, it gets none.
    After a cut, the same call goes on: what is uploaded is not sent again.

    Args:
        folder: The run folder.
        repo: The data set, as user/name; it is created where it does not exist.
        model_repo: Where `model/` goes, as user/name.
        private: Create private repositories.
        revision: The branch, default main; it is created where it does not exist.
        force: Push although the audit finds breaches.
        dry_run: Only list what would go; no network, no token.
        reporter: Where progress goes.

    Returns:
        What `minerkit.hub.upload_run` gives.

    Raises:
        RunError: There is no finished run, or no model.
        AuditError: The run breaks a promise.
        HubError: A name is bad, there is no token, or the Hub cannot be reached or refuses.
    """
    for name in (repo, model_repo or repo):
        check_repo_name(name)
    if model_repo and load(folder) and not (folder / "model").is_dir():
        raise RunError(f"{folder} holds no model/ to push; train one, or leave out --model-repo")
    with _locked(folder) as run:
        if not force and (breaches := audit_run(folder)):
            raise AuditError(
                f"{folder} is not pushed: it breaks {len(breaches)} of its promises, first: "
                f"{breaches[0].check} (see `minerkit audit {folder}`); mend it, or add --force"
            )
        return upload_run(
            run, repo, model_repo, private=private, revision=revision, dry_run=dry_run, reporter=reporter
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Run]:
    """Open a finished run for writing, alone; a folder that holds none is left as it is."""
    load(folder)
    with locked(folder) as run:
        yield run
