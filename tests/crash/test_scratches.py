"""Scratches and lost volumes on bundles with parity: 1,000 patterns that leave enough of each stripe, 200 of any.

The former are repaired; the latter are, or are refused and nothing has changed. A sample without
``AIRLIFT_CRASH=full``.
"""

import random
from pathlib import Path

import pytest

from tests.crash.rehearsal import FULL
from tests.support import parity
from tests.support.enclaves import enclave, forget

BATCHES = 50 if FULL else 1
GENTLE, WILD = 10, 2
"""Patterns of a batch, for each kind of bundle."""

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.mark.parametrize("name", [parity.ACROSS, parity.LANES])
@pytest.mark.parametrize("batch", range(BATCHES))
def test_scratches(tmp_path: Path, name: str, batch: int) -> None:
    dice = random.Random(f"{name} {batch}")
    for number in range(GENTLE + WILD):
        folder, gentle = tmp_path / str(number), number < GENTLE
        folder.mkdir()
        assert parity.scratched(enclave("fresh", folder), name, folder, dice, gentle=gentle) >= gentle
        forget(folder)


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync: the power stays on here."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
