"""The benchmark of kills: what was killed ends the same, and what is repeated is told."""

import json
import sys

from bench import kills


def test_killed_runs_end_the_same(real_data, minilm, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kills.py", "--rows", "600", "--cold", "1", "--warm", "1"])
    kills.main()
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary["different"] == 0
    assert summary["kills"] == len(lines) == sum(summary["stages"].values()) and len(lines) >= 1
    assert all(line["repeated_seconds"] >= 0 for line in lines)
    assert summary["repeated"]["most"] == max(line["share"] for line in lines)
