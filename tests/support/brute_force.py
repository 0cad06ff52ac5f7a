"""What minerkit mines, computed the plain way: one float64 score matrix a query, and a sort."""

import numpy as np
import polars as pl

from minerkit.embeddings.cache import EmbeddingCache
from minerkit.embeddings.encoder import load_encoder
from minerkit.recipe.recipe import Recipe
from minerkit.storage.run_folder import Run


def disagreements(run: Run, spec: Recipe, rng: np.random.Generator, count: int) -> list[str]:
    """List the train queries, of a random sample, whose top negatives are not what brute force gives."""
    queries = run.read("queries.parquet").filter(pl.col("split") == "train")
    held = run.read(".stages/documents.parquet")
    corpus = run.read("corpus.parquet").join(held.filter(pl.col("split") == "train"), on="doc_id")
    corpus = corpus.sort("doc_id")
    encoder = load_encoder(spec.encoder, queries, queries["text"], "cpu")

    def vectors(texts: pl.Series, kind: str) -> np.ndarray:
        found = EmbeddingCache(encoder.fingerprint(kind), encoder.dtype).embed(
            texts, lambda part, done: encoder.encode(part, kind, done)
        )
        return found.take(0, len(found)).astype(np.float64)

    sample = queries.sample(min(count, len(queries)), seed=int(rng.integers(1 << 31)))
    q, d = vectors(sample["text"], "query"), vectors(corpus["text"], "document")
    place = {doc: i for i, doc in enumerate(corpus["doc_id"])}
    relevant = dict(run.read("qrels.parquet").group_by("query_id").agg("doc_id").rows())
    shut = dict(run.read(".stages/excluded.parquet").group_by("query_id").agg("doc_id").rows())
    mined = dict(
        run.read("negatives.parquet")
        .sort("query_id", "score", "doc_id", descending=[False, True, False])
        .group_by("query_id", maintain_order=True)
        .agg("doc_id")
        .rows()
    )
    wrong = []
    for row, query in enumerate(sample["query_id"]):
        scores = np.round(d @ q[row], 6)
        positives = [place[doc] for doc in relevant[query]]
        least = scores[positives].min()
        limit = round(least - abs(least) * spec.mine.relative_margin, 9)
        closed = {*positives, *(place[doc] for doc in shut.get(query, []) if doc in place)}
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] <= limit and i not in closed]
        if mined.get(query, []) != [corpus["doc_id"][int(i)] for i in order[: spec.mine.negatives]]:
            wrong.append(query)
    return wrong
