"""Volumes one at a time, in any order, days apart, with other imports in between (SPEC 7.8)."""

import itertools
import random
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from airlift import files
from airlift.bundle import volume
from airlift.bundle.media_sizes import Medium
from airlift.errors import (
    BaselineError,
    DigestError,
    ExpiredError,
    IncompleteError,
    NoSpaceError,
    OvertakenError,
    ReplayError,
)
from airlift.high.activation.activate import activate
from airlift.high.enclave import outlook, staged_record
from airlift.high.enclave.discard import discard
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.recover import recover
from airlift.high.enclave.staged import RESERVED, StagedBundle, load_record, staged_bundles
from airlift.high.enclave.status import enclave_status
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.importing.reserve import SPACE_MARGIN
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from airlift.low.bundle.withdraw import withdraw
from airlift.low.release.make_release import make_release
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, Site
from tests.support.enclaves import (
    V1,
    V2,
    attempt,
    enclave,
    flip,
    holds_release,
    operator,
    overwrite,
    picture,
    site,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

FIVE = Medium(volume_bytes=1_530_000, file_bytes=80 << 10)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, tuple[Path, ...]]:
    """A low side with a bundle of assistant@1 on five volumes of three chunks, the last of two."""
    low = site(tmp_path_factory.mktemp("five"))
    made = low.bundle("assistant@1", "five", medium=FIVE)
    assert len(made.volumes) == 5
    return low, tuple(item.path for item in made.volumes)


def insert(place: Enclave, path: Path, **more: object) -> IncompleteError:
    """Import one volume that leaves the bundle incomplete."""
    error = attempt(place, [path], IncompleteError, 4, **more)
    assert isinstance(error, IncompleteError)
    return error


def only_staged(place: Enclave) -> StagedBundle:
    """Return the one bundle that is staged."""
    (found,) = staged_bundles(place, place.state())
    return found


def said(place: Enclave, now: object = NOW) -> dict[str, object]:
    """Return what status says of the one bundle that is staged."""
    (found,) = enclave_status(place, now).staged  # type: ignore[arg-type]
    return dict(found)


def chunks_of(path: Path) -> list[Path]:
    """Return the chunks of a volume."""
    return sorted((path / volume.CHUNKS).iterdir())


# -- in any order --------------------------------------------------------------------------------------------------


ORDERS = random.Random(14).sample(list(itertools.permutations(range(5))), 8)
"""Eight of the 120 orders of five volumes."""


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_five_volumes_in_any_order_with_other_imports_between(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], order: Sequence[int]
) -> None:
    """Another bundle, its roll back, garbage collection and a plan in between change nothing of what is staged."""
    place, random_ = enclave("fresh", tmp_path), random.Random(sum(10**n * v for n, v in enumerate(order)))
    between = ["gc", "plan", "renewal", "nothing"]
    random_.shuffle(between)
    for count, (number, event) in enumerate(zip(order, between, strict=False), 1):
        medium = tmp_path / f"medium{number}"
        shutil.copytree(five[1][number], medium)
        error = insert(place, medium, operator=operator(NOW + timedelta(days=count)))
        shutil.rmtree(medium)  # taken away again
        staged = only_staged(place)
        assert staged.chunks == 3 * count - (4 in order[:count])  # the last one has two
        assert {item.volume for item in error.data["wanted"]} == {n + 1 for n in order[count:]}
        if event == "gc":
            assert collect_garbage(place, operator=operator()).staged == ()
        elif event == "plan":
            left = plan_import(place, [five[1][number]], NOW).missing
            assert left == tuple(error.data["missing"])
        elif event == "renewal":
            take(place, "renewal")  # older than this bundle's metadata
        assert only_staged(place) == staged
    result = import_bundle(place, [five[1][order[-1]]], operator=operator(), activate=True)
    assert (result.installed, result.activated, result.missing) == (True, True, ())
    assert holds_release(place, V1)
    assert list(place.staging.iterdir()) == []


