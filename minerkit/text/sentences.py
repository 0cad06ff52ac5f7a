"""Cut Chinese and English text into sentences, and put pieces of text together again."""

import itertools
import re
from collections.abc import Iterator

__all__ = ["CLOSED", "is_fragment", "is_wide", "join_sentences", "split_sentences"]

#: What may end a sentence, with the quotation marks and brackets that close behind it.
END = re.compile(r"[。！？；!?.]+[”’」』】）》〉\]\)]*")
#: A bracket that is closed again soon: what ends a sentence inside it does not end the one around it.
BRACKETED = re.compile(
    r"（[^（）]{0,100}）|《[^《》]{0,60}》|【[^【】]{0,60}】|\([^()]{0,100}\)|\[[^\[\]]{0,100}\]"
)
#: The word before a full stop.
LAST_WORD = re.compile(r"[^\W_][\w.&'-]*$")
#: Single letters with full stops between them, as in U.S. and e.g.
INITIALS = re.compile(r"[A-Za-z](\.[A-Za-z])*")
#: Characters before a full stop that are looked at.
REACH = 24
#: What closes a statement, or parts one; and how wide (Chinese characters count twice) a line without may be.
CLOSED = re.compile(r"[。！？；!?.;：:…][”’」』）)】\]\"']*$")
PARTED = re.compile(r"[，,：:；;]")
LABEL_WIDTH, NAME_WIDTH = 20, 40
ABBREVIATIONS = frozenset(
    "al approx apr aug ave ca cf co corp dec dept dr est etc feb gov inc jan jr jul jun llc ltd mar mr mrs "  # noqa: SIM905
    "ms mt nov oct ph.d plc prof sen sep sept sr st univ viz vs".split()
)
#: Abbreviations only before a number: "no." and "art." end sentences too.
NUMBERED = frozenset("art ch chap eq eqs fig figs no nos p para pp ref sec tab vol".split())  # noqa: SIM905


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences.

    Args:
        text: Chinese or English text, or both mixed.

    Returns:
        The sentences in their order, trimmed, with the marks that end them and the quotation marks and
        brackets that close behind; together they are the text but for white space. Decimals, abbreviations,
        ellipses and whatever stands in brackets do not end a sentence.
    """
    cuts = [0, *_ends(text), len(text)]
    pieces = (text[start:end].strip() for start, end in itertools.pairwise(cuts))
    return [piece for piece in pieces if piece]


def join_sentences(*pieces: str) -> str:
    """Put pieces of running text together, with a blank where the script has blanks.

    Args:
        *pieces: What follows one another, each without surrounding white space; empty ones do not count.

    Returns:
        One text: no blank beside a Chinese character or mark, one blank otherwise.
    """
    parts: list[str] = []
    for piece in filter(None, pieces):
        if parts and not (is_wide(parts[-1][-1]) or is_wide(piece[0])):
            parts.append(" ")
        parts.append(piece)
    return "".join(parts)


def is_wide(character: str) -> bool:
    """Check whether a character is written without blanks around it.

    Args:
        character: One character.

    Returns:
        True for Chinese characters, kana, and CJK and full-width marks.
    """
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\uffef" or character > "\U00020000"


def is_fragment(line: str) -> bool:
    """Check whether a line is a label, a name or a value and not a statement.

    Args:
        line: A line or paragraph, trimmed.

    Returns:
        True for short lines that no mark closes; those that hold a comma or colon may be shorter.
    """
    width = len(line) + sum(map(is_wide, line))
    return width < (LABEL_WIDTH if PARTED.search(line) else NAME_WIDTH) and not CLOSED.search(line)


def _ends(text: str) -> Iterator[int]:
    """Return the places behind the sentences of a text."""
    brackets = [match.span() for match in BRACKETED.finditer(text)]
    bracket = quotes = seen = start = 0
    for match in END.finditer(text):
        marks, end = match[0], match.end()
        quotes += text.count('"', seen, end)
        seen = end
        # A straight quotation mark closes when an odd number stand before it.
        while quotes % 2 and text[end : end + 1] == '"':
            end, seen, quotes = end + 1, end + 1, quotes + 1
        while bracket < len(brackets) and brackets[bracket][1] <= match.start():
            bracket += 1
        inside = bracket < len(brackets) and brackets[bracket][0] < match.start()
        following = text[end : end + 1]
        if inside and (end < brackets[bracket][1] or not (following == "" or following.isspace())):
            continue
        stop = marks.rstrip("”’」』】）》〉])")
        if stop == ".":
            ended = _full_stop(text, start, match.start(), end)
        elif set(stop) == {"."}:
            ended = False
        else:
            apart = following == "" or following.isspace() or is_wide(following)
            ended = apart or not stop[-1].isascii() or end > match.start() + len(stop)
        if ended:
            yield end
            start = end


def _full_stop(text: str, start: int, stop: int, end: int) -> bool:
    """Check whether the full stop at `stop` ends the sentence that began at `start`."""
    following = text[end : end + 1]
    if following and not following.isspace() and not is_wide(following):
        return False
    match = LAST_WORD.search(text, max(start, stop - REACH), stop)
    word = match[0].lower() if match else ""
    rest = text[end : end + 40].lstrip()[:1]
    if word.isdigit() and (is_wide(following) or not text[start : stop - len(word)].strip()):
        return False  # the number of a list item or heading: "1. Introduction"
    if word in ABBREVIATIONS or INITIALS.fullmatch(word):
        return False
    return not (word in NUMBERED and rest.isdigit()) and not rest.islower()
