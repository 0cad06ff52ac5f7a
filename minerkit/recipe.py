"""What a recipe may say: pydantic models that hold every default and give the JSON Schema for editors."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Clean",
    "Encoder",
    "Eval",
    "Format",
    "Mine",
    "Recipe",
    "Rerank",
    "Sample",
    "Source",
    "Split",
    "Train",
]

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are faults, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Source(Section):
    """Where the raw questions and answers are."""

    hub: str | None = None
    """A data set on the Hugging Face Hub, as `user/name`."""
    path: str | None = None
    """A local file or a glob; a folder stands for all files in it that minerkit reads."""
    config: str | None = None
    """The configuration (subset) of a Hub data set."""
    split: str = "train"
    """The split of a Hub data set."""
    revision: str | None = None
    """A branch, tag or commit of a Hub data set."""
    limit: int | None = Field(None, ge=1)
    """Read only the first rows."""
    format: Literal["auto", "pairs"] = "auto"
    """The shape of the raw data: `pairs` has a query and a positive in every row."""
    query: str = "query"
    """The column that holds the query."""
    positive: str = "positive"
    """The column that holds the positive document: a text, or a list of texts."""
    columns: list[str] | None = None
    """The column names of a CSV or TSV file that has no header line."""
    max_bad: Share = 0.01
    """The share of unreadable rows above which a file is refused."""

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if (self.hub is None) == (self.path is None):
            raise ValueError("name exactly one of hub and path")
        return self


class Clean(Section):
    """Which rows are dropped, and which texts count as the same."""

    min_chars: int = Field(1, ge=1)
    """Shorter queries and documents are rejected."""
    near_duplicate: float | None = Field(0.9, gt=0, le=1)
    """Jaccard similarity of five-character shingles from which two texts are near-duplicates; null: off."""


class Split(Section):
    """What is held out."""

    dev_queries: int = Field(0, ge=0)
    """How many queries go to the dev split, with everything that shares a text with them."""
    by: Literal["query"] = "query"
    """The unit that is held out."""
    seed: int = 12
    """Seed of the draw."""


class Encoder(Section):
    """The bi-encoder that scores queries against documents."""

    model: str = "static"
    """A sentence-transformers model (Hub name or folder), `static` or `lsa` (both made from the corpus)."""
    revision: str | None = None
    """A branch, tag or commit of a Hub model."""
    query_prompt: str | None = None
    """Text put before every query; null: the model's own query prompt, if it has one."""
    document_prompt: str | None = None
    """Text put before every document; null: the model's own document prompt, if it has one."""
    max_length: int | None = Field(None, ge=8)
    """Tokens after which texts are cut; null: the model's own limit."""
    truncate_dim: int | None = Field(None, ge=2)
    """Keep only the leading dimensions (for Matryoshka models)."""
    normalize: bool = True
    """Score by cosine similarity; false: by dot product."""
    batch_size: int = Field(64, ge=1)
    """Texts per forward pass."""


