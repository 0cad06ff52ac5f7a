import gc
import random
import string

import datasets
import polars as pl
import pyarrow.parquet as pq
import pytest

from minerkit.errors import RunError
from minerkit.mining.positions import to_ids
from minerkit.storage.parquet import encode_row_group, parquet_writer
from minerkit.storage.row_groups import RowGroups
from minerkit.storage.schema import empty_artefact

ROWS = pl.DataFrame({"id": [f"q{i}" for i in range(10)], "n": range(10), "score": [i / 7 for i in range(10)]})


def row_groups(path):
    """Read a file a row group at a time; one empty frame where there is none."""
    with pq.ParquetFile(path) as file:
        if not file.num_row_groups:
            yield pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table()))
        for number in range(file.num_row_groups):
            yield pl.DataFrame(pl.from_arrow(file.read_row_group(number)))


def test_each_frame_is_a_row_group(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        for start, size in ((0, 3), (3, 6), (9, 1)):
            append(ROWS[start : start + size])
    assert [len(group) for group in row_groups(tmp_path / "rows.parquet")] == [3, 6, 1]
    assert pl.concat(row_groups(tmp_path / "rows.parquet")).equals(ROWS)


def test_what_is_written_reads_as_any_parquet_file(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS.head(4))
        append(ROWS.tail(6))
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(ROWS)


def test_an_empty_frame_adds_no_row_group(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS.clear())
        append(ROWS)
        append(ROWS.clear())
    assert pq.ParquetFile(tmp_path / "rows.parquet").num_row_groups == 1


def test_a_file_without_rows_has_columns(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS.clear())
    (found,) = row_groups(tmp_path / "rows.parquet")
    assert found.schema == ROWS.schema
    assert pl.read_parquet(tmp_path / "rows.parquet").schema == ROWS.schema


def test_the_same_rows_in_the_same_groups_are_the_same_bytes(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        with parquet_writer(tmp_path / name) as append:
            append(ROWS.head(4))
            append(pl.concat([ROWS[4:7], ROWS[7:]], rechunk=False))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_an_artefact_has_its_columns_checked(tmp_path):
    with pytest.raises(RunError, match="negatives: column 'query_id' is missing"):  # noqa: SIM117
        with parquet_writer(tmp_path / "negatives.parquet") as append:
            append(ROWS)
    with parquet_writer(tmp_path / "negatives.parquet") as append:
        append(empty_artefact("negatives"))
    assert pl.read_parquet(tmp_path / "negatives.parquet").schema == empty_artefact("negatives").schema


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, fault):
    (tmp_path / "rows.parquet").write_bytes(b"old")
    with pytest.raises(fault), parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS)
        raise fault
    gc.collect()  # nothing is said of the half-written rows
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("rows.parquet", b"old")]


def test_a_file_is_read_a_row_group_at_a_time(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS[:7])
        append(ROWS[7:])
    parts = RowGroups(tmp_path / "rows.parquet")
    for _ in range(2):
        assert [part.rows() for part in parts.of("n", "id")] == [
            ROWS[rows].select("n", "id").rows() for rows in (slice(7), slice(7, None))
        ]
    assert pl.concat(parts.of()).equals(ROWS)


def test_a_row_group_is_read_alone(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS[:7])
        append(ROWS[7:])
    parts = RowGroups(tmp_path / "rows.parquet")
    assert parts.one(0).equals(ROWS[:7]) and parts.one(1).equals(ROWS[7:])
    with pytest.raises(RunError, match=r"rows.parquet is damaged \(it has 2 row groups\)"):
        parts.one(2)


def test_positions_are_written_as_what_stands_there(tmp_path):
    ids = {"query_id": pl.Series(["qa", "qb", "qc"]), "doc_id": pl.Series(["d0", "d1", "d2", "d3"])}
    at = pl.DataFrame({"query_id": [0, 0, 2], "doc_id": [3, 1, 3]}, schema=dict.fromkeys(ids, pl.Int32))
    rest = pl.DataFrame(
        {"source": ["dense"] * 3, "rank": [1, 2, 1], "score": [0.5] * 3, "fill": ["mined"] * 3}
    )
    with parquet_writer(tmp_path / "negatives.parquet") as append:
        append(encode_row_group("negatives", pl.concat([at, rest], how="horizontal"), ids))
        append(encode_row_group("negatives", pl.concat([at[2:], rest[2:]], how="horizontal"), ids))
    written = pl.read_parquet(tmp_path / "negatives.parquet")
    assert written.schema["doc_id"] == pl.String
    assert written.select("query_id", "doc_id").rows() == [
        ("qa", "d3"), ("qa", "d1"), ("qc", "d3"), ("qc", "d3"),
    ]  # fmt: skip
    assert pl.concat(RowGroups(tmp_path / "negatives.parquet").of()).equals(written)


