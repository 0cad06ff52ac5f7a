"""Cut text into words, Chinese included."""

import re
from collections.abc import Callable
from functools import cache

__all__ = ["tokenize"]

#: The Chinese characters jieba knows; it leaves every rarer one a word of its own.
HAN = r"\u4e00-\u9fd5"
RARE = r"\u3400-\u4dbf\u9fd6-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
#: A run of Chinese characters, which is cut; a rare one; a run of other letters and digits.
TOKEN = re.compile(rf"[{HAN}]+|[{RARE}]|[^\W_{HAN}{RARE}]+")


def tokenize(text: str) -> list[str]:
    """Cut a text into lower-case words; punctuation is left out.

    Args:
        text: Any string.

    Returns:
        Its words: Chinese runs cut as jieba does with its own dictionary, everything else at non-letters.
        The words are the same whether rjieba is installed or not.
    """
    cut = _cutter()
    found: list[str] = []
    for token in TOKEN.findall(text.lower()):
        if "\u4e00" <= token < "\u9fd6":  # compares the first characters: a run
            found += cut(token)
        else:
            found.append(token)
    return found


@cache
def _cutter() -> Callable[[str], list[str]]:
    try:
        import rjieba
    except ImportError:
        return _jieba()
    cut: Callable[[str], list[str]] = rjieba.cut
    return cut


@cache
def _jieba() -> Callable[[str], list[str]]:
    import logging

    import jieba
    from jieba.finalseg import emit_P

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    # rjieba has these rounded to six decimals; it decides a near tie (常在较) once in a million characters.
    for emission in emit_P.values():
        emission.update({character: round(value, 6) for character, value in emission.items()})
    cut: Callable[[str], list[str]] = jieba.lcut
    return cut
