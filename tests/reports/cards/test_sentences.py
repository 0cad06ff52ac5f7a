"""Every sentence of the cards: one that holds for some runs only is there when it is so, and else is not."""

import ast
import functools
import re
from pathlib import Path
from typing import Any

import pytest

import minerkit.reports.cards as cards
from minerkit.recipe import Recipe, load_recipe
from minerkit.reports.cards import sentences
from minerkit.reports.cards.dataset_card import card_markdown
from minerkit.reports.cards.reproduction import reproduction
from tests.support.made_stats import made_stats, without_dev

#: A recipe and stats.json: what a card is written from.
Made = tuple[Recipe, dict[str, Any]]
TESTS = Path(__file__).parents[2]
JUDGED = [
    {"source": "dense", "fill": "mined", "negatives": 6},
    {"source": "judged", "fill": "mined", "negatives": 2},
]
PEOPLE = {"histograms__sources": JUDGED}
ALL_JUDGED = {"histograms__sources": [{"source": "judged", "fill": "mined", "negatives": 8}]}
LACKING = {"per_query__dev__negatives": {"0%": 0}, "splits__dev__short_queries": 1}
NONE = {
    "splits__train__negatives": 0, "splits__dev__negatives": 0, "scores__gap": {},
    "per_query__train__negatives": {"0%": 0}, "per_query__dev__negatives": {"0%": 0},
    "histograms__sources": [],
}  # fmt: skip
OWN = {"name": "own", "source.hub": None, "source.path": "pairs.jsonl"}


@functools.cache
def _loaded(keys: str, sample: bool) -> Recipe:
    return load_recipe("gooaq", ast.literal_eval(keys), sample)


