"""BEIR folders: corpus.jsonl, queries.jsonl, and qrels.tsv or qrels/<split>.tsv, plain or packed."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.formats.judged import Remarks, Text, collected
from minerkit.sources.formats.qrels import judgements
from minerkit.sources.records import BLANK, SHOWN, Batch, cell
from minerkit.sources.tables import PACKED, read_records

__all__ = ["read"]


def read(source: Source) -> Iterator[Batch]:
    """Read a BEIR folder.

    Args:
        source: A recipe's source of format beir.

    Yields:
        Batches: documents, then judgements. A document's title and text are joined by a blank, as BEIR's own
        models do.

    Raises:
        SourceError: A file is missing, damaged or empty, or no judgement names what there is.
    """
    folder = Path(str(source.path)).expanduser()
    if not folder.is_dir():
        raise SourceError(f"no folder {folder} (source.path); format beir needs one with corpus.jsonl")
    corpus, queries = (_file(folder, f"{name}.jsonl") for name in ("corpus", "queries"))
    qrels = _qrels_file(folder, source.split)
    remarks = Remarks()
    yield from collected(
        _texts(corpus, remarks),
        _texts(queries, remarks),
        itertools.islice(judgements(qrels, "beir", remarks), source.limit),
        remarks,
        (str(corpus), str(queries), str(qrels)),
    )


def _found(file: Path) -> Path | None:
    """Find a file, plain or packed."""
    packed = (file, *(file.with_name(file.name + suffix) for suffix in PACKED))
    return next((path for path in packed if path.is_file()), None)


def _file(folder: Path, name: str) -> Path:
    file = _found(folder / name)
    if file is None:
        raise SourceError(f"{folder}: no {name}; format beir needs corpus.jsonl, queries.jsonl and qrels")
    return file


def _qrels_file(folder: Path, split: str) -> Path:
    file = _found(folder / "qrels.tsv") or _found(folder / "qrels" / f"{split}.tsv")
    if file is None:
        there = sorted(found.name.split(".tsv")[0] for found in (folder / "qrels").glob("*.tsv*"))
        hint = f"set source.split to one of {', '.join(there)}" if there else "format beir needs judgements"
        raise SourceError(f"{folder}: no qrels.tsv and no qrels/{split}.tsv; {hint}")
    return file


def _texts(file: Path, remarks: Remarks) -> Iterator[Text]:
    for place, row in read_records(file, {}):
        if row == BLANK:
            continue
        if isinstance(row, str):
            remarks.bad.append((row, place, ""))
            continue
        name, title, text = (cell(row.get(key)) for key in ("_id", "title", "text"))
        if not name:
            remarks.bad.append(("no _id", place, str(row)[:SHOWN]))
        elif "" in (title, text):
            remarks.bad.append(("not a text, or not UTF-8", place, str(row)[:SHOWN]))
        else:
            yield Text(name, " ".join(part for part in (title, text) if part), place)
