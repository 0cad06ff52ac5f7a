import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.corpus.split import assign_splits
from minerkit.errors import SourceError
from minerkit.recipe.recipe import Split
from minerkit.sources.records import Entry, entries
from minerkit.text.normalisation import match_key
from minerkit.text.shingles import jaccard
from tests.support.cleaning import cleaned, keyed, links_of_texts

NO_LINKS = pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64})
NO_GROUPS = pl.DataFrame(schema={"id": pl.String, "group": pl.String})
LONG = "hard boiled eggs keep for about a week in the refrigerator, peeled or not, and longer when frozen"
#: Spelling variants and near-duplicates in both roles, and plain ones.
TEXTS = [
    "What is AI", "what is ai?", "ＷＨＡＴ is AI",
    LONG, LONG.replace("week", "weak"), LONG.replace("peeled", "Peeled") + "!",
    "ice", "Ice.", *(f"plain text {letter}" for letter in "abcdefghijklmnopqrst"),
]  # fmt: skip


def collection(rows: list[tuple[str, str]]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    found = [Entry(query, document, 1, None, None, "x") for query, document in rows]
    return cleaned(entries(found))[:3]


def distinct(count: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """So many queries that share nothing."""
    return collection([(f"question {i}", f"answer {i}") for i in range(count)])


def split(
    found: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], dev: int, seed: int = 12
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return assigned(*found, NO_GROUPS, Split(dev_queries=dev, seed=seed))


def assigned(queries, corpus, qrels, groups, chosen) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = links_of_texts(queries["text"], corpus["text"])
    made = assign_splits(*keyed(found, queries, corpus), qrels, found.links, groups, chosen)
    return made[0].drop("key"), made[1].drop("key")


def held(queries: pl.DataFrame) -> list[str]:
    return queries.filter(pl.col("split") == "dev")["query_id"].to_list()


@given(
    rows=st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)), min_size=4, max_size=14),
    dev=st.integers(1, 5),
    seed=st.integers(0, 5),
)
def test_no_text_and_no_near_duplicate_stands_on_both_sides(rows, dev, seed):
    found = collection(rows)
    try:
        queries, corpus = split(found, dev, seed)
    except SourceError:
        return
    texts = pl.concat([queries.select("text", "split"), corpus.select("text", "split")])
    train, heldout = (texts.filter(pl.col("split") == side)["text"] for side in ("train", "dev"))
    assert not {*match_keys(train)} & {*match_keys(heldout)}
    both = pl.concat([train, heldout])
    across = np.array(
        list(itertools.product(range(len(train)), range(len(train), len(both)))), np.int64
    ).reshape(-1, 2)
    assert (jaccard(both, across) < 0.9).all()
    sides = found[2].join(queries, on="query_id").join(corpus, on="doc_id", suffix="_doc")
    assert sides["split"].to_list() == sides["split_doc"].to_list()
    assert len(held(queries)) <= dev


def match_keys(texts: pl.Series) -> list[str]:
    return texts.to_frame("text").select(match_key(pl.col("text")))["text"].to_list()


@pytest.mark.parametrize("dev", [1, 7, 39])
def test_as_many_dev_queries_as_wanted_where_nothing_is_shared(dev):
    queries, corpus = split(distinct(40), dev)
    assert len(held(queries)) == dev
    assert (corpus["split"] == "dev").sum() == dev


@given(st.integers(0, 50))
def test_as_many_dev_queries_as_wanted_where_only_some_share_texts(seed):
    shared = [(f"shared {i}", "one answer") for i in range(5)]
    queries, _ = split(collection([*shared, *((f"q {i}", f"a {i}") for i in range(9))]), 7, seed)
    assert len(held(queries)) == 7


def test_queries_that_share_a_positive_go_together():
    queries, _ = split(collection([("a", "one"), ("b", "one"), ("c", "two"), ("d", "two")]), 3)
    assert held(queries) in (["q0000001", "q0000002"], ["q0000003", "q0000004"])


def test_near_duplicate_answers_tie_their_queries():
    rows = [("a", LONG), ("b", LONG.replace("week", "weak")), ("c", "soup"), ("d", "soup")]
    queries, _ = split(collection(rows), 3)
    assert held(queries) in (["q0000001", "q0000002"], ["q0000003", "q0000004"])


def test_a_query_that_is_another_ones_answer_goes_with_it():
    rows = [("tea", "Milk"), ("milk?", "cow"), ("ice", "cold"), ("water", "cold")]
    queries, _ = split(collection(rows), 3)
    assert held(queries) in (["q0000001", "q0000002"], ["q0000003", "q0000004"])


def test_without_dev_queries_all_is_train():
    queries, corpus = split(distinct(3), 0)
    assert set(queries["split"]) == set(corpus["split"]) == {"train"}


def test_the_same_seed_gives_the_same_split():
    assert held(split(distinct(60), 20)[0]) == held(split(distinct(60), 20)[0])


def test_another_seed_gives_another_split():
    assert held(split(distinct(60), 20, seed=1)[0]) != held(split(distinct(60), 20, seed=2)[0])


