"""What a document is, and how the blocks that every reader gives become its sections."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

__all__ = [
    "DECIMAL",
    "HEADING_CHARS",
    "LOWEST",
    "OPENING",
    "RUNNING",
    "Block",
    "Document",
    "Rejected",
    "Section",
    "heading_level",
    "sections",
]

#: Levels of headings: 1 to 6 as Markdown and HTML have them, then one for each way to number them.
CHAPTER, PART, CHINESE, BRACKETED, TITLED, DECIMAL = 7, 8, 9, 10, 11, 12
#: Lines that only look like headings are below all others.
LOWEST = 20
NUMERAL = "[一二三四五六七八九十百零〇0-9]+"
NUMBERING = (
    (re.compile(rf"第{NUMERAL}\s?(?:章|篇|编|編|部分)"), CHAPTER),
    (re.compile(rf"第{NUMERAL}\s?[节節]"), PART),
    (re.compile(r"[一二三四五六七八九十]{1,3}\s?[、.．]"), CHINESE),
    (re.compile(r"[（(][一二三四五六七八九十]{1,3}[）)]"), BRACKETED),
    (re.compile(r"\d{1,2}(?:[.．]\d{1,2}){2}[.．]?\s?(?=\D)"), DECIMAL + 2),
    (re.compile(r"\d{1,2}[.．]\d{1,2}[.．]?\s?(?=[^\d%.．])"), DECIMAL + 1),
    (re.compile(r"\d{1,2}(?:[.．、]\s?|\s+)(?=[^\d%])"), DECIMAL),
)
BRACKETS = re.compile(r"^【([^【】]+)】$")
HEADING_CHARS = 40
#: What no heading holds or ends with.
RUNNING = re.compile(r"[。；!！|]|[，,：:；;、.]$")
#: An entry of a table of contents: a title and its page.
ENTRY = re.compile(r"(?P<title>\S.{0,60}?)(?P<dots>[\s.·…⋯]*)(?P<page>\d{1,3})")
ENTRIES = 3
CONTENTS = re.compile(
    r"[【\[]?\s*(目\s*[录錄]|目\s*次|table of contents|contents)\s*[】\]]?[:：]?\s*\d*", re.IGNORECASE
)
CONTENTS_REASON = "table of contents"
#: What begins a line of its own: a bullet, a number, or a label with its colon.
OPENING = re.compile(
    r"[-*•●▪■◆○◦·※►➤√✓✔✅❌⚠☐☑□▶]|\d{1,2}[.．、)）]\s*\D|[（(]?[一二三四五六七八九十\d]{1,3}[）)、]|[^，。,.\s][^，。,.]{0,9}[：:]"
)


@dataclass(frozen=True)
class Rejected:
    """Text, or a whole file, that is not used."""

    reason: str
    source: str
    text: str = ""


@dataclass(frozen=True)
class Section:
    """The paragraphs under one heading; `places` has the page, line or number of each."""

    heading: tuple[str, ...]
    paragraphs: list[str]
    places: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """One report: its path below the folder, the file, its sections, and what a user should know."""

    report: str
    source: str
    sections: list[Section]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """A piece of a file: a paragraph; a heading, with its level; or what is not text, with the reason."""

    text: str
    place: int
    level: int = 0
    reason: str = ""


def heading_level(line: str) -> int:
    """Check whether a line is a numbered heading, and of which level.

    Args:
        line: One line or paragraph, trimmed.

    Returns:
        Its level, from CHAPTER on; 0 where it is no numbered heading.
    """
    if len(line) > HEADING_CHARS or RUNNING.search(line):
        return 0
    if len(line) > 2 and line[0] == "【" and line[-1] == "】":
        return heading_level(line[1:-1]) or TITLED
    for pattern, level in NUMBERING:
        match = pattern.match(line)
        if match and line[match.end() :].strip():
            # A comma or colon is common in an item of a numbered list, but not in a heading.
            listed = level >= DECIMAL and re.search(r"[，：,:]", line)
            return 0 if listed else level
    return 0


def sections(report: str, blocks: Iterable[Block]) -> tuple[list[Section], list[Rejected]]:
    """Sort blocks under their headings.

    Args:
        report: The report they come from.
        blocks: Its blocks in their order.

    Returns:
        The sections that hold a paragraph, and the blocks that are not text.
    """
    found: list[Section] = []
    rejected: list[Rejected] = []
    path: list[tuple[int, str]] = []
    seen: list[int] = []
    section: Section | None = None
    for block in _without_contents(list(blocks)):
        if block.reason:
            rejected.append(Rejected(block.reason, f"{report}:{block.place}", block.text))
        elif block.level:
            seen += [] if block.level in seen else [block.level]
            path = [(level, text) for level, text in path if _above(level, block.level, seen)]
            path.append((block.level, BRACKETS.sub(r"\1", block.text)))
            section = None
        else:
            if section is None:
                section = Section(tuple(text for _, text in path), [])
                found.append(section)
            section.paragraphs.append(block.text)
            section.places.append(block.place)
    return found, rejected


def _above(upper: int, lower: int, seen: Sequence[int]) -> bool:
    """Check whether one level is above another: of two ways to mark headings, the one met first is."""
    kinds = [0 if level < CHAPTER else 1 if DECIMAL <= level < LOWEST else level for level in (upper, lower)]
    if kinds[0] == kinds[1] or LOWEST in kinds:
        return upper < lower
    return seen.index(upper) < seen.index(lower)


def _without_contents(blocks: Sequence[Block]) -> list[Block]:
    """Mark tables of contents: entries one after another that end with growing page numbers."""
    kept = list(blocks)
    titles: set[str] = set()
    start = 0
    while start < len(kept):
        end, page, certain, entries = start, 0, False, set()
        while end < len(kept) and (match := ENTRY.fullmatch(kept[end].text)) and int(match["page"]) >= page:
            page = int(match["page"])
            certain |= bool(match["dots"].strip()) or heading_level(match["title"]) > 0
            entries.add(match["title"])
            end += 1
        if end - start >= ENTRIES and certain:
            titles |= entries
            for place in range(start, end):
                kept[place] = replace(kept[place], level=0, reason=CONTENTS_REASON)
        start = max(end, start + 1)
    for place, block in enumerate(kept):
        if not block.reason and CONTENTS.fullmatch(block.text):
            kept[place] = replace(block, level=0, reason=CONTENTS_REASON)
        elif block.level and (match := ENTRY.fullmatch(block.text)) and match["title"] in titles:
            # The head of a page: the heading and the page's number once more.
            kept[place] = replace(block, text=match["title"])
    return kept
