"""Measure `minerkit stats --rows all`, compared with the statistics of sentence-transformers on all rows.

    python bench/stats.py --model path/to/model [--rows 3000000] [--peer-rows 100000] [--repeat 3]

Prints one JSON line per case: the whole command on a large file like GooAQ (question, answer, label; lengths
as in the published card), with its peak memory; and on a smaller file minerkit and the peer, both without
imports and loading. The peer reads 100 rows; here its `min(rows, 100)` is patched to return all rows. Every
figure is the median of the repeats, in which both sides alternate.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

CHUNK = 100_000
COMMAND = [sys.executable, "-c", "from minerkit.cli import main; main()", "stats"]


def write_gooaq(file: Path, rows: int) -> None:
    """Write rows like GooAQ's, with five negatives per positive, and texts of random words."""
    import pyarrow.parquet

    rng = np.random.default_rng(12)
    letters = rng.choice(list("etaoinshrdlucmfwypvbgk"), (20_000, 9))
    words = ["".join(row[:length]) for row, length in zip(letters, rng.integers(2, 10, 20_000), strict=True)]
    text = " ".join(rng.choice(words, 3_000_000))

    def random_texts(count: int, mean: float, deviation: float, low: int, high: int) -> list[str]:
        lengths = np.clip(rng.normal(mean, deviation, count), low, high).astype(int)
        starts = rng.integers(0, len(text) - high, count)
        return [text[start : start + length] for start, length in zip(starts, lengths, strict=True)]

    writer = None
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        questions = random_texts(count // 6 + 1, 43.8, 12, 21, 96)
        chunk = pl.DataFrame(
            {
                "question": [questions[row // 6] for row in range(count)],
                "answer": random_texts(count, 252.5, 70, 51, 405),
                "label": [int(row % 6 == 0) for row in range(count)],
            }
        ).to_arrow()
        writer = writer or pyarrow.parquet.ParquetWriter(file, chunk.schema, compression="zstd")
        writer.write_table(chunk)
    if writer is not None:
        writer.close()


def run(*arguments: str) -> tuple[float, float, float]:
    """Run the command in a new process; return its seconds, CPU seconds and peak memory in GB."""
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"minerkit stats {' '.join(arguments)} failed")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes on macOS, else kilobytes
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def peer(file: Path, model: Any) -> tuple[float, str]:
    """Time the peer's statistics of all rows; return the seconds and its table."""
    import datasets
    import pyarrow.parquet
    from sentence_transformers.base import model_card

    data = datasets.Dataset(pyarrow.parquet.read_table(file))
    model_card.min = max  # type: ignore[attr-defined]
    try:
        started = time.perf_counter()
        metrics = model.model_card_data.compute_dataset_metrics(data, {}, None)
        return time.perf_counter() - started, metrics["stats_table"]
    finally:
        del model_card.min


def ours(file: Path, tokens: Any) -> tuple[float, str]:
    """Time minerkit's statistics of all rows; return the seconds and the section of the card."""
    from minerkit.reports import dataset_stats, training_dataset

    started = time.perf_counter()
    section = training_dataset(dataset_stats(pl.scan_parquet(file), None, tokens), "current")
    return time.perf_counter() - started, section


def models(folder: str) -> dict[str, tuple[Any, Any]]:
    """Load for each unit, characters and tokens, the peer's model and minerkit's token counter."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    from minerkit.reports import token_lengths

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    static = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    full = SentenceTransformer(folder, device="cpu")
    return {"characters": (static, None), "tokens": (full, token_lengths(folder))}


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a sentence-transformers model's folder")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large.parquet", Path(folder) / "small.parquet"
        # Written in other processes: a child's peak memory includes the memory that it starts with.
        for file, rows in ((large, options.rows), (small, options.peer_rows)):
            writer = multiprocessing.get_context("spawn").Process(target=write_gooaq, args=(file, rows))
            writer.start()
            writer.join()
        for arguments in (["--format", "card", "--rows", "all"], ["--format", "json"]):
            runs = [run(str(large), *arguments) for _ in range(options.repeat)]
            seconds, cpu_seconds, memory = (statistics.median(column) for column in zip(*runs, strict=True))
            case = {"case": " ".join(arguments), "rows": options.rows, "cpus": os.cpu_count()}
            timed = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}
            print(json.dumps({**case, **timed, "peak_gb": round(memory, 2)}), flush=True)
        for unit, (model, tokens) in models(options.model).items():
            pairs = [(ours(small, tokens)[0], peer(small, model)[0]) for _ in range(options.repeat)]
            mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            case = {"case": f"statistics in {unit}", "rows": options.peer_rows, "cpus": os.cpu_count()}
            timed = {
                "seconds": round(mine, 3),
                "peer_seconds": round(theirs, 2),
                "ratio": round(theirs / mine, 1),
            }
            print(json.dumps({**case, **timed}), flush=True)


if __name__ == "__main__":
    main()
