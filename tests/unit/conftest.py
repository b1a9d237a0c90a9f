"""Fixtures of the unit tests."""

import os

import pytest


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync: these tests are not about power cuts (tests/crash is), and disks are slow."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