def test_status_tells_what_is_staged(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    place = enclave("fresh", tmp_path)
    error = insert(place, five[1][1])
    assert (error.expected, error.found) == (
        "on volumes 1, 3, 4 and 5 of 5, not seen yet",
        "volume 2 of 5 so far",
    )
    assert "insert volume 1, 3, 4 or 5 of 5" in error.hint
    insert(place, five[1][3], operator=operator(NOW + timedelta(days=9)))
    found = said(place, NOW + timedelta(days=10))
    assert (found["bundle"], found["sequence"], found["target"]) == ("any-9", 9, "assistant@1")
    assert (found["since"], found["chunks_present"], found["chunks_total"]) == ("2026-11-21T12:00:00Z", 6, 14)
    assert found["bytes"] == sum(p.stat().st_size for n in (1, 3) for p in chunks_of(five[1][n]))
    assert found["seen"] == [{"volume": 2, "volumes": 5}, {"volume": 4, "volumes": 5}]
    assert [item.name for item in found["wanted"]] == [f"airlift-any-9-vol0{n}of05" for n in (1, 3, 5)]  # type: ignore[attr-defined]
    assert len(found["missing"]) == 8  # type: ignore[arg-type]
    assert (found["outlook"], found["completable"]) == ("open", True)
    assert found["next"] == "`airlift high import` with volume 1, 3 or 5 of 5"
    assert enclave_status(enclave("one", tmp_path), NOW).staged == ()


def test_the_last_volume_is_named(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    place = enclave("fresh", tmp_path)
    error = attempt(place, five[1][:4], IncompleteError, 4)
    (wanted,) = error.data["wanted"]
    assert (wanted.volume, wanted.volumes, wanted.seen, wanted.chunks) == (5, 5, False, 2)


def test_a_chunk_that_a_seen_volume_lists(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    """A volume without one of its chunks: the answer names it, beside those not seen yet."""
    place, medium = enclave("fresh", tmp_path), tmp_path / "medium"
    shutil.copytree(five[1][0], medium)
    chunks_of(medium)[1].unlink()
    error = insert(place, medium)
    assert [(item.volume, item.seen, item.chunks) for item in error.data["wanted"]] == [
        (1, True, 1),
        *((n, False, None) for n in range(2, 6)),
    ]
    assert (
        error.expected
        == "1 on volume 1 of 5, which was seen; the rest on volumes 2, 3, 4 and 5 of 5, not seen yet"
    )
    for path in five[1][1:]:
        error = insert(place, path)
    assert error.expected == "1 on volume 1 of 5, which was seen"
    assert import_bundle(place, [five[1][0]], operator=operator()).installed


def test_a_damaged_chunk_does_not_keep_the_others_out(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]]
) -> None:
    place, medium = enclave("fresh", tmp_path), tmp_path / "medium"
    shutil.copytree(five[1][0], medium)
    flip(chunks_of(medium)[0], 100)
    error = attempt(place, [medium], DigestError, 3)
    assert [volume.chunk_name(digest) for digest in error.data["damaged"]] == [chunks_of(medium)[0].name]
    assert only_staged(place).chunks == 2
    for path in five[1][1:]:
        error = insert(place, path)
    assert len(error.data["missing"]) == 1
    assert import_bundle(place, [five[1][0]], operator=operator()).installed


# -- at rest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["flip", "cut", "link", "folder", "gone"])
def test_damage_at_rest_is_noticed_at_once(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], harm: str
) -> None:
    place = enclave("fresh", tmp_path)
    insert(place, five[1][0])
    path = chunks_of(only_staged(place).folder)[0]
    data = path.read_bytes()
    path.unlink()
    if harm == "flip":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif harm == "cut":
        path.write_bytes(data[:-1])
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    elif harm == "folder":
        path.mkdir()
    error = insert(place, five[1][1])
    first = error.data["wanted"][0]
    assert (first.volume, first.seen) == (1, True)
    assert only_staged(place).chunks == 5
    for number in (2, 3, 4):
        insert(place, five[1][number])
    assert import_bundle(place, [five[1][0]], operator=operator(), activate=True).installed
    assert holds_release(place, V1)


