"""1,000 patterns of scratches and lost volumes on bundles with parity: repaired, or refused and nothing changed.

A sample without ``AIRLIFT_CRASH=full``.
"""

import random
from pathlib import Path

import pytest

from tests.crash.rehearsal import FULL
from tests.support import parity
from tests.support.enclaves import enclave, forget

PATTERNS = 1000 if FULL else 20
EACH = 10

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.mark.parametrize("name", [parity.ACROSS, parity.LANES])
@pytest.mark.parametrize("batch", range(PATTERNS // EACH // 2))
def test_scratches(tmp_path: Path, name: str, batch: int) -> None:
    dice = random.Random(f"{name} {batch}")
    done = []
    for number in range(EACH):
        folder = tmp_path / str(number)
        folder.mkdir()
        done.append(parity.scratched(enclave("fresh", folder), name, folder, dice))
        forget(folder)
    assert any(done)


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync: the power stays on here."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
