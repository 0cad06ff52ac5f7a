"""Measure how fast the processor multiplies quantised codes: the lower bound for the time of a search.

    python -m bench.products --dim 1024

All cores multiply tiles of codes repeatedly, in the format that a search would choose, and drop the results.
bench/speed.py divides the number of multiplications of a case by this rate, which gives their share of the
search.
"""

import argparse
import json
import time

import numpy as np

#: Queries and documents of a tile, as in a search; and seconds that each core multiplies.
TILE, SECONDS = (256, 4096), 2.0
SEED = 12


def multiplication_rate(dim: int) -> float:
    """Return the multiplications per second of all cores together."""
    import torch

    from minerkit.runtime import torch_map
    from minerkit.search import encode, fastest_format, product_buffer, products

    rng, code_format = np.random.default_rng(SEED), fastest_format("cpu")
    queries, documents = (
        encode(rng.standard_normal((size, dim)).astype(np.float32), code_format).matrix for size in TILE
    )

    def tiles_per_second(_: int) -> float:
        out, tiles, started = product_buffer(queries, TILE[0] * TILE[1]), 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            products(queries, documents, out)
            tiles += 1
        return tiles / (time.perf_counter() - started)

    cores = max(2, torch.get_num_threads())  # torch_map would give a single task all cores
    return sum(torch_map(tiles_per_second, range(cores))) * TILE[0] * TILE[1] * dim


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
        "multiplications_per_second": multiplication_rate(options.dim),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