@pytest.mark.parametrize("strings", [["b", "a", "c", "a", "b"], ["a", "b", "b", "c", "d"], []])
@pytest.mark.parametrize("large", [0, 400_000])
def test_a_row_group_is_read_by_position(tmp_path, strings, large):
    # Pyarrow gives up on a dictionary that grows too large, and writes strings as they are.
    strings = [name + "x" * large for name in strings]
    frame = pl.DataFrame(
        {"n": range(len(strings)), "id": strings, "text": strings},
        schema_overrides={"n": pl.Int64, "id": pl.String, "text": pl.String},
    )
    for name, rows in (
        ("plain", lambda rows: rows),
        ("encoded", lambda rows: encode_row_group("rows", rows)),
    ):
        with parquet_writer(tmp_path / f"{name}.parquet") as append:
            append(rows(ROWS.select("n", "id", text="id")))
            append(rows(frame))
        parts = RowGroups(tmp_path / f"{name}.parquet")
        if strings:
            found, ids = parts.coded(1, "id")
            assert ids["id"].to_list() == sorted(set(strings)) and found.columns == frame.columns
            assert found.schema["id"] == pl.Int32 and to_ids(found, ids).equals(frame)
        with pytest.raises(RunError, match=rf"{name}.parquet is damaged"):
            parts.coded(2, "id")


def test_a_row_group_is_read_in_part(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS[:7])
        append(ROWS[7:])
    found = RowGroups(tmp_path / "rows.parquet").one(0, "id", "score", where=pl.col("n") > 4)
    assert found.equals(ROWS[5:7].select("id", "score"))


def test_lists_of_positions_are_written_as_lists_of_what_stands_there(tmp_path):
    texts, lists = pl.Series(["never used", "b" * 50_000, "a" * 50_000]), [[2, 1], [], [1, 1, 2]]
    frame = pl.DataFrame(
        {"documents": lists, "labels": [[1, 0], [], [0, 0, 1]]},
        schema={"documents": pl.List(pl.Int32), "labels": pl.List(pl.Int64)},
    )
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(encode_row_group("train", frame, {"documents": texts}))
        append(encode_row_group("train", frame[2:], {"documents": texts}))
    expected = frame.with_columns(pl.col("documents").list.eval(pl.lit(texts).gather(pl.element())))
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(pl.concat([expected, expected[2:]]))
    column = pq.ParquetFile(tmp_path / "rows.parquet").metadata.row_group(0).column(0)
    assert column.total_uncompressed_size < 110_000  # each text once


def test_few_values_of_a_byte_each_are_written_as_strings(tmp_path):
    kinds = pl.Enum(["never", "dense", "judged"])
    frame = pl.DataFrame({"source": ["judged", "dense", "judged"]}, schema={"source": kinds})
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(encode_row_group("rows", frame))
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(frame.cast(pl.String))


def test_a_long_text_in_many_rows_is_stored_once_a_row_group(tmp_path):
    draw = random.Random(12)
    texts = ["".join(draw.choices(string.printable, k=100_000)) for _ in range(20)]
    frame = pl.DataFrame({"text": texts * 5, "label": [1, 0] * 50})
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(encode_row_group("rows", frame[:0]))
        append(encode_row_group("rows", frame[:60]))
        append(encode_row_group("rows", frame[60:]))
    assert (tmp_path / "rows.parquet").stat().st_size < 2 * sum(map(len, texts))
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(frame)
    assert [len(part) for part in RowGroups(tmp_path / "rows.parquet").of()] == [60, 40]
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path)
    )
    assert found["train"].to_polars().equals(frame)


def test_a_file_without_rows_is_one_empty_frame(tmp_path):
    with parquet_writer(tmp_path / "rows.parquet") as append:
        append(ROWS[:0])
    parts = RowGroups(tmp_path / "rows.parquet")
    assert [part.schema for part in parts.of()] == [ROWS.schema]
    assert [part.schema for part in parts.of("score")] == [ROWS.select("score").schema]


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path):
    parts = RowGroups(tmp_path / "corpus.parquet")
    with pytest.raises(RunError, match=r"corpus.parquet is missing; `minerkit mine` makes it"):
        list(parts.of())
    (tmp_path / "corpus.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match=r"corpus.parquet is damaged \(.*\); run `minerkit mine` again"):
        list(parts.of())
