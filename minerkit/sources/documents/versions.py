"""Find re-issues: later versions of a report that repeat most of its text."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from minerkit.text import BLANK, jaccard, shingle_hashes

__all__ = ["reissue_groups"]

#: MinHash values a report. The estimate's standard error is at most 0.5 / sqrt(256), 0.03.
PERMUTATIONS, SEED = 256, 12
#: How far below the threshold an estimate may be for its pair to be compared exactly: three standard errors.
MARGIN = 0.1
#: Reports that are cut into shingles at once, which bounds the memory.
BATCH = 1_000


def reissue_groups(texts: Sequence[str], threshold: float = 0.5) -> list[int]:
    """Group the reports that are versions of one report.

    Two reports are versions of one when their five-character shingles have at least the given Jaccard
    similarity, in simplified or traditional Chinese; and so are all that such pairs link. Pairs are found by
    MinHash (Broder 1997), then compared exactly.

    Args:
        texts: n reports.
        threshold: Jaccard similarity in (0, 1]. Re-issues, and reports that copy each other, have more than
            half of their shingles in common; different reports written to one template have up to a third.

    Returns:
        n positions: for each report that of the first report of its group, its own if it stands alone.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(texts)
    # Printings of one text differ in their blanks; variants of characters are one to the shingles.
    folded = pl.Series("text", texts, dtype=pl.String).str.replace_all(f"[{BLANK}]+", "")
    pairs = _similar(_minhashes(folded), threshold - MARGIN)
    pairs = pairs[jaccard(folded, pairs) >= threshold]
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    groups = connected_components(links, directed=False)[1]
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    return [int(position) for position in first[member]]


def _minhashes(texts: pl.Series) -> npt.NDArray[np.uint32]:
    """Return the MinHash values of each text, in one row."""
    from rensa import RMinHash

    rows = [np.empty((0, PERMUTATIONS), np.uint32)]
    for start in range(0, len(texts), BATCH):
        hashes, offsets = shingle_hashes(texts.slice(start, BATCH))
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, PERMUTATIONS, SEED)
        rows.append(np.array(matrix.to_rows(), np.uint32))
    return np.concatenate(rows)


def _similar(minhashes: npt.NDArray[np.uint32], least: float) -> npt.NDArray[np.int64]:
    """Return the pairs of rows that agree in at least the given share of their values, sorted."""
    found = [np.empty((0, 2), np.int64)]
    for row in range(len(minhashes)):
        agreeing = np.count_nonzero(minhashes[row + 1 :] == minhashes[row], axis=1)
        others = np.flatnonzero(agreeing >= least * PERMUTATIONS) + row + 1
        found.append(np.stack([np.full(len(others), row), others], axis=1))
    return np.concatenate(found)
