"""The losses that a recipe may name: classes of sentence-transformers, and the rows that each takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from minerkit.runtime import Family

__all__ = ["LOSSES", "LossName", "LossSpec"]

LossName = Literal[
    "bce",
    "lambda",
    "list-net",
    "rank-net",
    "mse",
    "reranker-margin-mse",
    "mnrl",
    "cached-mnrl",
    "triplet",
    "online-contrastive",
    "margin-mse",
    "cosent",
]


@dataclass(frozen=True)
class LossSpec:
    """A loss of sentence-transformers, and the training rows it takes."""

    family: Family
    maker: str
    """The name of its class."""
    formats: tuple[str, ...]
    scores: bool = False
    """Whether it learns from scores, not from labels or places."""
    similarity: Literal["all", "pairs"] | None = None
    """Whether `similarity` can be chosen, and if so, whether all texts are compared or one with one."""
    in_batch: bool = False
    """Whether the other rows of a batch are negatives, so that a batch may hold no text twice."""


#: The formats of rows with a query and a positive side by side.
TUPLES = ("pair", "triplet", "n-tuple")
LOSSES: Mapping[str, LossSpec] = {
    "bce": LossSpec("cross_encoder", "BinaryCrossEntropyLoss", ("labeled-pair",)),
    "lambda": LossSpec("cross_encoder", "LambdaLoss", ("labeled-list",)),
    "list-net": LossSpec("cross_encoder", "ListNetLoss", ("labeled-list",)),
    "rank-net": LossSpec("cross_encoder", "RankNetLoss", ("labeled-list",)),
    "mse": LossSpec("cross_encoder", "MSELoss", ("labeled-pair",), scores=True),
    "reranker-margin-mse": LossSpec("cross_encoder", "MarginMSELoss", ("triplet", "n-tuple"), scores=True),
    "mnrl": LossSpec(
        "sentence_transformer", "MultipleNegativesRankingLoss", TUPLES, similarity="all", in_batch=True
    ),
    "cached-mnrl": LossSpec(
        "sentence_transformer", "CachedMultipleNegativesRankingLoss", TUPLES, similarity="all", in_batch=True
    ),
    "triplet": LossSpec("sentence_transformer", "TripletLoss", ("triplet",)),
    "online-contrastive": LossSpec("sentence_transformer", "OnlineContrastiveLoss", ("labeled-pair",)),
    "margin-mse": LossSpec(
        "sentence_transformer", "MarginMSELoss", ("triplet", "n-tuple"), scores=True, similarity="pairs"
    ),
    "cosent": LossSpec(
        "sentence_transformer", "CoSENTLoss", ("labeled-pair",), scores=True, similarity="pairs"
    ),
}
