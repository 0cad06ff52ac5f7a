"""The benchmark of statistics: both sides compute the same table of all rows."""

import json
import sys

import pytest

from bench import stats


@pytest.mark.parametrize("unit", ["characters", pytest.param("tokens", marks=pytest.mark.slow)])
def test_both_sides_compute_the_same_table(tmp_path, minilm, unit):
    file = tmp_path / "small.parquet"
    stats.write_gooaq(file, 1_500)
    model, tokens = stats.models(minilm)[unit]
    _, table = stats.peer(file, model)
    _, section = stats.ours(file, tokens)
    assert table in section + "\n"
    assert f" {unit}</li>" in table


@pytest.mark.slow
def test_one_line_per_case(minilm, monkeypatch, capsys):
    arguments = ["--model", minilm, "--rows", "700", "--peer-rows", "300", "--repeat", "1"]
    monkeypatch.setattr(sys, "argv", ["stats.py", *arguments])
    stats.main()
    cases = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [case["rows"] for case in cases] == [700, 700, 300, 300]
    assert all(case["ratio"] > 0 for case in cases[2:])
