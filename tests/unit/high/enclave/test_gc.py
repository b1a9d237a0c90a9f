"""Garbage collection removes only what nobody needs."""

from pathlib import Path

import pytest

from airlift.errors import (
    IncompleteError,
    UsageError,
)
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.gc import collect_garbage
from airlift.high.record.questions import history
from tests.support import forge
from tests.support.enclaves import (
    V1,
    V3,
    attempt,
    enclave,
    holds_release,
    operator,
    picture,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

MODEL = V1["base"]["model.safetensors"]
DIGEST = forge.digest(MODEL).sha512


def test_gc_keeps_active_previous_and_newest(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    take(place, "step")
    with pytest.raises(UsageError):
        collect_garbage(place, 0, operator=operator())
    before = picture(place.content.folder)
    result = collect_garbage(place, 1, operator=operator(), dry_run=True)
    assert (result.removed, len(result.kept)) == ((), 3)
    assert collect_garbage(place, 1, operator=operator()).removed == ()
    assert picture(place.content.folder) == before
    take(place, "step", activate=True)
    result = collect_garbage(place, 1, operator=operator())
    assert (result.removed, result.kept) == (("assistant@1",), ("assistant@2", "assistant@3"))
    assert (result.files, result.bytes) == (1, len(MODEL))
    assert not place.content.path(DIGEST).exists()
    check_content(place)
    assert holds_release(place, V3)
    assert history(place).entries[-1].type == "gc"


def test_gc_by_the_number_that_policy_says(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    take(place, "step", activate=True)
    (tmp_path / "policy.yaml").write_text("airlift: 1\nenclave: alpha\nkeep: 3\n")
    change_policy(place, tmp_path / "policy.yaml", operator=operator())
    assert collect_garbage(place, operator=operator()).removed == ()


def test_gc_removes_staged_work_and_unknown_content(tmp_path: Path) -> None:
    """Staged work goes if nobody can tell what it is, and stays as long as it may be completed (SPEC 8.5)."""
    place = enclave("one", tmp_path)
    other = enclave("fresh", tmp_path)
    attempt(other, world().bundles["full"][:1], IncompleteError, 4)
    (work,) = other.staging.iterdir()
    assert collect_garbage(other, operator=operator()).staged == ()
    assert work.is_dir()
    (work / "bundle.json").unlink()
    result = collect_garbage(other, operator=operator())
    assert result.staged_bytes > 400_000
    assert result.staged == (work.name,)
    assert list(other.staging.iterdir()) == []
    stray = place.content.path("0" * 128)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"12345")
    result = collect_garbage(place, operator=operator())
    assert (result.files, result.bytes, result.removed) == (1, 5, ())
    assert not stray.exists()
    place.staging.rmdir()
    assert collect_garbage(place, operator=operator()).staged_bytes == 0
