"""What a recipe may say: pydantic models that hold every default and give the JSON Schema for editors."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, field_validator, model_validator

from minerkit.recipe.losses import LOSSES
from minerkit.recipe.mine import Mine
from minerkit.recipe.section import Section, Share
from minerkit.recipe.source import Source
from minerkit.recipe.train import Train
from minerkit.runtime import Family

__all__ = [
    "LOSSES",
    "Clean",
    "Encoder",
    "Eval",
    "Family",
    "Format",
    "Mine",
    "Recipe",
    "Sample",
    "Search",
    "Source",
    "Split",
    "Train",
]

NanoBeir = Literal[
    "arguana",
    "climatefever",
    "dbpedia",
    "fever",
    "fiqa2018",
    "hotpotqa",
    "msmarco",
    "nfcorpus",
    "nq",
    "quoraretrieval",
    "scidocs",
    "scifact",
    "touche2020",
]


#: Keys that say something of a model that is loaded, and nothing of one that is made from the corpus.
OF_LOADED = {
    "lsa": ("revision", "query_prompt", "document_prompt", "max_length"),
    "static": ("revision", "max_length"),
}


class Clean(Section):
    """Which rows are dropped, and which texts count as the same."""

    min_chars: int = Field(1, ge=1)
    """Shorter queries and documents are rejected."""
    near_duplicate: float | None = Field(0.9, gt=0, le=1)
    """Jaccard similarity of five-character shingles from which two texts are near-duplicates; null: off."""
    max_function_words: Share | None = None
    """Reject queries with a larger share of function words, which have no content of their own; null: off."""


class Split(Section):
    """What is held out."""

    dev_queries: int = Field(0, ge=0)
    """How many queries go to the dev split, with everything that shares a text with them."""
    by: Literal["query", "group"] = "query"
    """The unit that is held out: a query, or a whole group of the source (a report, an item, a story)."""
    shared_documents: bool = False
    """Let each side mine negatives from the documents of the other side too."""
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
    dtype: Literal["float16", "float32"] = "float16"
    """How embeddings are stored and searched: float16 halves disk, memory and the time of the search, and
    moves a cosine by about 0.0001; values above 65,504 need float32."""

    @model_validator(mode="after")
    def _fits(self) -> "Encoder":
        for key in OF_LOADED.get(self.model, ()):
            if getattr(self, key) is not None:
                raise ValueError(f"{key} does nothing where the model is {self.model}; leave it out (null)")
        return self


class Search(Section):
    """How the documents of each query are searched."""

    mode: Literal["auto", "exact", "ann"] = "auto"
    """exact; ann: approximately, in the nearest lists of an inverted file; auto: whatever is measured to be
    faster. Queries that the rules leave short are searched exactly all the same, and so is all on a GPU."""
    recall_target: float = Field(0.99, gt=0, le=1)
    """The share of the exact candidates that an approximate search has to find, over a sample of queries."""


class Format(Section):
    """The shape of the training rows."""

    type: Literal["pair", "triplet", "n-tuple", "labeled-pair", "labeled-list"] = "labeled-pair"
    """pair, triplet, n-tuple, labeled-pair or labeled-list."""
    scores: bool = False
    """Write the encoder's scores (in place of labels, where there are labels)."""
    labels: Literal["int", "float"] = "int"
    """The type of labels: 0 and 1, or 0.0 and 1.0."""
    columns: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    """What the query and the document are called; null: as in the source where it has such columns, else
    query and document."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"type": given} if isinstance(given, str) else given


class Eval(Section):
    """How a model is scored on the dev split.

    The first key that is set and fits the model gives the metric by which the best checkpoint is chosen.
    Where none does, a reranker reranks 30 documents, and a bi-encoder retrieves 10.
    """

    rerank: int | None = Field(None, ge=2, le=100)
    """rerankers: rerank this many of the documents that the encoder retrieves for a dev query, out of all
    documents of the run. Positives are among them or they are not."""
    retrieval: list[Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=list)
    """bi-encoders: retrieve from all documents of the run, and measure accuracy, precision and recall among
    the first so many, MRR@10 and nDCG@10."""
    classification: bool = False
    """Tell the positives of the dev rows from their negatives: accuracy and F1 with their thresholds,
    precision, recall, average precision."""
    nano_beir: list[NanoBeir] = Field(default_factory=list)
    """NanoBEIR data sets by their short names; left out, with a line that says so, where there are none."""
    nano_beir_data: str = "sentence-transformers/NanoBEIR-en"
    """Where the NanoBEIR data sets are: on the Hub, or in a folder of the same layout."""
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
    language: str | list[str] | None = None
    """ISO 639-1 code or codes of the corpus; null: not stated."""
    license: str = "unknown"
    """Licence of the corpus, as the Hub spells it."""
    source: Source
    clean: Clean = Clean()
    split: Split = Split()
    encoder: Encoder = Encoder()
    search: Search = Search()
    mine: Mine = Mine.model_validate({})
    rerank: None = None
    """Candidates are not reranked yet: null."""
    format: Format = Format()
    train: Train = Train()
    eval: Eval = Eval()
    card: str | None = None
    """The hand-written data card of the recipe."""
    sample: Sample | None = None

    @field_validator("rerank", mode="before")
    @classmethod
    def _not_yet(cls, given: Any) -> Any:
        if given is not None:
            raise ValueError("candidates are not reranked yet; leave rerank out (null)")
        return given

    @model_validator(mode="after")
    def _columns(self) -> "Recipe":
        query, document = self.names
        if query == document:
            raise ValueError(f"the query and the document are both called {query!r}; name two columns")
        taken = re.compile(r"labels?|scores?|negative(_\d+)?")
        for name in self.names:
            if taken.fullmatch(name):
                raise ValueError(f"{name!r} is a column of the training rows; set format.columns to others")
        if self.source.format in {"beir", "trec"}:
            needy = {"split.by: group": self.split.by == "group"}
            needy["mine.exclude_group: true"] = self.mine.exclude_group is True
            for key in (key for key, needed in needy.items() if needed):
                raise ValueError(f"{key} needs groups, which format {self.source.format} has none of")
        return self

    @property
    def languages(self) -> list[str]:
        """The codes of the corpus's languages; none where they are not stated."""
        return [self.language] if isinstance(self.language, str) else list(self.language or ())

    @property
    def names(self) -> tuple[str, str]:
        """What the query and the document are called in the training rows."""
        if self.format.columns is not None:
            return self.format.columns[0], self.format.columns[1]
        named = self.source.format in {"auto", "pairs", "squad"}
        return (self.source.query, self.source.positive) if named else ("query", "document")

    @property
    def excludes_group(self) -> bool:
        """Whether documents of a query's own group are kept from its negatives."""
        if self.mine.exclude_group is not None:
            return self.mine.exclude_group
        return self.source.format in {"captions", "matches"}
