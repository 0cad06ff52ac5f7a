"""Compare systems on the dev split: the mining encoder, BM25, and models before and after training.

A system is anything that ranks the documents of the run for each dev query.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minerkit.errors import RecipeError, RunError
from minerkit.evaluation.dev_split import DevSplit, read_dev_split
from minerkit.evaluation.recipe_evaluators import (
    DEFAULT_RERANK,
    DEPTH,
    batch_size,
    extra_evaluators,
    retrieval_evaluator,
)
from minerkit.recipe import Recipe
from minerkit.runtime import Family, Reporter, load_model, model_family, search_device
from minerkit.search import Pairs, bm25_search
from minerkit.storage import Run

__all__ = ["compare_systems"]

NO_DEV_QUERIES = (
    "{} has no dev queries to score on; set split.dev_queries, for example --set split.dev_queries=200, and "
    "run `minerkit mine` again"
)

#: Pairs scored between two updates of the progress bar.
CHUNK = 4096


def compare_systems(
    recipe: Recipe,
    run: Run,
    models: Sequence[str] = (),
    base: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Measure how the mining encoder, BM25 and models rank the dev split.

    Every system ranks all documents of the run. A reranker reorders the first documents that the encoder
    retrieved; the others follow in the encoder's order.

    Args:
        recipe: The recipe of the run.
        run: A mined run; if it holds a trained `model`, that is one of the systems.
        models: Further models, by folder or Hub name.
        base: Whether to add the base model of the recipe.
        device: auto, cpu, cuda or mps.
        reporter: Receives progress; None: no output.

    Returns:
        A JSON-ready mapping. `dev` describes the dev split and the depths. `rows` holds for each system its
        `kind` (encoder, lexical, base, trained, model), `name`, and `metrics` in 0..1: map, mrr, ndcg,
        accuracy, precision and recall with their cutoffs; for models also `family`, and the results of
        `classification` and `nano_beir` if the recipe asks for them.

    Raises:
        RunError: The run has no dev queries, or a file is missing.
        RecipeError: There is no base model to load.
        EncoderError: A model or device does not exist, or cannot be used.
    """
    reporter = reporter or Reporter(quiet=True)
    search_device(device)  # fails now, not after BM25, if the device does not exist
    dev = read_dev_split(recipe, run)
    if dev is None:
        raise RunError(NO_DEV_QUERIES.format(run.folder))
    systems = _systems(recipe, run, models, base)
    depth = recipe.eval.rerank or DEFAULT_RERANK
    cutoffs = sorted({1, 10, depth, DEPTH, *recipe.eval.retrieval})
    evaluator = retrieval_evaluator(dev, cutoffs, batch_size(recipe))
    rows = _baselines(recipe, dev, evaluator, reporter)
    extras: dict[tuple[Family, str], dict[str, tuple[Any, str]]] = {}
    for kind, name, family in systems:
        model = load_model(name, family, device)
        similarity = "" if family == "cross_encoder" else model.similarity_fn_name
        if family == "cross_encoder":
            ranking = _rerank(model, dev, depth, batch_size(recipe), kind, reporter)
            metrics = _ranking_metrics(evaluator, ranking)
        else:
            metrics = _retrieval_metrics(model, dev, evaluator, similarity, kind, reporter)
        if (family, similarity) not in extras:
            extras[family, similarity] = extra_evaluators(recipe, run, family, similarity, reporter)
        others = {
            section: _short_names(extra(model), dev.name, similarity)
            for section, (extra, _) in extras[family, similarity].items()
        }
        rows.append({"kind": kind, "name": name, "family": family, "metrics": metrics, **others})
    return {"dev": _describe_dev(dev, depth, recipe.eval.retrieval), "rows": rows}


def _baselines(recipe: Recipe, dev: DevSplit, evaluator: Any, reporter: Reporter) -> list[dict[str, Any]]:
    """Measure the baselines: the mining encoder and BM25."""
    encoder = _ranking_metrics(evaluator, dev.retrieved)
    bm25 = _ranking_metrics(evaluator, _bm25_ranking(dev, reporter))
    return [
        {"kind": "encoder", "name": recipe.encoder.model, "metrics": encoder},
        {"kind": "lexical", "name": "BM25", "metrics": bm25},
    ]


