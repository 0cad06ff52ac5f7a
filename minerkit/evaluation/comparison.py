"""What ranks the dev split best: the encoder that mined, BM25, and models before and after training."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minerkit.errors import RecipeError, RunError
from minerkit.evaluation.dev_split import Dev, read_dev_split
from minerkit.evaluation.recipe_evaluators import (
    DEPTH,
    RERANK,
    batch_size,
    extra_evaluators,
    retrieval_evaluator,
)
from minerkit.recipe import Recipe
from minerkit.runtime import Family, Reporter, load_model, model_family, search_device
from minerkit.search import Pairs, bm25_search
from minerkit.storage import Run

__all__ = ["compare"]

NO_DEV = (
    "{} has no dev queries to score on; set split.dev_queries, for example --set split.dev_queries=200, and "
    "run `minerkit mine` again"
)

#: Pairs after which progress is told.
STEP = 4096


def compare(
    recipe: Recipe,
    run: Run,
    models: Sequence[str] = (),
    base: bool = False,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Score how the dev split is ranked: by the encoder that mined, by BM25, and by models.

    All of them rank all documents of the run. A reranker orders the best ones that the encoder retrieved and
    leaves the others below them, as they were.

    Args:
        recipe: The recipe the run was made from.
        run: A mined run; its own `model` is scored where there is one.
        models: More models, by folder or Hub name.
        base: Whether to score the model that training starts from.
        device: auto, cpu, cuda or mps.
        reporter: Where progress goes; None: nowhere.

    Returns:
        A JSON-ready mapping. `dev` says what was ranked. `rows` has for each system its `kind` (encoder,
        lexical, base, trained, model), `name`, and `metrics` in 0..1: map, mrr, ndcg, accuracy, precision and
        recall with their depths; models also `family`, and what `classification` and `nano_beir` give where
        the recipe asks for them.

    Raises:
        RunError: The run has no dev queries, or is not whole.
        RecipeError: There is no base model to load.
        EncoderError: A model or device is not there, or cannot be used.
    """
    reporter = reporter or Reporter(quiet=True)
    search_device(device)  # a device that is not there is found now, not after BM25
    dev = read_dev_split(recipe, run)
    if dev is None:
        raise RunError(NO_DEV.format(run.folder))
    systems = _systems(recipe, run, models, base)
    depth = recipe.eval.rerank or RERANK
    places = sorted({1, 10, depth, DEPTH, *recipe.eval.retrieval})
    scorer = retrieval_evaluator(dev, places, batch_size(recipe))
    rows = _baselines(recipe, dev, scorer, reporter)

    @functools.cache
    def extras(family: Family, similarity: str) -> dict[str, tuple[Any, str]]:
        return extra_evaluators(recipe, run, family, similarity, reporter)

    for kind, name, family in systems:
        model = load_model(name, family, device)
        similarity = "" if family == "cross_encoder" else model.similarity_fn_name
        if family == "cross_encoder":
            metrics = _measured(scorer, _reranked(model, dev, depth, batch_size(recipe), kind, reporter))
        else:
            metrics = _retrieved(model, dev, scorer, similarity, kind, reporter)
        others = {
            section: _metrics(evaluator(model), dev.name, similarity)
            for section, (evaluator, _) in extras(family, similarity).items()
        }
        rows.append({"kind": kind, "name": name, "family": family, "metrics": metrics, **others})
    return {"dev": _describe(dev, depth, recipe.eval.retrieval), "rows": rows}


def _baselines(recipe: Recipe, dev: Dev, scorer: Any, reporter: Reporter) -> list[dict[str, Any]]:
    """Measure what a model has to beat: the encoder that mined, and BM25."""
    return [
        {"kind": "encoder", "name": recipe.encoder.model, "metrics": _measured(scorer, dev.retrieved)},
        {"kind": "lexical", "name": "BM25", "metrics": _measured(scorer, _by_words(dev, reporter))},
    ]


