import csv
import io
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Source
from minerkit.sources.formats import captions
from minerkit.sources.formats.captions import PAIRINGS
from minerkit.sources.reader import read
from minerkit.text.normalisation import normalise
from tests.support.reading import fault, put

TABLE = """item,text
lamp,A brass desk lamp.
lamp,"Desk lamp, brass, adjustable"
chair,Oak dining chair
lamp,Adjustable reading light
chair,Wooden chair for the dining room
mug,Blue mug
"""


def spec(path: Path | str, **keys) -> Source:
    return Source.model_validate({"path": str(path), "format": "captions", "group": "item", **keys})


def found(source: Source) -> tuple[list[tuple], list[tuple]]:
    """Entries as (query, document, relevance, group, place), and rejected rows as (place, reason, text)."""
    (batch,) = read(source.model_copy(update={"max_bad": 1.0}))
    entries = batch.entries
    assert entries["query_group"].drop_nulls().equals(entries.drop_nulls("query")["group"])
    kept = entries.select("query", "document", "relevance", "group", "source").rows()
    return kept, batch.rejected.select("source", "reason", "text").rows()


def pairs(source: Source) -> list[tuple]:
    return [row[:2] for row in found(source)[0] if row[0] is not None]


# --- what is paired --------------------------------------------------------------------------------------


def test_captions_of_one_item_are_paired_with_their_group_and_places(tmp_path):
    kept, rejected = found(spec(put(tmp_path, "a.csv", TABLE), pairing="once"))
    assert kept == [
        ("A brass desk lamp.", "Desk lamp, brass, adjustable", 1, "lamp", "a.csv:2 a.csv:3"),
        ("A brass desk lamp.", "Adjustable reading light", 1, "lamp", "a.csv:2 a.csv:5"),
        ("Desk lamp, brass, adjustable", "Adjustable reading light", 1, "lamp", "a.csv:3 a.csv:5"),
        ("Oak dining chair", "Wooden chair for the dining room", 1, "chair", "a.csv:4 a.csv:6"),
        (None, "Blue mug", None, "mug", "a.csv:7"),
    ]
    assert rejected == []


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        ("all", ["ab", "ac", "ba", "bc", "ca", "cb"]),
        ("once", ["ab", "ac", "bc"]),
        ("next", ["ab", "bc", "ca"]),
        ("first", ["ab", "ac"]),
    ],
)
def test_each_pairing_gives_the_pairs_it_names(tmp_path, pairing, expected):
    file = put(tmp_path, "a.csv", "item,text\n1,a\n1,b\n1,c\n")
    assert ["".join(pair) for pair in pairs(spec(file, pairing=pairing))] == expected


@pytest.mark.parametrize("pairing", ["all", "next"])
def test_two_captions_are_each_others_positives(tmp_path, pairing):
    file = put(tmp_path, "a.csv", "item,text\n1,a\n1,b\n")
    assert pairs(spec(file, pairing=pairing)) == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize("extension", ["jsonl", "json", "parquet"])
def test_a_list_of_captions_is_an_item_where_no_column_names_one(tmp_path, extension):
    rows = [{"captions": ["a", "b"]}, {"captions": ["c", "d", "e"]}, {"captions": ["f"]}]
    file = tmp_path / f"a.{extension}"
    if extension == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        lines = [json.dumps(row) for row in rows]
        file.write_text("\n".join(lines) if extension == "jsonl" else f"[{','.join(lines)}]")
    kept, _ = found(spec(file, group=None, text="captions", pairing="first"))
    place = {"jsonl": "a.jsonl:{}", "json": "a.json[{}]", "parquet": "a.parquet[{}]"}[extension]
    one, two, three = (place.format(number + (extension == "jsonl")) for number in range(3))
    assert kept == [
        ("a", "b", 1, one, one),
        ("c", "d", 1, two, two),
        ("c", "e", 1, two, two),
        (None, "f", None, three, three),
    ]


