"""What a recipe may say about training, and which losses there are."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from minerkit.recipe.losses import LOSSES, LossName
from minerkit.recipe.section import Section
from minerkit.runtime import Family

__all__ = ["Train"]


class Train(Section):
    """The model that is trained from the examples."""

    base: str = "scratch"
    """The model to start from: a Hub name, a folder, or `scratch` (a small BERT made from the run's text)."""
    revision: str | None = None
    """A branch, tag or commit of a Hub model."""
    max_length: int | None = Field(None, ge=8)
    """Tokens after which texts, or pairs of texts, are cut; null: the base model's own limit."""
    loss: LossName = "bce"
    """The loss function. It decides whether a reranker or a bi-encoder is trained."""
    loss_args: dict[str, Any] = Field(default_factory=dict)
    """The loss function's parameters by their names in sentence-transformers; `similarity`: dot or cosine."""
    pos_weight: Annotated[float, Field(gt=0)] | Literal["auto"] | None = "auto"
    """bce: weight of positives; `auto`: negatives per positive of the train rows."""
    early_stopping: int | None = Field(None, ge=1)
    """Stop after so many evaluations without a better dev metric; null: train to the end."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Training arguments by their sentence-transformers names."""

    @model_validator(mode="after")
    def _fits(self) -> "Train":
        if self.base == "scratch" and self.revision is not None:
            raise ValueError("revision does nothing where the base is scratch; leave it out (null)")
        return self

    @property
    def family(self) -> Family:
        """The kind of model that is trained."""
        return LOSSES[self.loss].family

    def format_fault(self, made: str, scores: bool) -> str | None:
        """Explain why the loss cannot learn from a format.

        Args:
            made: The type of the training rows.
            scores: Whether they hold scores.

        Returns:
            What is wrong and what to set; None where the loss takes the rows.
        """
        loss = LOSSES[self.loss]
        if made not in loss.formats:
            wanted = " or ".join(loss.formats)
            others = ", ".join(name for name, other in LOSSES.items() if made in other.formats)
            return (
                f"train.loss: {self.loss} wants {wanted}; the recipe makes {made}; "
                f"set format: {loss.formats[0]}, or train.loss to one of {others}"
            )
        if loss.scores and not scores:
            return f"train.loss: {self.loss} learns from scores; set format.scores: true"
        if scores and not loss.scores:
            return f"train.loss: {self.loss} takes no scores; set format.scores: false"
        return None
