"""Cut documents into passages of whole sentences; what is dropped comes back with its reason."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from minerkit.sources.documents.boilerplate import fragmentary, furniture, unread
from minerkit.sources.documents.reader import Document, Rejected, Section
from minerkit.text import join_sentences, split_sentences

__all__ = ["Passage", "passages", "repeated_paragraphs", "split_sentences"]

#: Reports that must hold a paragraph word for word before it counts as boilerplate.
REPEATS = 4
#: What it costs to part two pieces, by how they hang together: paragraphs part freely.
PARAGRAPH, SENTENCE, CLAUSE, WORD = 0, 1, 100, 10_000
CLAUSES = (
    re.compile(r"(?<=；)|(?<=;)(?=\s)"),
    re.compile(r"(?<=[，、：])|(?<=[,:])(?=\s)"),
    re.compile(r"\s"),
)
#: A sentence that announces the next one is not parted from it.
LEADING = ("：", ":")
ANNOUNCING_CHARS = 20
#: Characters dropped, cost of the cuts, passages, and the sum of their squared lengths.
Cost = tuple[int, int, int, int]
REPEATED, LISTING = "repeated in many reports", "list of sources, links or notices"
ANNOUNCES = "announces something that is not text"
FRAGMENTS, LEFT_OVER = "list of fragments", "shorter than min_chars, alone and with its neighbours"


@dataclass(frozen=True)
class Passage:
    """A passage: its text, its report, the headings above it, its number in the report, and file:place."""

    text: str
    report: str
    heading: tuple[str, ...]
    position: int
    source: str


@dataclass(frozen=True)
class Piece:
    """A sentence, or a part of one too long; what parting it from the next costs, and what stands between."""

    text: str
    place: int
    cost: int
    glue: str


def passages(
    document: Document, min_chars: int, max_chars: int, repeated: Collection[str] = frozenset()
) -> Iterator[Passage | Rejected]:
    """Pack the sentences of a document into passages, section by section.

    Args:
        document: A document as `read_documents` gives it.
        min_chars: No passage is shorter.
        max_chars: No passage is longer.
        repeated: Paragraphs to leave out, as `repeated_paragraphs` gives them.

    Yields:
        Passages, and rejected text: page furniture, and what is too short to fill a passage. Of all ways to
        pack a section, the one that drops the fewest characters is taken, then the one that cuts the fewest
        sentences and paragraphs, then the one with the fewest passages, then the most even one.

    Raises:
        ValueError: The bounds are not 1 <= min_chars <= max_chars.
    """
    if not 1 <= min_chars <= max_chars:
        raise ValueError(
            f"min_chars {min_chars} and max_chars {max_chars}: 1 <= min_chars <= max_chars is needed"
        )
    position = 0
    for section in document.sections:
        kept: list[tuple[str, int]] = []
        listing = LISTING if any(map(unread, section.heading)) else ""
        for text, place in _placed(section):
            reason = listing or furniture(text) or (REPEATED if _key(text) in repeated else "")
            if reason:
                yield Rejected(reason, f"{document.report}:{place}", text)
                continue
            if kept and _announces(kept[-1][0]) and _announces(text):
                yield Rejected(ANNOUNCES, f"{document.report}:{kept[-1][1]}", kept.pop()[0])
            kept.append((text, place))
        if kept and _announces(kept[-1][0]):
            yield Rejected(ANNOUNCES, f"{document.report}:{kept[-1][1]}", kept.pop()[0])
        pieces = [piece for text, place in kept for piece in _pieces(text, place, max_chars)]
        for start, end, fits in _packed(pieces, min_chars, max_chars):
            text = _together(pieces[start:end])
            source = f"{document.report}:{pieces[start].place}"
            if not fits or fragmentary(text):
                yield Rejected(FRAGMENTS if fits else LEFT_OVER, source, text)
            else:
                yield Passage(text, document.report, section.heading, position, source)
                position += 1


def repeated_paragraphs(documents: Iterable[Document], least: int = REPEATS) -> frozenset[str]:
    """Find boilerplate: paragraphs that many reports hold word for word.

    Args:
        documents: All documents.
        least: The number of reports from which a paragraph is boilerplate.

    Returns:
        What `passages` takes as `repeated`.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update({_key(text) for section in document.sections for text in section.paragraphs})
    return frozenset(key for key, count in counts.items() if count >= least)


def _announces(text: str) -> bool:
    return len(text) <= ANNOUNCING_CHARS and text.endswith(LEADING)


def _key(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _placed(section: Section) -> Iterable[tuple[str, int]]:
    places = section.places or range(1, len(section.paragraphs) + 1)
    return zip(section.paragraphs, places, strict=True)


def _pieces(paragraph: str, place: int, max_chars: int) -> Iterator[Piece]:
    """Cut a paragraph into sentences, and sentences too long for a passage into clauses."""
    parts: list[tuple[str, int]] = []
    for sentence in split_sentences(paragraph):
        clauses = _clauses(sentence, max_chars)
        parts += clauses[:-1]
        parts.append((clauses[-1][0], CLAUSE if sentence.endswith(LEADING) else SENTENCE))
    for (text, cost), (following, _) in itertools.pairwise(parts):
        blank = cost != WORD and len(join_sentences(text, following)) > len(text) + len(following)
        yield Piece(text, place, cost, " " if blank else "")
    for text, cost in parts[-1:]:
        yield Piece(text, place, cost if cost == CLAUSE else PARAGRAPH, "\n")


def _clauses(sentence: str, max_chars: int, level: int = 0) -> list[tuple[str, int]]:
    """Cut a sentence that is too long: at semicolons, else at commas, else at blanks, at last anywhere."""
    if len(sentence) <= max_chars:
        return [(sentence, CLAUSE)]
    if level == len(CLAUSES):
        parts = -(-len(sentence) // max_chars)
        cuts = [number * len(sentence) // parts for number in range(parts + 1)]
        return [(sentence[start:end], WORD) for start, end in itertools.pairwise(cuts)]
    pieces = (piece.strip() for piece in CLAUSES[level].split(sentence))
    return [clause for piece in pieces if piece for clause in _clauses(piece, max_chars, level + 1)]


def _packed(pieces: Sequence[Piece], min_chars: int, max_chars: int) -> list[tuple[int, int, bool]]:
    """Find the best packing of a section: ranges of pieces, and whether each is a passage or left over."""
    # best[end]: the cost of packing the pieces before `end`, and where the last range starts, and if it fits.
    best: list[tuple[Cost, int, bool]] = [((0, 0, 0, 0), 0, True)]
    for end, piece in enumerate(pieces, 1):
        dropped, parted, count, squares = best[-1][0]
        options = [((dropped + len(piece.text), parted, count, squares), end - 1, False)]
        cut = piece.cost if end < len(pieces) else 0
        length = -len(piece.glue)
        for start in range(end - 1, -1, -1):
            length += len(pieces[start].text) + len(pieces[start].glue)
            if length > max_chars:
                break
            if length >= min_chars:
                dropped, parted, count, squares = best[start][0]
                options.append(((dropped, parted + cut, count + 1, squares + length**2), start, True))
        best.append(min(options))
    ranges: list[tuple[int, int, bool]] = []
    end = len(pieces)
    while end:
        _, start, fits = best[end]
        if ranges and not fits and not ranges[-1][2]:
            ranges[-1] = (start, ranges[-1][1], False)
        else:
            ranges.append((start, end, fits))
        end = start
    return ranges[::-1]


def _together(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text + piece.glue for piece in pieces[:-1]) + pieces[-1].text
