"""The page in a real Chromium: search, filters, keyboard, phone and dark, no request, no harm from texts."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from minerkit.pipeline import commands as pipeline
from minerkit.recipe.recipe import Recipe
from minerkit.reports.page.write import write_report
from minerkit.storage.run_folder import load

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

ATTACKS = [
    ("<script>alert(1)</script>", "</script><img src=https://example.com/x.png onerror=alert(2)>"),
    ("<b>not bold</b> __proto__ constructor", "a plain answer, with <style>body{display:none}</style> in it"),
]


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def page_file(sample_pairs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    attacks = pl.DataFrame(ATTACKS, schema=["query", "positive"], orient="row")
    pl.concat([attacks, sample_pairs.head(120)]).write_parquet(folder / "pairs.parquet")
    recipe = {
        "name": "browsed",
        "source": {"path": str(folder / "pairs.parquet")},
        "encoder": {"model": "lsa"},
        "split": {"dev_queries": 10},
        "mine": {"negatives": 3, "absolute_margin": 0.02, "range_max": 6, "shortfall": "backfill"},
    }
    pipeline.mine(Recipe.model_validate(recipe), folder / "run", "cpu")
    write_report(load(folder / "run"), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not chromium():
        pytest.skip("no Chromium found; install one, or name it in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser, page_file) -> Iterator[Any]:
    """The page, opened; a test fails if it says anything on the console or asks for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, heard, asked = context.new_page(), [], []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: asked.append(request.url))
    opened.clock.install()  # a search waits for more letters: the test says when that time is over
    opened.goto(page_file.as_uri())
    yield opened
    assert heard == []
    assert asked == [page_file.as_uri()]
    context.close()


def queries(page) -> list[str]:
    return page.locator("#list .query").all_inner_texts()


def found(page) -> int:
    """Read how many queries the live region announces, once a search has settled."""
    page.clock.run_for(200)
    return int(page.inner_text("#count").split()[0].replace(",", ""))


def open_all(page) -> None:
    """Open every query shown; the browser fills them in an event of its own, so wait for all of them."""
    page.click("#toggle")
    sync_api.expect(page.locator("#list .hits:empty")).to_have_count(0)


def test_a_script_as_a_question_shows_as_text(page):
    page.fill("input[name=find]", "<script>alert(1)")
    assert found(page) >= 1
    assert "<script>alert(1)</script>" in queries(page)
    page.select_option("select[name=order]", "id")
    open_all(page)
    assert "<img src=https://example.com/x.png onerror=alert(2)>" in page.inner_text("#list")
    assert page.locator("#list script, #list img, #list style").count() == 0
    assert "<script>alert(1)" in [mark.lower() for mark in page.locator("#list mark").all_inner_texts()]


@pytest.mark.slow
def test_search_finds_queries_and_documents_and_says_how_many(page):
    everything = found(page)
    page.fill("input[name=find]", "PROTO constructor")
    assert found(page) == 1
    assert queries(page) == ["<b>not bold</b> __proto__ constructor"]
    page.fill("input[name=find]", "plain answer, with")
    assert found(page) >= 1
    page.fill("input[name=find]", "no such words (anywhere")
    page.clock.run_for(200)
    assert page.inner_text("#count").startswith("No query fits")
    assert page.is_disabled("#after")
    page.click("#clear")
    assert found(page) == everything
    assert page.evaluate("document.activeElement.name") == "find"


@pytest.mark.slow
def test_filters_by_reason_split_and_source(page):
    everything = found(page)
    for name in ("reason", "split", "source"):
        values = page.locator(f"select[name={name}] option").evaluate_all("all => all.map(o => o.value)")[1:]
        assert values, name
        for value in values:
            page.select_option(f"select[name={name}]", value)
            assert 0 < found(page) <= everything
            open_all(page)
            if name == "reason":
                shown = page.locator("#list > li").all_inner_texts()
                assert all(value in text for text in shown)
            page.click("#clear")
    page.select_option("select[name=split]", "dev")
    assert found(page) == 10


@pytest.mark.slow
def test_the_order_by_gap_goes_both_ways_and_over_pages(page):
    def gaps() -> list[str]:
        metas = page.locator("#list summary .meta").all_inner_texts()
        return [meta.split(",")[0].removeprefix("gap ").replace("−", "-") for meta in metas]

    def ordered(texts: list[str], reverse: bool = False) -> list[str]:
        numbers = sorted((text for text in texts if text != "none"), key=float, reverse=reverse)
        return numbers + [text for text in texts if text == "none"]

    rising = gaps()
    while page.is_enabled("#after"):
        page.click("#after")
        rising += gaps()
    assert len(rising) == found(page) > 100
    assert rising == ordered(rising)
    page.select_option("select[name=order]", "-gap")
    page.clock.run_for(200)
    assert gaps() == ordered(rising, reverse=True)[:20]
    assert page.inner_text("#place").startswith("1 of")


def test_everything_is_reached_by_keyboard_with_the_focus_in_sight(page):
    seen, unseen = set(), []
    for _ in range(120):
        page.keyboard.press("Tab")
        state = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            const seen = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0;
            return [e.id || e.name || e.tagName, seen]; }"""
        )
        seen.add(state[0])
        if state[0] != "BODY" and not state[1]:
            unseen.append(state[0])
    assert {"find", "reason", "order", "toggle", "clear", "SUMMARY", "after"} <= seen
    assert not unseen
    page.locator("#list summary").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#list details").nth(1).evaluate("details => details.open")
    assert "Positive" in page.locator("#list details").nth(1).inner_text()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        pytest.param(390, "dark", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
def test_accessible_and_within_the_screen(browser, page_file, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 60) == (scheme == "dark")
    violations = axe.Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    context.close()


def test_without_scripts_everything_but_the_examples_is_there(browser, page_file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("svg.chart:visible").count() == 4
    assert "needs JavaScript" in page.inner_text("#examples")
    assert not page.is_visible("#browser")
    context.close()
