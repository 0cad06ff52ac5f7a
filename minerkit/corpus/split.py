"""Hold out dev queries so that no text, nor a near-duplicate of one, stands on both sides."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from minerkit.errors import SourceError
from minerkit.recipe import Split
from minerkit.text import Texts, match_keys, near_duplicate_pairs, store_texts

__all__ = ["TextLinks", "assign_splits", "link_texts"]

#: What queries and documents are known by.
NAMES = ("query_id", "doc_id")
#: Match keys that are hashed at once.
PART = 1 << 16


class TextLinks(NamedTuple):
    """Which texts are equal or nearly so.

    keys: uint32, a number for each text, in the order of first appearance; texts with equal match keys share
    it. links: the keys (left, right) of near-duplicates, each pair once.
    """

    keys: pl.Series
    links: pl.DataFrame


def link_texts(columns: Iterable[pl.Series], threshold: float | None, memory: int, folder: Path) -> TextLinks:
    """Find the texts of a run that are near-duplicates of each other, queries and documents alike.

    Args:
        columns: All texts, in parts.
        threshold: Jaccard similarity of shingles from which texts are near-duplicates; None: find none.
        memory: Bytes of text up to which match keys are in memory.
        folder: Where more go for the time being.

    Returns:
        The number of each text, and the pairs of near-duplicates.
    """
    # All match keys, and then the distinct ones: each may take half of the memory.
    whole = store_texts((match_keys(column) for column in columns), memory // 2, folder)
    hashed = [
        pl.select(pl.lit(part).hash(1).alias("a"), pl.lit(part).hash(2).alias("b")) for part in _parts(whole)
    ]
    rows = pl.concat([pl.DataFrame(schema={"a": pl.UInt64, "b": pl.UInt64}), *hashed])
    first = rows.to_struct("key").is_first_distinct()
    numbers = rows.filter(first).with_row_index("number")
    keys = rows.join(numbers, on=["a", "b"], maintain_order="left")["number"].alias("key")
    del rows, hashed, numbers
    sides = {"left": pl.UInt32, "right": pl.UInt32}
    if threshold is None:
        return TextLinks(keys, pl.DataFrame(schema=sides))
    starts = range(0, len(whole), PART)
    distinct = (part.filter(first[at : at + PART]) for at, part in zip(starts, _parts(whole), strict=True))
    pairs = near_duplicate_pairs(store_texts(distinct, memory // 2, folder), threshold)
    return TextLinks(keys, pl.DataFrame(pairs, schema=list(sides)).cast(pl.UInt32))


def _parts(texts: Texts) -> Iterator[pl.Series]:
    """Read texts in parts."""
    for start in range(0, len(texts), PART):
        yield texts.slice(start, PART)


def assign_splits(
    queries: pl.DataFrame,
    corpus: pl.DataFrame,
    positives: pl.DataFrame,
    links: pl.DataFrame,
    groups: pl.DataFrame,
    split: Split,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Send queries and documents to train or dev.

    Queries that share a positive, and texts that are equal or near-duplicates, go together, and so do whole
    groups where the recipe splits by group: connected components are drawn at random, so that they fill the
    wanted number of dev queries if any do. Documents that no query is connected with are dealt out in the
    same proportion.

    Args:
        queries: query_id (ascending), key: an integer, the same for texts that count as equal.
        corpus: doc_id (ascending), key.
        positives: query_id, doc_id.
        links: left, right: the keys of near-duplicates.
        groups: id (of a query or document), group.
        split: The recipe's `split` section.

    Returns:
        queries and corpus with a column split (train / dev).

    Raises:
        SourceError: So many queries are wanted for dev that none, or no component, is left; or groups are to
            be held out and there are none.
    """
    if split.dev_queries >= len(queries):
        raise SourceError(
            f"split.dev_queries={split.dev_queries:,} leaves nothing to train on: the corpus has "
            f"{len(queries):,} queries; set it lower"
        )
    if split.by == "group" and groups.is_empty():
        raise SourceError("split.by=group, but the source names no groups; name their column in source.group")
    joining_groups = groups if split.by == "group" else groups.clear()
    query_part, doc_part = _components(queries, corpus, positives, links, joining_groups)
    sizes = np.bincount(query_part, minlength=int(max(query_part.max(), doc_part.max())) + 1)
    _, first = np.unique(query_part, return_index=True)
    parts = query_part[np.sort(first)]  # in order of appearance, so that the draw depends on the data alone
    draw = np.random.default_rng(split.seed)
    drawn = draw.permutation(parts)
    held = drawn[_filling(sizes[drawn], split.dev_queries)]
    if split.dev_queries and not len(held):
        raise SourceError(
            f"split.dev_queries={split.dev_queries:,}: no query can be held out, since all share texts "
            f"(the smallest connected set has {sizes[parts].min():,} queries); raise it, or set it to 0"
        )
    loose = np.flatnonzero(sizes == 0)
    dealt_out = loose[draw.random(len(loose)) < sizes[held].sum() / len(queries)]
    sides = ((queries, np.isin(query_part, held)), (corpus, np.isin(doc_part, [*held, *dealt_out])))
    label = pl.Series(["train", "dev"])
    of_queries, of_corpus = (
        frame.with_columns(label.gather(is_dev.astype(np.uint8)).alias("split")) for frame, is_dev in sides
    )
    return of_queries, of_corpus


def _filling(sizes: "np.ndarray[tuple[int], np.dtype[np.int64]]", room: int) -> list[int]:
    """Choose which of some sets, taken in their order, fill so many places, or as many as possible."""
    # last[n]: one more than the set that first brought the sum to n; a subset sum, each set used once.
    last = np.full(room + 1, -1)
    last[0] = 0
    for number, size in enumerate(sizes):
        if last[room] >= 0:
            break
        if 0 < size <= room:
            reached = (last[:-size] >= 0) & (last[size:] < 0)
            last[size:][reached] = number + 1
    chosen = []
    place = int(np.flatnonzero(last >= 0)[-1])
    while place:
        chosen.append(int(last[place]) - 1)
        place -= int(sizes[chosen[-1]])
    return chosen[::-1]


def _components(
    queries: pl.DataFrame,
    corpus: pl.DataFrame,
    positives: pl.DataFrame,
    links: pl.DataFrame,
    groups: pl.DataFrame,
) -> tuple["np.ndarray[tuple[int], np.dtype[np.int32]]", "np.ndarray[tuple[int], np.dtype[np.int32]]"]:
    """Number the connected sets of texts; nodes are match keys, and groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys = [frame["key"].to_numpy() for frame in (queries, corpus)]
    ids = [queries["query_id"], corpus["doc_id"]]
    nodes = int(max(part.max() for part in keys)) + 1
    positive = [keys[side][ids[side].search_sorted(positives[name])] for side, name in enumerate(NAMES)]
    asks = groups["id"].is_in(ids[0].implode())
    members = [groups.filter(asks), groups.filter(~asks)]
    member = [keys[side][ids[side].search_sorted(members[side]["id"])] for side in range(2)]
    names = pl.concat([part["group"] for part in members])
    edges = [
        (positive[0], positive[1]),
        (links["left"].to_numpy(), links["right"].to_numpy()),
        (np.concatenate(member), names.rank("dense").to_numpy() - 1 + nodes),
    ]
    a, b = (np.concatenate(side).astype(np.int64) for side in zip(*edges, strict=True))
    size = nodes + names.n_unique()
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return labels[keys[0]], labels[keys[1]]
