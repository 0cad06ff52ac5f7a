"""What a recipe may say about its negatives."""

from typing import Any, Literal

from pydantic import Field, model_validator

from minerkit.recipe.section import Section

__all__ = ["Mine"]


class Mine(Section):
    """Which candidates become negatives, and how many."""

    negatives: int | None = Field(None, ge=1)
    """Negatives per query; 5 when positive_ratio is not given either."""
    positive_ratio: float | None = Field(None, gt=0, lt=1)
    """Share of positives in the labelled rows, exactly; decides the number of negatives per positive."""
    absolute_margin: float | None = Field(None, ge=0)
    """Keep documents that score at most the smallest positive minus this (NV-Retriever's MarginPos)."""
    relative_margin: float | None = Field(None, ge=0)
    """Keep documents that score at most the smallest positive minus this share of its magnitude (PercPos).

    0.05 unless an absolute margin is given."""
    max_score: float | None = None
    """Keep documents that score at most this."""
    min_score: float | None = None
    """Keep documents that score at least this."""
    range_min: int = Field(0, ge=0)
    """Skip this many of the hardest eligible documents."""
    range_max: int | None = Field(None, ge=1)
    """Take negatives only from this many best-ranked documents; null: go on until the query is filled."""
    shortfall: Literal["keep", "backfill", "drop"] = "backfill"
    """A query with too few: keep it short, fill it from below the range (not above a margin), or drop it."""
    strategy: Literal["top", "random"] = "top"
    """Take the hardest eligible documents, or draw from the range (from the best `keep` without a range)."""
    seed: int = 12
    """Seed of the random strategy."""
    keep: int = Field(50, ge=1)
    """How many of the best candidates of a query are stored, accepted or not."""
    judged: bool = True
    """Let documents that are judged irrelevant be negatives whatever they score; false: as any other."""
    exclude_group: bool | None = None
    """Take no negative from the query's own group; null: so for captions and matches, not for others."""
    round_trip: int | None = Field(None, ge=1)
    """Drop queries that do not find a positive of theirs among the first so many documents; null: off."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = dict(given)
        if given.get("absolute_margin") is None:
            given.setdefault("relative_margin", 0.05)
        if given.get("positive_ratio") is None and given.get("negatives") is None:
            given["negatives"] = 5
        return given

    @model_validator(mode="after")
    def _fits(self) -> "Mine":
        if self.negatives is not None and self.positive_ratio is not None:
            raise ValueError("negatives and positive_ratio exclude each other; set one of them to null")
        if self.positive_ratio is not None and self.shortfall == "keep":
            raise ValueError("positive_ratio is exact, so shortfall must be backfill or drop")
        if self.round_trip is not None and self.round_trip > self.keep:
            raise ValueError(f"round_trip {self.round_trip} is above keep {self.keep}")
        wanted = self.range_min + (self.negatives or 1)
        if self.range_max is not None and self.range_max < wanted:
            raise ValueError(
                f"range_max {self.range_max} leaves no room: range_min and negatives need {wanted} places"
            )
        if None not in (self.min_score, self.max_score) and self.min_score > self.max_score:  # type: ignore[operator]
            raise ValueError(f"min_score {self.min_score} is above max_score {self.max_score}")
        return self
