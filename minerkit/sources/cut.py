"""Cut the texts of a source into passages: reports in files, or texts in a table."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import polars as pl

from minerkit.documents import Document, Rejected, Section, read_documents
from minerkit.passages import Passage, passages, repeated_paragraphs
from minerkit.recipe import Source
from minerkit.reissues import reissue_groups
from minerkit.sources.files import input_files, source_records
from minerkit.sources.rows import BLANK, cell
from minerkit.sources.tables import file_format
from minerkit.text import match_key

__all__ = ["Cut", "Part", "cut"]

Reason = tuple[str, str, str]
#: What tells versions of one report apart in their names: report-v2, report_v3, report(2), 报告_修订版.
VERSION = re.compile(
    r"[\s_-]*(?:[vV]\d{1,2}|[（(](?:\d{1,2}|v\d{1,2}|修订版?|终稿|final)[)）]|修订版|终稿|final)$"
)


@dataclass(frozen=True)
class Part:
    """A passage: its text, the names it goes by, its reports, the headings above it, its group and place."""

    text: str
    names: tuple[str, ...]
    reports: tuple[str, ...]
    heading: tuple[str, ...]
    group: str
    source: str


@dataclass(frozen=True)
class Cut:
    """What a source was cut into: passages, each text once; rejected text; rows, unreadable ones; notes."""

    parts: list[Part]
    rejected: list[Reason]
    rows: int
    bad: int
    notes: list[str]


def cut(source: Source) -> Cut:
    """Cut a source into passages.

    Args:
        source: A recipe's source of format documents: reports (txt, Markdown, HTML, PDF), or tables whose
            column `text` holds the texts.

    Returns:
        The passages in the order of the reports. Of passages that say the same, one is kept, which goes by
        the names of all.

    Raises:
        SourceError: There is nothing to read.
        MissingExtraError: A file needs an optional library that is not installed.
    """
    tables = source.hub is None and all(file_format(file) for file in input_files(str(source.path)))
    parts, dropped, rows, bad, notes = _table_parts(source) if tables else _report_parts(source)
    kept: list[Part] = []
    for places in _same([part.text for part in parts]):
        first, *others = (parts[place] for place in places)
        names = tuple(name for part in (first, *others) for name in part.names)
        reports = tuple(dict.fromkeys(report for part in (first, *others) for report in part.reports))
        kept.append(replace(first, names=names, reports=reports))
        dropped += [("passage that stands elsewhere", other.source, other.text) for other in others]
    return Cut(kept, dropped, rows, bad, notes)


def _report_parts(source: Source) -> tuple[list[Part], list[Reason], int, int, list[str]]:
    found = list(_limited(read_documents(str(source.path)), source.limit))
    documents = [each for each in found if isinstance(each, Document)]
    dropped = [(each.reason, each.source, each.text) for each in found if isinstance(each, Rejected)]
    files = len(documents) + sum(1 for each in found if isinstance(each, Rejected) and not each.text)
    notes = [f"{document.source}: {document.note}" for document in documents if document.note]
    groups = _groups(documents, source.reissue)
    repeated = repeated_paragraphs(documents)
    parts = []
    for document, group in zip(documents, groups, strict=True):
        max_chars = source.max_chars or max(
            len(text) for part in document.sections for text in part.paragraphs
        )
        for each in passages(document, source.min_chars, max_chars, repeated):
            if isinstance(each, Rejected):
                dropped.append((each.reason, each.source, each.text))
            else:
                name = f"{each.report}#{each.position}"
                parts.append(Part(each.text, (name,), (each.report,), each.heading, group, each.source))
    return parts, dropped, files, 0, notes


def _limited(found: Iterator[Document | Rejected], limit: int | None) -> Iterator[Document | Rejected]:
    reports = 0
    for each in found:
        reports += isinstance(each, Document)
        if limit is not None and reports > limit:
            return
        yield each


def _groups(documents: Sequence[Document], threshold: float | None) -> list[str]:
    """Name each report's group after the first issue of the report.

    Issues are known by their text, or by a name that differs in nothing but its version: later ones may be
    written anew.
    """
    if threshold is None:
        return [document.report for document in documents]
    texts = ["\n".join(text for part in each.sections for text in part.paragraphs) for each in documents]
    same = {place: {first} for place, first in enumerate(reissue_groups(texts, threshold))}
    named: dict[str, int] = {}
    for place, document in enumerate(documents):
        path = PurePosixPath(document.report)
        same[place].add(named.setdefault(str(path.with_name(VERSION.sub("", path.stem))), place))
    # Both point to earlier reports, whose first issue is known by then.
    firsts: list[int] = []
    for place, others in same.items():
        firsts.append(min((firsts[other] for other in others if other < place), default=place))
    return [documents[first].report for first in firsts]


def _table_parts(source: Source) -> tuple[list[Part], list[Reason], int, int, list[str]]:
    parts, dropped, rows, bad = [], [], 0, 0
    for place, row in source_records(source, {key: getattr(source, key) for key in ("text", "group", "id")}):
        if row == BLANK:
            continue
        rows += 1
        text = cell(row.get(source.text)) if isinstance(row, dict) else ""
        if isinstance(row, str) or text == "":
            dropped.append(
                (row if isinstance(row, str) else "not a text, or not UTF-8", place, str(row)[:200])
            )
            bad += 1
            continue
        if text is None or not text.strip():
            dropped.append(("empty text", place, ""))
            continue
        group = (cell(row.get(source.group)) if source.group else None) or place
        name = (cell(row.get(source.id)) if source.id else None) or place
        if source.max_chars is None:
            parts.append(Part(text, (name,), (group,), (), group, place))
            continue
        document = Document(place, place, [Section((), text.splitlines())])
        for each in passages(document, source.min_chars, source.max_chars):
            if isinstance(each, Passage):
                called = (name, f"{name}#{each.position}")
                parts.append(Part(each.text, called, (group,), (), group, place))
            else:
                dropped.append((each.reason, place, each.text))
    return parts, dropped, rows, bad, []


def _same(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of equal texts (spelling and Chinese variants are equal), in the order of texts."""
    keys = pl.DataFrame({"text": texts}, schema={"text": pl.String}).with_row_index("place")
    groups = keys.group_by(match_key(pl.col("text")).alias("key"), maintain_order=True).agg("place")
    yield from groups["place"].to_list()
