"""Read web pages: trafilatura says what is text, the page says in which order and under which headings."""

from collections.abc import Iterator
from typing import Any

from minerkit.errors import MissingExtraError
from minerkit.sources.documents.blocks import Block, heading_level
from minerkit.text import is_fragment, join_sentences

__all__ = ["blocks"]

HEADINGS = {f"h{level}": level for level in range(1, 7)}
#: Elements that stand within a line; all others begin and end one.
INLINE = frozenset(
    "a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark q ruby s samp small span "  # noqa: SIM905
    "strike strong sub sup time tt u var wbr".split()
)
#: Elements that never hold text of the page.
SKIPPED = frozenset(
    "aside audio button canvas embed footer form head iframe input math nav noscript object option rp rt "  # noqa: SIM905
    "script select style svg template textarea video".split()
)
#: Elements whose short lines are text: in all others they are labels of boxes, buttons and charts.
PARAGRAPHS = frozenset({"blockquote", "dd", "dt", "figcaption", "li", "main", "p"})
CODE = frozenset({"pre", "listing", "xmp"})
#: A table whose cells hold this many characters on average is layout and not data.
LAYOUT_CHARS = 60
#: A line at least this long may stand anywhere within the extracted text; a shorter one must be a line of it.
DISTINCT_CHARS = 20


def blocks(text: str) -> Iterator[Block]:
    """Read a web page.

    Args:
        text: A file's text.

    Yields:
        Headings, paragraphs and list items with their number; tables and code come with a reason.

    Raises:
        MissingExtraError: trafilatura is not installed.
    """
    try:
        import trafilatura
        from lxml import etree
    except ImportError as error:
        raise MissingExtraError('HTML needs trafilatura: pip install "minerkit[documents]"') from error
    page = trafilatura.load_html(text)
    xml = trafilatura.extract(text, output_format="xml", include_comments=False, favor_recall=True)
    if page is None or not xml:
        return
    main = etree.fromstring(xml.encode())
    whole = _solid(main)
    lines = {_solid(element) for element in main.iter()}
    lines |= {"".join(line.split()) for part in main.itertext() for line in part.splitlines()}
    for number, (line, level, reason) in enumerate(_lines(page), 1):
        solid = "".join(line.split())
        known = solid in lines or (len(solid) >= DISTINCT_CHARS and solid in whole)
        # trafilatura loses headings in pages built of boxes; without text below, a heading does no harm.
        reason = reason or ("" if known or level in HEADINGS.values() else "page furniture")
        yield Block(line, number, 0 if reason else level, reason)


def _solid(element: Any) -> str:
    return "".join("".join(element.itertext()).split())


def _lines(element: Any) -> Iterator[tuple[str, int, str]]:
    """Walk the page: its lines, the level where one is a heading, the reason where one is not text."""
    for holder, text in _walk(element):
        if holder.tag in CODE or holder.tag == "table":
            yield text, 0, "table" if holder.tag == "table" else "code block"
            continue
        line = " ".join(join_sentences(*map(str.strip, text.splitlines())).split())
        level = HEADINGS.get(holder.tag) or heading_level(line)
        label = not level and holder.tag not in PARAGRAPHS and is_fragment(line)
        if line:
            yield line, level, "label" if label else ""


def _walk(element: Any) -> Iterator[tuple[Any, str]]:
    """Return the runs of text of an element, in their order, each with the element that holds it."""
    if element.tag in CODE or element.tag in HEADINGS:
        yield element, "".join(element.itertext())
        return
    if element.tag == "table" and not _layout(element):
        rows = (" | ".join("".join(cell.itertext()).strip() for cell in row) for row in element.iter("tr"))
        yield element, "\n".join(rows)
        return
    text = element.text or ""
    for child in element:
        if not isinstance(child.tag, str) or child.tag in SKIPPED:
            pass
        elif child.tag in INLINE:
            first, *rest = (run for _, run in _walk(child))
            for run in rest:  # blocks within an inline element
                yield element, text + first
                text, first = "", run
            text += first
        else:
            yield element, text
            yield from _walk(child)
            text = ""
        text += child.tail or ""
    yield element, text


def _layout(table: Any) -> bool:
    """Check whether a table holds the page, by design or because a tag was never closed."""
    if next(table.iterdescendants("table", *HEADINGS), None) is not None:
        return True
    cells = [len("".join(cell.itertext()).strip()) for cell in table.iter("td", "th")]
    return sum(cells) >= LAYOUT_CHARS * max(1, sum(length > 0 for length in cells))
