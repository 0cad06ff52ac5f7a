"""Everything minerkit raises on purpose; the command line prints each as one line.

MinerkitError                exit code 1: the user can mend it
├── RecipeError              a recipe that does not validate, or no such recipe
├── SourceError              raw input that is missing, unreadable or unusable
├── EncoderError             a model that cannot be loaded or does not fit
├── CacheError               embeddings that cannot be kept on disk
├── TrainingError            a model that cannot be trained as the recipe has it
├── HubError                 the Hub cannot be reached, or refuses what is pushed
├── MissingExtraError        an optional package is not installed
└── RunError                 a run folder that is missing, locked or damaged
    └── AuditError           a run that breaks an invariant
"""

import difflib
from collections.abc import Sequence

__all__ = [
    "AuditError",
    "CacheError",
    "EncoderError",
    "HubError",
    "MinerkitError",
    "MissingExtraError",
    "RecipeError",
    "RunError",
    "SourceError",
    "TrainingError",
    "first_line",
    "suggestion",
]


class MinerkitError(Exception):
    """Base of all errors a user can mend: says what, where and what to do."""


class RecipeError(MinerkitError):
    """A recipe is unknown or has faults; all faults are listed together."""


class SourceError(MinerkitError):
    """The raw input is missing, unreadable or cannot be used."""


class EncoderError(MinerkitError):
    """An encoder cannot be loaded, or gives embeddings that cannot be used."""


class CacheError(MinerkitError):
    """The cache of embeddings cannot be read or written, for lack of space or rights."""


class TrainingError(MinerkitError):
    """A model cannot be trained: no base, no rows, not enough memory."""


class HubError(MinerkitError):
    """The Hub cannot be reached, does not know the user, or refuses what is pushed."""


class MissingExtraError(MinerkitError):
    """An optional package is needed; the message holds the install command."""


class RunError(MinerkitError):
    """A run folder is missing, in use by another process, or damaged."""


class AuditError(RunError):
    """A run breaks at least one invariant."""


def suggestion(word: str, known: Sequence[str]) -> str:
    """Suggest what may have been meant.

    Args:
        word: What was written.
        known: What could have been.

    Returns:
        A clause to append; "" where nothing is close.
    """
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0]
