"""Judgements: BEIR's three columns separated by tabs, or TREC's four separated by blanks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from minerkit.sources.formats.judged import Judgement, Remarks
from minerkit.sources.formats.pairs import grade
from minerkit.sources.records import SHOWN
from minerkit.sources.tables import open_unpacked

__all__ = ["judgements"]

#: Kind -> what parts its columns, and which ones are the query, the document and the grade.
KINDS: dict[str, tuple[str | None, tuple[int, ...]]] = {"beir": ("\t", (0, 1, 2)), "trec": (None, (0, 2, 3))}


def judgements(file: Path, kind: Literal["beir", "trec"], remarks: Remarks) -> Iterator[Judgement]:
    """Read judgements.

    Args:
        file: A file of them, plain or packed.
        kind: beir: query, document, grade, below a line that names them or not. trec: query, iteration,
            document, grade.
        remarks: Where rows that cannot be read are noted.

    Yields:
        Judgements in the order of the file.

    Raises:
        SourceError: The file is missing or damaged.
    """
    sign, columns = KINDS[kind]
    width = columns[-1] + 1
    with open_unpacked(file) as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.decode("utf-8-sig", errors="replace").strip("\r\n")
            if not line.strip():
                continue
            cells = [cell.strip() for cell in line.split(sign)]
            found = grade(cells[-1]) if len(cells) == width else f"{len(cells)} fields, not {width}"
            if isinstance(found, int):
                query, document = cells[columns[0]], cells[columns[1]]
                yield Judgement(query, document, found, f"{file.name}:{number}")
            elif number > 1 or len(cells) != width:  # else it is the names of the columns
                remarks.bad.append((found, f"{file.name}:{number}", line[:SHOWN]))
