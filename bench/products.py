"""Measure how fast the chip multiplies the codes of a search, and nothing else: the floor under its time.

    python -m bench.products --dim 1024

Tiles of codes are multiplied over and over on all cores, in the format that a search would choose, and what
they give is not looked at. bench/speed.py divides the products of a case by this rate, and so gives their
share of its search.
"""

import argparse
import json
import time

import numpy as np

#: Queries and documents of a tile, as a search has them; and seconds that each core multiplies.
TILE, SECONDS = (256, 4096), 2.0
SEED = 12


def rate(dim: int) -> float:
    """Give the multiplications a second of all cores together."""
    import torch

    from minerkit.runtime import torch_map
    from minerkit.search import encode, fastest_format, product_buffer, products

    draw, form = np.random.default_rng(SEED), fastest_format("cpu")
    queries, documents = (
        encode(draw.standard_normal((size, dim)).astype(np.float32), form).matrix for size in TILE
    )

    def multiplied(_: int) -> float:
        out, tiles, started = product_buffer(queries, TILE[0] * TILE[1]), 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            products(queries, documents, out)
            tiles += 1
        return tiles / (time.perf_counter() - started)

    cores = max(2, torch.get_num_threads())  # one alone would be given all cores
    return sum(torch_map(multiplied, range(cores))) * TILE[0] * TILE[1] * dim


def main() -> None:
    """Print the rate."""
    from minerkit.search import fastest_format

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    line = {
        "format": fastest_format("cpu").name,
        "dim": options.dim,
        "multiplications_per_second": rate(options.dim),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
