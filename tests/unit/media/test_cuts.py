"""Volumes of several cuts of one bundle, together and one after the other (SPEC 6.8-6)."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import volume
from airlift.bundle.media_sizes import Medium
from airlift.bundle.volume import Index
from airlift.errors import IncompleteError, InventoryError, SignatureError, UsageError
from airlift.high.enclave import status
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.record import questions
from airlift.high.verification.inspect import inspect_volumes
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.recut import Asked, RecutRequest, recut
from airlift.low.returns.read_request import read_request
from airlift.media.claims import count_volumes
from airlift.media.volume_reader import Volume
from tests.support import enclaves
from tests.support.depots import NOW, Site, forget
from tests.support.enclaves import attempt, enclave, operator, volumes, world
from tests.support.returns import enrol, receipt_of, request_code, request_of

pytestmark = pytest.mark.usefixtures("quick_disk")


def again(site: Site, bundle: str, output: Path, **more: Any) -> list[Path]:
    """Cut a bundle of the world again; return the volumes."""
    result = recut(site.depot, RecutRequest(bundle, output, **more), now=NOW)
    return [item.path for item in result.volumes]


def request(site: Site, place: Enclave, there: list[Path], *, typed: bool = False) -> Asked:
    """Return what an enclave asks for that has nothing but these volumes, signed or typed."""
    enrol(site)
    make = request_code if typed else request_of
    return Asked(*read_request(site.depot, make(place, *there)))


# -- together --------------------------------------------------------------------------------------------------------


def test_volumes_of_two_cuts_are_imported_together(tmp_path: Path) -> None:
    """The answer to a request stands in for the disc that was lost, whatever the order."""
    site, paths = enclaves.site(tmp_path), volumes("full", tmp_path)
    kept, place = [paths[2], paths[0]], enclave("fresh", tmp_path)
    answer = again(site, "any-1", tmp_path / "again", asked=request(site, place, kept))
    given = [kept[0], *answer, kept[1]]
    for result in (plan_import(place, given, NOW), prove_bundle(place, given, NOW), inspect_volumes(given)):
        assert (result.volumes_present, result.volumes_total, result.missing) == (3, 4, ())
    result = import_bundle(place, given, operator=operator(), activate=True)
    assert (result.installed, result.activated) == (True, True)
    (entry,) = (item for item in questions.history(place).entries if item.type == "import-commit")
    assert entry.detail["volume_names"] == sorted([*(path.name for path in kept), "airlift-any-1-vol01of01"])


def test_all_volumes_of_both_cuts_and_copies(tmp_path: Path) -> None:
    site, paths = enclaves.site(tmp_path), volumes("full", tmp_path)
    other = again(site, "any-1", tmp_path / "again", medium=Medium(volume_bytes=2_400_000))
    copy = shutil.copytree(paths[1], tmp_path / "copied")
    given = [copy, *other, *paths]
    checked = check_volumes(given)
    assert checked.volumes_present == checked.volumes_total == len(paths) + len(other)
    assert import_bundle(enclave("fresh", tmp_path), given, operator=operator()).installed


def test_a_damaged_copy_in_one_cut_and_a_good_one_in_the_other(tmp_path: Path) -> None:
    site, paths = enclaves.site(tmp_path), volumes("full", tmp_path)
    other = again(site, "any-1", tmp_path / "again")
    enclaves.flip(min((paths[0] / volume.CHUNKS).iterdir()), 100)
    assert import_bundle(enclave("fresh", tmp_path), [*paths, *other], operator=operator()).installed


def test_a_volume_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    paths = volumes("full", tmp_path)
    copy = shutil.copytree(paths[0], tmp_path / "copied")
    attempt(enclave("fresh", tmp_path), [paths[0], copy, paths[1]], IncompleteError, 4)
    assert (inspect_volumes([copy, paths[0]]).volumes_present, len(paths)) == (1, 3)


# -- one after the other ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [False, True])
def test_the_answer_completes_what_was_begun(tmp_path: Path, *, typed: bool) -> None:
    """After exit 4: the volumes that were there are gone, and the answer alone is given."""
    site, paths = enclaves.site(tmp_path), volumes("full", tmp_path)
    place = enclave("fresh", tmp_path)
    attempt(place, paths[:2], IncompleteError, 4)
    asked = request(site, place, paths[1:2], typed=typed)  # the other one was staged
    answer = again(site, "any-1", tmp_path / "again", asked=asked)
    for path in paths:
        shutil.rmtree(path)
    result = import_bundle(place, answer, operator=operator(), activate=True)
    assert (result.installed, result.activated, result.volumes_present, result.volumes_total) == (
        True, True, 1, 1
    )  # fmt: skip
    assert not list(place.staging.iterdir())
    assert status.enclave_status(place, NOW).active == "assistant@1"


def test_an_answer_with_newer_metadata_completes_it_as_well(tmp_path: Path) -> None:
    """What the first cut carried is not known any more: not together (6.4-4), but one after the other."""
    site, paths = enclaves.site(tmp_path), volumes("full", tmp_path)
    forget(site.depot, "timestamp", "output")
    place = enclave("fresh", tmp_path)
    answer = again(site, "any-1", tmp_path / "again", asked=request(site, place, paths[:2]))
    with enclaves.refused(place, InventoryError, 3):
        import_bundle(place, [*paths[:2], *answer], operator=operator())
    attempt(place, paths[:2], IncompleteError, 4)
    assert import_bundle(place, answer, operator=operator(), activate=True).activated


def test_a_receipt_asks_for_nothing(tmp_path: Path) -> None:
    site, place = enclaves.site(tmp_path), enclave("one", tmp_path)
    enrol(site)
    with pytest.raises(UsageError, match="asks for nothing"):
        read_request(site.depot, receipt_of(place))


def test_a_request_of_nobody_who_is_enrolled(tmp_path: Path) -> None:
    site, place = enclaves.site(tmp_path), enclave("fresh", tmp_path)
    asked = request_of(place, *volumes("full", tmp_path)[:2])
    with pytest.raises(SignatureError) as caught:
        read_request(site.depot, asked)
    assert caught.value.exit_code == 3


def test_a_delta_is_coded_again_and_imported(tmp_path: Path) -> None:
    site = enclaves.site(tmp_path)
    site.depot.log.unlink()
    delta = again(site, world().bundles["last"][0].name.partition("-vol")[0][8:], tmp_path / "again")
    result = import_bundle(enclave("one", tmp_path), delta, operator=operator(), activate=True)
    assert (result.target, result.activated) == ("assistant@2", True)


# -- how many there are ----------------------------------------------------------------------------------------------


def one(number: int, total: int, *chunks: int) -> Volume:
    """Return a volume as far as counting needs one."""
    sums = {str(chunk): "" for chunk in chunks}
    index = Index("any-1", "", number, total, len(chunks), 0, f"{number} {total} {chunks}")
    return Volume(Path(), index, {}, {}, sums)


@pytest.mark.parametrize(
    ("given", "present", "total"),
    [
        ([one(1, 1)], 1, 1),
        ([one(1, 3, 1), one(3, 3, 3)], 2, 3),
        ([one(1, 3, 1), one(1, 3, 1), one(3, 3, 3)], 2, 3),  # a copy
        ([one(1, 3, 1), one(3, 3, 3), one(1, 1, 2)], 3, 4),  # the answer to a request
        ([one(1, 3, 1), one(2, 3, 2), one(3, 3, 3), one(1, 2, 1, 2), one(2, 2, 3)], 5, 5),
        ([one(1, 2, 1), one(1, 2, 1, 2), one(2, 2, 3)], 3, 4),  # one number, two volumes
        ([one(1, 2, 1, 2), one(2, 2, 2, 3)], 2, 4),  # one chunk on both
        ([one(2, 2, 2), one(1, 2, 1)], 2, 2),
    ],
)
def test_volumes_are_counted_cut_by_cut(given: list[Volume], present: int, total: int) -> None:
    assert count_volumes(given) == count_volumes(given[::-1]) == (present, total)
