"""Train models on real pairs with several seeds: the gain on the dev split, the time and the memory.

    python bench/train.py reranker --pairs squad.jsonl.gz --positive passage --model path/to/model
    python bench/train.py bi-encoder --pairs tldr.jsonl --model path/to/model --dev 300 --steps 90

The model mines, and is the base model of the training. A reranker gets a new head, whose weights depend on
the seed; it learns from negatives drawn from the first ranks, and reranks the documents that the model
retrieved. A bi-encoder learns from the hardest negatives, and retrieves from all documents. The script mines
once, and runs `minerkit train` in the same run folder for each seed.

Prints one JSON line per seed (metrics in 0..1; seconds of the whole command; peak of resident memory in MB),
then one with the mean gains and the spread, the standard deviation of the metric over the seeds. All seeds
share the dev queries, so the spread does not cover the choice of dev queries.

The defaults fit two cores and a model of MiniLM's size. Options --set are passed to minerkit.
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
#: Sections of the recipe for each type of model. Models are evaluated before and after training only.
MODELS: dict[str, dict[str, Any]] = {
    "reranker": {
        # With the hardest negatives (strategy top), so short a training of a new head learns nothing.
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


def recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Build the recipe."""
    sections = MODELS[options.model_type]
    arguments = {
        **ARGUMENTS[options.model_type],
        "max_steps": options.steps,
        "warmup_steps": 0.1,
        "bf16": options.bf16,
    }
    return {
        "name": "bench",
        "source": {
            "path": str(options.pairs.resolve()),
            "query": options.query,
            "positive": options.positive,
        },
        "split": {"dev_queries": options.dev},
        "encoder": {"model": options.model},
        **sections,
        "train": {**sections["train"], "base": options.model, "args": arguments},
        "eval": {**sections["eval"], "steps": options.steps + 1},
    }


def minerkit(*arguments: str) -> tuple[float, int]:
    """Run a command in a new process; return its seconds and peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"minerkit {' '.join(arguments)} failed")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes on macOS, else kilobytes
    return time.perf_counter() - started, usage.ru_maxrss // unit


def dev_metrics(training: dict[str, Any]) -> dict[str, float]:
    """Extract the metrics before and after training, for a reranker also those of the retrieved order."""
    metrics = {}
    for metric in ("ndcg@10", "mrr@10"):
        key = next(key for key in training["after"] if key.endswith(metric) and "_base_" not in key)
        metrics |= {f"{metric} {when}": training[when][key] for when in ("before", "after")}
        base = key.replace(metric, f"base_{metric}")
        metrics |= {f"{metric} retrieved": training["after"][base]} if base in training["after"] else {}
    return {name: round(value, 4) for name, value in metrics.items()}


def main() -> None:
    """Mine once, and train with each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model_type", choices=MODELS)
    parser.add_argument("--pairs", type=Path, required=True, help="a file of pairs in any format")
    parser.add_argument("--query", default="question")
    parser.add_argument("--positive", default="answer")
    parser.add_argument("--model", required=True, help="a sentence-transformers model's folder")
    parser.add_argument("--limit", type=int, default=5000, help="read only the first rows")
    parser.add_argument("--dev", type=int, default=120, help="number of dev queries")
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--seeds", type=int, nargs="+", default=[12, 13, 14])
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="keeps the run for the next time")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        file, run = folder / "recipe.yaml", folder / "run"
        file.write_text(yaml.safe_dump(recipe(options)))
        arguments = ["-r", str(file), "--out", str(run), "--limit", str(options.limit)]
        arguments += [argument for setting in options.set for argument in ("--set", setting)]
        minerkit("mine", *arguments)
        for seed in options.seeds:
            seed_arguments = ("--no-resume", "--set", f"train.args.seed={seed}")
            seconds, memory = minerkit("train", *arguments, *seed_arguments)
            training = json.loads((run / "training.json").read_text())
            batch = training["arguments"]["per_device_train_batch_size"]
            size = {"rows": training["rows"], "steps": training["steps"], "seen": training["steps"] * batch}
            size |= {"bf16": training["arguments"].get("bf16", False)}
            cost = {"seconds": round(seconds), "peak_mb": memory}
            rows.append({"seed": seed, **dev_metrics(training), **size, **cost})
            print(json.dumps(rows[-1]), flush=True)
    after = [row["ndcg@10 after"] for row in rows]
    summary = {"seeds": len(rows), "ndcg@10 after": round(statistics.mean(after), 4)}
    summary |= {"spread": round(statistics.stdev(after), 4)} if len(rows) > 1 else {}
    for baseline in ("before", "retrieved"):
        key = f"ndcg@10 {baseline}"
        gains = [row["ndcg@10 after"] - row[key] for row in rows if key in row]
        summary |= {f"gain on {baseline}": round(statistics.mean(gains), 4)} if gains else {}
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
