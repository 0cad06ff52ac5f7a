"""Compare minerkit's negatives with sentence-transformers' `mine_hard_negatives`, query by query.

    python bench/parity.py pairs.parquet --model path/to/model --relative-margin 0.05 --range-max 100

Both mine from the same embeddings. A query counts as equal if both chose the same documents. Accepted
differences are: queries for which the peer finds too few negatives; leaks, negatives of the peer that
minerkit excludes (spelling variants and near-duplicates of a positive, the query's own text); and ties,
documents whose scores differ from the last accepted score or from a threshold by no more than float32
rounding. Any other difference is a mismatch, and the exit status is 1.
"""

import argparse
import hashlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from minerkit.embeddings import EmbeddingCache, load_encoder
from minerkit.mining import thresholds
from minerkit.pipeline import commands as pipeline
from minerkit.recipe import Recipe
from minerkit.storage import Run
from minerkit.text import normalise_text

#: Largest difference between scores that count as equal.
TIE = 2e-6


def recipe(file: Path, query: str, positive: str, model: str, rules: dict[str, Any]) -> Recipe:
    """Build the recipe for both sides, without a dev split."""
    return Recipe.model_validate(
        {
            "name": "parity",
            "source": {"path": str(file), "query": query, "positive": positive},
            "encoder": {"model": model},
            "mine": {"shortfall": "keep", "relative_margin": None, **rules},
        }
    )


