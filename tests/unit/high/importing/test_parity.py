"""Lost volumes, scratches and unreadable sectors: what parity gives back, and what it does not (SPEC 6.7)."""

import errno
import hashlib
import itertools
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from airlift import erasure, files
from airlift.bundle import volume
from airlift.bundle.manifest import Bundle
from airlift.bundle.parity.stripe import Stripe
from airlift.errors import AirliftError, DigestError, IncompleteError, MalformedError, UncheckedError
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.importing.repair import repair
from airlift.high.verification.inspect import inspect_volumes
from airlift.ledger import details
from airlift.ledger.entries.imports import ImportCommit
from airlift.low.bundle.check_volumes import check_volumes
from tests.support import forge, parity
from tests.support.depots import NOW
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
)

ACROSS, LANES = parity.ACROSS, parity.LANES

pytestmark = pytest.mark.usefixtures("quick_disk")


def committed(place: Enclave) -> ImportCommit:
    with place.ledger() as log:
        entry = log.last(ImportCommit.TYPE)
    assert entry is not None
    return details.read(entry, ImportCommit)


def data_of(bundle: Bundle, folder: Path) -> list[str]:
    """Return the data chunks (SHA-512) on a volume."""
    there = {path.name for path in parity.chunk_files([folder])}
    return [item.sha512 for item in bundle.chunks if volume.chunk_name(item.sha512) in there]


# -- undamaged -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [ACROSS, LANES])
def test_an_undamaged_bundle_needs_no_parity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place, paths = enclave("fresh", tmp_path), parity.protected(name)
    bundle = parity.manifest_of(paths)
    of_parity = {volume.chunk_name(item.sha512) for item in set(bundle.parity_chunks) - set(bundle.chunks)}
    real = files.open_regular

    def opened(path: Path) -> int:
        assert Path(path).name not in of_parity
        return real(path)

    monkeypatch.setattr(files, "open_regular", opened)
    result = import_bundle(place, paths, operator=operator(), activate=True)
    assert (result.repaired, result.damaged_volumes, result.missing) == ((), (), ())
    assert holds_release(place, V1)
    assert committed(place).repaired == 0
    with place.ledger() as log:
        entry = log.last(ImportCommit.TYPE)
    assert entry is not None
    assert "repaired" not in entry.detail


# -- lost volumes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", list(itertools.combinations(range(5), 2)), ids=str)
def test_any_two_of_five_volumes_may_be_lost(tmp_path: Path, lost: tuple[int, int]) -> None:
    place, paths = enclave("fresh", tmp_path), parity.protected(ACROSS)
    given, bundle = (
        [path for number, path in enumerate(paths) if number not in lost],
        parity.manifest_of(paths),
    )
    there = {sha512 for path in given for sha512 in data_of(bundle, path)}
    gone = sorted(item.sha512 for item in bundle.chunks if item.sha512 not in there)
    seen = inspect_volumes(given)
    assert (seen.missing, sorted(seen.repairable)) == ((), gone)
    planned = plan_import(place, given, NOW)
    assert (planned.missing, sorted(planned.repaired)) == ((), gone)
    proved = prove_bundle(place, given, NOW)
    assert (proved.missing, sorted(proved.repaired)) == ((), gone)
    assert not list(place.staging.iterdir())
    result = import_bundle(place, given, operator=operator(), activate=True)
    assert (result.installed, result.volumes_present, result.missing) == (True, 3, ())
    assert sorted(result.repaired) == gone
    assert result.damaged_volumes == ()
    assert committed(place).repaired == len(gone)
    assert holds_release(place, V1)
    assert not list(place.staging.iterdir())


@pytest.mark.parametrize("lost", list(itertools.combinations(range(5), 3)), ids=str)
def test_three_lost_volumes_are_too_many_until_one_comes(tmp_path: Path, lost: tuple[int, ...]) -> None:
    """What is there is kept; with any further volume alone the import is completed."""
    place, paths = enclave("fresh", tmp_path), parity.protected(ACROSS)
    given = [path for number, path in enumerate(paths) if number not in lost]
    with pytest.raises(IncompleteError) as caught:
        prove_bundle(place, given, NOW)
    error = attempt(place, given, IncompleteError, 4)
    assert error.data["missing"] == caught.value.data["missing"] == list(inspect_volumes(given).missing)
    if not error.data["missing"]:  # pragma: no cover
        pytest.fail("nothing is missing")
    result = import_bundle(place, [paths[lost[-1]]], operator=operator(), activate=True)
    assert (result.installed, result.volumes_present) == (True, 1)
    assert holds_release(place, V1)


