"""Fold simplified and traditional Chinese into one, to compare texts."""

from functools import cache
from typing import Any

from minerkit.errors import MissingExtraError

__all__ = ["fold_variants"]


def fold_variants(text: str) -> str:
    """Write a text in simplified Chinese, character by character, for comparison only.

    Args:
        text: Any text.

    Returns:
        The text with traditional characters replaced; words are not (記憶體 becomes 记忆体, not 内存).

    Raises:
        MissingExtraError: OpenCC is not installed.
    """
    return str(_converter().convert(text))


@cache
def _converter() -> Any:
    try:
        import opencc
    except ImportError as error:
        raise MissingExtraError('folding variants needs OpenCC: pip install "minerkit[documents]"') from error
    return opencc.OpenCC("t2s")
