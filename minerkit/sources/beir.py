"""BEIR folders: corpus.jsonl, queries.jsonl, and qrels.tsv or qrels/<split>.tsv, plain or packed."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.collection import Judgement, Text, collected
from minerkit.sources.pairs import grade
from minerkit.sources.rows import BLANK, Batch, cell
from minerkit.sources.tables import opened, records

__all__ = ["read"]

Bad = list[tuple[str, str, str]]


def read(source: Source) -> Iterator[Batch]:
    """Read a BEIR folder.

    Args:
        source: A recipe's source of format beir.

    Yields:
        One batch. A document's title and text are joined by a blank, as BEIR's own models do.

    Raises:
        SourceError: A file is missing or damaged.
    """
    folder = Path(str(source.path)).expanduser()
    if not folder.is_dir():
        raise SourceError(f"no folder {folder} (source.path); format beir needs one with corpus.jsonl")
    corpus, queries = (_file(folder, f"{name}.jsonl") for name in ("corpus", "queries"))
    qrels = _qrels_file(folder, source.split)
    bad: Bad = []
    yield collected(
        _texts(corpus, bad),
        _texts(queries, bad),
        itertools.islice(_judgements(qrels, bad), source.limit),
        bad,
    )


def _file(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz", folder / f"{name}.zst"):
        if file.is_file():
            return file
    raise SourceError(f"{folder}: no {name}; format beir needs corpus.jsonl, queries.jsonl and qrels")


def _qrels_file(folder: Path, split: str) -> Path:
    whole = folder / "qrels.tsv"
    if whole.is_file():
        return whole
    file = folder / "qrels" / f"{split}.tsv"
    if file.is_file():
        return file
    there = sorted(found.stem for found in (folder / "qrels").glob("*.tsv"))
    hint = f"set source.split to one of {', '.join(there)}" if there else "format beir needs its judgements"
    raise SourceError(f"{folder}: no qrels.tsv and no qrels/{split}.tsv; {hint}")


def _texts(file: Path, bad: Bad) -> Iterator[Text]:
    for place, row in records(file, {"id": "_id", "text": "text"}):
        if row == BLANK:
            continue
        if isinstance(row, str):
            bad.append((row, place, ""))
            continue
        name, title, text = (cell(row.get(key)) for key in ("_id", "title", "text"))
        if not name:
            bad.append(("no _id", place, str(row)[:200]))
        elif "" in (title, text):
            bad.append(("not a text, or not UTF-8", place, str(row)[:200]))
        else:
            yield Text(name, " ".join(part for part in (title, text) if part), place)


def _judgements(file: Path, bad: Bad) -> Iterator[Judgement]:
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        for number, cells in enumerate(csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            place = f"{file.name}:{number}"
            if not cells or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
                continue
            relevance = grade(cells[-1]) if len(cells) == 3 else f"{len(cells)} fields, not 3"
            if isinstance(relevance, str):
                bad.append((relevance, place, "\t".join(cells)[:200]))
            else:
                yield Judgement(cells[0], cells[1], relevance, place)
