"""Evaluators of sentence-transformers, where retrieved candidates need another count than theirs.

They keep the names and homes of the classes they are made of, so that a model card titles and links them as
usual; what they do otherwise stands among their parameters there. Importing this loads torch.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import log2
from typing import Any

from sentence_transformers.cross_encoder import evaluation as of_rerankers
from sentence_transformers.sentence_transformer import evaluation as of_bi_encoders

__all__ = ["CrossEncoderRerankingEvaluator", "InformationRetrievalEvaluator"]


class CrossEncoderRerankingEvaluator(of_rerankers.CrossEncoderRerankingEvaluator):  # type: ignore[misc]
    """Counts positives that were not retrieved as missed, in the order before and the order after alike.

    The class it is made of counts them against the order before alone, so that a reranker that changes
    nothing would seem to gain.
    """

    __module__ = of_rerankers.__name__

    def __init__(self, samples: Sequence[Mapping[str, Any]], **options: Any) -> None:
        """Take samples.

        Args:
            samples: query, documents (best first), positive (those among the documents) and `known`, how many
                positives the query has.
            options: As the class it is made of takes them.
        """
        super().__init__(samples=list(samples), always_rerank_positives=False, **options)

    def __call__(self, model: Any, *where: Any, **when: Any) -> dict[str, float]:
        """Score a reranker."""
        known = [sample["known"] for sample in self.samples if sample["positive"]]
        self._known = chain(known, known)  # all orders before are measured, then all orders after
        found: dict[str, float] = super().__call__(model, *where, **when)
        return found

    def compute_metrics(self, y_true: Any, y_pred: Any) -> tuple[float, float, float]:
        """Measure one order against the ideal of all known positives."""
        reciprocal_rank, gain, precision = super().compute_metrics(y_true, y_pred)
        held, known = sum(y_true), next(self._known)
        return reciprocal_rank, gain * self._ideal(held) / self._ideal(known), precision * held / known

    def get_config_dict(self) -> dict[str, Any]:
        """Give the parameters a model card shows."""
        return {**super().get_config_dict(), "unretrieved_positives": "missed"}

    def _ideal(self, positives: int) -> float:
        return sum(1 / log2(rank + 1) for rank in range(1, min(positives, self.at_k) + 1))


class InformationRetrievalEvaluator(of_bi_encoders.InformationRetrievalEvaluator):  # type: ignore[misc]
    """Takes the documents that are the query out of what the query found."""

    __module__ = of_bi_encoders.__name__

    def __init__(self, *texts: Any, itself: Mapping[str, set[str]], **options: Any) -> None:
        """Take queries, corpus and relevant documents.

        Args:
            texts: As the class it is made of takes them.
            itself: Query id to the ids of the documents that are the query.
            options: As the class it is made of takes them.
        """
        self.itself = itself
        super().__init__(*texts, **options)

    def compute_metrics(self, found: list[list[dict[str, Any]]]) -> dict[str, dict[int, float]]:
        """Measure what all queries found."""
        kept = [
            [hit for hit in hits if hit["corpus_id"] not in self.itself.get(query, ())]
            for query, hits in zip(self.queries_ids, found, strict=True)
        ]
        measured: dict[str, dict[int, float]] = super().compute_metrics(kept)
        return measured

    def get_config_dict(self) -> dict[str, Any]:
        """Give the parameters a model card shows."""
        return {**super().get_config_dict(), "query_itself": "left out"}
