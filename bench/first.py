"""Measure the first minute: `minerkit mine --recipe gooaq --sample`, compared with the imports it needs.

    python -m bench.first [--repeat 3]

Three commands alternate, each in a new process: `imports` loads torch, sentence-transformers and
scikit-learn, as any script does that mines or trains with them; `empty` mines with empty caches (embeddings,
models and compiled loops); `warm` mines into another folder with the caches of `empty`. Prints one JSON line:
the median seconds of each, and the medians of `empty` and `warm` as multiples of `imports`.
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

IMPORTS = "import torch, sentence_transformers, sklearn.decomposition, sklearn.feature_extraction.text"
MINE = "from minerkit.cli import main; main()"


def seconds(code: str, *arguments: str, folder: Path) -> float:
    """Time a Python process.

    Args:
        code: The Python code to run.
        arguments: Its command-line arguments.
        folder: Its working directory, which also holds its caches.

    Returns:
        Wall seconds from start to end.
    """
    caches = {"MINERKIT_CACHE": str(folder / "cache"), "NUMBA_CACHE_DIR": str(folder / "numba")}
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **caches}
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.monotonic() - started


def measure(repeat: int) -> dict[str, float]:
    """Time the three commands.

    Args:
        repeat: Number of rounds.

    Returns:
        Median seconds of imports, empty and warm, and the ratios of the latter two to the first.
    """
    rounds: list[dict[str, float]] = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as name:
            folder, mine = Path(name), ("mine", "--recipe", "gooaq", "--sample", "--quiet", "--out")
            times = {
                "imports": seconds(IMPORTS, folder=folder),
                "empty": seconds(MINE, *mine, "first", folder=folder),
                "warm": seconds(MINE, *mine, "second", folder=folder),
            }
        ratios = {f"{run}_ratio": times[run] / times["imports"] for run in ("empty", "warm")}
        rounds.append(times | ratios)
    return {name: round(statistics.median(figures[name] for figures in rounds), 2) for name in rounds[0]}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    print(json.dumps(measure(parser.parse_args().repeat)))


if __name__ == "__main__":
    main()