def _retrieved(
    model: Any, dev: Dev, scorer: Any, similarity: str, kind: str, reporter: Reporter
) -> dict[str, float]:
    """Measure how a bi-encoder ranks all documents."""
    with reporter.bar(f"Scoring ({kind})", len(dev.corpus)) as advance:
        found = scorer(model)
        advance(len(dev.corpus))
    return _metrics(found, dev.name, similarity)


def _describe(dev: Dev, depth: int, places: Sequence[int]) -> dict[str, Any]:
    """Say what was ranked."""
    return {
        "queries": len(dev.queries),
        "positives": sum(len(found) for found in dev.positives.values()),
        "documents": len(dev.corpus),
        "retrieved": DEPTH,
        "reranked": depth,
        "places": places,
    }


def _systems(recipe: Recipe, run: Run, models: Sequence[str], base: bool) -> list[tuple[str, str, Family]]:
    """List the models to score with their kind and family; one that is not there is found before any work."""
    found: list[tuple[str, str, Family]] = []
    if base and recipe.train.base == "scratch":
        raise RecipeError(
            "train.base is scratch, so there is no base model to load; `minerkit train` scores the untrained "
            "model first"
        )
    if base:
        model_family(recipe.train.base)
        found.append(("base", recipe.train.base, recipe.train.family))
    if (own := run.folder / "model").is_dir():
        found.append(("trained", str(own), model_family(str(own))))
    return [*found, *(("model", name, model_family(name)) for name in models)]


def _metrics(found: Mapping[str, float], name: str, similarity: str) -> dict[str, float]:
    """Name metrics without the data set and the similarity they were measured by."""

    def plain(key: str) -> str:
        short = key.removeprefix(f"{name}_").removeprefix(f"{similarity}_")
        return {"ap": "average_precision"}.get(short, short)

    return {plain(key): value for key, value in found.items()}


def _measured(scorer: Any, order: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Measure rankings (query to documents, best first) as the evaluator measures a model's."""
    found = [
        [{"corpus_id": doc, "score": -place} for place, doc in enumerate(order.get(query, ()))]
        for query in scorer.queries_ids
    ]
    return {
        name.replace("@k", f"@{k}"): float(value)
        for name, values in scorer.compute_metrics(found).items()
        for k, value in values.items()
    }


def _by_words(dev: Dev, reporter: Reporter) -> dict[str, list[str]]:
    """Rank all documents by BM25."""
    queries, documents = list(dev.queries), list(dev.corpus)
    place = {doc: at for at, doc in enumerate(documents)}
    itself = [(at, place[doc]) for at, query in enumerate(queries) for doc in dev.itself.get(query, ())]
    rows, columns = np.array(itself, np.int64).reshape(-1, 2).T
    with reporter.bar("Scoring (BM25)", len(queries)) as advance:
        hits = bm25_search(
            list(dev.queries.values()), list(dev.corpus.values()), DEPTH, Pairs.of(rows, columns), advance
        )
    return {
        query: [documents[at] for at in found if at >= 0]
        for query, found in zip(queries, hits.documents, strict=True)
    }


def _reranked(
    model: Any, dev: Dev, depth: int, batch: int, kind: str, reporter: Reporter
) -> dict[str, list[str]]:
    """Put the first retrieved documents in the order of a reranker's scores.

    Equal scores rank in the reverse of the order before: a model that cannot tell documents apart gains
    nothing from what the encoder knew.
    """
    pairs = [
        (dev.queries[query], dev.corpus[doc])
        for query, found in dev.retrieved.items()
        for doc in found[:depth]
    ]
    parts = []
    with reporter.bar(f"Scoring ({kind})", len(pairs)) as advance:
        for start in range(0, len(pairs), STEP):
            part = pairs[start : start + STEP]
            parts.append(model.predict(part, batch_size=batch, show_progress_bar=False))
            advance(len(part))
    scores = np.concatenate(parts)
    order, start = {}, 0
    for query, found in dev.retrieved.items():
        head = found[:depth]
        best = np.argsort(scores[start : start + len(head)], kind="stable")[::-1]
        order[query] = [head[at] for at in best] + found[depth:]
        start += len(head)
    return order
