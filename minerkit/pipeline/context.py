"""What every stage is given."""

from dataclasses import dataclass

from minerkit.recipe import Recipe
from minerkit.runtime import Reporter
from minerkit.storage import MARKERS, Run
from minerkit.text import Texts, store_texts

__all__ = ["TEXT_SHARE", "Context"]

#: The share of the memory that texts of documents may take; more go to a file.
TEXT_SHARE = 8


@dataclass(frozen=True)
class Context:
    """What every stage is given: the recipe, the run, where models run, bytes of memory, and a reporter."""

    recipe: Recipe
    run: Run
    device: str
    memory: int
    reporter: Reporter
    #: Whether a training goes on from its last checkpoint.
    resume: bool = True

    def document_texts(self) -> Texts:
        """Open the texts of the documents, in the order of corpus.parquet; few of them are in memory."""
        columns = (part["text"] for part in self.run.row_groups("corpus.parquet").of("text"))
        return store_texts(columns, self.memory // TEXT_SHARE, self.run.folder / MARKERS)
