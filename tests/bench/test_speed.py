"""The speed benchmark: its worlds hold what they say, and it prints a line a case."""

import json
import sys

import numpy as np
import pytest

from bench import speed, worlds


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["speed.py", *arguments])
    speed.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_made_words_share_what_they_should(tmp_path, monkeypatch):
    monkeypatch.setenv("MINERKIT_CACHE", "")  # making a world sets it
    worlds.make("random", 400, tmp_path / "random-400")
    pairs, documents = worlds.read(tmp_path / "random-400")
    assert documents is None
    shared = [len({*query.split()} & {*document.split()}) for query, document in pairs.iter_rows()]
    assert np.mean(np.array(shared) >= 2) == pytest.approx(worlds.SHARED[2], abs=0.1)
    assert np.mean(np.array(shared) == 0) == pytest.approx(worlds.SHARED[0], abs=0.05)


def test_clustered_vectors_keep_the_scores_of_the_real_pairs():
    draw = np.random.default_rng(1)
    documents = worlds._unit(draw.standard_normal((300, 128)).astype(np.float32))
    queries = worlds._unit(documents + 0.1 * draw.standard_normal((300, 128)).astype(np.float32))
    [(made, held)] = worlds.vectors(queries, documents, 5000, draw)
    real = worlds.describe(queries, documents)
    found = worlds.describe(made, held)
    assert found["positive"] == pytest.approx(real["positive"], abs=0.06)
    assert found["variance"] == pytest.approx(real["variance"], abs=0.06)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)


def test_passages_with_one_vector_do_no_harm():
    twins = np.eye(2, 8, dtype=np.float32)[[0, 0]]
    [(made, held)] = worlds.vectors(twins, twins, 10, np.random.default_rng(1))
    assert np.isfinite(made).all() and np.isfinite(held).all()


def test_the_growth_of_the_peer_is_extrapolated():
    lines = [
        {"documents": n, "peer": {"after_encoding": 2 * n + 3 * n * n, "peak": 5 + 4 * n * min(n, 16384)}}
        for n in (1000, 20_000, 40_000)
    ]
    found = speed.extrapolated([*lines, {"documents": 100_000}])
    assert found["measured_up_to"] == 40_000
    assert found["peer"][-1]["seconds"] == pytest.approx(2e5 + 3e10)
    assert found["peer"][-1]["bytes"] == pytest.approx(4 * 16384 * 1e5)


@pytest.mark.slow
def test_a_line_a_case(monkeypatch, capsys, tmp_path):
    sizes = ["--rows", "300", "--cold", "1", "--repeat", "1", "--sample", "50", "--folder", str(tmp_path)]
    [line] = run(monkeypatch, capsys, "random", *sizes)
    assert (line["rows"], line["recall"], line["minerkit"]["found"]) == (300, 1.0, 1.0)
    assert all(line[side]["encode"] > 0 and line[side]["peak"] > 1 << 27 for side in ("minerkit", "peer"))
    assert {"after_encoding", "end_to_end", "peak", "encode_texts_per_second"} <= line["ratio"].keys()
    assert line["products"]["seconds"] > 0 and line["products"]["share"] > 0


@pytest.mark.slow
def test_clustered_worlds_need_no_encoding(minilm, monkeypatch, capsys, tmp_path):
    pytest.importorskip("faiss")
    options = ["--repeat", "1", "--sample", "50", "--folder", str(tmp_path)]
    lines = run(monkeypatch, capsys, "growth", "--sizes", "60", "120", "--peer-rows", "60", *options)
    assert [(line["rows"], line["recall"]) for line in lines] == [(60, 1.0), (120, 1.0)]
    assert ["peer" in line for line in lines] == [True, False]
    assert "encode" not in lines[0]["minerkit"]
    [line] = run(monkeypatch, capsys, "million", "--rows", "120", *options)
    assert line["recall"] == 1.0
    assert line["faiss"]["extrapolated_seconds"] == pytest.approx(line["faiss"]["measured"]["seconds"])
