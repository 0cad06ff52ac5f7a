"""Cut the texts of a source into passages: reports in files, or texts in a table."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import polars as pl

from minerkit.recipe import Source
from minerkit.sources.documents.passages import Passage, passages, repeated_paragraphs
from minerkit.sources.documents.reader import SUFFIXES, Document, Rejected, Section, read_documents
from minerkit.sources.documents.versions import reissue_groups
from minerkit.sources.files import input_files, source_records
from minerkit.sources.records import BLANK, SHOWN, cell
from minerkit.sources.tables import file_format
from minerkit.text import match_key

__all__ = ["Cut", "Part", "Reason", "cut"]

Reason = tuple[str, str, str]
#: What tells versions of one report apart in their names: report-v2, report_v3, report(2), 报告_修订版.
VERSION = re.compile(
    r"[\s_-]*(?:[vV]\d{1,2}|[（(](?:\d{1,2}|v\d{1,2}|修订版?|终稿|final)[)）]|修订版|终稿|final)$"
)
#: Files that explain a data set and are no reports, where its texts are in tables.
EXPLAINING = {"README", "LICENSE", "NOTICE", "CHANGELOG"}
#: The place in a report, after its name.
PLACE = re.compile(r":\d+$")


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
    found = _table_parts(source) if _in_tables(str(source.path)) else _report_parts(source)
    parts = found.parts
    kept: list[Part] = []
    again: list[Reason] = []
    for places in _same([part.text for part in parts]):
        first, *others = (parts[place] for place in places)
        names = tuple(name for part in (first, *others) for name in part.names)
        reports = tuple(dict.fromkeys(report for part in (first, *others) for report in part.reports))
        kept.append(replace(first, names=names, reports=reports))
        again += [("passage that stands elsewhere", other.source, other.text) for other in others]
    return replace(found, parts=kept, rejected=[*found.rejected, *again])


def _in_tables(path: str) -> bool:
    """Check whether texts are in tables: there are some, and no report but what explains a data set."""
    files = input_files(path)
    reports = (file for file in files if file.suffix.lower() in SUFFIXES)
    return any(map(file_format, files)) and all(file.stem.upper() in EXPLAINING for file in reports)


def _report_parts(source: Source) -> Cut:
    found = list(_limited(read_documents(str(source.path)), source.limit))
    documents = [each for each in found if isinstance(each, Document)]
    dropped = [(each.reason, each.source, each.text) for each in found if isinstance(each, Rejected)]
    names = {each.report if isinstance(each, Document) else PLACE.sub("", each.source) for each in found}
    notes = [f"{document.source}: {document.note}" for document in documents if document.note]
    groups = _groups(documents, source.reissue)
    repeated = repeated_paragraphs(documents)
    parts = []
    for document, group in zip(documents, groups, strict=True):
        longest = max(len(text) for part in document.sections for text in part.paragraphs)
        max_chars = source.max_chars or max(longest, source.min_chars)
        for each in passages(document, source.min_chars, max_chars, repeated):
            if isinstance(each, Rejected):
                dropped.append((each.reason, each.source, each.text))
            else:
                name = f"{each.report}#{each.position}"
                parts.append(Part(each.text, (name,), (each.report,), each.heading, group, each.source))
    return Cut(parts, dropped, len(names), 0, notes)


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
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if threshold is None or not documents:
        return [document.report for document in documents]
    texts = ["\n".join(text for part in each.sections for text in part.paragraphs) for each in documents]
    named: dict[str, int] = {}
    ends = []
    for place, (document, first) in enumerate(zip(documents, reissue_groups(texts, threshold), strict=True)):
        path = PurePosixPath(document.report)
        bare = VERSION.sub("", path.stem)
        ends += [(place, first), (place, named.setdefault(str(path.with_name(bare or path.stem)), place))]
    links = coo_array((np.ones(len(ends)), tuple(zip(*ends, strict=True))), shape=(len(texts), len(texts)))
    labels = connected_components(links, directed=False)[1].tolist()
    firsts: dict[int, str] = {}
    return [
        firsts.setdefault(label, document.report) for label, document in zip(labels, documents, strict=True)
    ]


def _table_parts(source: Source) -> Cut:
    parts: list[Part] = []
    bad: list[Reason] = []
    dropped: list[Reason] = []
    places: dict[str, str] = {}
    rows = 0
    for place, row in source_records(source, {key: getattr(source, key) for key in ("text", "group", "id")}):
        if row == BLANK:
            continue
        rows += 1
        if isinstance(row, str):
            bad.append((row, place, ""))
            continue
        text, group, name = (
            cell(row.get(key)) if key else None for key in (source.text, source.group, source.id)
        )
        if "" in (text, group, name):
            bad.append(("not a text, or not UTF-8", place, str(row)[:SHOWN]))
        elif text is None or not text.strip():
            dropped.append(("empty text", place, ""))
        elif places.setdefault(name or place, place) != place:
            dropped.append(("id given before", place, f"{name}, at {places[str(name)]}: {text}"))
        else:
            for each in _row_parts(text, name or place, group or place, place, source):
                if isinstance(each, Part):
                    parts.append(each)
                else:
                    dropped.append((each.reason, place, each.text))
    return Cut(parts, [*bad, *dropped], rows, len(bad), [])


def _row_parts(text: str, name: str, group: str, place: str, source: Source) -> Iterator[Part | Rejected]:
    if source.max_chars is None:
        yield Part(text, (name,), (group,), (), group, place)
        return
    document = Document(place, place, [Section((), [line for line in text.splitlines() if line.strip()])])
    for each in passages(document, source.min_chars, source.max_chars):
        if isinstance(each, Passage):
            yield Part(each.text, (name, f"{name}#{each.position}"), (group,), (), group, place)
        else:
            yield each


def _same(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of equal texts (spelling and Chinese variants are equal), in the order of texts."""
    rows = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    keys = rows.select(match_key(pl.col("text")).alias("key"))
    places = keys.with_row_index("place").group_by("key", maintain_order=True).agg("place")
    yield from places["place"].to_list()
