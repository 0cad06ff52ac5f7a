"""What a recipe may say about its source."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from minerkit.recipe.section import Section, Share

__all__ = ["Source"]

#: Keys of the source that only some formats know.
BELONGS = {
    "config": ("auto", "pairs", "squad", "captions"),
    "relevance": ("auto", "pairs"),
    "fields": ("matches",),
    "queries": ("documents",),
    "qa": ("documents",),
    "id": ("documents",),
    "report": ("documents",),
    "passage": ("documents",),
    "topics": ("trec",),
    "qrels": ("trec",),
}


class Source(Section):
    """Where the raw corpus is, and what shape it has."""

    hub: str | None = None
    """A data set on the Hugging Face Hub, as `user/name`."""
    path: str | None = None
    """A local file or a glob; a folder stands for all files in it that minerkit reads."""
    config: str | None = None
    """The configuration (subset) of a Hub data set."""
    split: str = "train"
    """The split of a Hub data set, and the file of judgements of a BEIR folder (`qrels/train.tsv`)."""
    revision: str | None = None
    """A branch, tag or commit of a Hub data set."""
    limit: int | None = Field(None, ge=1)
    """Read only the first rows (of judgements, in a collection; of reports, in a folder of them)."""
    format: Literal["auto", "pairs", "squad", "documents", "captions", "matches", "beir", "trec"] = "auto"
    """pairs: a query and a positive in every row. squad: SQuAD's nesting. documents: reports, cut into
    passages. captions: rows of an item and a caption of it. matches: two records and whether they match.
    beir and trec: judged collections. auto: pairs, or SQuAD's nesting."""
    max_bad: Share = 0.01
    """The share of unreadable rows above which the input is refused."""
    columns: list[str] | None = None
    """The column names of a CSV or TSV file that has no header line."""
    query: str = "query"
    """pairs, and a QA file: the column that holds the query."""
    positive: str = "positive"
    """pairs: the column that holds the positive document, a text or a list of texts. In a QA file: the
    answer, or the evidence."""
    relevance: str | None = None
    """pairs: the column that holds the grade or match label; rows graded 0 are judged negatives."""
    min_relevance: int = Field(1, ge=1)
    """The grade from which a judged document is a positive; one with a lower grade above 0 is neither a
    positive nor a negative."""
    group: str | None = None
    """pairs, captions, documents in a table: the column that names the group a row belongs to (a story, an
    item, a report), for `split.by: group`."""
    id: str | None = None
    """documents in a table: the column that holds the passage's id, where a QA file names it."""
    text: str = "text"
    """captions: the column that holds the caption, or a list of them. documents in a table: the text."""
    pairing: Literal["all", "once", "next", "first"] = "all"
    """captions: which two of an item make a pair. all: every ordered pair. once: every pair, the earlier
    caption as the query. next: each caption with the one after it, the last with the first. first: the first
    caption with each other one."""
    fields: list[str] | None = None
    """matches: the fields (`COL name VAL ...`) that make up the text; null: all."""
    queries: Literal["headings", "qa"] | None = None
    """documents: what the queries are; null: the QA file where there is one, else headings."""
    qa: str | None = None
    """documents: a file of questions with their answers, evidence or passages."""
    report: str | None = None
    """documents: the column of the QA file that names the report an answer is in."""
    passage: str | None = None
    """documents: the column of the QA file that names the passage: `report#number` (from 0), or its id."""
    min_match: Share = 0.5
    """documents: the BM25 score, as a share of the best an answer can reach, from which a passage that does
    not hold the answer word for word is taken for it."""
    min_chars: int = Field(64, ge=1)
    """documents: no passage is shorter."""
    max_chars: int | None = Field(250, ge=1)
    """documents: no passage is longer; null: a text in a table is one passage."""
    reissue: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    """documents: Jaccard similarity of five-character shingles from which two reports are issues of the same
    one, and form one group; null: every report is its own."""
    topics: str | None = None
    """trec: the file of topics (queries)."""
    qrels: str | None = None
    """trec: the file of judgements."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Fill in the column names that a format brings along."""
        if isinstance(given, dict) and given.get("format") == "squad":
            return {"query": "question", "positive": "context", "group": "title", **given}
        if isinstance(given, dict) and given.get("format") == "documents":
            return {"query": "question", "positive": "answer", **given}
        return given

    @model_validator(mode="after")
    def _fits(self) -> "Source":
        if (self.hub is None) == (self.path is None):
            raise ValueError("name exactly one of hub and path")
        for key in ("config", "revision"):
            if self.hub is None and getattr(self, key) is not None:
                raise ValueError(
                    f"{key} is of a data set on the Hub; leave it out (null) where path is given"
                )
        for key, formats in BELONGS.items():
            if getattr(self, key) is not None and self.format not in formats:
                raise ValueError(f"{key} belongs to format {' or '.join(formats)}, not to {self.format}")
        if self.format == "trec" and None in (self.topics, self.qrels):
            raise ValueError("format trec needs topics and qrels, the files beside the documents in path")
        if self.queries == "qa" and self.qa is None:
            raise ValueError("queries: qa needs qa, the file of questions")
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise ValueError(f"max_chars {self.max_chars} is below min_chars {self.min_chars}")
        return self
