import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minerkit.recipe.recipe import Source
from minerkit.sources.formats.matches import record_text
from minerkit.sources.reader import read
from minerkit.sources.records import Batch
from minerkit.text.normalisation import normalise
from tests.support.reading import fault, put, rejected


def record(**fields) -> str:
    return " ".join(f"COL {name} VAL {value}" for name, value in fields.items())


def row(left: str, right: str, label: object = 1) -> str:
    return f"{record(title=left)}\t{record(title=right)}\t{label}\n"


ROWS = (
    row("Canon 80D", "Canon EOS 80D body")
    + row("Canon EOS 80D body", "canon eos 80d")
    + row("Canon 80D", "Nikon D750", 0)
    + row("Nikon D750", "Nikon D750 DSLR", 1)
)


def spec(path: Path | str, **keys) -> Source:
    return Source.model_validate({"path": str(path), "format": "matches", **keys})


def batch(source: Source) -> Batch:
    (found,) = read(source.model_copy(update={"max_bad": 1.0}))
    assert found.rows == len(found.entries) + len(found.rejected)
    return found


def entries(source: Source) -> list[tuple]:
    return batch(source).entries.select("query", "document", "relevance", "source").rows()


# --- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["", ".gz"])
def test_labelled_pairs_become_judgements_with_their_place(tmp_path, packing):
    data = ROWS.encode()
    file = put(tmp_path, f"train.txt{packing}", gzip.compress(data) if packing else data)
    assert entries(spec(file)) == [
        ("Canon 80D", "Canon EOS 80D body", 1, f"{file.name}:1"),
        ("Canon EOS 80D body", "canon eos 80d", 1, f"{file.name}:2"),
        ("Canon 80D", "Nikon D750", 0, f"{file.name}:3"),
        ("Nikon D750", "Nikon D750 DSLR", 1, f"{file.name}:4"),
    ]


@pytest.mark.parametrize(
    ("label", "relevance"),
    [
        ("1", 1),
        ("0", 0),
        ("1.0", 1),
        ("-1", 0),
        (" 2 ", 2),
        ("True", 1),
        ("false", 0),
        ("2147483647", 2**31 - 1),
    ],
)
def test_labels_are_grades(tmp_path, label, relevance):
    assert entries(spec(put(tmp_path, "a.txt", row("a", "b", label))))[0][2] == relevance


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (row("a", "b", "yes"), "relevance is not a number"),
        (row("a", "b", ""), "relevance is not a number"),
        (row("a", "b", "nan"), "relevance is not a number"),
        (row("a", "b", "0.5"), "relevance is not a whole number"),
        (row("a", "b", "2147483648"), "relevance is not a whole number"),
        (
            "COL title VAL a\tCOL title VAL b\n",
            "2 fields, not 3: a record, a record and a label, separated by tabs",
        ),
        ("a\tCOL title VAL b\t1\n", "not a record: COL name VAL value is needed"),
        ("COL title VAL a\ttitle b\t1\n", "not a record: COL name VAL value is needed"),
        (row("a", "b").encode()[:-4] + b"\xff\t1\n", "invalid UTF-8"),
        (row("a", '""'), "a record without text"),
        (row("", "b"), "a record without text"),
    ],
)
def test_a_bad_row_says_why_and_no_other_is_lost(tmp_path, line, reason):
    raw = line if isinstance(line, bytes) else line.encode()
    source = spec(put(tmp_path, "a.txt", row("x", "y").encode() + raw + row("x", "z").encode()))
    assert [found[3] for found in entries(source)] == ["a.txt:1", "a.txt:3"]
    assert rejected(source) == [("a.txt:2", reason)]


def test_blank_lines_line_ends_and_byte_order_marks_are_no_text(tmp_path):
    data = "\ufeff" + row("a", "b").replace("\n", "\r\n") + "\r\n  \n" + row("a", "c").rstrip()
    assert entries(spec(put(tmp_path, "a.txt", data))) == [("a", "b", 1, "a.txt:1"), ("a", "c", 1, "a.txt:4")]


