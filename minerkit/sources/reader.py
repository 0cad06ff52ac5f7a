"""Read a raw corpus, in batches, from local files or the Hub, one module a shape.

Every raw row comes out either as entries or as a rejected row with its place; nothing is skipped in silence.
"""

import hashlib
from collections.abc import Iterator

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.files import input_files
from minerkit.sources.formats import beir, captions, matches, pairs, trec
from minerkit.sources.formats import documents as reports
from minerkit.sources.hub import hub_files
from minerkit.sources.records import Batch

__all__ = ["Batch", "fingerprint", "read"]

SHAPES = {
    "auto": pairs.read,
    "pairs": pairs.read,
    "squad": pairs.read,
    "captions": captions.read,
    "documents": reports.read,
    "matches": matches.read,
    "beir": beir.read,
    "trec": trec.read,
}
#: Shapes that are files of their own kind, and not rows of a table.
FILES = ("documents", "matches", "beir", "trec")


def fingerprint(source: Source) -> dict[str, str]:
    """Identify the raw input, to know whether it has changed.

    Args:
        source: A recipe's source.

    Returns:
        File name to SHA-256 of its bytes; or the Hub name to the revision asked for.

    Raises:
        SourceError: There is no such file, or it cannot be read.
    """
    prints = {}
    if source.hub is not None:
        prints[f"hub:{source.hub}"] = source.revision or "main"
    for path in (source.path, source.qa, source.topics, source.qrels):
        for file in input_files(path) if path is not None else []:
            try:
                with file.open("rb") as stream:
                    prints[str(file)] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise SourceError(f"{file}: cannot be read: {error.strerror or error}") from error
    return prints


def read(source: Source) -> Iterator[Batch]:
    """Read a source.

    Args:
        source: A recipe's source.

    Yields:
        Batches in the order of the input.

    Raises:
        SourceError: The input is missing, empty or damaged, lacks a column, or has too many bad rows.
    """
    place = source.hub or source.path
    if source.hub is not None and source.format in FILES:
        source = source.model_copy(update={"hub": None, "path": hub_files(source)})
    rows, bad, first = 0, 0, ""
    for batch in SHAPES[source.format](source):
        yield batch
        rows += batch.rows
        bad += batch.bad
        if not first and batch.bad:
            first = f"{batch.rejected['source'][0]}: {batch.rejected['reason'][0]}"
    if not rows:
        raise SourceError(f"{place} is empty: it has no rows")
    if bad > source.max_bad * rows:
        raise SourceError(
            f"{place}: {bad:,} of {rows:,} rows cannot be read, more than source.max_bad={source.max_bad:g} "
            f"allows (first: {first}); mend the file or raise the share"
        )
