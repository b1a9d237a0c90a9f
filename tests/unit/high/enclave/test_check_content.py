"""Check reads everything at rest; what it finds, and its repair, is in tests/unit/high/importing/test_repair.py."""

import os
from pathlib import Path

import pytest

from airlift.errors import (
    UncheckedError,
)
from airlift.high.enclave.check_content import check_content
from tests.support.enclaves import (
    V1,
    V2,
    enclave,
)

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_all_is_well(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    result = check_content(enclave("two", tmp_path), lambda *step: told.append(step))
    assert (result.files, result.damaged, result.unlisted) == (6, (), ())
    assert result.bytes == sum(
        len(data) for data in {d for c in (*V1.values(), *V2.values()) for d in c.values()}
    )
    assert told[-1] == ("checking", result.bytes, result.bytes)


def test_a_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, real = enclave("one", tmp_path), os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if "/enclave-one/releases/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "injected")
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(UncheckedError):
        check_content(place)
