"""How a model is scored on the dev split, by the evaluators of sentence-transformers."""

import contextlib
import io
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl

from minerkit.evaluation.dev_split import Dev, read_dev_split
from minerkit.mining import format_examples
from minerkit.recipe import Format, Recipe
from minerkit.runtime import Family, Reporter
from minerkit.storage import MARKERS, Run

__all__ = ["batch_size", "dev_evaluator", "extra_evaluators", "retrieval_evaluator"]

#: What a recipe that names no evaluator gets.
RERANK, RETRIEVE = 30, (10,)
#: Texts a forward pass, where the training arguments name no `per_device_eval_batch_size`.
BATCH = 64
#: Documents a query the average precision is measured in.
DEPTH = 100


def dev_evaluator(
    recipe: Recipe, run: Run, similarity: str | None = None, reporter: Reporter | None = None
) -> tuple[Any, str] | None:
    """Make the evaluator of the model that a recipe trains.

    Args:
        recipe: The recipe; its `eval` section says how to score.
        run: A mined run.
        similarity: How a bi-encoder compares vectors, `cosine` or `dot`; None: as in mining.
        reporter: Where it is said that NanoBEIR is left out; None: stderr.

    Returns:
        An evaluator of sentence-transformers, and the key of its primary metric among its results; None where
        the run has no dev queries.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    dev = read_dev_split(recipe, run)
    if dev is None:
        return None
    family = recipe.train.family
    similarity = similarity or ("cosine" if recipe.encoder.normalize else "dot")
    extras = extra_evaluators(recipe, run, family, similarity, reporter or Reporter())
    made = []
    if family == "cross_encoder" and (recipe.eval.rerank or not extras):
        made = [(_reranking(dev, recipe.eval.rerank or RERANK, batch_size(recipe)), f"{dev.name}_ndcg@10")]
    elif family == "sentence_transformer" and (recipe.eval.retrieval or not extras):
        ranking = retrieval_evaluator(dev, recipe.eval.retrieval or RETRIEVE, batch_size(recipe), similarity)
        made = [(ranking, f"{dev.name}_{similarity}_ndcg@10")]
    evaluators, keys = zip(*made, *extras.values(), strict=True)
    if len(evaluators) == 1:
        return evaluators[0], keys[0]
    from sentence_transformers.base.evaluation import SequentialEvaluator

    return SequentialEvaluator(evaluators, main_score_function=itemgetter(0)), keys[0]


def extra_evaluators(
    recipe: Recipe, run: Run, family: Family, similarity: str, reporter: Reporter
) -> dict[str, tuple[Any, str]]:
    """Make the evaluators that a recipe names beside the ranking of the dev split.

    Args:
        recipe: The recipe.
        run: A mined run.
        family: The kind of model they are for.
        similarity: How a bi-encoder compares vectors, `cosine` or `dot`.
        reporter: Where it is said that NanoBEIR is left out.

    Returns:
        The evaluators for `classification` and `nano_beir`, each with the key of its primary metric.
    """
    made = {}
    if recipe.eval.classification:
        made["classification"] = _classification(recipe, run, family, similarity)
    if recipe.eval.nano_beir and (found := _nano_beir(recipe, family, similarity, reporter)):
        made["nano_beir"] = found
    return made


def batch_size(recipe: Recipe) -> int:
    """Say how many texts or pairs go through a model at once while it is scored."""
    return int(recipe.train.args.get("per_device_eval_batch_size", BATCH))


def retrieval_evaluator(dev: Dev, at: Sequence[int], batch: int, similarity: str | None = None) -> Any:
    """Make the evaluator that retrieves from all documents.

    Args:
        dev: The dev split.
        at: Places within which accuracy, precision and recall are measured.
        batch: Texts a forward pass.
        similarity: How vectors are compared, `cosine` or `dot`; None: as each model has it.

    Returns:
        An InformationRetrievalEvaluator. Where documents are queries too, a query's own is taken out of what
        it found, so that of the 100 best 99 are left.
    """
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
    from sentence_transformers.util import SimilarityFunction

    options: dict[str, Any] = {
        "accuracy_at_k": list(at),
        "precision_recall_at_k": list(at),
        "map_at_k": [DEPTH],
        "batch_size": batch,
        "name": dev.name,
        "write_csv": False,
    }
    if similarity is not None:
        options["score_functions"] = {similarity: SimilarityFunction.to_similarity_fn(similarity)}
    texts = (dev.queries, dev.corpus, dev.positives)
    if not dev.itself:
        return InformationRetrievalEvaluator(*texts, **options)
    from minerkit.evaluation import st_evaluators as evaluators

    return evaluators.InformationRetrievalEvaluator(*texts, itself=dev.itself, **options)


def _reranking(dev: Dev, depth: int, batch: int) -> Any:
    """Make the evaluator that reranks what was retrieved: positives are there or they are not."""
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    samples: list[dict[str, Any]] = [
        {
            "query": dev.queries[query],
            "positive": [dev.corpus[doc] for doc in found[:depth] if doc in dev.positives[query]],
            "documents": [dev.corpus[doc] for doc in found[:depth]],
            "known": len(dev.positives[query]),
        }
        for query, found in dev.retrieved.items()
    ]
    options = {"batch_size": batch, "name": dev.name, "write_csv": False}
    if all(len(sample["positive"]) in (0, sample["known"]) for sample in samples):
        return CrossEncoderRerankingEvaluator(samples, always_rerank_positives=False, **options)
    from minerkit.evaluation import st_evaluators as evaluators

    return evaluators.CrossEncoderRerankingEvaluator(samples, **options)


def _classification(recipe: Recipe, run: Run, family: Family, similarity: str) -> tuple[Any, str]:
    """Make the evaluator that tells the positives of the dev rows from their negatives, in any format."""
    lost = run.read(f"{MARKERS}/select.rejected.parquet")["source"]
    queries = run.read("queries.parquet").filter(
        (pl.col("split") == "dev") & ~pl.col("query_id").is_in(lost.implode())
    )
    positives = run.read("candidates.parquet").filter(pl.col("relevance") > 0)
    rows = format_examples(
        queries,
        run.read("corpus.parquet"),
        positives,
        run.read("negatives.parquet"),
        Format(type="labeled-pair"),
    )
    asked, documents, labels = (rows[column].to_list() for column in ("query", "positive", "label"))
    name = f"{recipe.name}-dev"
    options = {"name": name, "batch_size": batch_size(recipe), "write_csv": False}
    if family == "cross_encoder":
        from sentence_transformers.cross_encoder.evaluation import CrossEncoderClassificationEvaluator

        pairs = [list(pair) for pair in zip(asked, documents, strict=True)]
        return CrossEncoderClassificationEvaluator(pairs, labels, **options), f"{name}_average_precision"
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator

    made = BinaryClassificationEvaluator(
        asked, documents, labels, similarity_fn_names=[similarity], **options
    )
    return made, f"{name}_{similarity}_ap"


def _nano_beir(recipe: Recipe, family: Family, similarity: str, reporter: Reporter) -> tuple[Any, str] | None:
    """Make the NanoBEIR evaluator; None where the data sets cannot be had."""
    import datasets
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderNanoBEIREvaluator
    from sentence_transformers.sentence_transformer.evaluation import NanoBEIREvaluator
    from sentence_transformers.util import SimilarityFunction, disable_logging

    datasets.disable_progress_bars()
    data = str(Path(recipe.eval.nano_beir_data).expanduser())
    options: dict[str, Any] = {"dataset_id": data, "batch_size": batch_size(recipe), "write_csv": False}
    if family == "sentence_transformer":
        options["score_functions"] = {similarity: SimilarityFunction.to_similarity_fn(similarity)}
    maker = CrossEncoderNanoBEIREvaluator if family == "cross_encoder" else NanoBEIREvaluator
    try:
        # It draws bars of its own, and tells of every attempt to reach the Hub.
        with contextlib.redirect_stderr(io.StringIO()), disable_logging():
            made = maker(recipe.eval.nano_beir, **options)
    except Exception as error:  # no network, or a folder of another layout
        cause = error.__cause__ or error
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        reporter.say(f"NanoBEIR: left out, {data} cannot be read ({first})")
        return None
    metric = "ndcg@10" if family == "cross_encoder" else f"{similarity}_ndcg@10"
    return made, f"{made.name}_{metric}"
