"""What options mean when they are left out."""

import os
from pathlib import Path

import pytest

from airlift.cli.frame import options


@pytest.mark.parametrize(
    ("given", "processors", "expected"), [(7, 2, 7), (1, 8, 1), (None, 2, 2), (None, 64, 4), (None, None, 1)]
)
def test_threads(
    monkeypatch: pytest.MonkeyPatch, given: int | None, processors: int | None, expected: int
) -> None:
    monkeypatch.setattr(options, "CPU_QUOTA", "/no such file")
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    if processors is None:
        monkeypatch.delattr(os, "sched_getaffinity")
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)))
    assert options.threads(given, 4) == expected


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("odd", 8)]
)
def test_a_control_group_may_allow_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(options, "CPU_QUOTA", str(tmp_path / "cpu.max"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    assert options.processors() == expected