def test_volumes_one_after_the_other(tmp_path: Path) -> None:
    """Chunks that were staged earlier are members like any other: the third volume completes it."""
    place, paths = enclave("fresh", tmp_path), parity.protected(ACROSS)
    for number in (4, 1):
        attempt(place, [paths[number]], IncompleteError, 4)
    result = import_bundle(place, [paths[3]], operator=operator())
    assert result.installed
    assert result.repaired


def test_what_was_repaired_is_not_repaired_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, paths = enclave("fresh", tmp_path), parity.protected(ACROSS)
    from airlift.high.importing import import_bundle as module

    def fail(*_: object, **_more: object) -> None:
        raise UncheckedError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(module, "commit", fail)
        attempt(place, paths[1:4], UncheckedError, 7)
    (work,) = place.staging.iterdir()
    for path in (work / "files").iterdir():
        path.unlink()
    kept = picture(work)
    monkeypatch.setattr(erasure, "reconstruct", fail)
    result = import_bundle(place, paths[1:4], operator=operator(), activate=True)
    assert (result.repaired, len(kept) > 5) == ((), True)
    assert holds_release(place, V1)


# -- scratches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [ACROSS, LANES])
@pytest.mark.parametrize("damage", ["removed", "flipped", "cut", "emptied", "unreadable", "other sum"])
def test_a_damaged_chunk_is_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    place, paths = enclave("fresh", tmp_path), parity.copies(name, tmp_path)
    bundle = parity.manifest_of(paths)
    (target,) = [p for p in parity.chunk_files(paths) if p.name == volume.chunk_name(bundle.chunks[1].sha512)]
    data = target.read_bytes()
    if damage == "removed":
        target.unlink()
    elif damage == "unreadable":
        _unreadable(monkeypatch, target)
    elif damage == "other sum":
        _restate_sum(target)
    else:
        made = {"flipped": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "emptied": b""}
        overwrite(target, made[damage])
    proved = prove_bundle(place, paths, NOW)
    result = import_bundle(place, paths, operator=operator(), activate=True)
    expected = ((bundle.chunks[1].sha512,), (target.parents[1],))
    assert (proved.repaired, proved.damaged_volumes) == expected
    assert (result.repaired, result.damaged_volumes) == expected
    assert holds_release(place, V1)


def _unreadable(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    """Let reads of a file fail in its middle, as a scratched disc does."""
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == target and offset + length > 1000:
            if offset < 1000:
                return real(descriptor, 1000 - offset, offset)
            raise OSError(errno.EIO, "injected")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)


def _restate_sum(target: Path) -> None:
    """Let a volume list another SHA-256 of a chunk that is good, at one with itself."""
    folder = target.parents[1]
    sums = volume.parse_sums((folder / volume.SUMS).read_bytes())
    sums[f"{volume.CHUNKS}/{target.name}"] = "0" * 64
    lines = volume.format_sums(sums)
    index = replace(
        volume.parse_index((folder / volume.INDEX).read_bytes()), sums=hashlib.sha512(lines).hexdigest()
    )
    overwrite(folder / volume.SUMS, lines)
    overwrite(folder / volume.INDEX, volume.format_index(index))


def test_damaged_parity_is_told_where_it_is_read(tmp_path: Path) -> None:
    place, paths = enclave("fresh", tmp_path), parity.copies(ACROSS, tmp_path)
    flip(parity.chunk_files(paths[4:])[0], 100)
    proved = prove_bundle(place, paths, NOW)
    assert (proved.repaired, proved.damaged_volumes) == ((), (paths[4],))
    with pytest.raises(DigestError, match="is damaged"):
        check_volumes(paths)
    assert import_bundle(place, paths, operator=operator()).damaged_volumes == ()


