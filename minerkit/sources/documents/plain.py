"""Read plain text: blank lines part paragraphs, and headings are known by how they look."""

import itertools
import re
from collections.abc import Iterator

from minerkit.sources.documents.blocks import (
    DECIMAL,
    HEADING_CHARS,
    LOWEST,
    OPENING,
    RUNNING,
    Block,
    heading_level,
)
from minerkit.text import CLOSED, join_sentences

__all__ = ["blocks"]

#: A line of one mark only, drawn under a heading or between parts.
RULER = re.compile(r"\s*([-=_*~─═—#+])(\s*\1){3,}\s*")
BULLET = re.compile(r"^[-*•●▪■◆○◦·※►➤√✓✔☐□▶]+\s*(?=\S)")
#: Columns drawn with bars, or kept apart by wide blanks.
TABLE = re.compile(r"\|.*\||\t\S+.*\t|\S {3,}\S+.* {3,}\S|[┌┬├┼│└┴].*[┐┤│┘┴┬]")
#: A wrapped line is at least this share of the longest of so many lines around it, and at least so long.
FULL, AROUND, WRAPPED_CHARS = 0.8, 3, 20


def blocks(text: str) -> Iterator[Block]:
    """Read plain text.

    Args:
        text: A file's text.

    Yields:
        Headings, paragraphs and table rows with their line; lines wrapped at a fixed width become one.
    """
    lines = [line.strip().strip("\u3000") for line in text.splitlines()]
    rulers = [RULER.fullmatch(line) is not None for line in lines]
    lines = ["" if ruler else line for line, ruler in zip(lines, rulers, strict=True)]
    start = 0
    while start < len(lines):
        line = lines[start]
        after = start + 1
        if not line:
            start = after
            continue
        level = _heading(lines, start)
        if level:
            yield Block(line, after, level)
        elif TABLE.search(line):
            yield Block(line, after, reason="table")
        else:
            while after < len(lines) and _wrapped(lines, after - 1) and not _heading(lines, after):
                after += 1
            yield Block(BULLET.sub("", join_sentences(*lines[start:after])), start + 1)
        start = after


def _heading(lines: list[str], at: int) -> int:
    line = lines[at]
    alone = at + 1 >= len(lines) or not lines[at + 1]
    if not line or len(line) > HEADING_CHARS:
        return 0
    level = heading_level(line)
    # "1 Overview" with text right below it is an item of a list just as often.
    if level and (alone or level < DECIMAL):
        return level
    first = at == next(number for number, line in enumerate(lines) if line)
    bare = alone and (at == 0 or not lines[at - 1])
    short = len(line) <= HEADING_CHARS * 3 // 4 and any(map(str.isalpha, line))
    running = CLOSED.search(line) or RUNNING.search(line) or TABLE.search(line)
    if not (bare and short) or running or (OPENING.match(line) and not first):
        return 0
    return 1 if first else LOWEST


def _wrapped(lines: list[str], at: int) -> bool:
    """Check whether a line goes on in the next one."""
    line, following = lines[at], lines[at + 1]
    if not following or CLOSED.search(line) or OPENING.match(following) or TABLE.search(following):
        return False
    before = itertools.takewhile(bool, reversed(lines[max(0, at - AROUND) : at]))
    after = itertools.takewhile(bool, lines[at + 1 : at + 1 + AROUND])
    return len(line) >= max(WRAPPED_CHARS, FULL * max(map(len, itertools.chain(before, after))))