def _retrieval_metrics(
    model: Any, dev: DevSplit, evaluator: Any, similarity: str, kind: str, reporter: Reporter
) -> dict[str, float]:
    """Measure how a bi-encoder ranks all documents."""
    with reporter.bar(f"Scoring ({kind})", len(dev.corpus)) as advance:
        metrics = evaluator(model)
        advance(len(dev.corpus))
    return _short_names(metrics, dev.name, similarity)


def _describe_dev(dev: DevSplit, depth: int, cutoffs: Sequence[int]) -> dict[str, Any]:
    """Describe the dev split and the depths of the comparison."""
    return {
        "queries": len(dev.queries),
        "positives": sum(len(documents) for documents in dev.positives.values()),
        "documents": len(dev.corpus),
        "retrieved": DEPTH,
        "reranked": depth,
        "places": cutoffs,
    }


def _systems(recipe: Recipe, run: Run, models: Sequence[str], base: bool) -> list[tuple[str, str, Family]]:
    """List the models as (kind, name, family); a missing model fails here, before any work."""
    systems: list[tuple[str, str, Family]] = []
    if base and recipe.train.base == "scratch":
        raise RecipeError(
            "train.base is scratch, so there is no base model to load; `minerkit train` scores the untrained "
            "model first"
        )
    if base:
        model_family(recipe.train.base)
        systems.append(("base", recipe.train.base, recipe.train.family))
    if (trained := run.folder / "model").is_dir():
        systems.append(("trained", str(trained), model_family(str(trained))))
    return [*systems, *(("model", name, model_family(name)) for name in models)]


def _short_names(metrics: Mapping[str, float], dataset: str, similarity: str) -> dict[str, float]:
    """Remove the names of the data set and of the similarity from metric names."""

    def short_name(key: str) -> str:
        name = key.removeprefix(f"{dataset}_").removeprefix(f"{similarity}_")
        return {"ap": "average_precision"}.get(name, name)

    return {short_name(key): value for key, value in metrics.items()}


def _ranking_metrics(evaluator: Any, rankings: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Measure rankings (document ids by query id, best first) as the evaluator measures those of a model."""
    hits = [
        [{"corpus_id": doc, "score": -rank} for rank, doc in enumerate(rankings.get(query, ()))]
        for query in evaluator.queries_ids
    ]
    return {
        name.replace("@k", f"@{k}"): float(value)
        for name, values in evaluator.compute_metrics(hits).items()
        for k, value in values.items()
    }


def _bm25_ranking(dev: DevSplit, reporter: Reporter) -> dict[str, list[str]]:
    """Rank all documents by BM25."""
    queries, documents = list(dev.queries), list(dev.corpus)
    positions = {doc: position for position, doc in enumerate(documents)}
    excluded = [
        (row, positions[doc]) for row, query in enumerate(queries) for doc in dev.excluded.get(query, ())
    ]
    rows, columns = np.array(excluded, np.int64).reshape(-1, 2).T
    with reporter.bar("Scoring (BM25)", len(queries)) as advance:
        hits = bm25_search(
            list(dev.queries.values()), list(dev.corpus.values()), DEPTH, Pairs.of(rows, columns), advance
        )
    return {
        query: [documents[position] for position in ranking if position >= 0]
        for query, ranking in zip(queries, hits.documents, strict=True)
    }


def _rerank(
    model: Any, dev: DevSplit, depth: int, batch: int, kind: str, reporter: Reporter
) -> dict[str, list[str]]:
    """Sort the first retrieved documents of each query by a reranker's scores.

    Documents with equal scores are put in the reverse of the encoder's order, so that a model that gives all
    documents the same score does not profit from the encoder.
    """
    pairs = [
        (dev.queries[query], dev.corpus[doc])
        for query, retrieved in dev.retrieved.items()
        for doc in retrieved[:depth]
    ]
    chunk_scores = []
    with reporter.bar(f"Scoring ({kind})", len(pairs)) as advance:
        for start in range(0, len(pairs), CHUNK):
            chunk = pairs[start : start + CHUNK]
            chunk_scores.append(model.predict(chunk, batch_size=batch, show_progress_bar=False))
            advance(len(chunk))
    scores = np.concatenate(chunk_scores)
    rankings, start = {}, 0
    for query, retrieved in dev.retrieved.items():
        head = retrieved[:depth]
        order = np.argsort(scores[start : start + len(head)], kind="stable")[::-1]
        rankings[query] = [head[position] for position in order] + retrieved[depth:]
        start += len(head)
    return rankings
