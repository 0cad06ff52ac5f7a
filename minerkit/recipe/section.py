"""What all sections of a recipe have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Section", "Share"]

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are faults, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