def test_lists_of_one_item_in_several_rows_belong_together(tmp_path):
    rows = [{"item": 7, "text": ["a", "b"]}, {"item": 7.0, "text": "c"}, {"item": "8", "text": ["d"]}]
    file = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert pairs(spec(file, pairing="once")) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_rows_of_files_of_one_name_are_items_of_their_own(tmp_path):
    for folder, caption in (("x", "a"), ("y", "b")):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, "c.jsonl", json.dumps({"captions": [caption, caption * 2]}))
    kept, _ = found(spec(tmp_path, group=None, text="captions", pairing="once"))
    assert [row[:2] + row[3:] for row in kept] == [
        ("a", "aa", "x/c.jsonl:1", "x/c.jsonl:1"),
        ("b", "bb", "y/c.jsonl:1", "y/c.jsonl:1"),
    ]


def test_a_table_without_header_and_with_tabs_is_read(tmp_path):
    file = put(tmp_path, "a.tsv", '1\ta "b"\n1\tc\n')
    assert pairs(spec(file, columns=["item", "text"], pairing="once")) == [('a "b"', "c")]


def test_limit_counts_rows(tmp_path):
    file = put(tmp_path, "a.csv", TABLE)
    assert len(pairs(spec(file, limit=2, pairing="once"))) == 1


# --- what is rejected ------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "  ", "\u3000", "\u200b"])
def test_blank_captions_are_rejected_with_their_place(tmp_path, blank):
    file = put(tmp_path, "a.csv", f"item,text\n1,a\n1,{blank}\n1,b\n")
    kept, rejected = found(spec(file, pairing="once"))
    assert [row[:2] for row in kept] == [("a", "b")]
    assert [row[:2] for row in rejected] == [("a.csv:3", "blank caption")]


@pytest.mark.parametrize("empty", ["[]", "null", '[""]', "[null]"])
def test_a_row_without_captions_is_rejected(tmp_path, empty):
    file = put(tmp_path, "a.jsonl", f'{{"text": ["a", "b"]}}\n{{"text": {empty}}}\n')
    kept, rejected = found(spec(file, group=None, pairing="once"))
    assert len(kept) == 1
    assert rejected == [("a.jsonl:2", "blank caption", "")]


@pytest.mark.parametrize("again", ["A cup", "a  CUP", "Ａ cup", "A cup.", "A\u200b cup"])
def test_a_caption_the_item_has_already_is_rejected(tmp_path, again):
    file = put(tmp_path, "a.csv", f"item,text\n1,A cup\n1,{again}\n1,b\n2,A cup\n2,c\n")
    kept, rejected = found(spec(file, pairing="once"))
    assert [row[:2] for row in kept] == [("A cup", "b"), ("A cup", "c")]
    assert rejected == [("a.csv:3", "caption the item has already", again)]


def test_rows_without_an_item_are_rejected(tmp_path):
    lines = ['{"item": "1", "text": "a"}', '{"text": "b"}', '{"item": " ", "text": "c"}']
    lines += ['{"item": ["1"], "text": "d"}', '{"item": 1, "text": "e"}']
    kept, rejected = found(spec(put(tmp_path, "a.jsonl", "\n".join(lines)), pairing="once"))
    assert [row[:2] for row in kept] == [("a", "e")]
    assert [row[:2] for row in rejected] == [(f"a.jsonl:{number}", "no item") for number in (2, 3, 4)]


def test_one_unreadable_caption_rejects_the_row(tmp_path):
    file = put(tmp_path, "a.jsonl", '{"text": ["a", "b"]}\n{"text": ["c", {"x": 1}]}\ncut\n')
    kept, rejected = found(spec(file, group=None, pairing="once"))
    assert [row[:2] for row in kept] == [("a", "b")]
    assert [row[:2] for row in rejected] == [
        ("a.jsonl:2", "not a text, or not UTF-8"),
        ("a.jsonl:3", "not JSON: Expecting value at character 1"),
    ]


def test_too_many_rows_without_an_item_are_one_clear_line(tmp_path):
    file = put(tmp_path, "a.csv", "item,text\n1,a\n1,\n1,b\n,c\n")
    assert fault(spec(file)).startswith(
        f"{file}: 1 of 4 rows cannot be read, more than source.max_bad=0.01 allows (first: a.csv:5: no item)"
    )


# --- what is refused -------------------------------------------------------------------------------------


def test_a_wrong_column_lists_those_there_are(tmp_path):
    file = put(tmp_path, "a.csv", TABLE)
    assert fault(spec(file, text="caption")) == (
        f"{file}: no column 'caption' (source.text); there are: item, text"
    )
    assert fault(spec(file, group="id")) == f"{file}: no column 'id' (source.group); there are: item, text"