def of(stats: dict[str, Any] | None = None, sample: bool = False, **overrides: Any) -> Made:
    """Make what a card is written from: changes of stats.json, and of the recipe gooaq by dotted key."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return _loaded(repr(keys), sample), made_stats(**stats or {})


def recipe_of(keys: dict[str, Any], **stats: Any) -> Made:
    return load_recipe("gooaq", keys), made_stats(**stats)


PLAIN = of()
UNBOUND = of(mine__absolute_margin=None, mine__relative_margin=None)
LICENSED = recipe_of({"source.hub": None, "source.path": "faq.jsonl"})
DOCUMENTS = recipe_of(OWN | {"source.format": "documents", "source.query": "q"})
CAPTIONS = recipe_of(OWN | {"source.format": "captions", "source.group": "item"})
GRADED = recipe_of(OWN | {"source.format": "beir"})

#: Words of the data set's card; runs that have them; runs that do not.
OF_DATA: list[tuple[str, list[Made], list[Made]]] = [
    ("and 1 held out", [PLAIN], [(PLAIN[0], without_dev())]),
    (
        "and hard negatives, documents that look right to an encoder and are not known to be",
        [PLAIN],
        [of(format="pair"), of(NONE)],
    ),
    ("and, where there are any, hard negatives, documents that look right", [of(LACKING)], [PLAIN]),
    ("# gooaq: hard negatives, labeled-pair", [PLAIN], [of(format="pair"), of(NONE), LICENSED]),
    ("# gooaq: pair\n", [of(format="pair")], [PLAIN]),
    ("# gooaq, bundled sample: hard negatives", [of(sample=True)], [PLAIN]),
    ("# faq.jsonl (recipe gooaq): hard negatives", [LICENSED], [PLAIN]),
    ("- hard-negatives", [PLAIN], [of(format="pair"), of(NONE)]),
    ("- machine-generated", [PLAIN, DOCUMENTS], [of(format="pair")]),
    ("- found", [of(format="pair")], [PLAIN, of(format="pair", name="own", source__format="documents")]),
    ("language: en", [PLAIN, of(sample=True)], [LICENSED]),
    (
        "The rows hold no negatives: the 8 that were mined are not part of the data set.",
        [of(format="pair")],
        [PLAIN, of(NONE)],
    ),
    ("There are no negatives: no document was eligible.", [of(NONE)], [PLAIN, of(format="pair")]),
    (
        "2 of the negatives are documents that people judged irrelevant.",
        [of(PEOPLE)],
        [PLAIN, of(PEOPLE, format="pair")],
    ),
    (
        "3 of the negatives are easier documents that fill gaps.",
        [of({"splits__train__backfilled": 3})],
        [PLAIN],
    ),
    (
        "those that fill gaps included",
        [of({"splits__train__backfilled": 3})],
        [PLAIN],
    ),
    ("Queries with fewer negatives than wanted: 1.", [of(LACKING)], [PLAIN]),
    (
        "Queries that were dropped, and have no rows: 4.",
        [of({"yield__dropped_queries": 4}), of({"yield__dropped_queries": 4}, format="pair")],
        [PLAIN],
    ),
    ("This copy was made from a small corpus that is bundled with minerkit,", [of(sample=True)], [PLAIN]),
    ("to try things out. It is not the", [of(sample=True)], [PLAIN]),
    ("recipe's source.", [of(sample=True)], [PLAIN]),
    ("* Source: the sample `gooaq.jsonl` that is bundled with minerkit", [of(sample=True)], [PLAIN]),
    ("* Source: [sentence-transformers/gooaq](https://huggingface.co/", [PLAIN], [of(sample=True), LICENSED]),
    ("* Source: `faq.jsonl`", [LICENSED], [PLAIN]),
    ('split="dev"', [PLAIN], [(PLAIN[0], without_dev()), of({"splits__dev__rows": 0})]),
    ('"dev": "dev.parquet"', [PLAIN], [(PLAIN[0], without_dev()), of({"splits__dev__rows": 0})]),
    ("The search was exact, with a recall of 1.0000.", [PLAIN], [of({"search__mode": "ann"})]),
    (
        "The search of the train queries was approximate: its recall was 0.9876 for a sample of them.",
        [of({"search": {"mode": "ann", "recall": 0.9876}})],
        [PLAIN],
    ),
    ("The encoder has seen the pairs.", [of({"encoder_note": "the encoder has seen the pairs"})], [PLAIN]),
    ("every query of the cleaned corpus with each of its positives; no negatives.", [PLAIN], []),
    ("each query with each of its positives.", [of(format="pair")], [PLAIN]),
    ("each positive of a query with each of the query's negatives.", [of(format="triplet")], [PLAIN]),
    (
        "each positive of a query with the query's 5 negatives, hardest first.",
        [of(format="n-tuple")],
        [PLAIN],
    ),
    (
        "each query with its positives (label 1), then with its negatives (label 0).",
        [PLAIN],
        [of(format__scores=True), of(format="triplet")],
    ),
    (
        "each query with its positives, then with its negatives. The encoder's scores stand",
        [of(format__scores=True)],
        [PLAIN],
    ),
    (
        "then with its negatives. The encoder's scores stand in place of labels.",
        [of(format__scores=True)],
        [PLAIN],
    ),
    (
        "each positive of a query, then all of the query's negatives, with their labels.",
        [of(format="labeled-list")],
        [PLAIN, of(format={"type": "labeled-list", "scores": True})],
    ),
    (
        "each positive of a query, then all of the query's negatives. The encoder's scores stand in place of",
        [of(format={"type": "labeled-list", "scores": True})],
        [PLAIN, of(format="labeled-list")],
    ),
    (
        "The encoder's scores stand beside them.",
        [of(format={"type": shape, "scores": True}) for shape in ("pair", "triplet", "n-tuple")],
        [PLAIN, of(format__scores=True), of(format="triplet")],
    ),
    (
        "Queries with fewer have no row.",
        [of(format="n-tuple")],
        [of(LACKING), of(format="n-tuple", mine__negatives=2)],
    ),
    (
        "Queries without any have no row.",
        [of(LACKING, format="triplet"), of(LACKING, format="labeled-list")],
        [of(LACKING), of(format="triplet"), of(LACKING, format="n-tuple")],
    ),
    ("every distinct document once; texts are equal when they are after NFKC", [PLAIN], []),
    ("every distinct query once, with its split.", [PLAIN], []),
    ("the relevance of documents to queries, as the source has it.", [GRADED], [PLAIN, CAPTIONS, DOCUMENTS]),
    (
        "the relevance of documents to queries, as the source has it.",
        [of(source__relevance="grade"), of(source__format="squad")],
        [PLAIN],
    ),
    ("1 for each passage that was found for the query.", [DOCUMENTS], [PLAIN]),
    ("1 for each pair of captions of one item.", [CAPTIONS], [PLAIN]),
    ("1 for each pair of a query and a positive.", [PLAIN], [GRADED, of(source__relevance="grade")]),
    ("The gap is a query's lowest positive minus its hardest negative.", [PLAIN], [of(NONE)]),
    (
        "0 queries are in both splits, and 7 documents are positives or negatives in both.",
        [of({"overlap__documents": 7})],
        [(PLAIN[0], without_dev())],
    ),
    ("in both splits", [PLAIN], [(PLAIN[0], without_dev())]),
    ("## False negatives", [PLAIN, of(NONE)], [of(format="pair")]),
    ("A document that answers a query and was never judged for it", [PLAIN], [of(format="pair")]),
    ("would be a false negative. What was done about it:", [PLAIN], [of(format="pair")]),
    ("A query's positives are never its negatives, in whatever spelling", [PLAIN], [of(format="pair")]),
    (
        "Near-duplicates of a positive are shut out too: texts whose five-character shingles have a "
        "Jaccard similarity of 0.85 or more.",
        [of(clean__near_duplicate=0.85)],
        [PLAIN],
    ),
    ("Near-duplicates of a positive", [PLAIN], [of(clean__near_duplicate=None)]),
    (
        "Documents of the query's own group are never its negatives.",
        [of(source__group="item", mine__exclude_group=True), CAPTIONS],
        [PLAIN, of(source__group="item"), recipe_of(OWN | {
            "source.format": "captions", "source.group": "item", "mine.exclude_group": False,
        })],
    ),
    (
        "A document that is graded above 0 and below 3 is neither a positive nor a negative.",
        [of(source__relevance="grade", source__min_relevance=3)],
        [PLAIN, of(source__relevance="grade")],
    ),
    (
        "A negative scores at least 2.5% below the query's lowest-scoring positive.",
        [of(mine__relative_margin=0.025)],
        [PLAIN, of(PEOPLE, mine__relative_margin=0.025)],
    ),
    (
        "A negative scores at least 0.1 below the query's lowest-scoring positive.",
        [of(mine__absolute_margin=0.1)],
        [PLAIN],
    ),
    (
        "A negative scores no higher than the query's lowest-scoring positive.",
        [PLAIN, of(mine__absolute_margin=None, mine__relative_margin=0)],
        [of(mine__absolute_margin=0.1), UNBOUND, of(PEOPLE)],
    ),
    ("A negative scores at most 0.8.", [of(mine__max_score=0.8)], [PLAIN, of(PEOPLE, mine__max_score=0.8)]),
    ("A negative that people have not judged scores no higher than", [of(PEOPLE)], [PLAIN]),
    (
        "Documents that people judged irrelevant are negatives whatever they score.",
        [of(PEOPLE)],
        [PLAIN, (UNBOUND[0], made_stats(**PEOPLE))],
    ),
    ("The 10 best-ranked of the documents left are skipped.", [of(mine__range_min=10)], [PLAIN]),
    ("What remains: nobody has read the negatives.", [PLAIN], [of(PEOPLE), of(NONE), of(format="pair")]),
    (
        "What remains: but for the 2 that people judged irrelevant, nobody has read the negatives.",
        [of(PEOPLE)],
        [PLAIN, of(ALL_JUDGED)],
    ),
    ("All negatives were judged irrelevant by people.", [of(ALL_JUDGED)], [PLAIN, of(PEOPLE)]),
    (
        "in other words, and that the encoder scores below the rules' bounds, can be among them.",
        [PLAIN, of(mine__absolute_margin=None, mine__relative_margin=None, mine__max_score=1)],
        [UNBOUND, of(NONE), of(ALL_JUDGED)],
    ),
    (
        "A document that answers a query in other words can be among them.",
        [UNBOUND],
        [PLAIN],
    ),
    (
        "For half of the queries the hardest negative comes within 0.2000 of the lowest positive, for a "
        "twentieth it comes within 0.0500 of the lowest positive: there it pays to look first.",
        [PLAIN],
        [of(NONE), of(ALL_JUDGED), of(LACKING)],
    ),
    ("For half of the queries that have negatives the hardest", [of(LACKING)], [PLAIN]),
    (
        "For half of the queries the hardest negative scores higher than the lowest positive: there it pays",
        [of({"scores__gap": {"5%": -0.2, "50%": -0.1}})],
        [PLAIN, of({"scores__gap": {"5%": -0.1, "50%": 0.2}})],
    ),
    (
        "0.2000 of the lowest positive, for a twentieth it scores higher than the lowest positive:",
        [of({"scores__gap": {"5%": -0.1, "50%": 0.2}})],
        [PLAIN],
    ),
    ("## About the corpus", [PLAIN], [of(card=None), LICENSED]),
    (
        "not stated; ask those who published it before you share this",
        [LICENSED, of(license="unknown")],
        [PLAIN],
    ),
    ("* Licence of the corpus: apache-2.0", [PLAIN], [LICENSED]),
    (
        "* Which documents became negatives was decided by a program.",
        [PLAIN],
        [of(PEOPLE), of(NONE), of(format="pair")],
    ),
    (
        "* Which documents became negatives was decided by people and, of the others, by a program.",
        [of(PEOPLE)],
        [PLAIN],
    ),
    ("minerkit mine --recipe gooaq\n", [PLAIN], [of(sample=True), of(name="own")]),
    ("which stands for this recipe:", [PLAIN, of(sample=True), LICENSED], [of(name="own")]),
    (
        "which stands for this recipe, with the files it names in the working directory:",
        [recipe_of({"source.hub": None, "source.path": "/data/faq.jsonl"})],
        [PLAIN, of(sample=True), LICENSED],
    ),
    (
        "Save this recipe as `recipe.yaml`, and run `minerkit mine --recipe recipe.yaml`:",
        [of(name="own")],
        [PLAIN, recipe_of(OWN | {"source.path": "/data/faq.jsonl"})],
    ),
    (
        "`recipe.yaml`, name in it where its files are, and run `minerkit mine --recipe recipe.yaml`:",
        [recipe_of(OWN | {"source.path": "/data/faq.jsonl"})],
        [PLAIN, of(name="own")],
    ),
]  # fmt: skip

LOSSES = "training/test_trainer.py::test_every_loss_learns_from_every_format_it_takes"
MEASURED = "evaluation/test_comparison.py::test_the_encoder_has_the_metrics_that_mining_stored"
#: What every card says, and the test that it is so, below `tests`; None for names, titles and instructions.
ALWAYS = {
    "Training data for search models, made by minerkit from": None,
    "queries to train on": "reports/stats/test_distributions.py::test_counts_of_a_yield_add_up",
    "documents, and for each query its positives": (
        "pipeline/test_invariants.py::test_a_breach_is_named_with_its_rows"
    ),
    "The columns of": LOSSES,
    "are what the losses of": LOSSES,
    "take, in their order.": LOSSES,
    "The encoder was measured on": MEASURED,
    "queries against all documents": MEASURED,
    "From raw rows to rows": None,
    "Licence and source": None,
    "Licence of the corpus:": None,
    "Make it again": None,
}
#: What only a card says that is pushed.
PUSHED = ("A model trained on these rows:",)
#: What only a card says that is not pushed.
LOCAL = ("with the name of this data set on the Hub for", "or, beside a copy of the run's files:")
RUNS = [
    PLAIN,
    of(PEOPLE),
    of(NONE),
    of(format="pair"),
    (PLAIN[0], without_dev()),
    DOCUMENTS,
    CAPTIONS,
    GRADED,
]


WRITTEN: dict[int, str] = {}


def card(made: Made, **names: str) -> str:
    """Write a card; it is kept for the next time, since the tables above live as long as the module."""
    if names:
        return card_markdown(*made, **names)
    if id(made) not in WRITTEN:
        WRITTEN[id(made)] = card_markdown(*made)
    return WRITTEN[id(made)]


@pytest.mark.parametrize(("words", "there", "absent"), OF_DATA, ids=[words[:60] for words, *_ in OF_DATA])
def test_a_sentence_is_there_when_it_is_so(words, there, absent):
    assert there
    assert all(words in card(made) for made in there)
    assert not [made for made in absent if words in card(made)]


@pytest.mark.parametrize("words", ALWAYS)
def test_what_every_card_says_is_shown_by_a_test(words):
    if ALWAYS[words] is not None:
        file, _, name = ALWAYS[words].partition("::")
        assert f"def {name}(" in (TESTS / file).read_text()
    assert all(words in card(made) for made in RUNS)


def test_how_to_load_it_depends_on_where_it_is():
    here, there = card(PLAIN), card(PLAIN, repo="team/data", model_repo="team/model")
    assert all(words in here and words not in there for words in LOCAL)
    assert all(words in there and words not in here for words in PUSHED)
    assert all(words not in card(PLAIN, repo="team/data") for words in PUSHED)


# --- nothing is said that is not in a table above --------------------------------------------------------


def prose(text: str) -> list[str]:
    """The pieces of a text with at least three words."""
    parts = re.split(r"\{[{%#].*?[#%}]\}|\n|`[^`]*`|\|", text, flags=re.DOTALL)
    return [part.strip(" *#") for part in parts if len(re.findall(r"(?<!\S)[A-Za-z']+", part)) > 2]


def literals(source: str) -> list[str]:
    """The prose in the texts of a module; docstrings left out."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    return [
        piece
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        for piece in prose(node.value)
    ]


