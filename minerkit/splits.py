"""Hold out dev queries so that no text, nor a near-duplicate of one, stands on both sides."""

from typing import Any

import numpy as np
import polars as pl

from minerkit.errors import SourceError
from minerkit.near_duplicates import near_duplicates
from minerkit.recipe import Split
from minerkit.text import match_key

__all__ = ["assign", "linked_texts"]


def linked_texts(queries: pl.DataFrame, corpus: pl.DataFrame, threshold: float | None) -> pl.DataFrame:
    """Find the texts of a run that are near-duplicates of each other, queries and documents alike.

    Args:
        queries: The queries artefact's columns query_id, text.
        corpus: The corpus artefact's columns doc_id, text.
        threshold: Jaccard similarity of shingles from which texts are near-duplicates; None: find none.

    Returns:
        left, right: match keys of near-duplicates, each pair once. Equal match keys need no row.
    """
    keys = pl.concat([queries["text"], corpus["text"]]).to_frame("text")
    distinct = keys.select(match_key(pl.col("text")).alias("key")).unique(maintain_order=True)["key"]
    pairs = near_duplicates(distinct, threshold) if threshold is not None else np.empty((0, 2), np.int64)
    return pl.DataFrame({"left": distinct[pairs[:, 0]], "right": distinct[pairs[:, 1]]})


def assign(
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
        queries: query_id, text.
        corpus: doc_id, text.
        positives: query_id, doc_id.
        links: left, right, as `linked_texts` finds them.
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
    together = groups if split.by == "group" else groups.clear()
    query_part, doc_part = _components(queries, corpus, positives, links, together)
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
    apart = np.flatnonzero(sizes == 0)
    dealt = apart[draw.random(len(apart)) < sizes[held].sum() / len(queries)]
    label = np.array(["train", "dev"])
    return (
        queries.with_columns(pl.Series("split", label[np.isin(query_part, held).astype(int)])),
        corpus.with_columns(pl.Series("split", label[np.isin(doc_part, [*held, *dealt]).astype(int)])),
    )


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

    key = match_key(pl.col("text")).alias("key")
    keys = pl.concat([queries.select(id="query_id", key=key), corpus.select(id="doc_id", key=key)])
    # A text's node is the first place where its key stands: numbers take the place of texts from here on.
    nodes = keys.with_row_index("node").with_columns(pl.col("node").first().over("key"))
    linked = pl.concat([links["left"], links["right"]]).unique().to_frame("key")
    linked = linked.join(nodes.select("key", "node"), on="key").unique("key")
    nodes = nodes.select("id", "node")
    members = groups.join(nodes, on="id")

    def numbered(ends: pl.Series, names: pl.DataFrame, column: str) -> "np.ndarray[Any, Any]":
        return ends.to_frame(column).join(names, on=column, maintain_order="left")["node"].to_numpy()

    edges = [
        (numbered(positives["query_id"], nodes, "id"), numbered(positives["doc_id"], nodes, "id")),
        (numbered(links["left"], linked, "key"), numbered(links["right"], linked, "key")),
        (members["node"].to_numpy(), members["group"].rank("dense").to_numpy() - 1 + len(nodes)),
    ]
    a, b = (np.concatenate(side).astype(np.int64) for side in zip(*edges, strict=True))
    size = len(nodes) + members["group"].n_unique()
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    parts = labels[nodes["node"].to_numpy()]
    return parts[: len(queries)], parts[len(queries) :]
