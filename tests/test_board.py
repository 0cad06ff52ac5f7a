import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minerkit.search.board import Board


class World:
    """Queries with exact scores of documents, and scores that are off by less than a noise."""

    def __init__(self, seed: int, size: int, documents: int, levels: int = 0, noise: float = 0.02) -> None:
        rng = np.random.default_rng(seed)
        self.exact = rng.uniform(-1, 1, (size, documents))
        if levels:
            self.exact = np.round(self.exact * levels) / levels
        self.noise = torch.full((size,), noise)
        off = rng.uniform(-0.99, 0.99, self.exact.shape) * noise
        self.seen = torch.from_numpy((self.exact + off).astype(np.float32))

    def fill(self, board: Board, step: int, tidy: bool = True) -> None:
        """Show the documents so many at a time; only those above the threshold are added."""
        for start in range(0, self.seen.shape[1], step):
            tile = self.seen[:, start : start + step]
            rows, columns = (tile > board.threshold[:, None]).nonzero(as_tuple=True)
            board.add(rows, columns + start, tile[rows, columns], self.noise)
            if tidy:
                board.tidy(self.noise)
        board.tidy(self.noise)

    def best(self, row: int, k: int, ceiling: float = np.inf) -> list[int]:
        scores = np.where(self.exact[row] <= ceiling, self.exact[row], -np.inf)
        order = np.argsort(-scores, kind="stable")[:k]
        return [int(document) for document in order if scores[document] > -np.inf]


def held(board: Board, row: int) -> set[int]:
    count = int(board.counts[row])
    assert torch.isfinite(board.values[row, :count]).all()
    assert (board.values[row, count:] == -torch.inf).all()
    return set(board.columns[row, :count].tolist())


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 8),
    documents=st.integers(8, 120),
    step=st.integers(1, 40),
    levels=st.sampled_from([0, 3, 20]),
    tidy=st.booleans(),
)
def test_all_that_may_be_among_the_k_best_is_held(seed, k, documents, step, levels, tidy):
    world = World(seed, 4, documents, levels)
    board = Board(4, k, 120, None, "cpu")
    world.fill(board, step, tidy)
    for row in range(4):
        assert set(world.best(row, k)) <= held(board, row)
    assert (board.floor == -torch.inf).all()


@given(
    seed=st.integers(0, 10_000), k=st.integers(1, 5), ceiling=st.floats(-0.9, 0.9), step=st.integers(1, 40)
)
def test_all_that_may_be_among_the_k_best_below_the_ceiling_is_held(seed, k, ceiling, step):
    world = World(seed, 3, 100, 0)
    ceilings = np.array([ceiling, 1.0, np.inf])
    board = Board(3, k, 100, ceilings, "cpu")
    world.fill(board, step)
    for row in range(3):
        assert set(world.best(row, k, ceilings[row])) <= held(board, row)


@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 5),
    room=st.integers(5, 12),
    levels=st.sampled_from([0, 2, 4]),
)
def test_what_goes_for_want_of_room_is_below_the_floor(seed, k, room, levels):
    world = World(seed, 4, 90, levels, 0.1)
    board = Board(4, k, room, None, "cpu")
    world.fill(board, 30)
    for row in range(4):
        kept = held(board, row)
        assert len(kept) <= room
        lost = [world.exact[row, document] for document in world.best(row, k) if document not in kept]
        assert all(score <= float(board.floor[row] + world.noise[row]) for score in lost)


def test_a_crowd_of_equals_leaves_a_floor_at_their_score():
    world = World(1, 2, 40)
    world.seen[1] = 0.5
    board = Board(2, 3, 12, None, "cpu")
    world.fill(board, 40)
    assert board.floor.tolist() == [-np.inf, 0.5]
    assert held(board, 1) == set()


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6))
def test_a_first_threshold_loses_none_of_the_k_best(seed, k):
    world = World(seed, 4, 60)
    board = Board(4, k, 60, None, "cpu")
    peaks = world.seen.reshape(4, 10, 6).amax(1)
    board.seed(torch.arange(4), peaks, world.noise)
    for row in range(4):
        scores = world.seen[row, world.best(row, k)]
        assert (scores > board.threshold[row]).all()
        assert board.threshold[row] > -torch.inf


def test_a_first_threshold_of_fewer_scores_than_are_wanted_is_none():
    board = Board(2, 5, 96, None, "cpu")
    board.seed(torch.arange(2), torch.rand(2, 4), torch.zeros(2))
    assert (board.threshold == -torch.inf).all()


def test_a_first_threshold_counts_nothing_near_the_ceiling():
    board = Board(1, 1, 96, np.array([0.5]), "cpu")
    board.seed(torch.arange(1), torch.tensor([[0.9, 0.495, 0.3]]), torch.tensor([0.01]))
    assert board.threshold.tolist() == pytest.approx([0.28])


def test_a_first_threshold_is_set_for_some_queries():
    board = Board(3, 1, 96, None, "cpu")
    board.seed(torch.tensor([2, 0]), torch.tensor([[0.3], [0.7]]), torch.tensor([0.1, 0.1, 0.0]))
    assert board.threshold.tolist() == pytest.approx([0.5, -np.inf, 0.3])


def test_more_hits_than_there_are_places_are_taken_in_turns():
    world = World(3, 2, 500)
    board = Board(2, 4, 8, None, "cpu")
    rows = torch.arange(2).repeat_interleave(500)
    board.add(rows, torch.arange(500).repeat(2), world.seen.reshape(-1), world.noise)
    board.tidy(world.noise)
    for row in range(2):
        kept = held(board, row)
        low = float(board.floor[row] + world.noise[row])
        assert all(d in kept or world.exact[row, d] <= low for d in world.best(row, 4))


@given(seed=st.integers(0, 10_000))
def test_a_threshold_never_falls(seed):
    world = World(seed, 3, 80)
    board = Board(3, 2, 20, None, "cpu")
    before = board.threshold.clone()
    for start in range(0, 80, 10):
        rows, columns = (world.seen[:, start : start + 10] > board.threshold[:, None]).nonzero(as_tuple=True)
        board.add(rows, columns + start, world.seen[rows, columns + start], world.noise)
        board.tidy(world.noise)
        assert (board.threshold >= before).all()
        before = board.threshold.clone()


def test_tidying_some_queries_leaves_the_others_alone():
    board = Board(3, 1, 2, None, "cpu")
    rows = torch.tensor([0, 0, 1, 1, 2])
    board.add(rows, torch.arange(5), torch.tensor([0.9, 0.1, 0.9, 0.1, 0.4]), torch.full((3,), 0.01))
    board.tidy(torch.full((3,), 0.01), torch.tensor([1]))
    assert board.counts.tolist() == [2, 1, 1]
    assert [held(board, row) for row in range(3)] == [{0, 1}, {2}, {4}]
