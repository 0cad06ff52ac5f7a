"""Read PDF: lines become paragraphs again; page numbers and running headers and footers are left out."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from minerkit.errors import MissingExtraError
from minerkit.sources.documents.blocks import CHAPTER, HEADING_CHARS, Block, heading_level
from minerkit.text import CLOSED, join_sentences

__all__ = ["UnreadableError", "blocks"]

#: PDFium's error code for a file that wants a password.
PASSWORD = 4
#: Lines at the top and at the bottom of a page that may be running headers or footers.
MARGIN_LINES = 3
PAGE_NUMBER = re.compile(
    r"[-–—·\s]*(第?\s*\d{1,4}\s*页?|[ivxlc]{1,6}|page\s+\d+)([\s,，/|]*(共|of|/)?\s*\d{0,4}\s*页?)[-–—·\s]*",
    re.IGNORECASE,
)
BULLET = re.compile(r"^[•●▪■◆○·※►➤√✓\uf000-\uf0ff]\s*")
#: Paragraphs are parted where the distance of two lines is larger than usual by this factor.
GAP = 1.25
#: In units of the font size: a deeper indent begins a paragraph, a shorter line ends one.
INDENT, SHORT = 1.2, 4.0
#: A line set larger than the body text by this factor is a heading.
LARGER = 1.12


class UnreadableError(Exception):
    """A PDF without text that can be read; the message is the reason."""


@dataclass(frozen=True)
class Line:
    """A line of a page and its box, in points from the lower left corner."""

    text: str
    page: int
    left: float
    bottom: float
    right: float
    top: float
    size: float


def blocks(data: bytes) -> Iterator[Block]:
    """Read a PDF.

    Args:
        data: A file's bytes.

    Yields:
        Headings and paragraphs with their page; running headers, footers and page numbers with a reason.

    Raises:
        MissingExtraError: pypdfium2 is not installed.
        UnreadableError: The file is encrypted, damaged or has no text layer.
    """
    try:
        import pypdfium2
    except ImportError as error:
        raise MissingExtraError('PDF needs pypdfium2: pip install "minerkit[documents]"') from error
    try:
        with pypdfium2.PdfDocument(data) as file:
            pages = [_lines(file[number], number + 1) for number in range(len(file))]
    except pypdfium2.PdfiumError as error:
        locked = error.err_code == PASSWORD
        raise UnreadableError("encrypted PDF: a password is needed" if locked else "damaged PDF") from error
    if not any(character.isalpha() for page in pages for line in page for character in line.text):
        raise UnreadableError("no text layer: scanned pages need OCR first")
    running, shift = _running(pages)
    body: list[Line] = []
    for number, page in enumerate(pages, 1):
        if not page:
            yield Block("", number, reason="page without text")
        for place, line in enumerate(page):
            margin = place < MARGIN_LINES or place >= len(page) - MARGIN_LINES
            paged = PAGE_NUMBER.fullmatch(line.text) or _pattern(line.text) in running
            if margin and (paged or (shift is not None and _shift(line) == shift)):
                yield Block(line.text, line.page, reason="running header, footer or page number")
            else:
                body.append(line)
    yield from _paragraphs(body)


def _lines(page: Any, number: int) -> list[Line]:
    """Return the lines of a page in reading order."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    lines: list[Line] = []
    text, boxes, sizes = "", list[tuple[float, ...]](), list[float]()
    for index in range(textpage.count_chars()):
        code = raw.FPDFText_GetUnicode(textpage, index)
        character = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if character in "\r\n":
            if text.strip():
                lines.append(_line(text, number, boxes, sizes))
            text, boxes, sizes = "", [], []
            continue
        # PDFium puts a word broken at the line's end together, with one of these for the hyphen.
        text += "" if character in "\x02\ufffe\u00ad" else character
        if not character.isspace():
            boxes.append(textpage.get_charbox(index, loose=True))
            sizes.append(raw.FPDFText_GetFontSize(textpage, index))
    if text.strip():
        lines.append(_line(text, number, boxes, sizes))
    return lines


def _line(text: str, page: int, boxes: Sequence[tuple[float, ...]], sizes: Sequence[float]) -> Line:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    # Fonts are often set at size 1 and scaled: the box tells the true size then.
    size = median(sizes) if median(sizes) > 2 else median(t - b for t, b in zip(tops, bottoms, strict=True))
    return Line(" ".join(text.split()), page, min(lefts), min(bottoms), max(rights), max(tops), size)


def _pattern(text: str) -> str:
    return re.sub(r"\d+", "0", "".join(text.split()))


def _shift(line: Line) -> int | None:
    """Return the number at the end of a line less the number of its page: constant where both count pages."""
    match = re.search(r"\s(\d{1,4})$", line.text)
    return int(match[1]) - line.page if match else None


def _running(pages: Sequence[Sequence[Line]]) -> tuple[set[str], int | None]:
    """Find what most pages have at the top or bottom, whatever its numbers, and how pages are counted."""
    counts: Counter[str] = Counter()
    shifts: Counter[int | None] = Counter()
    for page in pages:
        margins = [*page[:MARGIN_LINES], *page[-MARGIN_LINES:]]
        counts.update({_pattern(line.text) for line in margins})
        shifts.update({_shift(line) for line in margins} - {None})
    patterns = {pattern for pattern, count in counts.items() if count > 1 and 2 * count > len(pages)}
    (shift, count), *_ = [*shifts.most_common(1), (None, 0)]
    # Left and right pages often have different heads, each with the number on the other side.
    return patterns, shift if count > 2 and 3 * count > len(pages) else None


def _paragraphs(lines: Sequence[Line]) -> Iterator[Block]:
    """Put lines together to paragraphs."""
    if not lines:
        return
    weights: Counter[float] = Counter()
    for line in lines:
        weights[round(line.size, 1)] += len(line.text)
    body = weights.most_common(1)[0][0]
    distances = Counter(
        round(line.bottom - following.bottom)
        for line, following in itertools.pairwise(lines)
        if line.page == following.page and line.size == following.size and line.bottom > following.bottom
    )
    leading = distances.most_common(1)[0][0] / body if distances else 2.0
    larger = sorted({round(line.size, 1) for line in lines if line.size > LARGER * body}, reverse=True)
    group: list[Line] = []
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        group.append(line)
        if following is not None and not _parted(group, following, leading):
            continue
        text = group[0].text
        for other in group[1:]:
            text = _continued(text, other.text)
        size = round(line.size, 1)
        level = 1 + min(larger.index(size), CHAPTER - 2) if size in larger else heading_level(text)
        yield Block(BULLET.sub("", text), group[0].page, level if len(text) <= 2 * HEADING_CHARS else 0)
        group = []


def _parted(group: Sequence[Line], following: Line, leading: float) -> bool:
    """Check whether a paragraph ends before `following`; `leading` is the usual distance of lines."""
    line = group[-1]
    em = line.size
    if abs(line.size - following.size) > (LARGER - 1) * em or BULLET.match(following.text):
        return True
    if heading_level(following.text) or (len(group) == 1 and heading_level(line.text)):
        return True
    closed = CLOSED.search(line.text) is not None
    if line.page != following.page or following.bottom > line.top:
        return closed  # a new page or column
    if line.bottom - following.bottom > GAP * leading * em:
        return True
    indented = following.left - line.left > INDENT * em
    return closed and (indented or following.right - line.right > SHORT * em)


def _continued(text: str, following: str) -> str:
    if text.endswith("-") and text[-2:-1].islower() and following[:1].islower():
        return text + following
    return join_sentences(text, following)
