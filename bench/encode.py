"""Measure how many texts per second minerkit encodes, compared with `SentenceTransformer.encode`.

    python bench/encode.py texts.jsonl.gz --column question --model path/to/model --texts 2048 --rounds 5

The peer runs in float32 with batches of 32, as `sentence_transformers.util.mine_hard_negatives` calls it.
Both encode the same distinct texts, alternately. The output has the medians over the rounds, by wall time and
by CPU time (which depends less on other work on the machine). The last line is the minimum over the texts of
the cosine between the vectors of both sides.
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
    """Encode texts; return the vectors, the wall seconds and the CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = encode(texts)
    return vectors, time.perf_counter() - wall, time.process_time() - cpu


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
    options = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(options.threads)
    texts = pl.read_ndjson(options.file)[options.column].unique(maintain_order=True)
    sample = texts.sample(min(options.texts, len(texts)), seed=0).to_list()
    encoder = SentenceTransformerEncoder(Encoder(model=options.model), "cpu")
    peer = SentenceTransformer(options.model, device="cpu")
    sides: dict[str, Callable[[list[str]], np.ndarray]] = {
        "peer": lambda batch: peer.encode(batch, batch_size=32, convert_to_numpy=True),
        "minerkit": lambda batch: encoder.encode(batch, "query"),
    }
    for encode in sides.values():  # a warm-up that is not measured
        encode(sample[:64])
    per_second: dict[str, list[float]] = {name: [] for name in sides}
    per_cpu_second: dict[str, list[float]] = {name: [] for name in sides}
    vectors: dict[str, np.ndarray] = {}
    for _ in range(options.rounds):
        for name, encode in sides.items():
            vectors[name], wall, cpu = timed(encode, sample)
            per_second[name].append(len(sample) / wall)
            per_cpu_second[name].append(len(sample) / cpu)
    for name, rates in per_second.items():
        rate, cpu_rate = statistics.median(rates), statistics.median(per_cpu_second[name])
        ratio = statistics.median(a / b for a, b in zip(rates, per_second["peer"], strict=True))
        print(f"{name:<10} {rate:>8,.0f} texts/s  {cpu_rate:>8,.0f} per CPU second  {ratio:>5.2f} x")
    norms = np.linalg.norm(vectors["peer"], axis=1) * np.linalg.norm(vectors["minerkit"], axis=1)
    cosines = (vectors["peer"] * vectors["minerkit"]).sum(axis=1) / norms
    print(f"minimum cosine {cosines.min():.6f}")


if __name__ == "__main__":
    main()
