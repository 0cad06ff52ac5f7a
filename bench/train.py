"""Train on real pairs as a user would, once a seed: what a model gains on the dev split, and what that takes.

    python bench/train.py reranker --pairs squad.jsonl.gz --positive passage --model path/to/model
    python bench/train.py bi-encoder --pairs tldr.jsonl --model path/to/model --dev 300 --steps 90

The model mines, and training starts from its weights: a reranker gets a new head, whose weights differ by
seed, learns from negatives drawn from the first places, and reorders the documents the model retrieved; a
bi-encoder learns from the hardest negatives, and retrieves from all documents. Mining is done once; the seeds
train one after another, in the same run folder, by `minerkit train`.

Prints a JSON line a seed (metrics in 0..1; seconds of the whole command; peak of resident memory in MB), then
one with the mean gains and the spread, the standard deviation of the metric over the seeds. All seeds share
the dev queries: how far the gain depends on these is not in the spread.

The defaults fit two cores and a model of MiniLM's size. --set goes to minerkit as it is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

COMMAND = [sys.executable, "-c", "from minerkit.cli import main; main()"]
#: Each kind of model: how its recipe differs. Both are measured before and after training only.
KINDS: dict[str, dict[str, Any]] = {
    "reranker": {
        # With the hardest ones (strategy top), so short a training of a new head learns nothing at all.
        "mine": {"negatives": 5, "absolute_margin": 0, "strategy": "random", "range_max": 200},
        "format": "labeled-pair",
        "train": {"loss": "bce", "max_length": 128},
        "eval": {"rerank": 10},
    },
    "bi-encoder": {
        "mine": {"negatives": 1},
        "format": "triplet",
        "train": {"loss": "mnrl", "max_length": 64},
        "eval": {"retrieval": [10]},
    },
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "reranker": {"per_device_train_batch_size": 16, "learning_rate": 1e-4},
    "bi-encoder": {"per_device_train_batch_size": 64, "learning_rate": 5e-5},
}


def recipe(given: argparse.Namespace) -> dict[str, Any]:
    """Make the recipe: as shipped ones are, in the sizes asked for."""
    kind = KINDS[given.kind]
    arguments = {**ARGUMENTS[given.kind], "max_steps": given.steps, "warmup_steps": 0.1, "bf16": given.bf16}
    return {
        "name": "bench",
        "source": {"path": str(given.pairs.resolve()), "query": given.query, "positive": given.positive},
        "split": {"dev_queries": given.dev},
        "encoder": {"model": given.model},
        **kind,
        "train": {**kind["train"], "base": given.model, "args": arguments},
        "eval": {**kind["eval"], "steps": given.steps + 1},
    }


def minerkit(*arguments: str) -> tuple[float, int]:
    """Run a command in a process of its own; give its seconds and peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"minerkit {' '.join(arguments)} failed")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, kilobytes here
    return time.perf_counter() - started, usage.ru_maxrss // unit


def figures(account: dict[str, Any]) -> dict[str, float]:
    """Take the metrics of a training, before and after; of a reranker, the retrieved order's, too."""
    found = {}
    for metric in ("ndcg@10", "mrr@10"):
        key = next(key for key in account["after"] if key.endswith(metric) and "_base_" not in key)
        found |= {f"{metric} {when}": account[when][key] for when in ("before", "after")}
        base = key.replace(metric, f"base_{metric}")
        found |= {f"{metric} retrieved": account["after"][base]} if base in account["after"] else {}
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Mine once, and train once a seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--pairs", type=Path, required=True, help="a file of pairs in any format")
    parser.add_argument("--query", default="question")
    parser.add_argument("--positive", default="answer")
    parser.add_argument("--model", required=True, help="a sentence-transformers model's folder")
    parser.add_argument("--limit", type=int, default=5000, help="read only the first rows")
    parser.add_argument("--dev", type=int, default=120, help="queries held out")
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--seeds", type=int, nargs="+", default=[12, 13, 14])
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="where the run is kept, and taken up next time")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        file, run = folder / "recipe.yaml", folder / "run"
        file.write_text(yaml.safe_dump(recipe(given)))
        options = ["-r", str(file), "--out", str(run), "--limit", str(given.limit)]
        options += [part for text in given.set for part in ("--set", text)]
        minerkit("mine", *options)
        for seed in given.seeds:
            seconds, memory = minerkit("train", *options, "--no-resume", "--set", f"train.args.seed={seed}")
            account = json.loads((run / "training.json").read_text())
            batch = account["arguments"]["per_device_train_batch_size"]
            size = {"rows": account["rows"], "steps": account["steps"], "seen": account["steps"] * batch}
            size |= {"bf16": account["arguments"].get("bf16", False)}
            taken = {"seconds": round(seconds), "peak_mb": memory}
            rows.append({"seed": seed, **figures(account), **size, **taken})
            print(json.dumps(rows[-1]), flush=True)
    after = [row["ndcg@10 after"] for row in rows]
    summary = {"seeds": len(rows), "ndcg@10 after": round(statistics.mean(after), 4)}
    summary |= {"spread": round(statistics.stdev(after), 4)} if len(rows) > 1 else {}
    for other in ("before", "retrieved"):
        gains = [row["ndcg@10 after"] - row[f"ndcg@10 {other}"] for row in rows if f"ndcg@10 {other}" in row]
        summary |= {f"gain on {other}": round(statistics.mean(gains), 4)} if gains else {}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
