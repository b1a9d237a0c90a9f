"""Shards beside one process: every round is told, and what fails ends it."""

import sys
from pathlib import Path

import pytest

from tests.bench import side_by_side


def test_every_round_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(side_by_side, "ROUNDS", 1)
    monkeypatch.setattr(sys, "argv", ["side_by_side", "4M", "--scratch", str(tmp_path)])
    side_by_side.main()
    cells = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    plan_one, plan_two, one, two, *_ = map(float, cells)
    assert len(cells) == 7
    assert 0 < plan_one < 10 * one
    assert 0 < plan_two < 10 * two
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_ends_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="failed"):
        side_by_side.seconds(2, tmp_path, tmp_path / "out")