def test_limit_is_exact(tmp_path):
    put(tmp_path, "a.txt", ROWS)
    put(tmp_path, "b.txt", ROWS)
    assert [found[3] for found in entries(spec(tmp_path, limit=5))][3:] == ["a.txt:4", "b.txt:1"]
    assert batch(spec(tmp_path, limit=2)).rows == 2


# --- the text of a record --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"Canon 50mm f/1.8"@en, " Canon Lens "@en by CNET"@en', "Canon 50mm f/1.8 Canon Lens by CNET"),
        ('"Grip - Prijzen "@NL Tweakers"@NL', "Grip - Prijzen Tweakers"),
        ('"Sony Alpha"@en-US "Cameras | EISF"@en-US', "Sony Alpha Cameras | EISF"),
        ('"637414-B21 HP Xeon ", "Null" "New 637414-B21"', "637414-B21 HP Xeon New 637414-B21"),
        ('"637414-B21 HP Xeon", "Null" Price', "637414-B21 HP Xeon Price"),
        ('"Null", "333773-B21 HP Blade"', "333773-B21 HP Blade"),
        ("Ben &amp; Jerry&#39;s", "Ben & Jerry's"),
        ("mail@enno.example and me@en", "mail@enno.example and me@en"),
        ("a  b\u00a0 c", "a b c"),
        ("null and void", "null and void"),
        ("7.3 cu . ft , white", "7.3 cu . ft , white"),
        ('say"so', "say so"),
        ("24' and 5'6", "24' and 5'6"),
    ],
)  # fmt: skip
def test_language_tags_and_stray_quotes_are_no_text(value, text):
    assert record_text(record(title=value), None) == text


def test_fields_are_taken_in_the_order_asked_for():
    offer = record(title="Lens", brand="Canon", price="", note="new")
    assert record_text(offer, None) == "Lens Canon new"
    assert record_text(offer, ["brand", "title"]) == "Canon Lens"
    assert record_text(offer, ["price"]) == ""


def test_a_field_given_twice_is_kept_twice():
    assert record_text("COL title VAL a COL price VAL 3 COL title VAL b", ["title"]) == "a b"


def test_an_empty_last_field_needs_no_blank(tmp_path):
    data = "COL title VAL a COL price VAL\tCOL title VAL b COL price VAL \t1\n"
    assert entries(spec(put(tmp_path, "a.txt", data)))[0][:2] == ("a", "b")


def test_rows_without_the_chosen_field_are_rejected_and_do_not_count_as_unreadable(tmp_path):
    lines = [
        f"{record(title='a', price=price)}\t{record(title='b', price='2')}\t1" for price in ("", "1", "")
    ]
    (found,) = read(spec(put(tmp_path, "a.txt", "\n".join(lines)), fields=["price"]))
    assert found.bad == 0
    assert found.entries.select("query", "document").rows() == [("1", "2")]
    assert found.rejected["source"].to_list() == ["a.txt:1", "a.txt:3"]


def test_an_unknown_field_lists_those_there_are(tmp_path):
    file = put(tmp_path, "a.txt", f"{record(title='a', price='1')}\t{record(title='b', brand='c')}\t1\n")
    assert fault(spec(file, fields=["title", "name"])) == (
        f"{file}: no record has 'name' (source.fields); there are: title, price, brand"
    )


# --- files -----------------------------------------------------------------------------------------------


def test_what_else_is_in_a_folder_is_one_rejected_row_each(tmp_path):
    put(tmp_path, "README.md", "# Matches\n\nColumns.\n")
    put(tmp_path, "train.txt", ROWS)
    put(tmp_path, "empty.txt", "")
    source = spec(tmp_path)
    assert len(entries(source)) == 4
    assert rejected(source) == [
        ("README.md", "not a file of matches"),
        ("empty.txt", "not a file of matches"),
    ]
    assert batch(source).bad == 0


