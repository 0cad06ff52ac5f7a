"""What a run made from end to end: rows, a model, how well it ranks, where it lies, and what to do next."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from minerkit.reports.stats.training_summary import before_after, loading, metric_of, model_in_words
from minerkit.storage import Run

__all__ = ["push_command", "summarise_run"]

#: The metric of every ranking, whatever it was that chose the model.
RANKING = "ndcg@10"
FILES = ("train.parquet", "dev.parquet", "model", "report.html", "README.md", "evaluation.json")


def summarise_run(run: Run, pushed: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Account for a run that is done from end to end.

    Args:
        run: A run with a model.
        pushed: What `minerkit.hub.upload_run` returns.

    Returns:
        A JSON-ready mapping: `recipe`, `folder`, `data` (the rows of each split, its queries and the share of
        positives), `model`, `scores` (metric to value: of the encoder's order, of BM25, and of the model
        before and after training; None where one was not measured), `files`, `pushed` and `next`.
    """
    stats, training = run.read_json("stats.json"), run.read_json("training.json")
    names = ("queries", "rows", "positive_share", "positives", "negatives", "filled")
    folder, dev = str(run.folder), "dev" in stats["splits"]
    return {
        "recipe": run.read_json("manifest.json")["recipe"],
        "folder": folder,
        "data": {
            "documents": stats["documents"],
            "splits": {
                split: {name: found[name] for name in names}
                | {"queries": found["queries"] - found["dropped_queries"]}
                for split, found in stats["splits"].items()
            },
        },
        "model": {
            "kind": model_in_words(training),
            "base": training["model"]["base"],
            "loss": training["loss"]["name"],
            "seconds": training["seconds"],
            "load": loading(training, folder),
        },
        "scores": _scores(run, training),
        "files": [f"{folder}/{name}" for name in FILES if (run.folder / name).exists()],
        "pushed": [{name: made[name] for name in ("kind", "url", "commit")} for made in pushed],
        "next": [
            *([f"minerkit eval {shlex.quote(folder)} --model another/model"] if dev else []),
            f"minerkit report {shlex.quote(folder)} --examples 5000",
            *([] if pushed else [push_command(folder, "user/name", "user/name")]),
        ],
    }


def push_command(folder: str, repo: str, model_repo: str, private: bool = False) -> str:
    """Write the command that pushes a run and its model.

    Args:
        folder: The run folder.
        repo: The data set on the Hub.
        model_repo: The model on the Hub.
        private: Whether they are to be private.

    Returns:
        The command.
    """
    return f"minerkit push {shlex.quote(folder)} --repo {repo} --model-repo {model_repo}" + (
        " --private" if private else ""
    )


def _scores(run: Run, training: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Put the model before and after training beside the encoder's order and BM25."""
    measured = before_after(training)
    if measured is None:
        return {}
    scores: dict[str, dict[str, float | None]] = {}
    rows = {row["kind"]: row for row in run.read_json("evaluation.json")["rows"]}
    for metric in dict.fromkeys((RANKING, metric_of(training))):
        found = {kind: rows[kind]["metrics"].get(metric) for kind in ("encoder", "lexical")}
        if metric == metric_of(training):
            found["untrained"], found["trained"] = measured
        else:
            found |= {"untrained": None, "trained": rows["trained"]["metrics"].get(metric)}
        scores[metric] = found
    return scores
