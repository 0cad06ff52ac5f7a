import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from minerkit.mining.positions import to_ids, to_positions

names = st.text("abcé中", max_size=3)


@given(
    ids=st.tuples(*[st.sets(names, max_size=8).map(sorted)] * 2),
    rows=st.lists(st.tuples(names, names, st.integers(0, 9)), max_size=12),
)
def test_rows_come_back_but_for_those_whose_ids_are_not_there(ids, rows):
    pairs = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String, "n": pl.Int64}, orient="row")
    of = {name: pl.Series(own, dtype=pl.String) for name, own in zip("ab", ids, strict=True)}
    found = to_positions(pairs, of)
    assert found.schema == {"a": pl.Int32, "b": pl.Int32, "n": pl.Int64}
    known = [row for row in rows if row[0] in ids[0] and row[1] in ids[1]]
    assert found.rows() == [(ids[0].index(a), ids[1].index(b), n) for a, b, n in known]
    assert to_ids(found, of).rows() == known
    assert to_ids(found.drop("b"), of).columns == ["a", "n"]
