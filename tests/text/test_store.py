import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from minerkit.text.store import store_texts


@settings(max_examples=40)
@given(st.data())
def test_texts_are_the_same_in_memory_and_in_a_file(tmp_path_factory, data):
    made = data.draw(st.lists(st.text(max_size=20), max_size=30))
    columns = [pl.Series("a", made[at : at + 7], pl.String) for at in range(0, len(made), 7)]
    size = sum(len(text.encode()) for text in made)
    folder = tmp_path_factory.mktemp("run")
    held, filed = (store_texts(iter(columns), memory, folder) for memory in (size, size - 1))
    assert isinstance(held, pl.Series)
    assert isinstance(filed, pl.Series) == (not made)
    assert len(held) == len(filed) == len(made)
    places = data.draw(st.lists(st.integers(0, len(made) - 1), max_size=40)) if made else []
    start, count = data.draw(st.integers(0, 35)), data.draw(st.integers(0, 35))
    for found in (held, filed):
        assert found.gather(pl.Series(places, dtype=pl.UInt32)).to_list() == [made[place] for place in places]
        assert found.slice(start, count).to_list() == made[start : start + count]


def test_nothing_is_left_of_the_file(tmp_path):
    filed = store_texts([pl.Series(["one", "two"] * 50)], 0, tmp_path)
    assert filed.gather([99]).to_list() == ["two"]
    del filed
    assert not list(tmp_path.iterdir())
