"""Subclasses of two evaluators of sentence-transformers that count positives or documents differently.

They keep the class and module names of their base classes, so that a model card gives them the usual titles
and links; the card lists what they do differently among their parameters. Importing this module loads torch.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import log2
from typing import Any

from sentence_transformers.cross_encoder import evaluation as reranker_evaluators
from sentence_transformers.sentence_transformer import evaluation as bi_encoder_evaluators

__all__ = ["CrossEncoderRerankingEvaluator", "InformationRetrievalEvaluator"]


class CrossEncoderRerankingEvaluator(reranker_evaluators.CrossEncoderRerankingEvaluator):  # type: ignore[misc]
    """Counts positives that were not retrieved as missed, both before and after reranking.

    The base class counts them as missed before reranking only, so that a reranker that changes nothing would
    seem to improve the ranking.
    """

    __module__ = reranker_evaluators.__name__

    def __init__(self, samples: Sequence[Mapping[str, Any]], **options: Any) -> None:
        """Store the samples.

        Args:
            samples: For each query `query`, `documents` (best first), `positive` (the positives among the
                documents), and `positive_count` (the number of all positives of the query).
            options: Options of the base class.
        """
        super().__init__(samples=list(samples), always_rerank_positives=False, **options)

    def __call__(self, model: Any, *output: Any, **progress: Any) -> dict[str, float]:
        """Evaluate a reranker; the further arguments are those of the base class."""
        counts = [sample["positive_count"] for sample in self.samples if sample["positive"]]
        # The base class measures all rankings before reranking first, then all rankings after it.
        self._positive_counts = chain(counts, counts)
        metrics: dict[str, float] = super().__call__(model, *output, **progress)
        return metrics

    def compute_metrics(self, y_true: Any, y_pred: Any) -> tuple[float, float, float]:
        """Measure one ranking against the ideal ranking of all positives.

        Args:
            y_true: 1 for each retrieved document that is a positive, else 0.
            y_pred: Scores of the retrieved documents.

        Returns:
            Reciprocal rank, nDCG and average precision.
        """
        reciprocal_rank, ndcg, average_precision = super().compute_metrics(y_true, y_pred)
        retrieved, total = sum(y_true), next(self._positive_counts)
        return (
            reciprocal_rank,
            ndcg * self._ideal_dcg(retrieved) / self._ideal_dcg(total),
            average_precision * retrieved / total,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """Return the parameters for the model card."""
        return {**super().get_config_dict(), "unretrieved_positives": "missed"}

    def _ideal_dcg(self, positives: int) -> float:
        """Return the DCG of a ranking with this number of positives first."""
        return sum(1 / log2(rank + 1) for rank in range(1, min(positives, self.at_k) + 1))


class InformationRetrievalEvaluator(bi_encoder_evaluators.InformationRetrievalEvaluator):  # type: ignore[misc]
    """Removes the excluded documents of a query from its ranking."""

    __module__ = bi_encoder_evaluators.__name__

    def __init__(self, *texts: Any, excluded: Mapping[str, set[str]], **options: Any) -> None:
        """Store queries, corpus and relevant documents.

        Args:
            texts: Queries, corpus and relevant documents, as the base class takes them.
            excluded: Document ids by query id.
            options: Options of the base class.
        """
        self.excluded = excluded
        super().__init__(*texts, **options)

    def compute_metrics(self, rankings: list[list[dict[str, Any]]]) -> dict[str, dict[int, float]]:
        """Measure the rankings of all queries."""
        rankings = [
            [hit for hit in ranking if hit["corpus_id"] not in self.excluded.get(query, ())]
            for query, ranking in zip(self.queries_ids, rankings, strict=True)
        ]
        metrics: dict[str, dict[int, float]] = super().compute_metrics(rankings)
        return metrics

    def get_config_dict(self) -> dict[str, Any]:
        """Return the parameters for the model card."""
        return {**super().get_config_dict(), "query_itself": "left out"}
