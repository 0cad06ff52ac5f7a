import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search import top_k as top_ks
from minerkit.search.request import Pairs
from minerkit.search.top_k import TopK, TopKCandidates

NOISE = 0.02


class World:
    """Queries with exact scores of documents, and scores that are off by less than a noise."""

    def __init__(
        self, seed: int, size: int, documents: int, levels: int = 0, error_bound: float = NOISE
    ) -> None:
        rng = np.random.default_rng(seed)
        self.exact = rng.uniform(-1, 1, (size, documents))
        if levels:
            self.exact = np.round(self.exact * levels) / levels
        self.error_bound = np.full(size, error_bound, np.float32)
        off = rng.uniform(-0.99, 0.99, self.exact.shape) * error_bound
        self.seen = torch.from_numpy((self.exact + off).astype(np.float32))

    def top_k(
        self, k: int, capacity: int, mask: Pairs | None = None, ceilings: np.ndarray | None = None
    ) -> TopK:
        return TopK(k, capacity, self.error_bound, mask or Pairs.empty(), ceilings)

    def fill(self, top_k: TopK, step: int, prune: bool = True) -> TopKCandidates:
        """Show the documents so many at a time."""
        size, count = self.seen.shape
        for start in range(0, count, step):
            tile = self.seen[:, start : start + step].contiguous()
            top_k.take_products(tile, np.arange(size), start, np.ones(size, np.float32), top_k.k)
            if prune:
                top_k.prune(top_k.k)
        return top_k.finish()

    def best(self, row: int, k: int, ceiling: float = np.inf, mask: tuple[int, ...] = ()) -> list[int]:
        scores = np.where(self.exact[row] <= ceiling, self.exact[row], -np.inf)
        scores[list(mask)] = -np.inf
        order = np.argsort(-scores, kind="stable")[:k]
        return [int(document) for document in order if scores[document] > -np.inf]


def held(kept: TopKCandidates, row: int) -> set[int]:
    return set(kept.columns[kept.starts[row] : kept.starts[row + 1]].tolist())


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 8),
    documents=st.integers(8, 300),
    step=st.sampled_from([1, 7, 63, 64, 65, 128, 300]),
    levels=st.sampled_from([0, 3, 20]),
    prune=st.booleans(),
)
def test_all_that_may_be_among_the_k_best_is_held(seed, k, documents, step, levels, prune):
    world = World(seed, 4, documents, levels)
    kept = world.fill(world.top_k(k, 300), step, prune)
    for row in range(4):
        assert set(world.best(row, k)) <= held(kept, row)
    assert (kept.floor == -np.inf).all()


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 5),
    ceiling=st.floats(-0.9, 0.9),
    step=st.sampled_from([1, 33, 64, 200]),
)
def test_all_that_may_be_among_the_k_best_below_the_ceiling_is_held(seed, k, ceiling, step):
    world = World(seed, 3, 200)
    ceilings = np.array([ceiling, 1.0, np.inf])
    kept = world.fill(world.top_k(k, 200, ceilings=ceilings), step)
    for row in range(3):
        assert set(world.best(row, k, ceilings[row])) <= held(kept, row)
        columns = list(held(kept, row))
        assert (world.exact[row, columns] <= ceilings[row] + 2 * NOISE).all()


@given(seed=st.integers(0, 10_000), k=st.integers(1, 5), step=st.sampled_from([1, 64, 200]))
def test_what_does_not_count_is_not_held_and_hides_nothing(seed, k, step):
    world = World(seed, 3, 200)
    mask = {row: tuple(world.best(row, row * 7)) for row in range(3)}  # none, and some of the best
    queries = np.repeat(np.arange(3), [len(own) for own in mask.values()])
    pairs = Pairs.of(queries, np.array([d for own in mask.values() for d in own], np.int64))
    kept = world.fill(world.top_k(k, 200, pairs), step)
    for row in range(3):
        assert set(world.best(row, k, mask=mask[row])) <= held(kept, row)
        assert not held(kept, row) & set(mask[row])


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 5),
    capacity=st.integers(5, 12),
    levels=st.sampled_from([0, 2, 4]),
)
def test_what_goes_for_want_of_room_is_below_the_floor(seed, k, capacity, levels):
    world = World(seed, 4, 90, levels, 0.1)
    kept = world.fill(world.top_k(k, capacity), 30)
    for row in range(4):
        own = held(kept, row)
        assert len(own) <= capacity
        lost = [world.exact[row, document] for document in world.best(row, k) if document not in own]
        assert all(score <= float(kept.floor[row]) for score in lost)


def test_a_crowd_of_equals_leaves_a_floor_at_their_score():
    world = World(1, 2, 40)
    world.seen[1] = 0.5
    kept = world.fill(world.top_k(3, 12), 40)
    assert kept.floor.tolist() == [-np.inf, pytest.approx(0.5 + NOISE)]
    assert held(kept, 1) == set()


