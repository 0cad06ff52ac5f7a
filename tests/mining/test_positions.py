import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.mining.positions import to_ids, to_positions

id_texts = st.text("abcé中", max_size=3)


@given(
    ids=st.tuples(*[st.sets(id_texts, max_size=8).map(sorted)] * 2),
    rows=st.lists(st.tuples(id_texts, id_texts, st.integers(0, 9)), max_size=12),
)
def test_positions_turn_back_into_ids_and_rows_with_unknown_ids_are_left_out(ids, rows):
    pairs = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String, "n": pl.Int64}, orient="row")
    known_ids = {name: pl.Series(column, dtype=pl.String) for name, column in zip("ab", ids, strict=True)}
    found = to_positions(pairs, known_ids)
    assert found.schema == {"a": pl.Int32, "b": pl.Int32, "n": pl.Int64}
    known_rows = [row for row in rows if row[0] in ids[0] and row[1] in ids[1]]
    assert found.rows() == [(ids[0].index(a), ids[1].index(b), n) for a, b, n in known_rows]
    assert to_ids(found, known_ids).rows() == known_rows
    assert to_ids(found.drop("b"), known_ids).columns == ["a", "n"]