def test_captions_without_lists_need_an_item(tmp_path):
    file = put(tmp_path, "a.csv", TABLE)
    assert fault(spec(file, group=None)) == (
        f"{file}: no row holds two captions; name the column of the item (source.group), or a column of "
        "lists (source.text, now 'text')"
    )


def test_items_of_one_caption_each_are_no_items(tmp_path):
    file = put(tmp_path, "a.csv", "item,text\n1,a\n2,b\n2,B.\n")
    assert fault(spec(file)) == (f"{file}: no two captions have one 'item'; does source.group name the item?")


def test_items_of_thousands_of_captions_are_no_items(tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "MOST_PAIRS", 20)
    rows = "".join(f"{number % 2},caption {number}\n" for number in range(8))
    file = put(tmp_path, "a.csv", f"item,text\n{rows}")
    assert fault(spec(file)) == (
        f"{file}: 24 pairs of captions, as one 'item' has 4; does source.group name the item? "
        "source.pairing=next gives one pair a caption"
    )
    assert len(pairs(spec(file, pairing="next"))) == 8


def test_an_empty_table_is_refused(tmp_path):
    assert "is empty: it has no rows" in fault(spec(put(tmp_path, "a.csv", "item,text\n")))


# --- invariants ------------------------------------------------------------------------------------------

CAPTIONS = st.lists(
    st.tuples(
        st.sampled_from(["", "1", "2", " 1 ", "３"]),
        st.sampled_from(["", " ", "a", "A", "a.", "ａ", "b", "b b", "b\n b", "c\u200b", "\u200b"]),
    ),
    max_size=12,
)


def wanted(captions: list[str], pairing: str) -> list[tuple[str, str]]:
    """What the docstring of Source.pairing says, word by word."""
    if pairing == "all":
        return [(one, other) for one in captions for other in captions if one != other]
    if pairing == "once":
        return list(itertools.combinations(captions, 2))
    if pairing == "next":
        return list(zip(captions, [*captions[1:], captions[0]], strict=True))
    return [(captions[0], other) for other in captions[1:]]


@given(CAPTIONS, st.sampled_from(sorted(PAIRINGS)))
def test_every_caption_is_paired_within_its_item_or_rejected(rows, pairing):
    rows = [*rows, ("x", "one"), ("x", "two")]  # a table without one pair is refused
    out = io.StringIO()
    csv.writer(out).writerows([("item", "text"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        kept, rejected = found(spec(put(Path(folder), "a.csv", out.getvalue()), pairing=pairing))
    assert len({place for row in kept for place in row[4].split()} | {row[0] for row in rejected}) == len(
        rows
    )
    items: dict[str, dict[str, str]] = {}
    reasons = []
    for item, text in rows:
        key = normalise(text).lower().rstrip(".")
        own = items.setdefault(item.strip(), {})
        if not item.strip():
            reasons.append("no item")
        elif not key:
            reasons.append("blank caption")
        elif key in own:
            reasons.append("caption the item has already")
        else:
            own[key] = text
    assert Counter(row[1] for row in rejected) == Counter(reasons)
    for item, own in items.items():
        captions = list(own.values())
        judged = [row[:2] for row in kept if row[3] == item and row[2] is not None]
        alone = [row[1] for row in kept if row[3] == item and row[2] is None]
        assert judged == (wanted(captions, pairing) if len(captions) > 1 else [])
        assert alone == (captions if len(captions) == 1 else [])


# --- real corpora ----------------------------------------------------------------------------------------


def test_fashion_iq(real_data):
    source = spec(real_data / "fashion_iq/captions/cap.dress.train.json", group=None, text="captions")
    (batch,) = read(source)
    judged = batch.entries.drop_nulls("query")
    assert batch.rows == 5985
    assert len(judged) + 2 * batch.entries["query"].null_count() == 2 * 5985
    assert set(batch.rejected["reason"]) == {"caption the item has already"}
    assert (judged["query"] != judged["document"]).all()


def test_audiocaps(real_data):
    (batch,) = read(spec(real_data / "audiocaps/test.csv", group="youtube_id", text="caption"))
    assert batch.rows == 4875
    assert batch.entries["group"].n_unique() == 975
    sizes = batch.entries.group_by("group").agg(pl.col("document").n_unique())["document"]
    assert sizes.min() >= 2
    assert sizes.max() == 5
