import os
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.load import bundled
from minerkit.sources.documents.reader import Document, read_documents
from minerkit.sources.documents.versions import reissue_groups
from minerkit.text.shingles import jaccard

REPORTS = bundled("recipes") / "samples" / "semiconductor-zh" / "reports"


def report(seed, words=200):
    return " ".join(f"word{number}" for number in np.random.default_rng(seed).integers(10**6, size=words))


def test_versions_of_a_report_are_one_group():
    first, other = report(1), report(2)
    second = " ".join([*first.split()[:170], *report(3, 40).split()])
    assert reissue_groups([first, other, second, other + " The end."]) == [0, 1, 0, 1]


def test_versions_are_linked_through_each_other():
    parts = [report(seed, 60) for seed in range(6)]
    chain = [" ".join(parts[start : start + 4]) for start in range(3)]
    first_and_last = jaccard(pl.Series(chain), np.array([[0, 2]]))[0]
    assert first_and_last < 0.5
    assert reissue_groups(chain) == [0, 0, 0]


def test_the_threshold_is_compared_with_the_exact_similarity():
    first = report(1)
    second = " ".join(first.split()[:150]) + " " + report(2, 50)
    bare = pl.Series(["".join(first.split()), "".join(second.split())])
    similarity = jaccard(bare, np.array([[0, 1]]))[0]
    assert reissue_groups([first, second], similarity) == [0, 0]
    assert reissue_groups([first, second], np.nextafter(similarity, 1)) == [0, 1]


def test_blanks_width_and_case_do_not_matter():
    text = report(3)
    assert reissue_groups([text, text.upper().replace(" ", "\n  "), "".join(text.split())]) == [0, 0, 0]


def test_simplified_and_traditional_twins_are_one_group():
    opencc = pytest.importorskip("opencc")
    text = (REPORTS / "silicon-wafers.md").read_text()
    traditional = opencc.OpenCC("s2t").convert(text)
    assert traditional != text
    assert reissue_groups([text, report(1), traditional], 0.9) == [0, 1, 0]


@pytest.mark.parametrize("texts", [[], ["alone"], ["one", "two", "three"]])
def test_reports_that_are_like_no_other_stand_alone(texts):
    assert reissue_groups(texts) == list(range(len(texts)))


@given(st.lists(st.integers(0, 4), max_size=8))
def test_equal_reports_point_to_the_first(seeds):
    assert reissue_groups([report(seed, 40) for seed in seeds], 1.0) == [seeds.index(seed) for seed in seeds]


@pytest.mark.slow
def test_groups_do_not_depend_on_the_hash_seed():
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from tests.sources.documents.test_versions import report, reissue_groups\n"
        "texts = [report(seed // 2) + report(seed, 60 + seed) for seed in range(40)]\n"
        "print(reissue_groups(texts, 0.6))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "7")
    }
    assert len(found) == 1
    assert len(set(re.findall(r"\d+", found.pop()))) not in (1, 40)


def read(folder):
    documents = [found for found in read_documents(str(folder)) if isinstance(found, Document)]
    return documents, [
        "\n".join(text for part in one.sections for text in part.paragraphs) for one in documents
    ]


def test_the_reissues_of_the_sample_are_found():
    pytest.importorskip("opencc")
    pytest.importorskip("trafilatura")
    documents, texts = read(REPORTS)
    found = [
        (documents[first].report, one.report)
        for one, first in zip(documents, reissue_groups(texts), strict=True)
    ]
    assert [pair for pair in found if pair[0] != pair[1]] == [
        ("inventory-cycle.md", "inventory-cycle_v2.md"),
        ("photoresist-v2.md", "photoresist.md"),
    ]


def test_real_reports_on_different_firms_are_not_grouped(real_data):
    pytest.importorskip("opencc")
    documents, texts = read(real_data / "semi_reports_zh")
    groups = reissue_groups(texts)
    assert len(groups) - len(set(groups)) == 2
    roadmaps = [place for place, one in enumerate(documents) if "roadmaps" in one.report]
    assert [groups[place] for place in roadmaps] == roadmaps
