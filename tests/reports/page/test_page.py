"""The page of a run: every number from stats.json, every text escaped, a sample that keeps to its size."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import lxml.html
import polars as pl
import pytest
from hypothesis import given

from minerkit.errors import RunError
from minerkit.pipeline import commands as pipeline
from minerkit.recipe.recipe import Recipe
from minerkit.reports.page.charts import tag, widths
from minerkit.reports.page.figures import look_up, pointer, shown
from minerkit.reports.page.page import embedded
from minerkit.reports.page.sample import sample_examples
from minerkit.reports.page.write import FRAMES, write_report
from minerkit.storage.run_folder import load

ATTACKS = [
    ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)> is not an answer"),
    ('"><svg onload=alert(3)>', "line one\nline two\u2028line three & <b>bold</b>"),
    ("{{ 7 * 7 }}{% raw %}", "\u202eright to left\u202c &lt;escaped&gt; \x00nul"),
]


def mined(pairs: pl.DataFrame, folder: Path, **sections) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pairs.write_parquet(folder / "pairs.parquet")
    base = {
        "name": "paged",
        "source": {"path": str(folder / "pairs.parquet")},
        "encoder": {"model": "lsa"},
        "split": {"dev_queries": 8},
        **sections,
    }
    out = folder / "a <b>run</b> & more"
    pipeline.mine(Recipe.model_validate(base), out, "cpu")
    return out


@pytest.fixture(scope="module")
def run(sample_pairs, tmp_path_factory) -> Path:
    attacks = pl.DataFrame(ATTACKS, schema=["query", "positive"], orient="row")
    pairs = pl.concat([sample_pairs.head(150), attacks, sample_pairs.head(2)])
    return mined(pairs, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(run) -> lxml.html.HtmlElement:
    write_report(load(run), run / "report.html")
    return lxml.html.document_fromstring((run / "report.html").read_text())


def tables(run: Path) -> dict[str, pl.DataFrame]:
    return {name: load(run).read(f"{name}.parquet") for name in FRAMES}


def data(page: lxml.html.HtmlElement) -> dict:
    return json.loads(page.get_element_by_id("data").text)


def test_every_number_shown_is_the_one_in_stats_json(run, page):
    stats = json.loads((run / "stats.json").read_text())
    places = page.xpath("//*[@data-stat]")
    assert len(places) > 200
    for element in places:
        value, text = look_up(stats, element.get("data-stat")), element.text_content().replace("−", "-")
        style = element.get("data-style")
        if style == "text":
            assert text == value
        elif style == "share":
            assert float(text.removesuffix("%")) == pytest.approx(100 * value, abs=0.0501)
        elif style == "score":
            assert float(text) == pytest.approx(value, abs=0.000501)
        else:
            assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-3), element.get("data-stat")


def test_no_number_stands_on_the_page_by_itself(page):
    """Other digits are names, commands, scales, or say how the page itself was made."""
    own = (
        "//script | //style | //*[@data-stat] | //code | //footer | //*[contains(@class,'tick')]"
        " | //table//th"
        " | //*[@class='rule'] | //*[@class='about'] | //*[@class='texts'] | //desc | //select"
        " | //div[dt='source']"
    )
    for element in page.xpath(own):
        element.tail, tail = None, element.tail
        parent = element.getparent()
        previous = element.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + (tail or "")
        else:
            parent.text = (parent.text or "") + (tail or "")
        parent.remove(element)
    text = page.body.text_content().replace("in the first 10", "")
    assert not re.findall(r"[^\n]*\d[^\n]*", text)


@pytest.fixture
def page_again(run) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring((run / "report.html").read_text())


def test_texts_cannot_leave_their_place(run, page_again):
    source = (run / "report.html").read_text()
    assert "alert(1)</script>" not in source
    assert "onerror=alert" not in re.sub(
        r'<script type="application/json".*?</script>', "", source, flags=re.S
    )
    assert [script.get("type") for script in page_again.xpath("//script")] == ["application/json", None]
    assert not page_again.xpath("//img | //svg[@onload] | //b[text()='bold']")
    assert not [name for element in page_again.iter() for name in element.attrib if name.startswith("on")]
    texts = {query["text"] for query in data(page_again)["queries"]}
    assert {query for query, _ in ATTACKS} <= texts
    assert page_again.get_element_by_id("check").text == f"minerkit audit '{run}'"


def test_the_page_asks_for_nothing_and_forbids_all_else(page_again):
    assert not page_again.xpath("//*[@src] | //link | //iframe | //object | //*[@style]")
    assert all(link.startswith("#") for link in page_again.xpath("//@href"))
    policy = page_again.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_headings_descend_one_by_one_and_charts_are_named(page_again):
    levels = [int(heading.tag[1]) for heading in page_again.xpath("//h1 | //h2 | //h3 | //h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = page_again.xpath("//@id")
    assert len(ids) == len(set(ids))
    charts = page_again.xpath("//svg[not(ancestor-or-self::*[@aria-hidden='true']) and not(ancestor::svg)]")
    assert len(charts) == 4
    for chart in charts:
        assert chart.get("role") == "img"
        assert all(page_again.get_element_by_id(name).text for name in chart.get("aria-labelledby").split())


def test_a_query_is_shown_with_all_that_was_decided_about_it(run, page_again):
    shown_ = data(page_again)
    frames = {
        name: load(run).read(f"{name}.parquet") for name in ("corpus", "judged", "negatives", "candidates")
    }
    text_of = dict(frames["corpus"].select("doc_id", "text").rows())
    assert len(shown_["queries"]) == len(load(run).read("queries.parquet"))
    for query in shown_["queries"]:
        here = {
            name: frame.filter(query_id=query["id"]) for name, frame in frames.items() if name != "corpus"
        }
        named = [(shown_["documents"][hit[0]][0], *hit[1:]) for hit in query["negatives"]]
        expected = here["negatives"].select("doc_id", "score", "rank", "source", "fill").rows()
        assert [(d, pytest.approx(s), *rest) for d, s, *rest in expected] == named
        positives = here["candidates"].filter(pl.col("relevance") > 0)
        gap = positives["score"].min() - here["negatives"]["score"].max() if named else None
        assert query["gap"] == (pytest.approx(gap, abs=2e-6) if named else None)
        rejected = here["judged"].drop_nulls("reason")
        assert len(query["rejected"]) + query["hidden"] == len(rejected)
        assert {hit[3] for hit in query["rejected"]} == set(rejected["reason"])
    for doc_id, text, *_ in shown_["documents"]:
        assert text == text_of[doc_id]


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(load(run), tmp_path / name, 40, 7)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    write_report(load(run), tmp_path / "c.html", 40, 8)
    assert (tmp_path / "a.html").read_bytes() != (tmp_path / "c.html").read_bytes()


def test_a_sample_is_half_random_and_holds_every_reason_and_the_smallest_gaps(run):
    frames = tables(run)
    first, last = pl.col("query_id") == frames["judged"]["query_id"][0], pl.col("query_id").is_last_distinct()
    margin = pl.when(first).then(pl.lit("margin")).otherwise("reason")
    rare = frames["judged"].with_columns(reason=pl.when(first & last).then(pl.lit("rare")).otherwise(margin))
    sample = sample_examples({**frames, "judged": rare}, 5, 60, 3)
    drawn = pl.Series([query["drawn"] for query in sample["queries"]]).value_counts()
    counts = dict(drawn.rows())
    assert sum(counts.values()) == 60
    assert counts["random"] == 30
    reasons = {hit[3] for query in sample["queries"] for hit in query["rejected"]}
    assert "rare" in reasons
    everything = sample_examples(frames, 5, 10_000, 3)["queries"]
    ids = {query["id"] for query in sample["queries"]}
    left = [query["gap"] for query in everything if query["id"] not in ids and query["gap"] is not None]
    gaps = [query["gap"] for query in sample["queries"] if query["drawn"] == "gap"]
    assert max(gaps) <= min(left)


def test_long_texts_are_cut_to_keep_the_page_small(run, monkeypatch):
    frames = tables(run)
    long = frames["corpus"].with_columns(pl.col("text") + "长文本" * 20_000)
    assert sample_examples({**frames, "corpus": long}, 5, 1000, 12)["cut"] == 2000
    monkeypatch.setattr("minerkit.reports.page.sample.BUDGET", 200_000)
    sample = sample_examples({**frames, "corpus": long}, 5, 1000, 12)
    assert sample["cut"] in (180, 240, 300, 400, 500)
    assert sum(len(document[1].encode()) for document in sample["documents"]) < 200_000
    for _, text, whole in sample["documents"]:
        assert text.endswith("…")
        assert sample["cut"] - 5 < len(text) <= sample["cut"] + 1
        assert whole > 60_000
    monkeypatch.undo()
    short = sample_examples(frames, 5, 1000, 12)
    assert all(len(document) == 2 for document in short["documents"])


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"mine": {"negatives": 3, "absolute_margin": 0, "range_max": 4, "shortfall": "drop"}},
            "queries dropped",
        ),
        (
            {"mine": {"negatives": 3, "absolute_margin": 0, "range_max": 4, "shortfall": "backfill"}},
            "backfilled as negatives",
        ),
        (
            {"mine": {"positive_ratio": 0.4}, "format": {"type": "triplet"}, "split": {"dev_queries": 0}},
            "train rows",
        ),
        ({"mine": {"max_score": -2.0, "shortfall": "keep"}}, "refused by max_score"),
    ],
    ids=["dropped", "backfilled", "triplets", "no negatives"],
)
def test_every_kind_of_run_has_a_page(sample_pairs, tmp_path, sections, words):
    lists = sample_pairs.head(40).group_by("query", maintain_order=True).agg("positive")
    lists = lists.with_columns(
        pl.col("positive").list.concat([pl.lit("another answer to ") + pl.col("query")])
    )
    run = mined(lists, tmp_path, **sections)
    write_report(load(run), run / "report.html")
    page = lxml.html.document_fromstring((run / "report.html").read_text())
    stats = json.loads((run / "stats.json").read_text())
    for element in page.xpath("//*[@data-stat]"):
        assert element.text_content() == shown(
            look_up(stats, element.get("data-stat")), element.get("data-style")
        )
    text = page.get_element_by_id("flow").text_content()
    assert "Pairs read" in text
    assert words in text
    fates = [query["fate"] for query in data(page)["queries"]]
    assert fates.count("dropped") == stats["yield"]["dropped_queries"]
    assert ("short" in fates) == any(part["short_queries"] for part in stats["splits"].values())


def test_a_run_of_an_earlier_minerkit_is_refused_with_the_command_that_mends_it(run, tmp_path):
    import shutil

    old = tmp_path / "run"
    shutil.copytree(run, old)
    stats = json.loads((old / "stats.json").read_text())
    del stats["histograms"]
    (old / "stats.json").write_text(json.dumps(stats))
    with pytest.raises(RunError, match=r"earlier minerkit; run `minerkit mine -r .*recipe\.yaml --out"):
        write_report(load(old), old / "report.html")


@pytest.mark.slow
def test_the_command_writes_the_page_and_says_where(run, tmp_path):
    def minerkit(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from minerkit.cli import main; main()", "report", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = minerkit(str(run), "--examples", "10", "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r".*page\.html: 10 of \d+ queries, \d\.\d MB\n", done.stdout)
    assert len(data(lxml.html.parse(tmp_path / "page.html").getroot())["queries"]) == 10
    for arguments, words in (
        (["nowhere"], "no run folder nowhere"),
        ([str(run), "--out", str(tmp_path / "no" / "page.html")], "choose another --out"),
        ([str(run), "--out", str(tmp_path)], "choose another --out"),
    ):
        done = minerkit(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert words in done.stderr


@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists, max_leaves=5))
def test_embedded_json_reads_back_and_holds_nothing_that_ends_a_script(value):
    text = str(embedded({"value": value}))
    assert json.loads(text) == {"value": value}
    assert not set(text) & set("<>&\u2028\u2029")


@given(st.text(), st.text())
def test_markup_of_charts_escapes_what_it_is_given(text, value):
    made = str(tag("text", text, class_=value))
    parsed = lxml.html.fragment_fromstring(made) if not set(text + value) & set("\x00\r") else None
    assert made.count("<") == made.count(">") == 2
    assert parsed is None or parsed.tag == "text"


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=12))
def test_a_bar_is_filled_and_every_part_can_be_seen(sizes):
    found = widths(sizes)
    assert [width > 0.3 for width in found] == [size > 0 for size in sizes]
    assert sum(found) == pytest.approx(100 if any(sizes) else 0)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_pointer_leads_to_its_value(keys):
    document: object = 7
    for key in reversed(keys):
        document = {key: document}
    assert look_up(document, pointer(*keys)) == 7
