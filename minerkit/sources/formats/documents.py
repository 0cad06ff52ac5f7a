"""Reports: passages, with headings or the questions of a QA file as queries."""

from collections import Counter
from collections.abc import Iterator, Sequence

from minerkit.errors import SourceError
from minerkit.recipe import Source
from minerkit.sources.documents.chunk import Part, Reason, cut
from minerkit.sources.documents.heading_queries import heading_queries
from minerkit.sources.documents.qa import QuestionPairs, read_questions
from minerkit.sources.records import Batch, Entry, entries, rejected

__all__ = ["read"]

#: A heading above more passages (some 5,000 characters) is a chapter's, and too broad to find each of them.
MOST_PASSAGES = 20


def read(source: Source) -> Iterator[Batch]:
    """Read reports, cut them into passages, and find the passages of each query.

    Args:
        source: A recipe's source of format documents.

    Yields:
        One batch: every passage is an entry of its own, and every query with its passage is one. A report and
        its re-issues form one group.

    Raises:
        SourceError: There is nothing to read, no heading says anything, or no question has its answer in the
            reports.
    """
    found = cut(source)
    queries = read_questions(source, found.parts) if _from_qa(source) else _headed(source, found.parts)
    bad = [*found.rejected[: found.bad], *queries.rejected[: queries.bad]]
    useless = [*found.rejected[found.bad :], *queries.rejected[queries.bad :]]
    there = [Entry(None, part.text, None, None, part.group, part.source) for part in found.parts]
    yield Batch(
        found.rows + queries.rows,
        entries([*queries.entries, *there]),
        rejected([*bad, *useless]),
        len(bad),
        found.notes,
    )


def _from_qa(source: Source) -> bool:
    return source.queries == "qa" or (source.queries is None and source.qa is not None)


def _headed(source: Source, parts: Sequence[Part]) -> QuestionPairs:
    """Take the headings above the passages as queries."""
    queries = heading_queries((part.heading, part.group) for part in parts)
    sizes = Counter((part.heading, part.reports[0]) for part in parts)
    found: list[Entry] = []
    dropped: dict[tuple[str, ...], Reason] = {}
    for part in parts:
        query, size = queries[part.heading], sizes[part.heading, part.reports[0]]
        if query and size <= MOST_PASSAGES:
            found.append(Entry(query, part.text, 1, part.group, part.group, part.source))
        elif part.heading:
            why = (
                f"heading above more than {MOST_PASSAGES} passages" if query else "heading that says nothing"
            )
            dropped.setdefault(part.heading, (why, part.source, " > ".join(part.heading)))
    if parts and not found:
        raise SourceError(
            f"{source.path}: no heading in it says enough to be a query; name a QA file (source.qa)"
        )
    return QuestionPairs(found, list(dropped.values()), 0, 0)