def test_damage_between_the_check_and_the_use(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is digested again; the medium is not blamed, and the next run fetches it anew."""
    from airlift.high.importing import rebuild as module

    place = enclave("fresh", tmp_path)
    for path in five[1][:4]:
        insert(place, path)
    rotten, real = chunks_of(only_staged(place).folder)[-1], module._blocks

    def blocks(*args: object) -> object:
        flip(rotten, 9)
        return real(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_blocks", blocks)
        error = insert(place, five[1][4])
    assert [volume.chunk_name(digest) for digest in error.data["missing"]] == [rotten.name]
    error = insert(place, five[1][4])
    ((number, seen),) = [(item.volume, item.seen) for item in error.data["wanted"]]
    assert seen
    assert import_bundle(place, [five[1][number - 1]], operator=operator()).installed


def test_staging_survives_a_copy_of_the_disk_recovery_and_an_upgrade(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]]
) -> None:
    """An older airlift kept chunks alone: the next import says again what they are of."""
    place = enclave("fresh", tmp_path)
    for path in five[1][:2]:
        insert(place, path)
    folder = only_staged(place).folder
    for name in ("bundle.json", "staged.json", RESERVED):
        (folder / name).unlink()
    found = said(place)
    assert (found["bundle"], found["manifest"], found["outlook"]) == (None, folder.name, "unknown")
    assert (found["chunks_present"], found["chunks_total"]) == (6, None)
    with place.lock():
        assert recover(place, operator()) == ()
    insert(place, five[1][2])
    assert only_staged(place).chunks == 9
    assert said(place)["seen"] == [{"volume": 3, "volumes": 5}]
    for path in five[1][3:]:
        try:
            import_bundle(place, [path], operator=operator())
        except IncompleteError as error:
            assert [item.volume for item in error.data["wanted"]] == [1, 2, 5]  # noqa: PT017 - all but the last
    assert len(place.state().installed) == 1


@pytest.mark.parametrize("name", ["bundle.json", "staged.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9999, b'{"airlift":9,"type":"staged"}'])
def test_what_is_remembered_may_be_damaged(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], name: str, data: bytes
) -> None:
    place = enclave("fresh", tmp_path)
    insert(place, five[1][0])
    overwrite(only_staged(place).folder / name, data)
    assert said(place)["chunks_present"] == 3
    insert(place, five[1][1])
    found = said(place)
    assert (found["bundle"], found["chunks_present"]) == ("any-9", 6)
    assert found["seen"] == [{"volume": n, "volumes": 5} for n in ((2,) if name == "staged.json" else (1, 2))]


# -- room ----------------------------------------------------------------------------------------------------------


def size_of(paths: Sequence[Path]) -> int:
    """Return the bytes of the chunks of volumes, in whole blocks."""
    return sum(files.in_blocks(path.stat().st_size) for item in paths for path in chunks_of(item))


FILES = sum({data: files.in_blocks(len(data)) for parts in V1.values() for data in parts.values()}.values())


def test_room_is_reserved_for_all_that_is_still_to_come(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]]
) -> None:
    place = enclave("fresh", tmp_path)
    for count in range(1, 5):
        insert(place, five[1][count - 1])
        held = only_staged(place).folder / RESERVED
        assert held.stat().st_size == FILES + size_of(five[1][count:]) + SPACE_MARGIN
        stated, really = files.held_bytes(held)
        assert really in {0, stated} or abs(stated - really) < 4096
    assert said(place)["reserved"] == FILES + size_of(five[1][4:]) + SPACE_MARGIN


def test_no_room_is_found_before_anything_is_written(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = enclave("fresh", tmp_path)
    need = FILES + size_of(five[1]) + SPACE_MARGIN
    before = picture(place.staging)
    monkeypatch.setattr(files, "free_bytes", lambda _folder: need - 1)
    error = attempt(place, five[1][:1], NoSpaceError, 8)
    assert (error.data["lacking"], error.message.split()[0]) == (1, "1")
    assert picture(place.staging) == before == {}
    monkeypatch.setattr(files, "free_bytes", lambda _folder: need)
    insert(place, five[1][0])


def test_other_reservations_count(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system cannot hold what is reserved: then airlift takes it off."""
    monkeypatch.setattr(files, "_allocate", lambda *_: None)
    place = enclave("fresh", tmp_path)
    insert(place, five[1][0])
    held = only_staged(place).folder / RESERVED
    assert held.stat().st_blocks == 0
    left, need = held.stat().st_size, FILES + SPACE_MARGIN
    monkeypatch.setattr(files, "free_bytes", lambda _folder: need + left - 1)
    error = attempt(place, world().bundles["uncut"], NoSpaceError, 8)
    assert error.data["lacking"] == 1
    assert "airlift high discard any-9" in error.hint
    discard(place, "any-9", operator=operator())
    monkeypatch.setattr(files, "free_bytes", lambda _folder: need)
    assert take(place, "uncut").installed


def test_what_is_held_for_a_bundle_is_its_own(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rest of the disk full, the bundle is completed all the same."""
    place = enclave("fresh", tmp_path)
    insert(place, five[1][0])
    stated, really = files.held_bytes(only_staged(place).folder / RESERVED)
    if really < stated:
        pytest.skip("the file system cannot hold room")
    monkeypatch.setattr(files, "free_bytes", lambda _folder: 0)
    for path in five[1][1:4]:
        insert(place, path)
    assert import_bundle(place, five[1][4:], operator=operator()).installed


# -- blocks nothing ------------------------------------------------------------------------------------------------


def test_a_committed_newer_one(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    """The older one is completed after it, and not activated by itself."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    old = low.bundle("assistant@1", "old", medium=FIVE)
    new = low.bundle("assistant@2", "new")
    insert(place, old.volumes[0].path)
    assert import_bundle(place, [new.volumes[0].path], operator=operator(), activate=True).activated
    assert holds_release(place, V2)
    assert said(place)["outlook"] == "open"
    paths = [item.path for item in old.volumes[1:]]
    attempt(place, paths, OvertakenError, 6, activate=True)
    assert only_staged(place).chunks == 3
    assert import_bundle(place, paths, operator=operator()).installed
    assert holds_release(place, V2)


def test_a_withdrawn_one(tmp_path: Path) -> None:
    """It blocks nothing, is told of, and is what garbage collection removes."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    old = low.bundle("assistant@1", "old", medium=FIVE)
    insert(place, old.volumes[0].path)
    withdraw(low.depot, old.bundle, signer=keys.signer(BUNDLER), now=NOW)
    new = low.bundle("assistant@1", "new", medium=FIVE)
    insert(place, new.volumes[0].path)
    insert(place, old.volumes[1].path)  # nothing here knows yet
    assert {item["outlook"] for item in enclave_status(place, NOW).staged} == {"open"}
    assert import_bundle(place, [item.path for item in new.volumes[1:]], operator=operator()).installed
    found = said(place)
    assert (found["outlook"], found["completable"]) == ("withdrawn", False)
    assert f"airlift high discard {old.bundle}" in str(found["next"])
    attempt(place, [old.volumes[2].path], ReplayError, 3)
    dry = collect_garbage(place, operator=operator(), dry_run=True)
    assert dry.staged == (old.bundle,)
    assert only_staged(place).chunks == 6
    assert collect_garbage(place, operator=operator()).staged_bytes == dry.staged_bytes > 0
    assert list(place.staging.iterdir()) == []


def test_a_baseline_stays_for_what_is_staged_on_it(tmp_path: Path) -> None:
    """Garbage collection keeps what may still be needed, and says so; discarding lets go of it."""
    place = enclave("two", tmp_path)
    low = site(tmp_path)
    delta = low.bundle("assistant@3", "late", from_="assistant@1", medium=Medium(file_bytes=64 << 10))
    medium = tmp_path / "medium"
    shutil.copytree(delta.volumes[0].path, medium)
    chunks_of(medium)[-1].unlink()
    insert(place, medium)
    take(place, "step", activate=True)
    result = collect_garbage(place, 1, operator=operator())
    assert (result.removed, result.pinned) == ((), ("assistant@1",))
    discard(place, delta.bundle, operator=operator())
    assert collect_garbage(place, 1, operator=operator()).removed == ("assistant@1",)


def test_a_baseline_that_is_gone(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    low = site(tmp_path)
    delta = low.bundle("assistant@2", "late", from_="assistant@1", medium=Medium(file_bytes=64 << 10))
    medium = tmp_path / "medium"
    shutil.copytree(delta.volumes[0].path, medium)
    chunks_of(medium)[-1].unlink()
    insert(place, medium)
    base = only_staged(place).bundle.bases[0]  # type: ignore[union-attr]
    path = place.content.path(base.sha512)
    path.rename(tmp_path / "elsewhere")
    assert said(place)["outlook"] == "baseline-missing"
    attempt(place, [medium], BaselineError, 5)
    (tmp_path / "elsewhere").rename(path)
    assert said(place)["outlook"] == "open"


def test_a_sequence_that_was_used(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    """A depot that was restored gives the number of a staged bundle to another one, which is committed."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    other = low.bundle("assistant@2", "other")
    assert other.bundle == "any-9"
    insert(place, five[1][0])
    assert import_bundle(place, [other.volumes[0].path], operator=operator()).installed
    assert said(place)["outlook"] == "sequence-used"
    assert collect_garbage(place, operator=operator()).staged == ("any-9",)


# -- expired -------------------------------------------------------------------------------------------------------


def test_metadata_that_expired_while_volumes_were_under_way(tmp_path: Path) -> None:
    """A clear word, and a way on: a renewal, then the rest of the volumes, then activation."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    made = low.bundle("assistant@1", "slow", medium=FIVE)
    for item in made.volumes[:3]:
        insert(place, item.path)
    record = load_record(only_staged(place).folder)
    assert record is not None
    late = NOW + timedelta(days=200)
    assert record.expires < f"{late:%Y-%m-%d}"
    found = said(place, late)
    assert (found["outlook"], found["completable"]) == ("expired", False)
    assert "airlift low renew" in str(found["next"])
    assert "volume 4 or 5 of 5" in str(found["next"])
    error = attempt(place, [made.volumes[3].path], ExpiredError, 6, operator=operator(late))
    assert "import that with `airlift high import`" in error.hint
    assert only_staged(place).chunks == 9
    assert collect_garbage(place, operator=operator(late)).staged == ()
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    make_release(low.depot, low.manifest({"other": {"x.json": b"{}"}}, "9"), signers=signers, now=late)
    fresh = renew(low.depot, Destination(tmp_path / "renewal"), signer=keys.signer(BUNDLER), now=late)
    import_bundle(place, [fresh.volumes[0].path], operator=operator(late))
    assert said(place, late)["outlook"] == "open"
    insert(place, made.volumes[3].path, operator=operator(late))
    result = import_bundle(place, [made.volumes[4].path], operator=operator(late))
    assert (result.installed, result.overtaken) == (True, True)
    activate(place, "assistant@1", operator=operator(late))
    assert holds_release(place, V1)


def test_a_bundle_that_policy_finds_too_old(tmp_path: Path, five: tuple[Site, tuple[Path, ...]]) -> None:
    from airlift.high.activation.change_policy import change_policy

    place = enclave("fresh", tmp_path)
    text = "airlift: 1\nenclave: alpha\nstaleness: {refuse_new_after_days: 7}\n"
    (tmp_path / "policy.yaml").write_text(text)
    change_policy(place, tmp_path / "policy.yaml", operator=operator())
    insert(place, five[1][0])
    assert said(place, NOW + timedelta(days=6))["outlook"] == "open"
    late = NOW + timedelta(days=8)
    assert said(place, late)["outlook"] == "too-old"
    attempt(place, five[1][1:2], ExpiredError, 6, operator=operator(late))


def test_a_damaged_trust_state_makes_nothing_hopeless(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]]
) -> None:
    place = enclave("one", tmp_path)
    insert_state = place.state()
    shutil.rmtree(place.trust / insert_state.trust.folder)  # type: ignore[union-attr]
    staged = StagedBundle(place.staging / "x", "0" * 128, None, None, (), 0, 0, 0, 0)
    assert outlook.hopeless(place, insert_state, staged, NOW), "nobody can tell what it is"
    real = enclave("fresh", tmp_path)
    insert(real, five[1][0])
    assert not outlook.hopeless(place, insert_state, only_staged(real), NOW)


def test_a_record_is_only_written_when_it_changes(
    tmp_path: Path, five: tuple[Site, tuple[Path, ...]]
) -> None:
    place = enclave("fresh", tmp_path)
    insert(place, five[1][0])
    path = only_staged(place).folder / "staged.json"
    before = path.stat().st_ino
    insert(place, five[1][0])
    assert path.stat().st_ino == before
    assert staged_record.parse(path.read_bytes()).volumes[0].chunks