@given(seed=st.integers(0, 10_000), guess=st.integers(1, 4))
def test_a_guess_that_was_too_high_leaves_a_floor(seed, guess):
    world, k = World(seed, 3, 128), 6
    top_k = world.top_k(k, 100)
    for start in (0, 64):
        top_k.take_products(
            world.seen[:, start : start + 64].contiguous(), np.arange(3), start, np.ones(3, np.float32), guess
        )
        top_k.prune(guess)
    kept = top_k.finish()
    for row in range(3):
        missing = [world.exact[row, d] for d in world.best(row, k) if d not in held(kept, row)]
        assert all(score <= kept.floor[row] for score in missing)
        assert missing == [] or kept.floor[row] > -np.inf


def test_a_first_threshold_spares_most_of_the_first_tile():
    world = World(2, 4, 64 * 64)
    top_k = world.top_k(4, 2000)
    top_k.take_products(world.seen, np.arange(4), 0, np.ones(4, np.float32), 4)
    assert (top_k.counts < 400).all() and (top_k.counts >= 4).all()


def test_some_queries_are_shown_a_tile():
    world = World(4, 3, 64)
    top_k = world.top_k(2, 50)
    rows = np.array([2, 0])
    top_k.take_products(world.seen[rows].contiguous(), rows, 1000, np.ones(2, np.float32), 2)
    kept = top_k.finish()
    assert held(kept, 1) == set()
    for row in (0, 2):
        assert {d + 1000 for d in world.best(row, 2)} <= held(kept, row)


def test_products_count_in_units_of_their_row():
    products = torch.tensor([[4, -3, 2], [1, 2, 3]], dtype=torch.int32)
    top_k = TopK(3, 9, np.full(2, 0.01, np.float32), Pairs.empty(), np.array([0.35, 10.0]))
    top_k.take_products(products, np.arange(2), 0, np.array([0.1, 2.0], np.float32), 3)
    assert held(kept := top_k.finish(), 0) == {1, 2}
    assert held(kept, 1) == {0, 1, 2}


@given(seed=st.integers(0, 10_000))
def test_a_threshold_never_falls(seed):
    world = World(seed, 3, 80)
    top_k = world.top_k(2, 20)
    before = top_k.threshold.copy()
    for start in range(0, 80, 10):
        tile = world.seen[:, start : start + 10].contiguous()
        top_k.take_products(tile, np.arange(3), start, np.ones(3, np.float32), 2)
        top_k.prune(2)
        assert (top_k.threshold >= before).all()
        before = top_k.threshold.copy()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_are_taken(dtype):
    tile = torch.tensor([[0.5, 0.25, -1.0]], dtype=dtype)
    top_k = TopK(1, 4, np.full(1, 0.01, np.float32), Pairs.empty(), None)
    top_k.take_products(tile, np.arange(1), 7, np.ones(1, np.float32), 1)
    assert held(top_k.finish(), 0) == {7}


def test_kept_columns_of_some_queries_stand_one_after_the_other():
    kept = TopKCandidates(np.array([5, 6, 7], np.int32), np.array([0, 2, 2, 3]), np.zeros(3, np.float32))
    for rows, expected in (([0, 1, 2], [[5, 6], [], [7]]), ([0, 2], [[5, 6], [7]]), ([1], [[]]), ([], [])):
        columns, starts = kept.of(np.array(rows, np.int64))
        assert [columns[low:high].tolist() for low, high in itertools.pairwise(starts)] == expected
    none = TopKCandidates(np.empty(0, np.int32), np.zeros(3, np.int64), np.zeros(2, np.float32))
    assert [part.tolist() for part in none.of(np.array([0, 1]))] == [[], [0, 0, 0]]


class Elsewhere:
    """A tile that says that it is not on the CPU, so that it is taken as from a GPU."""

    def __init__(self, tile: torch.Tensor) -> None:
        self.tile, self.device = tile, torch.device("meta")

    def __getitem__(self, part: tuple[slice, slice]) -> torch.Tensor:
        return self.tile[part]


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), levels=st.sampled_from([0, 5]))
def test_a_tile_on_a_device_is_taken_as_one_on_the_cpu(seed, k, levels):
    world = World(seed, 3, 300, levels)
    pairs, ceilings = Pairs.of(np.array([0, 2]), np.array([3, 9])), np.array([0.4, np.inf, 0.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_ks, "LEAD", 40)
        top_k = world.top_k(k, 250, pairs, ceilings)
        for start in (0, 150):
            tile = Elsewhere(world.seen[:, start : start + 150])
            top_k.take_products(tile, np.arange(3), start, np.ones(3, np.float32), k)
    kept = top_k.finish()
    for row in range(3):
        mask = tuple(pairs.documents[pairs.queries == row])
        assert set(world.best(row, k, ceilings[row], mask)) <= held(kept, row)
        assert not held(kept, row) & set(mask)
