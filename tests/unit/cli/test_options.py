"""What options mean when they are left out."""

import os

import pytest

from airlift.cli.frame import options


@pytest.mark.parametrize(
    ("given", "processors", "expected"), [(7, 2, 7), (1, 8, 1), (None, 2, 2), (None, 64, 4), (None, None, 1)]
)
def test_threads(
    monkeypatch: pytest.MonkeyPatch, given: int | None, processors: int | None, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert options.threads(given, 4) == expected
