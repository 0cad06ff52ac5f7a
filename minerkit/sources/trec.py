"""TREC collections: documents and topics in TREC's tags (or tables), and qrels of four columns."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from minerkit.documents.charset import decoded
from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.collection import Judgement, Text, collected
from minerkit.sources.files import input_files
from minerkit.sources.pairs import grade
from minerkit.sources.rows import BLANK, Batch, cell
from minerkit.sources.tables import file_format, opened, records

__all__ = ["read"]

Bad = list[tuple[str, str, str]]
#: Names of an id and of a text in tables, in the order they are looked for.
IDS = ("_id", "id", "docno", "docid", "doc_id", "qid", "query_id")
TEXTS = ("text", "contents", "body", "abstract", "query", "title")
DOCUMENT = re.compile(r"<DOC>(.*?)</DOC>", re.DOTALL | re.IGNORECASE)
DOCNO = re.compile(r"<DOCNO>\s*(.*?)\s*</DOCNO>", re.DOTALL | re.IGNORECASE)
TOPIC = re.compile(r"<(top|topic)\b([^>]*)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)|number=\"([^\"]+)\"", re.IGNORECASE)
#: What of a topic is the query: its title, as TREC's short queries are; else its <query>.
TITLE = re.compile(r"<(title|query)>\s*(?:Topic:)?\s*(.*?)\s*(?=<|\Z)", re.DOTALL | re.IGNORECASE)
#: What of a document is no text: tags, and the ids and dates some tags hold.
APART = re.compile(
    r"<(DOCNO|DOCID|DATE|DATELINE|FILEID|FIRST|SECOND|BYLINE|GRAPHIC|TYPE|LENGTH)>.*?</\1>",
    re.DOTALL | re.IGNORECASE,
)
TAG = re.compile(r"</?[A-Za-z][^>]*>")


def read(source: Source) -> Iterator[Batch]:
    """Read a TREC collection.

    Args:
        source: A recipe's source of format trec: `path` has the documents, `topics` the queries, `qrels` the
            judgements (query, iteration, document, grade).

    Yields:
        One batch.

    Raises:
        SourceError: A file is missing or damaged, or holds nothing of its kind.
    """
    bad: Bad = []
    documents = (text for file in input_files(str(source.path)) for text in _texts(file, bad, topics=False))
    topics = (text for file in input_files(str(source.topics)) for text in _texts(file, bad, topics=True))
    judgements = (row for file in input_files(str(source.qrels)) for row in _judgements(file, bad))
    yield collected(documents, topics, itertools.islice(judgements, source.limit), bad)


def _texts(file: Path, bad: Bad, topics: bool) -> Iterator[Text]:
    if file_format(file) in {".tsv", ".jsonl", ".ndjson"}:
        yield from _table(file, bad)
        return
    with opened(file) as stream:
        text = decoded(stream.read())
    if text is None:
        raise SourceError(f"{file}: unknown encoding; convert it to UTF-8")
    found = 0
    for entry in _topics(file, text[0], bad) if topics else _documents(file, text[0], bad):
        found += 1
        yield entry
    if not found:
        raise SourceError(f"{file}: no {'<top>' if topics else '<DOC>'} with a number and a text in it")


def _table(file: Path, bad: Bad) -> Iterator[Text]:
    """Read `id <tab> text` lines, or objects that name both."""
    tabs = file_format(file) == ".tsv"
    for place, row in records(file, {}, ["id", "text"] if tabs else None):
        if row == BLANK:
            continue
        if isinstance(row, str):
            bad.append((row, place, ""))
            continue
        name = next((cell(row[key]) for key in IDS if key in row), None)
        title = cell(row.get("title"))
        text = next((cell(row[key]) for key in TEXTS if key in row), None)
        if not name or not text:
            bad.append((f"no {'text' if name else 'id'}", place, str(row)[:200]))
        else:
            yield Text(name, text if title in (None, "", text) else f"{title} {text}", place)


def _documents(file: Path, text: str, bad: Bad) -> Iterator[Text]:
    for number, match in enumerate(DOCUMENT.finditer(text), 1):
        place = f"{file.name}[{number}]"
        name = DOCNO.search(match[1])
        if name is None or not name[1]:
            bad.append(("no <DOCNO>", place, match[1][:200]))
            continue
        yield Text(name[1], " ".join(TAG.sub(" ", APART.sub(" ", match[1])).split()), place)


def _topics(file: Path, text: str, bad: Bad) -> Iterator[Text]:
    # Older topics have no closing tags inside <top>; what follows a tag up to the next one is its text.
    for place, match in ((f"{file.name}[{n}]", match) for n, match in enumerate(TOPIC.finditer(text), 1)):
        name, title = NUMBER.search(match[2] + match[3]), TITLE.search(match[3])
        if name is None or title is None:
            bad.append(("no number, or no title", place, match[0][:200]))
        else:
            yield Text(name[1] or name[2], " ".join(title[2].split()), place)


def _judgements(file: Path, bad: Bad) -> Iterator[Judgement]:
    with opened(file) as stream:
        for number, raw in enumerate(stream, 1):
            cells = raw.decode(errors="replace").split()
            if not cells:
                continue
            place = f"{file.name}:{number}"
            relevance = grade(cells[3]) if len(cells) == 4 else f"{len(cells)} fields, not 4"
            if isinstance(relevance, str):
                bad.append((relevance, place, raw[:200].decode(errors="replace")))
            else:
                yield Judgement(cells[0], cells[2], relevance, place)
