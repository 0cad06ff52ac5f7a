"""Cut text into words, Chinese included."""

import re
from functools import cache
from typing import Any

__all__ = ["words"]

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
#: A run of Chinese characters, or a run of other letters and digits.
TOKEN = re.compile(rf"(?P<han>[{HAN}]+)|[^\W_{HAN}]+")


def words(text: str) -> list[str]:
    """Cut a text into lower-case words; punctuation is left out.

    Args:
        text: Any string.

    Returns:
        Its words: Chinese runs cut by jieba, everything else at non-letters.
    """
    found: list[str] = []
    for token in TOKEN.finditer(text.lower()):
        found += _jieba().lcut(token[0]) if token["han"] else [token[0]]
    return found


@cache
def _jieba() -> Any:
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba
