import gzip
import hashlib
import json
import os
from pathlib import Path

import datasets
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.errors import SourceError
from minerkit.recipe.recipe import Source
from minerkit.sources import json_rows as json_tables
from minerkit.sources import records as rows
from minerkit.sources import tables
from minerkit.sources.dataset import open_dataset
from minerkit.sources.files import table_files
from minerkit.sources.formats import pairs as pair_rows
from minerkit.sources.reader import fingerprint, read
from tests.support.reading import fault, put

ROWS = [
    ("why is the sky blue?", "Air scatters blue light most."),
    ("半导体是什么？", "一种导电性介于导体与绝缘体之间的材料。"),
    ("what is 5 - 3", "2, of course"),
    ("who said “so”?", 'She said "so", twice.'),
    ("tabs?", "no \\t here"),
    ("emoji 😀", "fine 👍🏽"),
    ("trailing blank ", " leading blank"),
    ("{curly}", "[square]"),
    ("true", "false"),
    ("last", "one"),
]
QUERY, POSITIVE = "question", "answer"
KEPT = ["query", "document", "source"]


def json_lines(rows=ROWS) -> bytes:
    return "".join(json.dumps({QUERY: q, POSITIVE: p}, ensure_ascii=False) + "\n" for q, p in rows).encode()


def json_list(rows=ROWS) -> bytes:
    return json.dumps([{QUERY: q, POSITIVE: p} for q, p in rows], indent=1).encode()


def csv_table(rows=ROWS) -> bytes:
    frame = pl.DataFrame(rows, schema=[QUERY, POSITIVE], orient="row")
    return frame.write_csv().encode()


def tsv_table(rows=ROWS) -> bytes:
    return "".join(f"{q}\t{p}\n" for q, p in [(QUERY, POSITIVE), *rows]).encode()


def parquet(columns: dict) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return out.getvalue().to_pybytes()


def parquet_table(rows=ROWS) -> bytes:
    return parquet({QUERY: [q for q, _ in rows], POSITIVE: [p for _, p in rows]})


#: Extension -> the bytes of the ten rows, and where row i is said to stand.
WRITERS = {
    "jsonl": (json_lines, lambda i: f":{i + 1}"),
    "ndjson": (json_lines, lambda i: f":{i + 1}"),
    "json": (json_list, lambda i: f"[{i}]"),
    "csv": (csv_table, lambda i: f":{i + 2}"),
    "tsv": (tsv_table, lambda i: f":{i + 2}"),
    "parquet": (parquet_table, lambda i: f"[{i}]"),
}


def packed(data: bytes, packing: str) -> bytes:
    if packing == ".gz":
        return gzip.compress(data)
    return pa.compress(data, codec="zstd", asbytes=True) if packing == ".zst" else data


def spec(path: Path | str, **keys) -> Source:
    return Source.model_validate({"path": str(path), "query": QUERY, "positive": POSITIVE, **keys})


def pairs(source: Source) -> list[tuple]:
    """All pairs as (query, positive, place); no row may be rejected."""
    batches = list(read(source))
    assert [batch.rejected.rows() for batch in batches if len(batch.rejected)] == []
    return [row for batch in batches for row in batch.entries.select(KEPT).rows()]


def both(source: Source) -> tuple[list[tuple], list[tuple]]:
    """Pairs as (query, positive, place), and rejected rows as (place, reason); all rows may be bad."""
    batches = list(read(source.model_copy(update={"max_bad": 1.0})))
    rejected = pl.concat([batch.rejected for batch in batches])
    assert set(rejected["stage"]) <= {"read"}
    rows = [row for batch in batches for row in batch.entries.select(KEPT).rows()]
    return rows, rejected.select("source", "reason").rows()


# --- every format ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("extension", WRITERS)
def test_every_format_gives_the_same_pairs_with_their_places(tmp_path, extension, packing):
    write, place = WRITERS[extension]
    file = put(tmp_path, f"my.pairs.{extension}{packing}", packed(write(), packing))
    assert pairs(spec(file)) == [(q, p, f"{file.name}{place(i)}") for i, (q, p) in enumerate(ROWS)]


@pytest.mark.parametrize("extension", WRITERS)
def test_upper_case_extensions_are_known(tmp_path, extension):
    file = put(tmp_path, f"PAIRS.{extension.upper()}", WRITERS[extension][0]())
    assert len(pairs(spec(file))) == 10


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("extension", WRITERS)
def test_limit_is_exact(tmp_path, extension, packing):
    write, place = WRITERS[extension]
    file = put(tmp_path, f"a.{extension}{packing}", packed(write(), packing))
    found = pairs(spec(file, limit=3))
    assert found == [(q, p, f"{file.name}{place(i)}") for i, (q, p) in enumerate(ROWS[:3])]


@pytest.mark.parametrize("extension", WRITERS)
def test_a_missing_column_lists_those_there_are(tmp_path, extension):
    file = put(tmp_path, f"a.{extension}", WRITERS[extension][0]())
    message = fault(spec(file, positive="reply"))
    assert message == f"{file}: no column 'reply' (source.positive); there are: question, answer"


@pytest.mark.parametrize("extension", ["jsonl", "json", "csv", "tsv"])
def test_an_empty_file_is_refused(tmp_path, extension):
    file = put(tmp_path, f"a.{extension}", b"")
    assert fault(spec(file)) == f"{file} is empty: it has no rows"


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.tsv", "a.parquet"])
def test_a_file_without_rows_is_refused(tmp_path, name):
    none = {"json": b"[]", "csv": b"question,answer\n", "tsv": b"question\tanswer\n"}
    data = none.get(name[2:]) or parquet(
        {QUERY: pa.array([], pa.string()), POSITIVE: pa.array([], pa.string())}
    )
    assert "is empty: it has no rows" in fault(spec(put(tmp_path, name, data)))


@pytest.mark.parametrize("extension", ["jsonl", "json", "csv", "tsv"])
def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path, extension):
    file = put(tmp_path, f"a.{extension}", b"\xef\xbb\xbf" + WRITERS[extension][0]())
    assert [row[:2] for row in pairs(spec(file))] == ROWS


@pytest.mark.parametrize("extension", ["jsonl", "csv", "tsv"])
def test_windows_line_ends_are_not_part_of_the_text(tmp_path, extension):
    file = put(tmp_path, f"a.{extension}", WRITERS[extension][0]().replace(b"\n", b"\r\n"))
    assert [row[:2] for row in pairs(spec(file))] == ROWS


@pytest.mark.parametrize("extension", ["jsonl", "csv", "tsv"])
def test_the_last_line_needs_no_line_end(tmp_path, extension):
    file = put(tmp_path, f"a.{extension}", WRITERS[extension][0]().rstrip(b"\n"))
    assert len(pairs(spec(file))) == 10


# --- damaged files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", WRITERS)
@pytest.mark.parametrize("damage", ["cut", "junk", "flipped"])
def test_broken_gzip_is_one_clear_line(tmp_path, extension, damage):
    data = packed(WRITERS[extension][0](), ".gz")
    flipped = data[:40] + bytes([data[40] ^ 255]) + data[41:]
    broken = {"cut": data[:-20], "junk": b"no gzip at all", "flipped": flipped}[damage]
    message = fault(spec(put(tmp_path, f"a.{extension}.gz", broken)))
    assert message.startswith(f"{tmp_path}/a.{extension}.gz: damaged gzip (")


@pytest.mark.parametrize("extension", WRITERS)
@pytest.mark.parametrize("damage", ["cut", "junk", "tail"])
def test_broken_zstd_is_one_clear_line(tmp_path, extension, damage):
    data = packed(WRITERS[extension][0](), ".zst")
    broken = {"cut": data[:-8], "junk": b"no zstd at all", "tail": data + b"and more"}[damage]
    message = fault(spec(put(tmp_path, f"a.{extension}.zst", broken)))
    assert message.startswith(f"{tmp_path}/a.{extension}.zst: damaged zstd (")


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_file_packed_in_several_frames_is_read_whole(tmp_path, packing):
    whole = packed(json_lines(ROWS[:4]), packing) + packed(json_lines(ROWS[4:]), packing)
    found = pairs(spec(put(tmp_path, f"a.jsonl{packing}", whole)))
    assert [row[:2] for row in found] == ROWS


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_what_is_not_parquet_is_one_clear_line(tmp_path, packing):
    file = put(tmp_path, f"a.parquet{packing}", packed(b"no Parquet at all", packing))
    assert fault(spec(file)).startswith(f"{file}: not Parquet: ")


def test_a_cut_parquet_file_is_one_clear_line(tmp_path):
    file = put(tmp_path, "a.parquet", parquet_table()[:-30])
    assert fault(spec(file)).startswith(f"{file}: ")


# --- bad rows -------------------------------------------------------------------------------------------


def test_one_cut_line_in_a_thousand_is_rejected_with_its_place_and_the_run_goes_on(tmp_path):
    lines = json_lines([(f"q{i}", f"p{i}") for i in range(1000)]).splitlines(keepends=True)
    lines[499] = lines[499][:20] + b"\n"
    file = put(tmp_path, "a.jsonl", b"".join(lines))
    batches = list(read(spec(file)))
    assert [batch.rows for batch in batches] == [1000]
    assert len(batches[0].entries) == 999
    assert batches[0].entries.select(KEPT).row(499) == ("q500", "p500", "a.jsonl:501")
    (rejected,) = batches[0].rejected.rows(named=True)
    assert rejected["source"] == "a.jsonl:500"
    assert rejected["reason"].startswith("not JSON: ")


def test_one_cut_line_in_three_is_too_many(tmp_path):
    lines = json_lines(ROWS[:3]).splitlines(keepends=True)
    file = put(tmp_path, "a.jsonl", lines[0] + lines[1][:20] + b"\n" + lines[2])
    message = fault(spec(file))
    assert message.startswith(
        f"{file}: 1 of 3 rows cannot be read, more than source.max_bad=0.01 allows (first: a.jsonl:2: not "
    )


def test_max_bad_is_the_share_that_is_allowed(tmp_path):
    file = put(tmp_path, "a.jsonl", json_lines(ROWS[:3]) + b"cut\n")
    assert "source.max_bad=0.24" in fault(spec(file, max_bad=0.24))
    assert sum(len(batch.entries) for batch in read(spec(file, max_bad=0.25))) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "caf\xe9", "answer": "b"}', "invalid UTF-8"),
        (b'{"question": "\\ud83d", "answer": "b"}', "not a text, or not UTF-8"),
        (b'{"question": "a", "answer": ["b", "\\ud83d"]}', "not a text, or not UTF-8"),
        (b'{"question": true, "answer": "b"}', "not a text, or not UTF-8"),
        (b'{"question": "a", "answer": {"text": "b"}}', "not a text, or not UTF-8"),
        (b'{"question": "a", "answer": [["b"]]}', "not a text, or not UTF-8"),
        (b'["a", "b"]', "not an object"),
        (b'"a text"', "not an object"),
        (b"null", "not an object"),
        (b"7", "not an object"),
        (b'{"question": "a", "answer": "b"} {}', "not JSON: Extra data at character 34"),
        (b'{"question": "a", "answer": ' + b"[" * 100_000, "not JSON: nested too deep"),
        (b'{"question": "a", "answer": ' + b"1" * 5000 + b"}", "not JSON: a number of too many digits"),
    ],
)
def test_a_bad_line_says_why(tmp_path, line, reason):
    good = json_lines(ROWS[:1])
    found, rejected = both(spec(put(tmp_path, "a.jsonl", good + line + b"\n" + good)))
    assert [place for *_, place in found] == ["a.jsonl:1", "a.jsonl:3"]
    assert rejected == [("a.jsonl:2", reason)]


def test_a_row_with_a_bad_cell_is_kept_to_look_at(tmp_path):
    file = put(tmp_path, "a.jsonl", '{"question": true, "answer": "naïve \\ud83d"}\n')
    (batch,) = read(spec(file, max_bad=1))
    assert batch.rejected["text"].to_list() == ['{"question": true, "answer": "na\\u00efve \\ud83d"}']


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12", "12"),
        ("-0.5", "-0.5"),
        ("2.0", "2"),
        ("1e3", "1000"),
        ("1e22", "1" + "0" * 22),
        ("1e-7", "0.0000001"),
    ],
)
@pytest.mark.parametrize("path", ["fast", "careful"])
def test_numbers_are_texts(tmp_path, value, text, path):
    other = "" if path == "fast" else json.dumps({QUERY: ["not a text"], POSITIVE: "b"})
    line = f'{{"question": {value}, "answer": {value}}}\n'
    found, _ = both(spec(put(tmp_path, "a.jsonl", line + other)))
    assert found == [(text, text, "a.jsonl:1")]


@pytest.mark.parametrize("value", ["null", '""', "NaN"])
@pytest.mark.parametrize("extension", ["jsonl", "json"])
def test_an_empty_cell_is_null(tmp_path, value, extension):
    line = f'{{"question": "a", "answer": {value}}}'
    file = put(tmp_path, f"a.{extension}", line if extension == "jsonl" else f"[{line}]")
    assert [row[:2] for row in pairs(spec(file))] == [("a", None)]


def test_an_empty_csv_cell_is_null(tmp_path):
    file = put(tmp_path, "a.csv", "question,answer\na,\n,b\n")
    assert pairs(spec(file)) == [("a", None, "a.csv:2"), (None, "b", "a.csv:3")]


def test_a_null_or_not_a_number_in_parquet_is_null(tmp_path):
    file = put(tmp_path, "a.parquet", parquet({QUERY: ["a", None], POSITIVE: [float("nan"), 1.5]}))
    assert [row[:2] for row in pairs(spec(file))] == [("a", None), (None, "1.5")]


def test_a_key_that_a_row_lacks_is_null(tmp_path):
    file = put(tmp_path, "a.jsonl", json_lines(ROWS[:1]) + b'{"question": "a"}\n')
    assert pairs(spec(file))[1] == ("a", None, "a.jsonl:2")


# --- several positives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["jsonl", "json", "parquet"])
def test_a_list_of_positives_gives_a_pair_each(tmp_path, extension):
    rows = [("q1", ["a", "b"]), ("q2", []), ("q3", ["c"])]
    write, place = WRITERS[extension]
    file = put(tmp_path, f"a.{extension}", write(rows))
    assert pairs(spec(file)) == [
        ("q1", "a", f"{file.name}{place(0)}"),
        ("q1", "b", f"{file.name}{place(0)}"),
        ("q2", None, f"{file.name}{place(1)}"),
        ("q3", "c", f"{file.name}{place(2)}"),
    ]


# --- CSV and TSV ----------------------------------------------------------------------------------------


def test_csv_line_numbers_count_line_ends_in_quotes(tmp_path):
    data = 'question,answer\nq1,"two\nlines"\nq2,"a ""quoted"", word"\n"q\r\n3",p3\nq4,p4\n'
    assert pairs(spec(put(tmp_path, "a.csv", data))) == [
        ("q1", "two\nlines", "a.csv:2"),
        ("q2", 'a "quoted", word', "a.csv:4"),
        ("q\r\n3", "p3", "a.csv:5"),
        ("q4", "p4", "a.csv:7"),
    ]


def test_ragged_csv_rows_are_rejected_with_their_place_and_blank_ones_are_no_rows(tmp_path):
    data = "question,answer\nq1,p1\nq2\n\nq3,p3,more\nq4,p4\n"
    found, rejected = both(spec(put(tmp_path, "a.csv", data)))
    assert [row[0] for row in found] == ["q1", "q4"]
    assert rejected == [
        ("a.csv:3", "1 fields, not 2"),
        ("a.csv:5", "3 fields, not 2"),
    ]


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("later", ["", "q3,p3\nq4,p4\n"])
def test_a_quote_that_is_never_closed_swallows_no_rows_in_silence(tmp_path, later, end):
    file = put(tmp_path, "my.data.csv", f'question,answer\nq1,p1\nq2,"p2\n{later}'.rstrip() + end)
    assert fault(spec(file)) == f"{file}:3: not CSV: a quotation mark is never closed"


def test_a_quote_inside_a_quoted_field_rejects_the_row_and_no_other(tmp_path):
    data = 'question,answer\nq1,"p1\nq2,"p2"\nq3,"say "so" now"\nq4,p4\n'
    found, rejected = both(spec(put(tmp_path, "a.csv", data)))
    assert found == [("q4", "p4", "a.csv:5")]
    reason = "not CSV: ',' expected after '\"'"
    assert rejected == [("a.csv:2", reason), ("a.csv:4", reason)]


def test_a_quote_that_swallows_megabytes_is_reported(tmp_path):
    file = put(tmp_path, "my.data.csv", 'question,answer\nq1,"' + "p1\nq,p\n" * 700_000)
    assert fault(spec(file)).endswith("not CSV: a quotation mark is never closed")


def test_a_quote_closed_at_the_end_of_the_file_is_fine(tmp_path):
    file = put(tmp_path, "a.csv", 'question,answer\nq1,"p1"')
    assert pairs(spec(file)) == [("q1", "p1", "a.csv:2")]


def test_quotation_marks_in_tsv_are_text(tmp_path):
    data = 'question\tanswer\n"q1\tp "1"\n5" pipe\t"p2\n'
    assert pairs(spec(put(tmp_path, "a.tsv", data))) == [
        ('"q1', 'p "1"', "a.tsv:2"),
        ('5" pipe', '"p2', "a.tsv:3"),
    ]


@pytest.mark.parametrize(("extension", "comma"), [("csv", b","), ("tsv", b"\t")])
def test_an_invalid_utf_8_row_of_a_table_is_rejected_alone(tmp_path, extension, comma):
    rows = [b"question" + comma + b"answer", b"q1" + comma + b"caf\xe9", b"q2" + comma + b"p2", b""]
    found, rejected = both(spec(put(tmp_path, f"a.{extension}", b"\n".join(rows))))
    assert found == [("q2", "p2", f"a.{extension}:3")]
    assert rejected == [(f"a.{extension}:2", "not a text, or not UTF-8")]


def test_columns_may_stand_in_any_order_among_others(tmp_path):
    file = put(tmp_path, "a.csv", "id,answer,note,question\n1,p1,x,q1\n")
    assert pairs(spec(file)) == [("q1", "p1", "a.csv:2")]


# --- JSON -----------------------------------------------------------------------------------------------


def test_json_lines_by_the_name_of_json_are_read(tmp_path):
    file = put(tmp_path, "a.json", json_lines())
    assert pairs(spec(file)) == [(q, p, f"a.json:{i + 1}") for i, (q, p) in enumerate(ROWS)]


def test_one_list_inside_an_object_is_read(tmp_path):
    data = json.dumps({"version": 1, "data": json.loads(json_list())})
    found = pairs(spec(put(tmp_path, "a.json", data)))
    assert found == [(q, p, f"a.json[{i}]") for i, (q, p) in enumerate(ROWS)]


def test_one_object_is_one_row(tmp_path):
    file = put(tmp_path, "a.json", json.dumps({QUERY: "q1", POSITIVE: "p1"}))
    assert pairs(spec(file)) == [("q1", "p1", "a.json[0]")]


def test_one_object_with_a_list_of_positives_is_one_row(tmp_path):
    file = put(tmp_path, "a.json", json.dumps({QUERY: "q1", POSITIVE: ["a", "b"]}))
    assert pairs(spec(file)) == [("q1", "a", "a.json[0]"), ("q1", "b", "a.json[0]")]


def test_broken_json_names_the_line(tmp_path):
    file = put(tmp_path, "a.json", '[\n{"question": "a", "answer": "b"},\n{"question": "c", "ans')
    assert fault(spec(file)).startswith(f"{file}:3: not JSON: ")


def test_json_that_is_not_utf_8_names_the_byte(tmp_path):
    file = put(tmp_path, "a.json", b'[{"question": "caf\xe9", "answer": "b"}]')
    assert fault(spec(file)) == f"{file}: invalid UTF-8 at byte 19; convert the file to UTF-8"


def test_what_is_not_an_object_in_a_json_list_is_rejected(tmp_path):
    file = put(tmp_path, "a.json", '[{"question": "a", "answer": "b"}, "a text", null, ["a", "b"]]')
    found, rejected = both(spec(file))
    assert found == [("a", "b", "a.json[0]")]
    assert rejected == [(f"a.json[{i}]", "not an object") for i in (1, 2, 3)]


@pytest.mark.parametrize(("data", "kind"), [("7", "int"), ('"text"', "str")])
def test_json_without_rows_says_what_is_needed(tmp_path, data, kind):
    file = put(tmp_path, "a.json", data)
    assert fault(spec(file)) == f"{file}: holds one {kind}; a list of objects is needed"


@pytest.mark.parametrize("data", ["[" * 100_000, "[" + "1" * 5000 + "]"])
def test_json_beyond_the_parser_is_one_clear_line(tmp_path, data):
    file = put(tmp_path, "a.json", data)
    assert fault(spec(file)).startswith(f"{file}: not JSON: ")


# --- the two ways through JSON lines ----------------------------------------------------------------------

CELLS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet=st.characters(), max_size=3),  # lone surrogates too
    st.none(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_infinity=False),
    st.booleans(),
    st.lists(st.one_of(st.text(max_size=3), st.integers(), st.none()), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
RECORDS = st.fixed_dictionaries({}, optional={QUERY: CELLS, POSITIVE: CELLS, "other": CELLS})


def compare(lines: list[bytes]) -> None:
    source = spec("a.jsonl")
    fast = pair_rows._fast("a.jsonl", lines, 4, source)
    if fast is None:
        return
    places = (f"a.jsonl:{number}" for number in range(5, 5 + len(lines)))
    records = zip(places, map(json_tables.parsed, lines), strict=True)
    careful = rows.sorted_rows(records, pair_rows._sorter(source))
    assert careful.rejected.is_empty()
    assert fast.rows == careful.rows
    assert fast.entries.rows() == careful.entries.rows()
    assert fast.entries.schema == careful.entries.schema
    assert fast.rejected.schema == careful.rejected.schema


@settings(max_examples=300)
@given(st.lists(RECORDS, min_size=1, max_size=3), st.booleans())
def test_the_fast_and_the_careful_way_agree_on_records(records, escaped):
    lines = [json.dumps(record, ensure_ascii=escaped) for record in records]
    compare([line.encode("utf-8", "surrogatepass") + b"\n" for line in lines])


@settings(max_examples=300)
@given(RECORDS, st.data())
def test_the_fast_and_the_careful_way_agree_on_damaged_lines(record, data):
    line = json.dumps(record).encode()
    start = data.draw(st.integers(0, len(line)))
    stop = data.draw(st.integers(start, min(len(line), start + 3)))
    new = data.draw(
        st.one_of(st.binary(max_size=2), st.sampled_from([b'"', b"}", b"\\u0000", b"1e9", b"{}\n"]))
    )
    damaged = line[:start] + new + line[stop:] + b"\n"
    compare([*damaged.splitlines(keepends=True), b'{"question": "a", "answer": "b"}\n'])


def test_plain_lines_go_the_fast_way(tmp_path):
    found = pair_rows._fast("a.jsonl", json_lines(ROWS[:7]).splitlines(True), 0, spec("a.jsonl"))
    assert [row[:2] for row in found.entries.rows()] == ROWS[:7]


def test_batches_do_not_change_places_or_limits(tmp_path, monkeypatch):
    written = [(f"q{i}", f"p{i}") for i in range(50)]
    monkeypatch.setattr(json_tables, "BATCH_BYTES", 100)
    for module in (rows, tables):
        monkeypatch.setattr(module, "BATCH_ROWS", 3)
    for extension, (write, place) in WRITERS.items():
        file = put(tmp_path, f"a.{extension}", write(written))
        expected = [(q, p, f"{file.name}{place(i)}") for i, (q, p) in enumerate(written)]
        assert len(list(read(spec(file)))) > 5
        assert pairs(spec(file)) == expected
        assert pairs(spec(file, limit=20)) == expected[:20]


def test_careful_batches_continue_the_numbering(tmp_path, monkeypatch):
    monkeypatch.setattr(json_tables, "BATCH_BYTES", 100)
    file = put(tmp_path, "a.jsonl", json_lines([(f"q{i}", [f"p{i}"]) for i in range(20)]))
    assert pairs(spec(file)) == [(f"q{i}", f"p{i}", f"a.jsonl:{i + 1}") for i in range(20)]


# --- which files ----------------------------------------------------------------------------------------


def test_a_folder_stands_for_all_files_in_it_that_can_be_read(tmp_path):
    (tmp_path / "deeper").mkdir()
    put(tmp_path, "b.csv", "question,answer\nq2,p2\n")
    put(tmp_path, "a.jsonl", json_lines([("q1", "p1")]))
    put(tmp_path / "deeper", "c.tsv.gz", gzip.compress(b"question\tanswer\nq3,\tp3\n"))
    put(tmp_path, "notes.txt", "not data")
    put(tmp_path, "README", "not data")
    assert [row[:2] for row in pairs(spec(tmp_path))] == [("q1", "p1"), ("q2", "p2"), ("q3,", "p3")]


def test_a_glob_stands_for_the_files_that_match(tmp_path):
    for name in ("b2", "a1", "b1"):
        put(tmp_path, f"{name}.jsonl", json_lines([(name, "p")]))
    assert [row[0] for row in pairs(spec(tmp_path / "b*.jsonl"))] == ["b1", "b2"]


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path):
    file = put(tmp_path, "a[1].jsonl", json_lines(ROWS[:1]))
    assert table_files(spec(file).path) == [file]


def test_limit_counts_over_all_files(tmp_path):
    put(tmp_path, "a.jsonl", json_lines(ROWS[:4]))
    put(tmp_path, "b.csv", csv_table(ROWS[4:8]))
    put(tmp_path, "c.json", json_list(ROWS[8:]))
    assert [row[:2] for row in pairs(spec(tmp_path, limit=6))] == ROWS[:6]
    assert [row[:2] for row in pairs(spec(tmp_path, limit=8))] == ROWS[:8]
    assert [row[:2] for row in pairs(spec(tmp_path, limit=99))] == ROWS


def test_a_missing_file_is_one_clear_line(tmp_path):
    assert fault(spec(tmp_path / "none.jsonl")) == f"no file at {tmp_path}/none.jsonl (source.path, --input)"


def test_a_folder_without_readable_files_is_one_clear_line(tmp_path):
    put(tmp_path, "a.txt", "text")
    message = fault(spec(tmp_path))
    assert message.startswith(f"no readable file in {tmp_path} (source.path, --input)")
    assert message.endswith("reports are read with source.format=documents")


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a", "a.jsonl.bz2", "jsonl"])
def test_an_unknown_extension_lists_the_known_ones(tmp_path, name):
    message = fault(spec(put(tmp_path, name, "text")))
    assert message.startswith(
        f"{tmp_path}/{name}: unknown format; minerkit reads .jsonl, .ndjson, .json, .csv"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_one_clear_line(tmp_path):
    file = put(tmp_path, "a.jsonl", json_lines())
    file.chmod(0)
    assert fault(spec(file)) == f"{file}: cannot be read: Permission denied"


def test_fingerprint_changes_with_the_bytes(tmp_path):
    file = put(tmp_path, "a.jsonl", b"one")
    assert fingerprint(spec(tmp_path)) == {str(file): hashlib.sha256(b"one").hexdigest()}
    put(tmp_path, "a.jsonl", b"two")
    assert fingerprint(spec(tmp_path)) == {str(file): hashlib.sha256(b"two").hexdigest()}


def test_fingerprint_of_a_hub_data_set_is_its_revision():
    assert fingerprint(Source(hub="user/data")) == {"hub:user/data": "main"}
    assert fingerprint(Source(hub="user/data", revision="v2")) == {"hub:user/data": "v2"}


# --- the Hub --------------------------------------------------------------------------------------------


def hub(monkeypatch, answer) -> Source:
    """A Hub source whose download gives, or raises, the answer."""

    def load_dataset(name, config, *, split, revision, streaming):
        assert (name, config, split, revision) == ("user/data", None, "train", None)
        if isinstance(answer, Exception):
            raise answer
        data = datasets.Dataset.from_dict(answer)
        return data.to_iterable_dataset() if streaming else data

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return Source(hub="user/data", query=QUERY, positive=POSITIVE)


@pytest.mark.parametrize("limit", [None, 100])
def test_without_network_the_way_out_is_named(limit):
    # The real library, kept from the network by HF_HUB_OFFLINE in conftest.py.
    message = fault(Source(hub="minerkit/no-such-data-set", limit=limit))
    assert message == (
        "cannot reach the Hub for data set minerkit/no-such-data-set; "
        "run with --sample for the bundled corpus, or with --input PATH for a local copy"
    )


def test_a_broken_connection_deep_in_the_cause_is_a_lack_of_network(monkeypatch):
    deep = RuntimeError("cannot send a request")
    deep.__cause__ = ConnectionError("refused")
    assert fault(hub(monkeypatch, deep)).startswith("cannot reach the Hub for data set user/data; run with")


def test_another_hub_fault_is_reported_by_its_first_line(monkeypatch):
    message = fault(hub(monkeypatch, ValueError("Unknown split 'train'.\nAnd a long story")))
    assert message == "data set user/data cannot be read from the Hub: Unknown split 'train'."


def test_hub_rows_have_places(monkeypatch):
    source = hub(monkeypatch, {"id": [1, 2, 3], QUERY: ["a", "b", "c"], POSITIVE: ["x", None, "z"]})
    expected = [("a", "x", "user/data[0]"), ("b", None, "user/data[1]"), ("c", "z", "user/data[2]")]
    assert pairs(source) == expected
    assert pairs(source.model_copy(update={"limit": 2})) == expected[:2]


@pytest.mark.parametrize("limit", [None, 2])
def test_a_missing_hub_column_lists_those_there_are(monkeypatch, limit):
    source = hub(monkeypatch, {"id": [1], QUERY: ["a"]}).model_copy(update={"limit": limit})
    assert fault(source) == "user/data: no column 'answer' (source.positive); there are: id, question"


def test_a_data_set_to_look_at_is_a_parquet_file(tmp_path):
    file = put(tmp_path, "a.parquet", parquet_table())
    assert open_dataset(str(file), "train").collect().rows() == ROWS


def test_a_data_set_that_is_not_parquet_is_refused(tmp_path):
    file = put(tmp_path, "a.parquet", b"text")
    with pytest.raises(SourceError, match=r"a\.parquet: not Parquet: "):
        open_dataset(str(file), "train")


@pytest.mark.parametrize("name", ["missing.parquet", "./run", "/data/run", "run"])
def test_a_data_set_that_is_not_there_is_refused(name):
    with pytest.raises(SourceError, match="no such run folder, Parquet file or Hub data set"):
        open_dataset(name, "train")


def test_squad_nesting_is_flattened(tmp_path):
    paragraph = {
        "context": "Ein Absatz.",
        "qas": [{"id": "1", "question": "Was?"}, {"id": "2", "question": "Wo?"}],
    }
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"version": "1.1", "data": [{"title": "T", "paragraphs": [paragraph]}]}))
    found = [
        b.entries.select(KEPT) for b in read(Source(path=str(file), query="question", positive="context"))
    ]
    expected = [("Was?", "Ein Absatz.", "squad.json[0]"), ("Wo?", "Ein Absatz.", "squad.json[1]")]
    assert pl.concat(found).rows() == expected


def test_a_table_without_header_gets_its_column_names_from_the_recipe(tmp_path):
    file = tmp_path / "plain.tsv"
    file.write_text("to title\tabstract one\ttitle one\nto title\tabstract two\ttitle two\n")
    source = Source(path=str(file), columns=["task", "abstract", "title"], query="title", positive="abstract")
    rows = pl.concat([b.entries.select(KEPT) for b in read(source)]).rows()
    assert rows == [
        ("title one", "abstract one", "plain.tsv:1"),
        ("title two", "abstract two", "plain.tsv:2"),
    ]


def test_blank_lines_are_no_rows(tmp_path):
    file = put(tmp_path, "a.jsonl", json_lines(ROWS[:3]) + b"\n  \t\n\n")
    batches = list(read(spec(file)))
    assert sum(batch.rows for batch in batches) == 3
    assert all(batch.rejected.is_empty() for batch in batches)


def test_a_column_may_be_absent_from_the_first_object(tmp_path):
    file = put(tmp_path, "a.jsonl", b'{"question": "a"}\n{"question": "b", "answer": "c"}\n')
    rows = pl.concat([batch.entries.select(KEPT) for batch in read(spec(file))]).rows()
    assert rows == [("a", None, "a.jsonl:1"), ("b", "c", "a.jsonl:2")]
