"""Every sentence of the page: one that holds for some runs only is there when it is so, and else is not."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import lxml.html
import pytest

from minerkit.recipe import Recipe, load_recipe, recipe_yaml
from minerkit.reports.page.page import page
from minerkit.storage.schema import empty_artefact
from tests.support.made_stats import made_stats, without_dev

Made = tuple[Recipe, dict[str, Any]]
NOTE = "the encoder has seen the pairs"
ROUND = "finds none of its positives among the first 20 documents"
UNRANKED = {"histograms__ranks__unranked": 2}
JUDGED = {"histograms__sources": [{"source": "judged", "fill": "mined", "negatives": 2}]}


def of(stats: dict[str, Any] | None = None, **overrides: Any) -> Made:
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_recipe("gooaq", keys), made_stats(**stats or {})


def lost(reason: str) -> dict[str, Any]:
    return {"rejected": [{"stage": "mine", "reason": reason, "rows": 3}]}


PLAIN = of()
NO_DEV = (PLAIN[0], without_dev())
#: Words of the page; runs that have them; runs that do not.
SENTENCES: list[tuple[str, list[Made], list[Made]]] = [
    ("5 raw rows became 12 training rows, those of dev included, from 4 queries", [PLAIN], [NO_DEV]),
    ("4 raw rows became 9 training rows, from 3 queries and 9 documents.", [NO_DEV], [PLAIN]),
    ("positive, in train", [PLAIN], [of(format="pair")]),
    (
        "Worth knowing",
        [
            of({"splits__train__short_queries": 1}),
            of(lost(ROUND)),
            of(format="pair"),
            of({"histograms__gaps__not_positive": 1}),
        ],
        [PLAIN],
    ),
    (
        "2 train queries have fewer negatives than asked for; 3 negatives are missing.",
        [of({"splits__train__short_queries": 2, "splits__train__missing": 3})],
        [PLAIN],
    ),
    (f"3 queries were dropped: {ROUND}.", [of(lost(ROUND))], [PLAIN]),
    ("3 queries were dropped: too few negatives.", [of(lost("too few negatives"))], [PLAIN, of(lost(ROUND))]),
    (
        "The training rows hold positives only; the negatives below are not in them.",
        [of(format="pair")],
        [PLAIN, of({"yield__negatives": 0}, format="pair")],
    ),
    (
        "1 queries have a negative that scores as high as their lowest positive, or higher.",
        [of({"histograms__gaps__not_positive": 1})],
        [PLAIN],
    ),
    ("language en", [PLAIN], [of(language=None)]),
    ("language zh, en", [of(language=["zh", "en"])], [PLAIN]),
    (
        "no positive among the negatives, no text in both splits, every query accounted for.",
        [PLAIN],
        [of(split__shared_documents=True)],
    ),
    ("no query or positive in both splits", [of(split__shared_documents=True)], [PLAIN]),
    ("mined as negatives", [PLAIN], [of(format="pair")]),
    ("backfilled as negatives", [of({"yield__backfilled": 1})], [PLAIN]),
    ("queries dropped 1", [of({"yield__dropped_queries": 1})], [PLAIN]),
    ("pairs and documents kept", [of({"yield__loose_documents": 1})], [PLAIN]),
    (
        "Unranked negatives were found by a deeper search, below the ranks that are stored.",
        [of(UNRANKED)],
        [PLAIN, of(UNRANKED | JUDGED)],
    ),
    (
        "Unranked negatives were judged irrelevant by people, or were found by a deeper search, below the",
        [of(UNRANKED | JUDGED)],
        [PLAIN, of(UNRANKED), of(JUDGED)],
    ),
]
#: What every page says: names of what is shown, how to read it, and two sentences that other tests show.
ALWAYS = {
    "This page shows what the run says of itself. The second command checks every promise from the files:": (
        "pipeline/test_invariants.py::test_a_breach_is_named_with_its_rows"
    ),
    "Each bar is a whole of its own. What goes on from it widens into the next one; what stays behind": None,
    "How the encoder scores a query against its positives and its negatives. Hard negatives lie close to the "
    "positives; where the two overlap, look at the examples.": None,
    "As shares of all positives, and of all negatives.": None,
    "The lowest positive's score minus the hardest negative's. A gap near nought can mean a very hard "
    "negative, or a positive that is not one.": None,
    "In characters. If positives and negatives differ here, a model can tell them apart by length": None,
    "The last bar holds everything longer.": (
        "reports/stats/test_distributions.py::test_lengths_above_the_last_edge_count_as_beyond"
    ),
    "The rank counts a document's place in the query's own ranking, its positives taken out.": (
        "mining/test_candidates.py::test_candidates_are_sorted_by_query_and_score_with_positives_before_equal_scores"
    ),
    "of the negatives wanted in train are mined": (
        "reports/stats/test_run_statistics.py::test_backfilled_candidates_do_not_count_as_skipped"
    ),
    "of queries find a positive in the first 10": (
        "evaluation/test_comparison.py::test_the_encoder_has_the_metrics_that_mining_stored"
    ),
    "This page asks the network for nothing.": (
        "reports/page/test_page.py::test_the_page_asks_for_nothing_and_forbids_all_else"
    ),
}


def text(made: Made, drawn: tuple[str, ...] = ("all",), note: str = "") -> str:
    recipe, stats = made
    manifest = {"encoder": {"note": note}, "versions": {"minerkit": "1"}, "outputs": {"stats.json": "0" * 64}}
    folder = files("minerkit.reports.page")
    assets = {name: (folder / name).read_text("utf-8") for name in ("page.css", "browser.js")}
    sample = {"cut": 2000, "documents": [], "queries": [{"drawn": kind} for kind in drawn]}
    made_page = page(
        stats, manifest, recipe, recipe_yaml(recipe), empty_artefact("rejected"), sample, Path("run"), assets
    )
    found = lxml.html.document_fromstring(made_page)
    for code in found.xpath("//script | //style | //pre"):
        code.getparent().remove(code)
    for cell in found.xpath("//dt | //li | //p"):
        cell.tail = " " + (cell.tail or "")
    return re.sub(r"\s+", " ", found.body.text_content())


@pytest.mark.parametrize(("words", "there", "absent"), SENTENCES, ids=[words[:60] for words, *_ in SENTENCES])
def test_a_sentence_is_there_when_it_is_so(words, there, absent):
    for made in there:
        assert words in text(made)
    for made in absent:
        assert words not in text(made)


def test_what_the_encoder_saw_is_worth_knowing():
    assert f"Worth knowing {NOTE}" in text(PLAIN, note=NOTE)
    assert NOTE not in text(PLAIN)


def test_the_examples_say_how_they_were_drawn():
    assert "All 4 queries." in text(PLAIN)
    some = text(PLAIN, ("random", "random", "reason", "gap"))
    assert "4 of 4 queries: 2 drawn at random, 1 to show each reason and 1 with the smallest gaps." in some
    without = text(PLAIN, ("random", "gap"))
    assert "2 of 4 queries: 1 drawn at random and 1 with the smallest gaps." in without


@pytest.mark.parametrize("words", ALWAYS)
def test_what_every_page_says_is_shown_by_a_test(words):
    if ALWAYS[words] is not None:
        file, _, name = ALWAYS[words].partition("::")
        assert f"def {name}(" in (Path(__file__).parents[2] / file).read_text()
    assert all(words in text(made) for made in (PLAIN, NO_DEV, of(format="pair"), of(UNRANKED | JUDGED)))


def test_every_sentence_of_the_template_is_in_a_table_above():
    template = (files("minerkit.reports.page") / "page.html").read_text("utf-8")
    paragraphs = re.findall(r"<p[^>]*>(.*?)</p>|<li>(.*?)</li>|figure\(\"\w+\", \"(.*?)\"\)", template, re.S)
    plain = re.sub(r"<[^>]+>", " ", "\n".join("".join(found) for found in paragraphs))
    pieces = [re.sub(r"\s+", " ", piece).strip() for piece in re.split(r"\{[{%].*?[%}]\}|\n|(?<=\.) ", plain)]
    known = " ".join([*(words for words, *_ in SENTENCES), *ALWAYS, *OTHERS])
    said = [piece for piece in pieces if len(piece.split()) > 2]
    assert [piece for piece in said if piece[:40] not in known] == []


#: What the page says of itself.
OTHERS = [
    "drawn at random", "to show each reason", "with the smallest gaps.", "Made by minerkit",
    "Texts are cut at", "Looking through the examples needs JavaScript; everything above does not.",
    "All of them are in rejected.parquet .", "minerkit report", "Yield, from raw rows to training rows",
]  # fmt: skip
