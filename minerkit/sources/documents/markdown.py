"""Read Markdown: headings, paragraphs and list items; code, tables and images are not text."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minerkit.sources.documents.blocks import HEADING_CHARS, LOWEST, OPENING, Block
from minerkit.text import join_sentences

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["blocks"]

FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
#: An admonition or tab as MkDocs and Sphinx write them; its text is indented below.
ADMONITION = re.compile(r"""^(\s*)(?:!!!|\?\?\?\+?|===)\s+[^"\n]*(?:"([^"]*)")?\s*$""")
BREAK = re.compile(r"<br\b", re.IGNORECASE)
#: Footnote marks, attribute lists, check boxes, and emphasis that was not recognised.
MARKS = re.compile(
    r"\[\^[^\]\s]+\]:?|\{(?:[:#.]|\w+=)[^{}]*\}|^\[[ xX]\]\s|(?<![0-9A-Za-z])\*\*|\*\*(?![0-9A-Za-z])"
)


def blocks(text: str) -> Iterator[Block]:
    """Read Markdown.

    Args:
        text: A file's text.

    Yields:
        Headings, paragraphs and list items with their line, without inline markup; code blocks, tables and
        lines of links only come with a reason.
    """
    from markdown_it import MarkdownIt

    front = FRONT_MATTER.match(text)
    above = 0
    if front:
        yield Block(front[0].strip(), 1, reason="front matter")
        above, text = front[0].count("\n"), text[front.end() :]
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(_dedented(text))
    lines = text.splitlines()
    level, inside = 0, 0
    for token in tokens:
        place = above + token.map[0] + 1 if token.map else 0
        raw = "\n".join(lines[token.map[0] : token.map[1]]) if token.map else ""
        if token.type == "table_open":
            yield Block(raw, place, reason="table")
        elif token.type in {"fence", "code_block"}:
            yield Block(raw, place, reason="code block")
        elif token.type == "html_block":
            yield Block(raw, place, reason="HTML in Markdown")
        elif token.type == "heading_open":
            level = int(token.tag[1])
        inside += token.type == "table_open"
        inside -= token.type == "table_close"
        if token.type == "inline" and not inside:
            yield from _inline(token, place, level)
            level = 0


def _inline(token: "Token", place: int, level: int) -> Iterator[Block]:
    children = token.children or []
    parts = _parts(children)
    if level:
        yield Block(" ".join(text for text, _ in parts), place, level)
    elif _only(children, "link"):
        yield Block(token.content, place, reason="links only")
    else:
        for text, strong in parts:
            # A line in bold that is no sentence stands for a heading.
            heading = strong and len(text) <= HEADING_CHARS and text[-1].isalnum()
            yield Block(text, place, LOWEST if heading else 0)


def _parts(children: Sequence["Token"]) -> list[tuple[str, bool]]:
    """Return the text of a paragraph, cut at the hard line breaks, and whether all of it is bold."""
    parts: list[tuple[str, bool]] = []
    start, apart = 0, True
    for end, child in enumerate([*children, None]):
        hard = child is not None and (child.type == "hardbreak" or BREAK.match(child.content or ""))
        if child is not None and not hard and child.type != "softbreak":
            continue
        line = children[start:end]
        text = "".join(part.content for part in line if part.type in {"text", "code_inline"})
        text = " ".join(MARKS.sub("", text).split())
        strong = _only(line, "strong")
        if apart or strong or OPENING.match(text):
            parts.append((text, strong))
        else:
            parts[-1] = (join_sentences(parts[-1][0], text), False)
        start, apart = end + 1, bool(hard) or strong
    return [(text, strong) for text, strong in parts if text]


def _only(children: Sequence["Token"], kind: str) -> bool:
    """Check whether all letters of a paragraph stand within links (or another kind of markup)."""
    depth, found = 0, False
    for child in children:
        depth += child.nesting if child.type.startswith(kind) else 0
        if child.type in {"text", "code_inline"} and any(letter.isalnum() for letter in child.content):
            if not depth:
                return False
            found = True
    return found


def _dedented(text: str) -> str:
    """Take the indent off admonitions, which would make them code; the number of lines stays."""
    lines: list[str] = []
    margin = -1
    for line in text.splitlines():
        match = ADMONITION.match(line)
        indent = len(line) - len(line.lstrip())
        if match:
            margin = len(match[1])
            lines.append(f"{match[1]}**{match[2]}**" if match[2] else "")
        elif margin >= 0 and line.strip() and indent <= margin:
            margin = -1
            lines.append(line)
        else:
            lines.append(line[4:] if margin >= 0 and line.strip() else line)
    return "\n".join(lines)