def peer(pairs: pl.DataFrame, spec: Recipe, folder: Path) -> pl.DataFrame:
    """Mine with the peer from minerkit's embeddings; return its rows: query, document, score, label."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    model = SentenceTransformer(spec.encoder.model, device="cpu")
    texts = {
        "query": pairs["query"].unique(maintain_order=True),
        "corpus": pairs["positive"].unique(maintain_order=True),
    }
    encoder = load_encoder(spec.encoder, pairs, texts["query"], "cpu")
    name = model.model_card_data.base_model or ""
    for side, kind in (("query", "query"), ("corpus", "document")):
        key = hashlib.sha256(repr((name, None, None, texts[side].to_list())).encode()).hexdigest()
        cache = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype)
        vectors = cache.embed(texts[side], lambda batch, done, kind=kind: encoder.encode(batch, kind, done))
        np.save(folder / f"{side}_embeddings_{key}.npy", vectors.take(0, len(vectors)))
    rules = spec.mine.model_dump()
    rule_names = ("absolute_margin", "relative_margin", "max_score", "min_score", "range_min", "range_max")
    mined = mine_hard_negatives(
        Dataset.from_dict(pairs.select("query", "positive").to_dict(as_series=False)),
        model,
        **{key: rules[key] for key in rule_names},
        num_negatives=spec.mine.negatives,
        output_format="labeled-pair",
        output_scores=True,
        cache_folder=str(folder),
        verbose=False,
    )
    rows = pl.DataFrame(mined.data.table).rename({"positive": "document"})
    positives = pairs.select("query", document="positive", label=pl.lit(1)).unique()
    labelled = rows.join(positives, on=["query", "document"], how="left", maintain_order="left")
    return labelled.with_columns(pl.col("label").fill_null(0))


def compare_negatives(run: Run, spec: Recipe, peer_rows: pl.DataFrame) -> tuple[Counter[str], pl.DataFrame]:
    """Count equal queries, peer short, leaks, ties and mismatches; also return the leaks and mismatches."""
    key = normalise_text(pl.col("text"))
    queries = run.read("queries.parquet").select("query_id", query=key)
    corpus = run.read("corpus.parquet").select("doc_id", document=key)
    negatives = peer_rows.filter(pl.col("label") == 0).select(
        "score", query=normalise_text(pl.col("query")), document=normalise_text(pl.col("document"))
    )
    by_query = negatives.join(queries, on="query").join(corpus, on="document").group_by("query_id")
    excluded = run.read(".stages/excluded.parquet")
    both = (
        queries.join(by_query.agg(peer="doc_id", peer_scores="score"), on="query_id", how="left")
        .join(
            run.read("negatives.parquet").group_by("query_id").agg(ours="doc_id"), on="query_id", how="left"
        )
        .join(excluded.group_by("query_id").agg(excluded="doc_id"), on="query_id", how="left")
        .join(_scores(run), on="query_id", how="left")
    )
    counts: Counter[str] = Counter()
    differences = []
    for row in both.iter_rows(named=True):
        ours, theirs, leaks = (set(row[name] or []) for name in ("ours", "peer", "excluded"))
        if len(theirs) < (spec.mine.negatives or 0):
            counts["peer short"] += 1
            continue
        verdict = "equal"
        if ours != theirs:
            verdict = "leak" if theirs & leaks else "tie" if _is_tie(row, ours ^ theirs, spec) else "mismatch"
        counts[verdict] += 1
        if verdict in {"leak", "mismatch"}:
            differences.append((verdict, row["query_id"], sorted(ours - theirs), sorted(theirs - ours)))
    schema = ["verdict", "query_id", "only_ours", "only_peer"]
    return counts, pl.DataFrame(differences, schema=schema, orient="row")


def _scores(run: Run) -> pl.DataFrame:
    """Collect for each query the smallest score of a positive, and its candidates with their scores."""
    candidates = run.read("candidates.parquet")
    positive = candidates.filter(pl.col("relevance") > 0).group_by("query_id").agg(pos=pl.col("score").min())
    scores = candidates.group_by("query_id").agg(documents="doc_id", scores="score")
    return positive.join(scores, on="query_id")


def _is_tie(row: dict[str, Any], differing: set[str], spec: Recipe) -> bool:
    """Check whether the differing documents have the score of the last accepted one or of a threshold."""
    scores = dict(zip(row["peer"], row["peer_scores"], strict=True))
    scores |= dict(zip(row["documents"], row["scores"], strict=True))
    pos = np.array([row["pos"]], dtype=np.float64)
    limits = [float(value[0]) for value in thresholds(pos, spec.mine).values()]
    limits.append(min((scores[doc] for doc in row["ours"] or []), default=np.nan))
    untied = [doc for doc in differing if min(abs(scores[doc] - limit) for limit in limits) > TIE]
    # A document at a threshold that one side accepts displaces the last document of that side.
    return len(untied) <= len(differing) // 2


def main() -> None:
    """Compare both sides on a Parquet file of pairs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--query", default="query")
    parser.add_argument("--positive", default="positive")
    for name in ("absolute-margin", "relative-margin", "max-score", "min-score"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--range-min", type=int, default=0)
    parser.add_argument("--range-max", type=int, default=100)
    parser.add_argument("--negatives", type=int, default=5)
    options = vars(parser.parse_args())
    file, model, query, positive = (options.pop(name) for name in ("file", "model", "query", "positive"))
    spec = recipe(file, query, positive, model, options)
    with tempfile.TemporaryDirectory() as folder:
        run = pipeline.mine(spec, Path(folder) / "run", "cpu")
        pairs = pl.read_parquet(file).select(query=query, positive=positive)
        peer_rows = peer(pairs, spec, Path(folder))
        counts, differences = compare_negatives(run, spec, peer_rows)
        ours = len(run.read("train.parquet"))
    for verdict, count in counts.most_common():
        print(f"{verdict:<12} {count:>9,} queries")
    requested = (spec.mine.negatives or 0) * peer_rows["query"].n_unique()
    print(f"the peer finds {(peer_rows['label'] == 0).sum() / requested:.1%} of {requested:,} negatives")
    print(f"rows: peer {len(peer_rows):,}, minerkit {ours:,} ({ours / len(peer_rows):.4%})")
    with pl.Config(fmt_str_lengths=60, tbl_rows=40):
        print(differences)
    raise SystemExit(counts["mismatch"] > 0)


if __name__ == "__main__":
    main()
