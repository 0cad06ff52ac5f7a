"""Read reports: txt, Markdown, HTML and PDF become sections of paragraphs, one file a format."""

import glob
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from minerkit.errors import SourceError
from minerkit.sources.documents import html, markdown, pdf, plain
from minerkit.sources.documents.blocks import Document, Rejected, Section, sections
from minerkit.sources.encoding import decoded

__all__ = ["Document", "Rejected", "Section", "read_documents"]

READERS = {
    ".txt": plain.blocks,
    ".text": plain.blocks,
    ".md": markdown.blocks,
    ".markdown": markdown.blocks,
    ".html": html.blocks,
    ".htm": html.blocks,
    ".xhtml": html.blocks,
}
SUFFIXES = (*READERS, ".pdf")
#: A Markdown heading or the second line of a Markdown table.
MARKDOWN = re.compile(r"^(#{1,6} \S|\|( *:?-{2,}:? *\|)+ *$)", re.MULTILINE)


def read_documents(path: str) -> Iterator[Document | Rejected]:
    """Read the reports of a folder, file by file.

    Args:
        path: A folder, which is searched with all its subfolders; a file; or a glob.

    Returns:
        An iterator over the documents, sorted by path, each followed by what of it is not text (tables, code,
        running headers and the like); a file that cannot be used gives one rejected row with the reason.

    Raises:
        SourceError: There is no such file, or none that can be read.
        MissingExtraError: A file needs an optional library that is not installed.
    """
    root, files = _listed(path)
    if not any(file.suffix.lower() in SUFFIXES for file in files):
        what = "no file at" if not files else "no readable file in" if root == Path(path) else "cannot read"
        raise SourceError(
            f"{what} {path} (source.path, --input); minerkit reads documents as {', '.join(SUFFIXES)}"
        )
    return (result for file in files for result in _read(file, file.relative_to(root).as_posix()))


def _listed(path: str) -> tuple[Path, list[Path]]:
    """List the files of a path, hidden ones left out, and the folder their names are relative to."""
    place = Path(path).expanduser()
    if place.is_file():
        return place.parent, [place]
    if place.is_dir():
        root, found = place, list(place.rglob("*"))
    else:
        root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), place.parts))
        found = [Path(name) for name in glob.glob(str(place), recursive=True)]  # noqa: PTH207
    hidden = {file for file in found if any(part.startswith(".") for part in file.relative_to(root).parts)}
    return root, sorted(file for file in found if file.is_file() and file not in hidden)


def _read(file: Path, report: str) -> Iterator[Document | Rejected]:
    kind = file.suffix.lower()
    if kind not in SUFFIXES:
        yield Rejected(f"not one of {', '.join(SUFFIXES)}", report)
        return
    note = ""
    try:
        data = file.read_bytes()
        if kind == ".pdf":
            blocks = list(pdf.blocks(data))
        else:
            text = decoded(data, html=READERS[kind] is html.blocks)
            if text is None:
                yield Rejected("unknown encoding", report)
                return
            note = f"read as {text[1]}" if text[1] else ""
            # Much Markdown is saved as .txt.
            marked = kind == ".txt" and MARKDOWN.search(text[0])
            blocks = list((markdown.blocks if marked else READERS[kind])("\n".join(text[0].splitlines())))
    except OSError as error:
        yield Rejected(f"cannot be read: {error.strerror or error}", report)
        return
    except pdf.UnreadableError as error:
        yield Rejected(str(error), report)
        return
    found, rejected = sections(report, blocks)
    if found:
        yield Document(report, str(file), found, note)
    else:
        yield Rejected("no text", report)
    yield from rejected