@pytest.mark.parametrize("name", [ACROSS, LANES])
def test_a_stripe_that_has_too_little_left(tmp_path: Path, name: str) -> None:
    """All volumes are here, so that nothing can make up for it: proven bad, and nothing is installed."""
    place, paths = enclave("fresh", tmp_path), parity.copies(name, tmp_path)
    bundle = parity.manifest_of(paths)
    stripe = bundle.parity[0]
    members = stripe.members(bundle.chunks)[-1 - len(stripe.parity) :]
    for path in parity.chunk_files(paths):
        if path.name in {volume.chunk_name(item.sha512) for item in members}:
            flip(path, 5)
    error = attempt(place, paths, DigestError, 3)
    assert error.found is not None
    assert (
        f"{len(stripe.data) - 1} good members of its stripe, {len(stripe.data)} would rebuild it"
        in error.found
    )
    with pytest.raises(DigestError):
        prove_bundle(place, paths, NOW)


def test_damage_that_a_missing_volume_makes_up_for_is_no_proof(tmp_path: Path) -> None:
    """A damaged chunk, and two volumes that were not given: exit 4, what is good is kept, one of them is enough."""
    place, paths = enclave("fresh", tmp_path), parity.copies(ACROSS, tmp_path)
    bundle = parity.manifest_of(paths)
    bad = next(p for p in parity.chunk_files(paths) if p.name == volume.chunk_name(bundle.chunks[0].sha512))
    flip(bad, 9)
    error = attempt(place, paths[:3], IncompleteError, 4)
    assert error.data["missing"] == [bundle.chunks[0].sha512]
    assert error.data["damaged_volumes"] == [str(paths[0])]
    with pytest.raises(IncompleteError, match="1 chunks are missing"):
        prove_bundle(place, paths[:3], NOW)
    result = import_bundle(place, paths[3:4], operator=operator(), activate=True)
    assert result.repaired == (bundle.chunks[0].sha512,)
    assert holds_release(place, V1)


@pytest.mark.parametrize("count", [2, 3])
def test_unreadable_sectors_are_neither_bad_nor_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    place, paths = enclave("fresh", tmp_path), parity.copies(ACROSS, tmp_path)
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.parent.name == volume.CHUNKS and path.parents[1] in paths[:count]:
            raise OSError(errno.EIO, "injected")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    if count == 3:
        attempt(place, paths, UncheckedError, 7)
        return
    result = import_bundle(place, paths, operator=operator(), activate=True)
    assert result.damaged_volumes == tuple(paths[:2])
    assert holds_release(place, V1)


@pytest.mark.parametrize("name", [ACROSS, LANES])
@pytest.mark.parametrize("seed", range(4))
def test_scratches(tmp_path: Path, name: str, seed: int) -> None:
    """More of them, 1,000 where asked for, are in tests/crash/test_scratches.py."""
    dice, gentle = random.Random(seed), seed % 2 == 0
    assert parity.scratched(enclave("fresh", tmp_path), name, tmp_path, dice, gentle=gentle) >= gentle


# -- repair of content at rest ------------------------------------------------------------------------------------


def test_content_at_rest_is_repaired_from_volumes_of_which_two_are_lost(tmp_path: Path) -> None:
    place, paths = enclave("fresh", tmp_path), parity.protected(ACROSS)
    import_bundle(place, paths, operator=operator(), activate=True)
    target = place.active / "base/model.safetensors"
    target.chmod(0o644)
    with target.open("r+b") as file:
        file.write(b"\xff\xff")
    result = repair(place, paths[2:], operator=operator())
    assert result.repaired == (forge.digest(V1["base"]["model.safetensors"]).sha512,)
    assert result.repaired_chunks
    assert check_content(place).damaged == ()
    assert not list(place.staging.iterdir())


# -- hostile ------------------------------------------------------------------------------------------------------

NEW = V2["base"]["model.safetensors"]
HALF = len(NEW) // 2 // 8192 * 8192


