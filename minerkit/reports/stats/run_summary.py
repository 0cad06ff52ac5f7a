"""The summary of a finished run: its rows, model, ranking scores and files, and the next commands."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from minerkit.reports.stats.training_summary import before_after, describe_model, loading_lines, metric_name
from minerkit.storage import Run

__all__ = ["push_command", "summarise_run"]

#: The metric that is always shown, whatever metric chose the model.
RANKING_METRIC = "ndcg@10"
FILES = ("train.parquet", "dev.parquet", "model", "report.html", "README.md", "evaluation.json")


def summarise_run(run: Run, pushed: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Summarise a run with a trained model.

    Args:
        run: A run with a model.
        pushed: The result of `minerkit.hub.upload_run`.

    Returns:
        A JSON-ready mapping: `recipe`, `folder`, `data` (documents; rows, queries and share of positives per
        split), `model`, `scores` (metric -> value of the encoder, BM25, and the model before and after
        training; None where not measured), `files`, `pushed` and `next` (commands).
    """
    stats, training = run.read_json("stats.json"), run.read_json("training.json")
    counts = ("queries", "rows", "positive_share", "positives", "negatives", "filled")
    folder, dev = str(run.folder), "dev" in stats["splits"]
    return {
        "recipe": run.read_json("manifest.json")["recipe"],
        "folder": folder,
        "data": {
            "documents": stats["documents"],
            "splits": {
                split: {name: split_stats[name] for name in counts}
                | {"queries": split_stats["queries"] - split_stats["dropped_queries"]}
                for split, split_stats in stats["splits"].items()
            },
        },
        "model": {
            "kind": describe_model(training),
            "base": training["model"]["base"],
            "loss": training["loss"]["name"],
            "seconds": training["seconds"],
            "load": loading_lines(training, folder),
        },
        "scores": _scores(run, training),
        "files": [f"{folder}/{name}" for name in FILES if (run.folder / name).exists()],
        "pushed": [{name: repo[name] for name in ("kind", "url", "commit")} for repo in pushed],
        "next": [
            *([f"minerkit eval {shlex.quote(folder)} --model another/model"] if dev else []),
            f"minerkit report {shlex.quote(folder)} --examples 5000",
            *([] if pushed else [push_command(folder, "user/name", "user/name")]),
        ],
    }


def push_command(folder: str, repo: str, model_repo: str, private: bool = False) -> str:
    """Return the command that pushes a run and its model.

    Args:
        folder: The run folder.
        repo: The data set on the Hub.
        model_repo: The model on the Hub.
        private: Create private repositories.

    Returns:
        The command.
    """
    return f"minerkit push {shlex.quote(folder)} --repo {repo} --model-repo {model_repo}" + (
        " --private" if private else ""
    )


def _scores(run: Run, training: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Collect the scores of the encoder, BM25, and the model before and after training, by metric."""
    change = before_after(training)
    if change is None:
        return {}
    scores: dict[str, dict[str, float | None]] = {}
    rows = {row["kind"]: row for row in run.read_json("evaluation.json")["rows"]}
    for metric in dict.fromkeys((RANKING_METRIC, metric_name(training))):
        values = {system: rows[system]["metrics"].get(metric) for system in ("encoder", "lexical")}
        if metric == metric_name(training):
            values["untrained"], values["trained"] = change
        else:
            values |= {"untrained": None, "trained": rows["trained"]["metrics"].get(metric)}
        scores[metric] = values
    return scores
