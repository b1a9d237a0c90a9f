"""Discard frees what is staged of a bundle, and nothing else (SPEC 7.8-8)."""

import shutil
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import BusyError, IncompleteError, NotHeldError, StorageError, UsageError
from airlift.high.enclave.discard import discard
from airlift.high.enclave.recover import recover, unfinished_steps
from airlift.high.enclave.staged import staged_bundles
from tests.support.depots import Site
from tests.support.enclaves import (
    attempt,
    enclave,
    operator,
    picture,
    served,
    site,
    take,
    volumes,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_it_frees_one_bundle_and_leaves_the_rest(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    attempt(place, world().bundles["full"][:1], IncompleteError, 4)
    (staged,) = staged_bundles(place, place.state())
    shutil.copytree(staged.folder, place.staging / ("f" * 64))
    before, state = picture(place.folder), place.state()
    planned = discard(place, "any-1", operator=operator(), dry_run=True)
    assert picture(place.folder) == before
    assert (planned.bundle, planned.manifest, planned.target) == ("any-1", staged.digest, "assistant@1")
    assert (planned.chunks, planned.bytes, planned.reserved) == (
        staged.chunks,
        staged.chunk_bytes,
        staged.reserved,
    )
    assert discard(place, "any-1", operator=operator()) == planned
    assert [path.name for path in place.staging.iterdir()] == ["f" * 64]
    assert place.state() == state, "it writes no entry"
    assert discard(place, "f" * 12, operator=operator()).bundle is None
    assert list(place.staging.iterdir()) == []
    assert take(place, "full", activate=True).installed, "it may come again"


@pytest.mark.parametrize("length", [12, 64, 128])
def test_it_is_named_by_its_digest(tmp_path: Path, length: int) -> None:
    place = enclave("fresh", tmp_path)
    attempt(place, world().bundles["full"][:1], IncompleteError, 4)
    (staged,) = staged_bundles(place, place.state())
    assert staged.digest is not None
    discard(place, staged.digest[:length], operator=operator())
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize("reference", ["any-7", "any", "", "0123456789ab", "0", "../../releases", "*"])
def test_what_is_not_staged(tmp_path: Path, reference: str) -> None:
    place = enclave("fresh", tmp_path)
    attempt(place, world().bundles["full"][:1], IncompleteError, 4)
    with pytest.raises(NotHeldError) as caught:
        discard(place, reference, operator=operator())
    assert caught.value.expected == "one of any-1"


def test_what_was_committed_is_refused(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = served(place)
    for reference in ("any-2", place.state().bundles[1].manifest[:20]):
        with pytest.raises(UsageError) as caught:
            discard(place, reference, operator=operator())
        assert caught.value.exit_code == 2
    assert served(place) == before


def test_leftovers_of_a_committed_bundle_are_for_recovery(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    files.make_folder(place.staging_path(place.state().bundles[0].manifest) / "chunks")
    assert staged_bundles(place, place.state()) == ()
    with pytest.raises(UsageError):
        discard(place, "any-1", operator=operator())
    assert list(place.staging.iterdir()) == []


def test_two_of_one_name(tmp_path: Path) -> None:
    """A restored depot gave one number to two bundles: the digest tells them apart."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    shutil.copytree(low.folder, tmp_path / "restored")
    for depot, output in ((low, "a"), (Site(tmp_path / "restored"), "b")):
        made = depot.bundle("assistant@1" if output == "a" else "assistant@2", output)
        medium = tmp_path / f"medium-{output}"
        shutil.copytree(made.volumes[0].path, medium)
        max((medium / "chunks").iterdir()).unlink()
        attempt(place, [medium], IncompleteError, 4)
    first, second = staged_bundles(place, place.state())
    assert first.name == second.name
    with pytest.raises(NotHeldError, match="more than one"):
        discard(place, first.name, operator=operator())
    assert second.digest is not None
    discard(place, second.digest, operator=operator())
    assert staged_bundles(place, place.state()) == (first,)


def test_it_takes_the_lock(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    attempt(place, world().bundles["full"][:1], IncompleteError, 4)
    with place.lock(), pytest.raises(BusyError):
        discard(place, "any-1", operator=operator())
    assert len(staged_bundles(place, place.state())) == 1


def test_a_discard_that_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone in one step; what is left of it is recovery's."""
    place = enclave("fresh", tmp_path)
    attempt(place, volumes("full", tmp_path)[:1], IncompleteError, 4)

    def fail(*_: object) -> None:
        raise OSError(5, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(StorageError):
            discard(place, "any-1", operator=operator())
    assert staged_bundles(place, place.state()) == ()
    assert any(".tmp-" in step.text for step in unfinished_steps(place, place.state()))
    with place.lock():
        assert recover(place, operator())
    assert list(place.staging.iterdir()) == []