def forged(
    folder: Path, change: Callable[[Sequence[bytes]], tuple[list[Stripe], list[bytes]]]
) -> tuple[list[Path], Bundle]:
    """Publish a signed bundle of two chunks whose stripes and parity chunks are what ``change`` makes of the data."""
    low = site(folder)
    pieces = [NEW[start : start + (1 << 18)] for start in range(0, len(NEW), 1 << 18)]
    blocks = [forge.raw(0, number << 18, data) for number, data in enumerate(pieces)]
    data = [forge.packed(block)[0] for block in blocks]
    stripes, chunks = change(data)
    made = forge.describe(
        low,
        "assistant@2",
        files=[NEW],
        bases=(),
        baseline=low.depot.releases()[0],
        chunks=tuple(forge.digest(item) for item in data),
        parity=tuple(stripes),
        packed=True,
    )
    return forge.publish(low, made, [*data, *chunks], folder / "evil"), made


def wrong(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    """Sign parity that is the code of something else."""
    made = [bytes(item) for item in erasure.encode([data[0][::-1], *data[1:]], 1)]
    return [Stripe(tuple(range(len(data))), (forge.digest(made[0]),))], made


def of_another_stripe(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    """Exchange the parity of two stripes of the same length."""
    made = [bytes(erasure.encode([part], 2)[1]) for part in data[:2]]
    rest = [Stripe((number,), (forge.digest(item),)) for number, item in enumerate(data) if number > 1]
    stripes = [Stripe((0,), (forge.digest(made[1]),)), Stripe((1,), (forge.digest(made[0]),))]
    return [*stripes, *rest], made


@pytest.mark.parametrize("change", [wrong, of_another_stripe], ids=lambda change: str(change.__name__))
def test_signed_parity_that_is_none_gives_nothing_back(
    tmp_path: Path, change: Callable[[Sequence[bytes]], tuple[list[Stripe], list[bytes]]]
) -> None:
    """Whoever has the bundler's key cannot smuggle bytes in as repaired: what comes out must have its digest."""
    (path,), made = forged(tmp_path, change)
    place = enclave("one", tmp_path)
    with pytest.raises(DigestError, match="is not computed from the data of its stripe"):
        check_volumes([path])
    (path / volume.CHUNKS / volume.chunk_name(made.chunks[0].sha512)).unlink()
    for _ in range(2):
        error = attempt(place, [path], DigestError, 3)
        assert "signed with parity that is none" in error.message
    with pytest.raises(DigestError, match="signed with parity that is none"):
        prove_bundle(place, [path], NOW)


def test_the_same_with_all_data_is_imported(tmp_path: Path) -> None:
    """Nothing is decoded from parity, so that wrong parity harms nobody who does not need it."""
    (path,), _ = forged(tmp_path, wrong)
    place = enclave("one", tmp_path)
    assert import_bundle(place, [path], operator=operator(), activate=True).installed
    assert holds_release(place, V2)


def _overlapping(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    stripes, made = wrong(data)
    return [*stripes, *stripes], made


def _out_of_range(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    stripes, made = wrong(data)
    return [replace(stripes[0], data=(*stripes[0].data[:-1], 2**40))], made


def _huge(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    stripes, made = wrong(data)
    return [replace(stripes[0], parity=stripes[0].parity * 65)], made


def _too_large(data: Sequence[bytes]) -> tuple[list[Stripe], list[bytes]]:
    stripes, made = wrong(data)
    item = replace(stripes[0].parity[0], size=2**53 - 1)
    return [replace(stripes[0], parity=(item,))], made


@pytest.mark.parametrize("change", [_overlapping, _out_of_range, _huge, _too_large])
def test_signed_stripes_that_are_none_are_malformed(
    tmp_path: Path, change: Callable[[Sequence[bytes]], tuple[list[Stripe], list[bytes]]]
) -> None:
    paths, _ = forged(tmp_path, change)
    place = enclave("one", tmp_path)
    commands: list[Callable[[], object]] = [
        lambda: check_volumes(paths),
        lambda: inspect_volumes(paths),
        lambda: prove_bundle(place, paths, NOW),
    ]
    for command in commands:
        with pytest.raises(AirliftError) as caught:
            command()
        assert isinstance(caught.value, MalformedError)
    attempt(place, paths, MalformedError, 3)
