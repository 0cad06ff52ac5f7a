"""Which texts of a collection are nearly the same: MinHash finds the pairs, exact Jaccard confirms them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text import jaccard, scattered, shingles

__all__ = ["near_duplicates"]

#: 32 bands of 8 rows: a pair at Jaccard 0.9 is missed once in 10^7, one at 0.8 once in 300 (Leskovec,
#: Rajaraman & Ullman, Mining of Massive Datasets, section 3.4.2: a pair is found with 1 - (1 - s^r)^b).
BANDS, ROWS = 32, 8
SEED = 12
CHUNK = 20_000


def near_duplicates(texts: pl.Series, threshold: float) -> npt.NDArray[np.int64]:
    """Find all pairs of texts whose shingle sets have at least the given Jaccard similarity.

    Args:
        texts: n strings.
        threshold: Jaccard similarity in (0, 1]; 0.9 calls texts the same that differ in a word or two.

    Returns:
        int64 of shape (pairs, 2), each pair once with the smaller position first, sorted.
    """
    candidates = _banded(_signatures(texts))
    confirmed = [pairs[jaccard(texts, pairs) >= threshold] for pairs in candidates]
    if not confirmed:
        return np.empty((0, 2), np.int64)
    return np.unique(np.concatenate(confirmed), axis=0)


def _signatures(texts: pl.Series) -> npt.NDArray[np.uint64]:
    """Hash every text's MinHash signature band by band: uint64 of shape (n, BANDS)."""
    from rensa import RMinHash

    bands = np.empty((len(texts), BANDS), np.uint64)
    for start in range(0, len(texts), CHUNK):
        part = texts.slice(start, CHUNK)
        hashes, offsets = shingles(part)
        digests = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, BANDS * ROWS, SEED)
        rows = np.array(digests.to_rows(), dtype=np.uint64).reshape(len(part), BANDS, ROWS)
        hashed = np.zeros((len(part), BANDS), np.uint64)
        for row in range(ROWS):
            hashed = scattered(hashed ^ rows[:, :, row])
        bands[start : start + len(part)] = hashed
    return bands


def _banded(bands: npt.NDArray[np.uint64], batch: int = 200_000) -> Iterator[npt.NDArray[np.int64]]:
    """Yield batches of new candidate pairs: rows that agree in a band and did not in an earlier one."""
    for band in range(bands.shape[1]):
        order = np.argsort(bands[:, band], kind="stable")
        values = bands[order, band]
        # Compare each row with the next, the one after it, ... while any two neighbours still agree.
        step, alive = 1, np.arange(len(values) - 1)
        while len(alive := alive[alive + step < len(values)]):
            alive = alive[values[alive] == values[alive + step]]
            for start in range(0, len(alive), batch):
                left = alive[start : start + batch]
                pairs = np.sort(np.stack([order[left], order[left + step]], axis=1), axis=1)
                fresh = ~(bands[pairs[:, 0], :band] == bands[pairs[:, 1], :band]).any(axis=1)
                if fresh.any():
                    yield pairs[fresh]
            step += 1