@pytest.mark.parametrize("names", [["a.txt"], ["a.txt", "b.txt"]])
def test_files_without_any_match_are_one_clear_line(tmp_path, names):
    for name in names:
        put(tmp_path, name, "some\ttext\t1\n")
    path = tmp_path if len(names) > 1 else tmp_path / "a.txt"
    assert fault(spec(path)).startswith(f"{path}: no line is a match: COL name VAL value ... <tab> ")


def test_an_empty_file_is_refused(tmp_path):
    assert "is empty: it has no rows" in fault(spec(put(tmp_path, "a.txt", "")))


def test_a_missing_file_is_one_clear_line(tmp_path):
    assert fault(spec(tmp_path / "no.txt")) == f"no file at {tmp_path}/no.txt (source.path, --input)"


def test_too_many_bad_rows_name_the_first(tmp_path):
    file = put(tmp_path, "a.txt", row("a", "b") + row("a", "") + row("a", "c", "yes"))
    assert "1 of 3 rows cannot be read" in fault(spec(file))
    assert "(first: a.txt:3: relevance is not a number)" in fault(spec(file))


# --- groups ----------------------------------------------------------------------------------------------


def groups(found: Batch) -> dict[str, set[str]]:
    """The groups of each normalised text."""
    named: dict[str, set[str]] = {}
    columns = ["query", "query_group", "document", "group"]
    for query, one, document, other in found.entries.select(columns).iter_rows():
        named.setdefault(normalise(query), set()).add(one)
        named.setdefault(normalise(document), set()).add(other)
    return named


def test_what_matches_a_match_is_in_its_group(tmp_path):
    named = groups(batch(spec(put(tmp_path, "a.txt", ROWS))))
    assert named["Canon 80D"] == named["Canon EOS 80D body"] == named["canon eos 80d"]
    assert named["Nikon D750"] == named["Nikon D750 DSLR"]
    assert named["Canon 80D"] != named["Nikon D750"]


def test_files_of_one_name_do_not_share_groups(tmp_path):
    for folder, left, right in (("x", "a", "b"), ("y", "c", "d")):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, "train.txt", row(left, right))
    named = groups(batch(spec(tmp_path)))
    assert named == {
        "a": {"x/train.txt:1"},
        "b": {"x/train.txt:1"},
        "c": {"y/train.txt:1"},
        "d": {"y/train.txt:1"},
    }


NAMES = st.sampled_from(["a", "b", "c", "d", "ｅ", "e", "f  g", "f g"])


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from([0, 1, 2])), min_size=1, max_size=12))
def test_groups_are_the_transitive_closure_of_matches(rows):
    with tempfile.TemporaryDirectory() as folder:
        data = "".join(row(*each) for each in rows)
        named = groups(batch(spec(put(Path(folder), "a.txt", data))))
    linked = {name: {name} for name in named}
    for left, right, label in rows:
        if label:
            both = linked[normalise(left)] | linked[normalise(right)]
            for name in both:
                linked[name] = both
    assert all(len(own) == 1 for own in named.values())
    for one, other in ((one, other) for one in named for other in named):
        assert (named[one] == named[other]) == (other in linked[one])


# --- real corpora ----------------------------------------------------------------------------------------


def test_cameras(real_data):
    found = batch(spec(real_data / "ditto_er/wdc/cameras/train.txt.small"))
    assert len(found.entries) == found.rows == 1409
    texts = found.entries["query"].to_list() + found.entries["document"].to_list()
    assert not [text for text in texts if '"' in text or "@en" in text or text != " ".join(text.split())]


def test_abt_buy(real_data):
    found = batch(spec(real_data / "ditto_er/er_magellan/Textual/Abt-Buy", fields=["name"]))
    assert len(found.entries) == found.rows == 9575
    assert (found.entries["relevance"] == 0).sum() == 8547
