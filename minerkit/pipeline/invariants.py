"""Check a run against everything it promises, from its files alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from minerkit.mining import thresholds
from minerkit.recipe import Recipe
from minerkit.search import exact_score
from minerkit.storage import ARTEFACT_COLUMNS, schema_violations
from minerkit.text import jaccard, match_key, normalise_text

__all__ = ["CHECKS", "Breach", "audit"]

Frames = Mapping[str, pl.DataFrame]
SHOWN = 3


@dataclass(frozen=True)
class Breach:
    """A promise that is broken: which, by how many rows, and the first of them."""

    check: str
    rows: int
    examples: str


def audit(
    frames: Frames, recipe: Recipe, manifest: Mapping[str, Any], hashes: Mapping[str, str]
) -> list[Breach]:
    """Check every invariant of a run.

    Args:
        frames: The artefacts by name.
        recipe: The run's resolved recipe.
        manifest: The run's manifest.
        hashes: SHA-256 of every file the manifest lists, as it is now; missing files left out.

    Returns:
        The breaches, none for a clean run.
    """
    breaches = [
        Breach(f"{name}: columns and types", 1, fault)
        for name in ARTEFACT_COLUMNS
        for fault in schema_violations(name, frames[name])
    ]
    if breaches:
        return breaches
    for check in CHECKS.values():
        breaches += [
            Breach(name, len(rows), "; ".join(_shown(row) for row in rows.head(SHOWN).rows(named=True)))
            for name, rows in check(frames, recipe)
            if len(rows)
        ]
    changed = [name for name, digest in manifest["outputs"].items() if hashes.get(name) != digest]
    if changed:
        breaches.append(
            Breach("files are as the manifest has them", len(changed), ", ".join(changed[:SHOWN]))
        )
    rows, dropped = manifest["rows"], len(frames["rejected"].filter(pl.col("stage") == "clean"))
    if len(frames["qrels"]) + rows["documents"] + dropped != rows["entries"]:
        counts = f"{len(frames['qrels'])} qrels + {rows['documents']} documents + {dropped} rejected"
        breaches.append(Breach("every entry is kept or rejected", 1, f"{counts}, {rows['entries']} read"))
    return breaches


def _shown(row: dict[str, Any]) -> str:
    cells = (
        f"{key}={value if len(str(value)) < 60 else str(value)[:57] + '...'}" for key, value in row.items()
    )
    return " ".join(cells)


Found = Iterator[tuple[str, pl.DataFrame]]


def _ids(frames: Frames, recipe: Recipe) -> Found:
    """Ids are unique and resolve; no text stands twice."""
    for name, key in (("queries", "query_id"), ("corpus", "doc_id")):
        yield f"{name}: ids are unique", frames[name].filter(pl.col(key).is_duplicated()).select(key)
        twice = frames[name].filter(normalise_text(pl.col("text")).is_duplicated())
        yield f"{name}: texts are unique", twice.select(key, "text")
    for name in ("qrels", "candidates", "judged", "negatives"):
        for key, home in (("query_id", "queries"), ("doc_id", "corpus")):
            yield f"{name}: {key} resolves", frames[name].join(frames[home], on=key, how="anti").select(key)
        pair = pl.struct("query_id", "doc_id")
        yield (
            f"{name}: a document once a query",
            frames[name].filter(pair.is_duplicated()).select("query_id", "doc_id"),
        )


def _leaks(frames: Frames, recipe: Recipe) -> Found:
    """No negative is a positive, a near-duplicate of one, or the query."""
    key = match_key(pl.col("text"))
    queries = frames["queries"].select("query_id", query=key)
    corpus = frames["corpus"].with_row_index("place").select("doc_id", "place", key=key)
    negatives = (
        frames["negatives"]
        .select("query_id", "doc_id")
        .join(corpus, on="doc_id")
        .join(queries, on="query_id")
    )
    own = negatives.filter(pl.col("key") == pl.col("query"))
    yield "no query is its own negative", own.select("query_id", "doc_id")
    relevant = _relevant(frames, recipe).join(corpus, on="doc_id")
    met = negatives.join(relevant.select("query_id", positive_key="key", positive="place"), on="query_id")
    same = met.filter(pl.col("key") == pl.col("positive_key"))
    yield (
        "no negative equals a positive of its query",
        same.select("query_id", "doc_id").unique(maintain_order=True),
    )
    graded = frames["qrels"].filter(pl.col("relevance") > 0)
    yield (
        "no negative is judged relevant to its query",
        negatives.join(graded, on=["query_id", "doc_id"], how="semi").select("query_id", "doc_id"),
    )
    limit = recipe.clean.near_duplicate
    if limit is not None:
        pairs = met.select("place", "positive").to_numpy().astype(np.int64)
        near = met.filter(pl.Series(jaccard(frames["corpus"]["text"], pairs) >= limit, dtype=pl.Boolean))
        yield "no negative nearly duplicates a positive of its query", near.select("query_id", "doc_id")


def _scores(frames: Frames, recipe: Recipe) -> Found:
    """Scores are finite and every threshold is honoured."""
    for name in ("candidates", "judged", "negatives"):
        bad = frames[name].filter(~pl.col("score").is_finite())
        yield f"{name}: scores are finite", bad.select("query_id", "doc_id", "score")
    positives = frames["candidates"].filter(pl.col("relevance") > 0)
    unscored = _relevant(frames, recipe).join(positives, on=["query_id", "doc_id"], how="anti")
    yield "every positive has a score", unscored.select("query_id", "doc_id")
    reference = positives.group_by("query_id").agg(pos_score=exact_score(pl.col("score").min()))
    negatives = frames["negatives"].join(reference, on="query_id", how="left")
    score, mined = exact_score(pl.col("score")), pl.col("fill") == "mined"
    unjudged = negatives.filter(pl.col("source") != "judged")
    for rule, highest in thresholds(pl.col("pos_score"), recipe.mine).items():
        above = unjudged.filter((score <= highest).fill_null(False).not_())
        yield f"negatives honour {rule}", above.select("query_id", "doc_id", "score", "pos_score")
    if recipe.mine.min_score is not None:
        below = unjudged.filter(mined & (score < recipe.mine.min_score))
        yield "negatives honour min_score", below.select("query_id", "doc_id", "score")
    eligible = frames["judged"].select("query_id", "doc_id", "reason")
    judged = negatives.join(eligible, on=["query_id", "doc_id"], how="left")
    unfit = judged.filter(mined & pl.col("reason").is_not_null())
    yield "mined negatives were judged eligible", unfit.select("query_id", "doc_id", "reason")


def _counts(frames: Frames, recipe: Recipe) -> Found:
    """Each query has its negatives, is short as the recipe allows, or is rejected with a reason."""
    rules = recipe.mine
    positives = _relevant(frames, recipe).group_by("query_id").len("positives")
    negatives = frames["negatives"].group_by("query_id").len("negatives")
    counts = (
        frames["queries"]
        .select("query_id", "split")
        .join(positives, on="query_id", how="left")
        .join(negatives, on="query_id", how="left")
        .with_columns(pl.col("positives", "negatives").fill_null(0).cast(pl.Int64))
    )
    yield "every query has a positive", counts.filter(pl.col("positives") == 0).select("query_id")
    lost = frames["rejected"].filter(pl.col("stage") == "mine").select(query_id="source")
    kept, dropped = counts.join(lost, on="query_id", how="anti"), counts.join(lost, on="query_id", how="semi")
    yield (
        "rejected queries have no negatives",
        dropped.filter(pl.col("negatives") > 0).select("query_id", "negatives"),
    )
    if rules.negatives is not None:
        too_many = kept.filter(pl.col("negatives") > rules.negatives)
        yield f"at most {rules.negatives} negatives a query", too_many.select("query_id", "negatives")
        if rules.shortfall != "keep":
            few = kept.filter(pl.col("negatives") < rules.negatives)
            yield "every query is filled or rejected", few.select("query_id", "negatives")
    elif rules.positive_ratio is not None:
        share = (1 - rules.positive_ratio) / rules.positive_ratio
        totals = kept.group_by("split").agg(pl.col("positives", "negatives").sum())
        exact = (pl.col("positives") * share).round(6)
        off = totals.filter(pl.col("negatives") != (exact + 0.5).floor())
        yield f"positives are {rules.positive_ratio:.2%} of each split", off
    if recipe.format.type == "labeled-pair":
        rows = kept.group_by("split").agg((pl.col("positives") + pl.col("negatives")).sum().alias("expected"))
        rows = rows.with_columns(
            written=pl.col("split").replace_strict({s: len(frames[s]) for s in ("train", "dev")})
        )
        yield (
            "the rows written are the positives and negatives",
            rows.filter(pl.col("written") != pl.col("expected")),
        )


def _splits(frames: Frames, recipe: Recipe) -> Found:
    """No text stands in both train and dev."""
    train, dev = (_texts(frames[name]) for name in ("train", "dev"))
    if not recipe.split.shared_documents:
        yield "no text is in both train and dev", train.join(dev, on="key", how="semi").select("text")
    sides = frames["queries"].select("query_id", "split", "text", "group")
    texts = pl.concat(
        [
            sides.select("split", "text"),
            _relevant(frames, recipe)
            .join(sides.drop("text"), on="query_id")
            .join(frames["corpus"].select("doc_id", "text"), on="doc_id")
            .select("split", "text"),
        ]
    ).with_columns(key=match_key(pl.col("text")))
    both = texts.filter(pl.col("split").n_unique().over("key") > 1).select("text")
    yield "no query or positive is in both train and dev", both
    if recipe.split.by == "group":
        straddling = sides.drop_nulls("group").filter(pl.col("split").n_unique().over("group") > 1)
        yield "no group is in both train and dev", straddling.select("query_id", "group")


def _relevant(frames: Frames, recipe: Recipe) -> pl.DataFrame:
    """Return the judgements that make positives."""
    return frames["qrels"].filter(pl.col("relevance") >= recipe.source.min_relevance)


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    columns = [
        rows[name].explode() if isinstance(kind, pl.List) else rows[name]
        for name, kind in rows.schema.items()
    ]
    texts = [column.alias("text") for column in columns if column.dtype == pl.String]
    distinct = pl.concat([pl.Series("text", [], pl.String), *texts]).unique(maintain_order=True).to_frame()
    return distinct.with_columns(key=match_key(pl.col("text")))


CHECKS = {"ids": _ids, "leaks": _leaks, "scores": _scores, "counts": _counts, "splits": _splits}
