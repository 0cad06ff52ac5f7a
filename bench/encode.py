"""Measure how many texts a second minerkit encodes, beside `SentenceTransformer.encode` with its defaults.

    python bench/encode.py texts.jsonl.gz --column question --model path/to/model --texts 2048 --rounds 5

The peer runs in float32 with batches of 32, as `sentence_transformers.util.mine_hard_negatives` calls it.
Both get the same distinct texts, in turns; shown are the medians of the rounds, by the clock and by time of
the CPU, which other work on the machine touches less. The last line is the least cosine of a text's vectors.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch

from minerkit.embeddings import SentenceTransformerEncoder
from minerkit.recipe import Encoder


def timed(encode: Callable[[list[str]], np.ndarray], texts: list[str]) -> tuple[np.ndarray, float, float]:
    """Encode; give the vectors, seconds by the clock, and seconds of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    rows = encode(texts)
    return rows, time.perf_counter() - clock, time.process_time() - cpu


def main() -> None:
    """Measure on a column of a JSON lines file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--column", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(given.threads)
    texts = pl.read_ndjson(given.file)[given.column].unique(maintain_order=True)
    some = texts.sample(min(given.texts, len(texts)), seed=0).to_list()
    encoder = SentenceTransformerEncoder(Encoder(model=given.model), "cpu")
    peer = SentenceTransformer(given.model, device="cpu")
    sides: dict[str, Callable[[list[str]], np.ndarray]] = {
        "peer": lambda part: peer.encode(part, batch_size=32, convert_to_numpy=True),
        "minerkit": lambda part: encoder.encode(part, "query"),
    }
    for encode in sides.values():  # what is slow only once is not measured
        encode(some[:64])
    clocks: dict[str, list[float]] = {name: [] for name in sides}
    cpus: dict[str, list[float]] = {name: [] for name in sides}
    rows: dict[str, np.ndarray] = {}
    for _ in range(given.rounds):
        for name, encode in sides.items():
            rows[name], clock, cpu = timed(encode, some)
            clocks[name].append(len(some) / clock)
            cpus[name].append(len(some) / cpu)
    for name in sides:
        clock, cpu = statistics.median(clocks[name]), statistics.median(cpus[name])
        ratio = statistics.median(a / b for a, b in zip(clocks[name], clocks["peer"], strict=True))
        print(f"{name:<10} {clock:>8,.0f} texts/s  {cpu:>8,.0f} per CPU second  {ratio:>5.2f} x")
    norms = np.linalg.norm(rows["peer"], axis=1) * np.linalg.norm(rows["minerkit"], axis=1)
    print(f"least cosine {((rows['peer'] * rows['minerkit']).sum(axis=1) / norms).min():.6f}")


if __name__ == "__main__":
    main()