class Mine(Section):
    """Which candidates become negatives, and how many."""

    negatives: int | None = Field(None, ge=1)
    """Negatives per query; 5 when positive_ratio is not given either."""
    positive_ratio: float | None = Field(None, gt=0, lt=1)
    """Share of positives in the labelled rows, exactly; decides the number of negatives per positive."""
    absolute_margin: float | None = Field(None, ge=0)
    """Keep documents that score at most the smallest positive minus this (NV-Retriever's MarginPos)."""
    relative_margin: float | None = Field(None, ge=0)
    """Keep documents that score at most the smallest positive minus this share of its magnitude (PercPos).

    0.05 unless an absolute margin is given."""
    max_score: float | None = None
    """Keep documents that score at most this."""
    min_score: float | None = None
    """Keep documents that score at least this."""
    range_min: int = Field(0, ge=0)
    """Skip this many of the hardest eligible documents."""
    range_max: int | None = Field(None, ge=1)
    """Take negatives only from this many best-ranked documents; null: go on until the query is filled."""
    shortfall: Literal["keep", "backfill", "drop"] = "backfill"
    """A query with too few: keep it short, fill it from below the range (not above a margin), or drop it."""
    strategy: Literal["top", "random"] = "top"
    """Take the hardest eligible documents, or draw from the range (from the best `keep` without a range)."""
    seed: int = 12
    """Seed of the random strategy."""
    keep: int = Field(50, ge=1)
    """How many of the best candidates of a query are stored, accepted or not."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = dict(given)
        if given.get("absolute_margin") is None:
            given.setdefault("relative_margin", 0.05)
        if given.get("positive_ratio") is None and given.get("negatives") is None:
            given["negatives"] = 5
        return given

    @model_validator(mode="after")
    def _fits(self) -> "Mine":
        if self.negatives is not None and self.positive_ratio is not None:
            raise ValueError("negatives and positive_ratio exclude each other; set one of them to null")
        if self.positive_ratio is not None and self.shortfall == "keep":
            raise ValueError("positive_ratio is exact, so shortfall must be backfill or drop")
        wanted = self.range_min + (self.negatives or 1)
        if self.range_max is not None and self.range_max < wanted:
            raise ValueError(
                f"range_max {self.range_max} leaves no room: range_min and negatives need {wanted} places"
            )
        if None not in (self.min_score, self.max_score) and self.min_score > self.max_score:  # type: ignore[operator]
            raise ValueError(f"min_score {self.min_score} is above max_score {self.max_score}")
        return self


class Rerank(Section):
    """The cross-encoder that scores candidates again."""

    model: str
    """A sentence-transformers CrossEncoder (Hub name or folder)."""


class Format(Section):
    """The shape of the training rows."""

    type: Literal["pair", "triplet", "n-tuple", "labeled-pair", "labeled-list"] = "labeled-pair"
    """pair, triplet, n-tuple, labeled-pair or labeled-list."""
    scores: bool = False
    """Write the encoder's scores (in place of labels, where there are labels)."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given


class Train(Section):
    """The model that is trained from the examples."""

    base: str = "scratch"
    """The model to start from: a Hub name, a folder, or `scratch`."""
    loss: str = "bce"
    """The loss function."""
    pos_weight: float | Literal["auto"] | None = "auto"
    """Weight of positives in the BCE loss; `auto`: negatives per positive."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Training arguments by their sentence-transformers names."""


class Eval(Section):
    """How a model is scored on the dev split."""

    rerank: int | None = Field(None, ge=2)
    """Rerank this many retrieved documents a dev query."""
    nano_beir: list[str] = Field(default_factory=list)
    """NanoBEIR data sets by their short names."""
    steps: int | None = Field(None, ge=1)
    """Evaluate every so many training steps."""


class Sample(Section):
    """The bundled corpus that stands in for the source with `--sample`."""

    path: str
    """A file beside the recipe, in the source's raw shape."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Recipe values that fit the sample's size, by dotted key."""


def _as_written(schema: dict[str, Any]) -> None:
    """Let the JSON Schema take what a file may say beside the models: a format by name, and `extends`."""
    properties = schema["properties"]
    named = {"enum": list(get_args(Format.model_fields["type"].annotation))}
    properties["format"] = {"anyOf": [named, properties["format"]]}
    properties["extends"] = {"type": "string", "description": "A recipe, by name or path, to start from."}
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]


class Recipe(Section):
    """One file from raw corpus to trained model."""

    model_config = ConfigDict(json_schema_extra=_as_written)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The recipe's name; the run is written to runs/<name>."""
    language: str | list[str] = "en"
    """ISO 639-1 code or codes of the corpus."""
    license: str = "unknown"
    """Licence of the corpus, as the Hub spells it."""
    source: Source
    clean: Clean = Clean()
    split: Split = Split()
    encoder: Encoder = Encoder()
    mine: Mine = Mine.model_validate({})
    rerank: Rerank | None = None
    format: Format = Format()
    train: Train = Train()
    eval: Eval = Eval()
    card: str | None = None
    """The hand-written data card of the recipe."""
    sample: Sample | None = None

    @model_validator(mode="after")
    def _columns(self) -> "Recipe":
        query, positive = self.source.query, self.source.positive
        if query == positive:
            raise ValueError(f"source.query and source.positive are both {query!r}; name two columns")
        taken = re.compile(r"labels?|scores?|negative(_\d+)?")
        for key, name in (("query", query), ("positive", positive)):
            if taken.fullmatch(name):
                raise ValueError(f"source.{key} cannot be {name!r}, which is a column of the training rows")
        return self
