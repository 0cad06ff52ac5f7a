"""TREC collections: documents and topics in TREC's tags (or tables), and qrels of four columns."""

import html
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from minerkit.recipe import Source
from minerkit.sources.encoding import decoded
from minerkit.sources.files import below, input_files
from minerkit.sources.formats.judged import Remarks, Text, collected
from minerkit.sources.formats.qrels import judgements
from minerkit.sources.records import BLANK, SHOWN, Batch, cell
from minerkit.sources.tables import file_format, open_unpacked, read_records

__all__ = ["read"]

#: Names of an id and of a text in tables, in the order they are looked for.
IDS = ("_id", "id", "docno", "docid", "doc_id", "qid", "query_id")
TEXTS = ("text", "contents", "body", "abstract", "query", "title")
#: A document or topic that is never closed ends where the next one begins.
DOCUMENT = re.compile(r"<DOC>(.*?)(</DOC>|(?=<DOC>)|\Z)", re.DOTALL | re.IGNORECASE)
DOCNO = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.DOTALL | re.IGNORECASE)
TOPIC = re.compile(r"<(top|topic)\b([^>]*)>(.*?)(</\1>|(?=<\1\b)|\Z)", re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)|\b(?:number|id)=\"([^\"]+)\"", re.IGNORECASE)
#: What of a topic is the query: its title, as TREC's short queries are; else its <query>.
TITLE = re.compile(r"<(?:title|query)>\s*(?:Topic:)?\s*([^<]*[^<\s])", re.IGNORECASE)
#: What of a document is no text: tags, and the ids and dates some tags hold.
APART = re.compile(
    r"<(DOCNO|DOCID|DATE|DATELINE|FILEID|FIRST|SECOND|BYLINE|GRAPHIC|TYPE|LENGTH)>.*?</\1>",
    re.DOTALL | re.IGNORECASE,
)
TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def read(source: Source) -> Iterator[Batch]:
    """Read a TREC collection.

    Args:
        source: A recipe's source of format trec: `path` has the documents, `topics` the queries, `qrels` the
            judgements (query, iteration, document, grade). Topics and judgements may lie in the same folder
            as the documents.

    Yields:
        Batches: documents, then judgements. In a folder, a file without any document is one rejected row.

    Raises:
        SourceError: A file is missing or damaged, or holds nothing of its kind.
    """
    remarks = Remarks()
    topics, qrels = (input_files(str(path)) for path in (source.topics, source.qrels))
    others = {file.resolve() for file in (*topics, *qrels)}
    documents = [file for file in input_files(str(source.path)) if file.resolve() not in others]
    rows = (row for file in qrels for row in judgements(file, "trec", remarks))
    yield from collected(
        _texts(str(source.path), documents, False, remarks),
        _texts(str(source.topics), topics, True, remarks),
        itertools.islice(rows, source.limit),
        remarks,
        (str(source.path), str(source.topics), str(source.qrels)),
    )


def _texts(path: str, files: list[Path], topics: bool, remarks: Remarks) -> Iterator[Text]:
    for file in files:
        name = below(path, file) + file.name
        if file_format(file) in {".tsv", ".jsonl", ".ndjson"}:
            yield from _table(file, name, remarks)
            continue
        with open_unpacked(file) as stream:
            text = decoded(stream.read())
        if text is None:
            remarks.bad.append(("unknown encoding; convert it to UTF-8", name, ""))
            continue
        if text[1]:
            remarks.notes.append(f"{file}: read as {text[1]}")
        matches = list((TOPIC if topics else DOCUMENT).finditer(text[0]))
        if not matches:
            remarks.useless.append((f"no {'<top>' if topics else '<DOC>'} in it", name, ""))
        for number, match in enumerate(matches, 1):
            found = _topic(match) if topics else _document(match)
            if isinstance(found, str):
                remarks.bad.append((found, f"{name}[{number}]", match[0][:SHOWN]))
            else:
                yield Text(*found, f"{name}[{number}]")


def _table(file: Path, name: str, remarks: Remarks) -> Iterator[Text]:
    """Read `id <tab> text` lines, or objects that name both."""
    tabs = file_format(file) == ".tsv"
    for place, row in read_records(file, {}, ["id", "text"] if tabs else None):
        if row == BLANK or (tabs and isinstance(row, dict) and row["id"] in IDS):
            continue  # no row, or the names of the columns
        place = name + place.removeprefix(file.name)
        if isinstance(row, str):
            remarks.bad.append((row, place, ""))
            continue
        id_, title = next((cell(row[key]) for key in IDS if key in row), None), cell(row.get("title"))
        text = next((cell(row[key]) for key in TEXTS if key in row), None)
        if not id_ or not text:
            remarks.bad.append((f"no {'text' if id_ else 'id'}", place, str(row)[:SHOWN]))
        else:
            yield Text(id_, text if title in (None, "", text) else f"{title} {text}", place)


def _document(match: re.Match[str]) -> tuple[str, str] | str:
    """Return a document's number and text; or why it has none."""
    name = DOCNO.search(match[1])
    if not match[2]:
        return "no </DOC>"
    if name is None or not name[1]:
        return "no <DOCNO>"
    return name[1], " ".join(html.unescape(TAG.sub(" ", APART.sub(" ", match[1]))).split())


def _topic(match: re.Match[str]) -> tuple[str, str] | str:
    """Return a topic's number and query; or why it has none."""
    # Older topics have no closing tags inside <top>; what follows a tag up to the next one is its text.
    name, title = NUMBER.search(match[2] + match[3]), TITLE.search(match[3])
    if not match[4]:
        return f"no </{match[1]}>"
    if name is None or title is None:
        return f"no {'<num>' if name is None else '<title>'}"
    return name[1] or name[2], html.unescape(" ".join(title[1].split()))