def test_rows_and_columns_stay_as_they_were():
    found = distinct(5)
    queries, corpus = split(found, 2)
    assert queries.drop("split").equals(found[0])
    assert corpus.drop("split").equals(found[1])


@pytest.mark.parametrize("dev", [4, 5])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(dev):
    with pytest.raises(
        SourceError, match=rf"split\.dev_queries={dev} leaves nothing to train on: .* 4 queries"
    ):
        split(distinct(4), dev)


def test_a_corpus_that_cannot_be_split_is_refused():
    rows = [("a", "one"), ("b", "one"), ("c", "two"), ("d", "two")]
    with pytest.raises(SourceError, match=r"no query can be held out.* smallest connected set has 2 queries"):
        split(collection(rows), 1)


def test_linked_texts_are_queries_and_documents():
    queries, corpus, _ = collection([(LONG, "soup"), ("ice", LONG.replace("week", "weak") + "?")])
    found = links_of_texts(queries["text"], corpus["text"])
    assert found.keys.to_list() == [0, 1, 2, 3]
    assert found.links.rows() == [(0, 3)]


def test_it_does_not_matter_where_texts_are_and_how_many_come_at_a_time(tmp_path):
    column = pl.Series([text + end for text in TEXTS for end in ("", "?", " more")])
    whole = links_of_texts(column)
    parts = links_of_texts(
        *(column[at : at + 5] for at in range(0, len(column), 5)), memory=0, folder=tmp_path
    )
    assert len(whole.links) > 1
    assert parts.keys.equals(whole.keys)
    assert parts.links.equals(whole.links)


def test_equal_match_keys_need_no_link():
    queries, corpus, _ = collection([("Ice", "soup"), ("tea", "ice?")])
    found = links_of_texts(queries["text"], corpus["text"])
    assert found.links.is_empty()
    assert found.keys.to_list() == [0, 1, 2, 0]


def test_without_a_threshold_nothing_is_linked():
    queries, corpus, _ = collection([(LONG, LONG.replace("week", "weak"))])
    links = links_of_texts(queries["text"], corpus["text"], threshold=None).links
    assert links.is_empty()
    assert links.schema == {"left": pl.UInt32, "right": pl.UInt32}


def grouped(rows: list[tuple], dev: int, seed: int = 12) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Split (query, document, group) rows by group; without a query, the document is only there."""
    found = [Entry(q, d, None if q is None else 1, None if q is None else g, g, "x") for q, d, g in rows]
    whole = cleaned(entries(found))
    groups = pl.concat([whole.query_groups, whole.doc_groups]).unique(maintain_order=True)
    return (*assigned(*whole[:3], groups, Split(dev_queries=dev, seed=seed, by="group")), groups)


def test_a_group_is_held_out_whole_with_its_unjudged_documents():
    rows = [(f"question {g} {i}", f"answer {g} {i}", f"g{g}") for g in range(5) for i in range(3)]
    rows += [(None, f"loose text {g}", f"g{g}") for g in range(5)]
    queries, corpus, _ = grouped(rows, dev=6)
    for frame in (queries, corpus):
        sides = frame.group_by("group").agg(pl.col("split").n_unique())
        assert sides["split"].to_list() == [1] * 5
    assert len(held(queries)) == 6
    assert len(corpus.filter(pl.col("split") == "dev")) == 8


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([*TEXTS, None]), st.sampled_from(TEXTS), st.sampled_from("abcdefgh")),
        min_size=6,
        max_size=16,
    ),
    dev=st.integers(1, 4),
    seed=st.integers(0, 3),
)
def test_nothing_of_a_dev_group_is_in_train(rows, dev, seed):
    try:
        queries, corpus, groups = grouped(rows, dev, seed)
    except SourceError:
        return
    sides = pl.concat(
        [
            queries.select("split", id="query_id", text="text"),
            corpus.select("split", id="doc_id", text="text"),
        ]
    )
    member = groups.join(sides, on="id")
    assert (
        member.group_by("group").agg(pl.col("split").n_unique())["split"].to_list()
        == [1] * member["group"].n_unique()
    )
    keys = sides.with_columns(key=match_key(pl.col("text")))
    assert (keys.group_by("key").agg(pl.col("split").n_unique())["split"] == 1).all()


def test_groups_that_are_not_there_cannot_be_held_out():
    queries, corpus, qrels = distinct(10)
    with pytest.raises(SourceError, match=r"source\.group"):
        assigned(queries, corpus, qrels, NO_GROUPS, Split(dev_queries=2, by="group"))


def test_documents_of_no_query_are_dealt_out_in_the_proportion_of_the_queries():
    found = [Entry(f"question {i}", f"answer {i}", 1, None, None, "x") for i in range(50)]
    found += [Entry(None, f"loose text number {i}", None, None, None, "x") for i in range(1000)]
    _, documents = assigned(*cleaned(entries(found))[:3], NO_GROUPS, Split(dev_queries=10))
    dev = documents.filter(pl.col("text").str.starts_with("loose") & (pl.col("split") == "dev"))
    assert 150 < len(dev) < 250
