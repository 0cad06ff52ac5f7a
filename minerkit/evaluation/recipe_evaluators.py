"""Build the evaluators of sentence-transformers that a recipe's `eval` section asks for."""

import contextlib
import io
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.evaluation.dev_split import DevSplit, read_dev_split
from minerkit.mining import format_examples
from minerkit.recipe import Format, Recipe
from minerkit.runtime import Family, Reporter
from minerkit.storage import MARKERS, Run

__all__ = ["batch_size", "dev_evaluator", "extra_evaluators", "retrieval_evaluator"]

#: Documents to rerank, and ranks to measure retrieval at, if the recipe asks for no evaluator.
DEFAULT_RERANK, DEFAULT_CUTOFFS = 30, (10,)
#: Texts per forward pass, if `train.args.per_device_eval_batch_size` is not set.
DEFAULT_BATCH_SIZE = 64
#: Documents per query that mean average precision is computed on.
DEPTH = 100


def dev_evaluator(
    recipe: Recipe, run: Run, similarity: str | None = None, reporter: Reporter | None = None
) -> tuple[Any, str] | None:
    """Build the evaluator of the model that a recipe trains.

    Args:
        recipe: The recipe.
        run: A mined run.
        similarity: Similarity function of a bi-encoder, `cosine` or `dot`; None: as in mining.
        reporter: Receives a note if NanoBEIR cannot be loaded; None: stderr.

    Returns:
        An evaluator of sentence-transformers, and the key of its primary metric; None if the run has no dev
        queries.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    dev = read_dev_split(recipe, run)
    if dev is None:
        return None
    family = recipe.train.family
    similarity = similarity or ("cosine" if recipe.encoder.normalize else "dot")
    extras = extra_evaluators(recipe, run, family, similarity, reporter or Reporter())
    ranking = []
    if family == "cross_encoder" and (recipe.eval.rerank or not extras):
        depth = recipe.eval.rerank or DEFAULT_RERANK
        ranking = [(_reranking_evaluator(dev, depth, batch_size(recipe)), f"{dev.name}_ndcg@10")]
    elif family == "sentence_transformer" and (recipe.eval.retrieval or not extras):
        cutoffs = recipe.eval.retrieval or DEFAULT_CUTOFFS
        evaluator = retrieval_evaluator(dev, cutoffs, batch_size(recipe), similarity)
        ranking = [(evaluator, f"{dev.name}_{similarity}_ndcg@10")]
    evaluators, keys = zip(*ranking, *extras.values(), strict=True)
    if len(evaluators) == 1:
        return evaluators[0], keys[0]
    from sentence_transformers.base.evaluation import SequentialEvaluator

    return SequentialEvaluator(evaluators, main_score_function=itemgetter(0)), keys[0]


def extra_evaluators(
    recipe: Recipe, run: Run, family: Family, similarity: str, reporter: Reporter
) -> dict[str, tuple[Any, str]]:
    """Build the evaluators that a recipe asks for in addition to the ranking of the dev split.

    Args:
        recipe: The recipe.
        run: A mined run.
        family: cross_encoder or sentence_transformer.
        similarity: Similarity function of a bi-encoder, `cosine` or `dot`.
        reporter: Receives a note if NanoBEIR cannot be loaded.

    Returns:
        The evaluators for `classification` and `nano_beir`, each with the key of its primary metric.
    """
    evaluators = {}
    if recipe.eval.classification:
        evaluators["classification"] = _classification_evaluator(recipe, run, family, similarity)
    if recipe.eval.nano_beir:
        nano_beir = _nano_beir_evaluator(recipe, family, similarity, reporter)
        if nano_beir is not None:
            evaluators["nano_beir"] = nano_beir
    return evaluators


def batch_size(recipe: Recipe) -> int:
    """Return the number of texts or pairs per forward pass of an evaluation."""
    return int(recipe.train.args.get("per_device_eval_batch_size", DEFAULT_BATCH_SIZE))


def retrieval_evaluator(
    dev: DevSplit, cutoffs: Sequence[int], batch: int, similarity: str | None = None
) -> Any:
    """Build the evaluator that retrieves from all documents.

    Args:
        dev: The dev split.
        cutoffs: Ranks k of accuracy@k, precision@k and recall@k.
        batch: Texts per forward pass.
        similarity: Similarity function, `cosine` or `dot`; None: each model's own.

    Returns:
        An InformationRetrievalEvaluator. It removes a query's excluded documents from the 100 best, so that
        99 are left if documents are queries too.
    """
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
    from sentence_transformers.util import SimilarityFunction

    options: dict[str, Any] = {
        "accuracy_at_k": list(cutoffs),
        "precision_recall_at_k": list(cutoffs),
        "map_at_k": [DEPTH],
        "batch_size": batch,
        "name": dev.name,
        "write_csv": False,
    }
    if similarity is not None:
        options["score_functions"] = {similarity: SimilarityFunction.to_similarity_fn(similarity)}
    texts = (dev.queries, dev.corpus, dev.positives)
    if not dev.excluded:
        return InformationRetrievalEvaluator(*texts, **options)
    from minerkit.evaluation import st_evaluators

    return st_evaluators.InformationRetrievalEvaluator(*texts, excluded=dev.excluded, **options)


def _reranking_evaluator(dev: DevSplit, depth: int, batch: int) -> Any:
    """Build the evaluator that reranks the retrieved documents, without adding positives."""
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    samples: list[dict[str, Any]] = [
        {
            "query": dev.queries[query],
            "positive": [dev.corpus[doc] for doc in retrieved[:depth] if doc in dev.positives[query]],
            "documents": [dev.corpus[doc] for doc in retrieved[:depth]],
            "positive_count": len(dev.positives[query]),
        }
        for query, retrieved in dev.retrieved.items()
    ]
    options = {"batch_size": batch, "name": dev.name, "write_csv": False}
    if all(len(sample["positive"]) in (0, sample["positive_count"]) for sample in samples):
        return CrossEncoderRerankingEvaluator(samples, always_rerank_positives=False, **options)
    from minerkit.evaluation import st_evaluators

    return st_evaluators.CrossEncoderRerankingEvaluator(samples, **options)


def _classification_evaluator(recipe: Recipe, run: Run, family: Family, similarity: str) -> tuple[Any, str]:
    """Build the evaluator that classifies the pairs of the dev rows, whatever their format."""
    rejected = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    queries = run.read("queries.parquet").filter(
        (pl.col("split") == "dev") & ~pl.col("query_id").is_in(rejected.implode())
    )
    positives = run.read("candidates.parquet").filter(pl.col("relevance") > 0)
    rows = format_examples(
        queries,
        run.read("corpus.parquet"),
        positives,
        run.read("negatives.parquet"),
        Format(type="labeled-pair"),
    )
    texts, documents, labels = (rows[column].to_list() for column in ("query", "positive", "label"))
    name = f"{recipe.name}-dev"
    options = {"name": name, "batch_size": batch_size(recipe), "write_csv": False}
    if family == "cross_encoder":
        from sentence_transformers.cross_encoder.evaluation import CrossEncoderClassificationEvaluator

        pairs = [list(pair) for pair in zip(texts, documents, strict=True)]
        return CrossEncoderClassificationEvaluator(pairs, labels, **options), f"{name}_average_precision"
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator

    evaluator = BinaryClassificationEvaluator(
        texts, documents, labels, similarity_fn_names=[similarity], **options
    )
    return evaluator, f"{name}_{similarity}_ap"


def _nano_beir_evaluator(
    recipe: Recipe, family: Family, similarity: str, reporter: Reporter
) -> tuple[Any, str] | None:
    """Build the NanoBEIR evaluator; return None if its data sets cannot be loaded."""
    import datasets
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderNanoBEIREvaluator
    from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator
    from sentence_transformers.util import SimilarityFunction, disable_logging

    datasets.disable_progress_bars()
    data = str(Path(recipe.eval.nano_beir_data).expanduser())
    options: dict[str, Any] = {"dataset_id": data, "batch_size": batch_size(recipe), "write_csv": False}
    if family == "sentence_transformer":
        options["score_functions"] = {similarity: SimilarityFunction.to_similarity_fn(similarity)}
    evaluator_class = CrossEncoderNanoBEIREvaluator if family == "cross_encoder" else NanoBEIREvaluator
    try:
        # It shows progress bars, and logs every attempt to reach the Hub.
        with contextlib.redirect_stderr(io.StringIO()), disable_logging():
            evaluator = evaluator_class(recipe.eval.nano_beir, **options)
    except Exception as error:  # no network, or a folder of another layout
        cause = error.__cause__ or error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        reporter.say(f"NanoBEIR: left out, {data} cannot be read ({reason})")
        return None
    metric = "ndcg@10" if family == "cross_encoder" else f"{similarity}_ndcg@10"
    return evaluator, f"{evaluator.name}_{metric}"
