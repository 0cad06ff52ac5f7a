"""QA files: questions whose answer, evidence or passage is looked up among the passages of reports."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.documents.answer_matching import match_answers
from minerkit.sources.documents.chunk import Part, Reason
from minerkit.sources.files import table_files
from minerkit.sources.records import BLANK, Entry, cell
from minerkit.sources.tables import read_records

__all__ = ["QuestionPairs", "read_questions"]


class QuestionPairs(NamedTuple):
    """What a QA file gave: entries; rejected rows; raw rows, and how many of them are unreadable."""

    entries: list[Entry]
    rejected: list[Reason]
    rows: int
    bad: int


class _Row(NamedTuple):
    question: str
    answers: list[str]
    passage: str | None
    report: str | None
    source: str


def read_questions(source: Source, parts: Sequence[Part]) -> QuestionPairs:
    """Find the passage that answers each question.

    Args:
        source: A recipe's source with a QA file.
        parts: The passages.

    Returns:
        An entry for each question whose passage is named, or found by its answer; the others rejected, with
        the best candidate.

    Raises:
        SourceError: The file is missing or damaged, lacks a column, or none of its answers is found.
    """
    rows, dropped, bad, count = _rows(source)
    named = {name: place for place, part in reversed(list(enumerate(parts))) for name in part.names}
    shelves: dict[str, set[int]] = {}
    for place, part in enumerate(parts):
        for report in part.reports:
            for name in {report, PurePosixPath(report).name, PurePosixPath(report).stem}:
                shelves.setdefault(name, set()).add(place)
    found, open_rows = [], []
    for row in rows:
        if row.passage is not None and row.passage not in named:
            dropped.append(("names an unknown passage", row.source, f"{row.question} | {row.passage}"))
        elif row.passage is not None:
            found.append(_entry(row, parts[named[row.passage]]))
        elif row.report is not None and row.report not in shelves:
            dropped.append(("names an unknown report", row.source, f"{row.question} | {row.report}"))
        elif not row.answers:
            dropped.append(("no answer", row.source, row.question))
        else:
            open_rows.append(row)
    matches = match_answers(
        [row.question for row in open_rows],
        [row.answers for row in open_rows],
        [part.text for part in parts],
        [shelves[row.report] if row.report is not None else None for row in open_rows],
        source.min_match,
    )
    lost = []
    for row, match in zip(open_rows, matches, strict=True):
        if match.how != "none":
            found.append(_entry(row, parts[match.passage]))
            continue
        best = (
            f"{parts[match.passage].source} ({match.score:.2f}): {parts[match.passage].text}" if parts else ""
        )
        lost.append(("answer in no passage", row.source, f"{row.question} | {row.answers[0]} | best: {best}"))
    if count and not found:
        first = f"{(lost or dropped)[0][1]}: {(lost or dropped)[0][0]}"
        raise SourceError(
            f"{source.qa}: none of its {count:,} questions has its answer in {source.path} ({first}); are "
            "these the reports it was made from? source.positive names the column of the answer"
        )
    order = {row.source: number for number, row in enumerate(rows)}
    found.sort(key=lambda entry: order[entry.source])
    return QuestionPairs(found, [*dropped, *lost], count, bad)


def _entry(row: _Row, part: Part) -> Entry:
    return Entry(row.question, part.text, 1, part.group, part.group, row.source)


def _rows(source: Source) -> tuple[list[_Row], list[Reason], int, int]:
    wanted = {"query": source.query, "report": source.report, "passage": source.passage}
    if source.passage is None:
        wanted["positive"] = source.positive
    found: list[_Row] = []
    dropped: list[Reason] = []
    rows = 0
    for file in table_files(str(source.qa)):
        for place, row in read_records(file, wanted, source.columns):
            if row == BLANK:
                continue
            rows += 1
            if isinstance(row, str):
                dropped.append((row, place, ""))
                continue
            question = cell(row.get(source.query))
            passage, report = (cell(row.get(key)) if key else None for key in (source.passage, source.report))
            answers = [cell(text) for text in _texts(row.get(source.positive))]
            if "" in (question, *answers):
                dropped.append(("not a text, or not UTF-8", place, str(row)[:200]))
            elif question is None:
                dropped.append(("empty query", place, str(row)[:200]))
            else:
                kept = [text for text in answers if text is not None and text.strip()]
                found.append(_Row(question, kept, passage, report, place))
    return found, dropped, len(dropped), rows


def _texts(value: Any) -> Iterator[Any]:
    """Return the answers in a cell: a text, a list of them, or SQuAD's `{"text": ...}` in either."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts(value.get("text"))
    else:
        yield value
