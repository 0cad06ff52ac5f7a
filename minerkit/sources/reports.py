"""Reports: passages, with headings or the questions of a QA file as queries."""

import re
from collections.abc import Iterator, Sequence

from minerkit.recipe import Source
from minerkit.sources.cut import Part, cut
from minerkit.sources.qa import Asked, asked
from minerkit.sources.rows import Batch, Entry, entries, rejected

__all__ = ["heading_query", "read"]

#: What numbers a heading: 3.2, 第二章, （一）, 二、.
NUMBER = re.compile(
    r"^(?:第\s?[一二三四五六七八九十百零\d]+\s?(?:部分|[章节節篇编編])"
    r"|[（(][一二三四五六七八九十\d]{1,3}[）)]|[一二三四五六七八九十]{1,3}\s?[、.．]"
    r"|\d{1,2}(?:[.．]\d{1,2})*(?:[.．、)）]|(?=\s)))[\s、：:]*"
)


def read(source: Source) -> Iterator[Batch]:
    """Read reports, cut them into passages, and find the passages of each query.

    Args:
        source: A recipe's source of format documents.

    Yields:
        One batch: every passage is an entry of its own, and every query with its passage is one. A report and
        its re-issues form one group.

    Raises:
        SourceError: There is nothing to read, or no question has its answer in the reports.
    """
    found = cut(source)
    queries = asked(source, found.parts) if _from_qa(source) else Asked(_headed(found.parts), [], 0, 0)
    there = [Entry(None, part.text, None, None, part.group, part.source) for part in found.parts]
    yield Batch(
        found.rows + queries.rows,
        entries([*queries.entries, *there]),
        rejected([*found.rejected, *queries.rejected]),
        found.bad + queries.bad,
        found.notes,
    )


def heading_query(headings: Sequence[str]) -> str:
    """Make a query of the headings above a passage.

    Args:
        headings: From the report's title down.

    Returns:
        The headings without their numbers, in one line; "" where there are none.
    """
    bare = (NUMBER.sub("", heading.strip()).strip() for heading in headings)
    return " ".join(dict.fromkeys(text for text in bare if text))


def _from_qa(source: Source) -> bool:
    return source.queries == "qa" or (source.queries is None and source.qa is not None)


def _headed(parts: Sequence[Part]) -> list[Entry]:
    return [
        Entry(query, part.text, 1, part.group, part.group, part.source)
        for part in parts
        if (query := heading_query(part.heading))
    ]