def unknown(pieces: list[str], known: list[str]) -> list[str]:
    return [piece for piece in pieces if not any(piece in words or words in piece for words in known)]


KNOWN = [words for words, *_ in OF_DATA] + [*ALWAYS, *PUSHED, *LOCAL]
#: What is told who writes a card, and its readers are not.
TOLD = ["card: no file", "; write it, or set card: null", "is not UTF-8 text"]
#: Titles and cells of tables.
TABLES = [
    "length in characters", "documents a query", "queries left short", "negatives filled in",
    "dropped for too few negatives", "stored, positives left out", "judgements of a query and a document",
]  # fmt: skip


def test_every_sentence_of_the_template_is_in_a_table_above():
    template = (Path(cards.__file__).parent / "dataset_card.md").read_text()
    # Code is no sentence.
    text = re.sub(r"```.*?```", "", template, flags=re.DOTALL)
    assert unknown(prose(text), [*KNOWN, *TABLES]) == []


@pytest.mark.parametrize("module", ["sentences", "mining_facts", "dataset_card", "reproduction"])
def test_every_sentence_of_a_module_is_in_a_table_above(module):
    source = (Path(cards.__file__).parent / f"{module}.py").read_text()
    said = [*KNOWN, *(words for words, *_ in OF_MODEL), *TOLD]
    assert unknown(literals(source), said) == []


# --- the trained model's card ----------------------------------------------------------------------------


def made_again(made: Made) -> str:
    recipe, stats = made
    found = {"judged": sentences.judged_negatives(stats), "search": stats["search"]["mode"]}
    account = {"versions": {"minerkit": "1.2.3"}, "seed": 12}
    return reproduction(recipe, {**stats["splits"]["train"], **found}, account)


APPROXIMATE = {"search": {"mode": "ann", "recall": 0.99}}
#: Words of the section "Reproduction"; runs that have them; runs that do not.
OF_MODEL: list[tuple[str, list[Made], list[Made]]] = [
    ("The rows and the model were made by minerkit 1.2.3; seeds: 12 (dev split), 12 (neg", [PLAIN], []),
    ("Both come out the same again as far as device and versions are the same.", [PLAIN], []),
    (
        "The search was made approximate by measured time; `search.mode: ann` makes it so again.",
        [of(APPROXIMATE)],
        [PLAIN, of(APPROXIMATE, search__mode="ann")],
    ),
    ("The rows hold no negatives.", [of(NONE), of(format="pair")], [PLAIN]),
    (
        "Negatives are the documents that the encoder `lsa` scores highest for a query (cosine similarity), "
        "under these rules. A query's positives are never",
        [of(sample=True)],
        [of(mine__strategy="random"), of(NONE), of(format="pair"), of(PEOPLE), of(encoder__normalize=False)],
    ),
    ("Negatives are drawn from the documents", [of(mine__strategy="random")], [PLAIN]),
    ("Negatives are documents that people judged irrelevant, and the documents", [of(PEOPLE)], [PLAIN]),
    ("scores highest for a query (dot product)", [of(encoder__normalize=False)], [PLAIN]),
    ("That gives 3 positives and 6 negatives: 33.3% are positive.", [PLAIN], [of(NONE), of(format="pair")]),
    (
        "3 positives and 6 negatives, 2 of which fill gaps: 33.3% are positive.",
        [of({"splits__train__backfilled": 2})],
        [PLAIN],
    ),
    ("minerkit train --recipe gooaq --sample\n", [of(sample=True)], [PLAIN, of(name="own")]),
    ("which stands for this recipe:", [PLAIN], [of(name="own")]),
    (
        "which stands for this recipe, with the files it names in the working directory:",
        [recipe_of({"source.hub": None, "source.path": "/data/faq.jsonl"})],
        [PLAIN, of(sample=True)],
    ),
    ("Save this recipe as `recipe.yaml`, and run `minerkit train", [of(name="own")], [PLAIN]),
    (
        "Save this recipe as `recipe.yaml`, name in it where its files are, and run `minerkit train",
        [recipe_of(OWN | {"source.path": "/data/faq.jsonl"})],
        [PLAIN, of(name="own")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "there", "absent"), OF_MODEL, ids=[words[:60] for words, *_ in OF_MODEL])
def test_a_sentence_of_the_model_card_is_there_when_it_is_so(words, there, absent):
    assert all(words in made_again(made) for made in there)
    assert not [made for made in absent if words in made_again(made)]


def test_the_model_is_named_after_the_data_it_learned_from():
    from minerkit.reports.cards.mining_facts import data_name

    assert data_name(PLAIN[0]) == data_name(of(sample=True)[0]) == "gooaq"
    assert data_name(LICENSED[0]) == "faq.jsonl (recipe gooaq)"
    assert data_name(of(source__hub="team/faq")[0]) == "team/faq (recipe gooaq)"
    assert data_name(of(name="own", source__hub="team/faq")[0]) == "own"
    captions = load_recipe("product-captions", {"source.path": "mine.csv"})
    assert data_name(captions) == "product-captions"  # which is a recipe for everybody's captions


def test_safeguards_are_the_same_in_both_cards():
    for made in (PLAIN, of(PEOPLE), of(mine__max_score=0.5)):
        rules = list(sentences.safeguards(made[0], sentences.judged_negatives(made[1])))
        assert all(f"* {rule}\n" in card(made) for rule in rules)
        assert " ".join(rules) in made_again(made)
