"""A hostile medium: whatever is changed, added or taken away is found before anything is installed."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import manifest, volume
from airlift.errors import (
    AirliftError,
    DigestError,
    FormatTooNewError,
    IncompleteError,
    InventoryError,
    MalformedError,
    MixedVolumesError,
    PermissionDeniedError,
    ProvenBadError,
    UncheckedError,
)
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.install import stage
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.verification.inspect import inspect_volumes
from airlift.media import inventory, volume_reader
from tests.support import enclaves
from tests.support.depots import NOW
from tests.support.enclaves import (
    attempt,
    copy,
    enclave,
    flip,
    operator,
    overwrite,
    reseal,
    volumes,
    world,
)
from tests.support.hostile import CHANGES, add_chunk, bundle_manifest, find, first_chunk

pytestmark = pytest.mark.usefixtures("quick_disk")

CHUNKS, MANIFESTS, METADATA = volume.CHUNKS, volume.MANIFESTS, volume.METADATA
KINDS = (
    "LABEL.txt",
    "SHA256SUMS",
    "volume.json",
    "1.root.json",
    "targets.json",
    "snapshot.json",
    "bundler.json",
    "timestamp.json",
    "manifests/0",
    "manifests/1",
    "manifests/2",
    "chunks/0",
)


# -- one flipped bit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere(tmp_path: Path, kind: str) -> None:
    """Bit-flipped chunks and volumes: exit 3, whichever file and wherever (SPEC 6.4-1)."""
    place, paths = enclave("fresh", tmp_path), volumes("full", tmp_path)
    target = find(paths[1], kind)
    good = target.read_bytes()
    for offset in (0, int(len(good) * 0.4), len(good) - 1):
        flip(target, offset)
        with enclaves.refused(place, ProvenBadError, 3):
            import_bundle(place, paths, operator=operator())
        if kind != "chunks/0":
            with pytest.raises(ProvenBadError):
                inspect_volumes(paths)
        overwrite(target, good)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: b"", DigestError),
        (lambda data: data[:-1], DigestError),
        (lambda data: data + b"\0", DigestError),
        (lambda data: bytes(len(data)), DigestError),
    ],
    ids=["zero", "truncated", "grown", "zeros"],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_chunk_of_the_wrong_length(
    tmp_path: Path, change: Callable[[bytes], bytes], error: type[AirliftError], *, sealed: bool
) -> None:
    """Zero-byte, truncated and grown chunks, whether or not the index was made to fit."""
    paths = volumes("full", tmp_path)
    target = first_chunk(paths[0])
    data = change(target.read_bytes())
    same_size = len(data) == target.stat().st_size
    overwrite(target, data)
    if sealed:
        reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, error if sealed or same_size else InventoryError, 3)


def test_swapped_chunks(tmp_path: Path) -> None:
    paths = volumes("full", tmp_path)
    one, two = first_chunk(paths[0]), first_chunk(paths[1])
    data = one.read_bytes()
    overwrite(one, two.read_bytes())
    overwrite(two, data)
    for path in paths:
        reseal(path)
    attempt(enclave("fresh", tmp_path), paths, DigestError, 3)


# -- copies, cuts and mixtures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_a_damaged_copy_beside_a_good_one(tmp_path: Path, first: int) -> None:
    """A damaged copy of a chunk is passed over if another given volume holds a good one (SPEC 6.4-5)."""
    paths = volumes("full", tmp_path)
    flip(first_chunk(paths[0]), 1000)
    good = world().bundles["full"][0]
    given = [paths[0], good] if first == 0 else [good, paths[0]]
    assert import_bundle(enclave("fresh", tmp_path), [*given, *paths[1:]], operator=operator()).installed


def test_a_damaged_volume_between_good_ones_keeps_what_was_staged(tmp_path: Path) -> None:
    place, paths = enclave("fresh", tmp_path), volumes("full", tmp_path)
    attempt(place, paths[:1], IncompleteError, 4)
    flip(first_chunk(paths[1]), 5)
    attempt(place, paths[1:2], DigestError, 3)
    assert import_bundle(place, world().bundles["full"][1:], operator=operator()).installed


def test_rot_in_staging_is_noticed_and_fetched_again(tmp_path: Path) -> None:
    """Broke: the medium was blamed (exit 3), although the disk had rotted."""
    place, paths = enclave("fresh", tmp_path), world().bundles["full"]
    attempt(place, paths[:1], IncompleteError, 4)
    (work,) = place.staging.iterdir()
    flip(next((work / CHUNKS).iterdir()), 7)
    attempt(place, paths[1:], IncompleteError, 4)
    assert import_bundle(place, paths[:1], operator=operator()).installed


@pytest.mark.parametrize("names", [("full", "delta"), ("full", "uncut"), ("renewal", "full")])
def test_volumes_of_two_bundles(tmp_path: Path, names: tuple[str, str]) -> None:
    """Mix-and-match of two bundles' volumes."""
    paths = [world().bundles[name][0] for name in names]
    attempt(enclave("fresh", tmp_path), paths, MixedVolumesError, 3)
    with pytest.raises(MixedVolumesError):
        inspect_volumes(paths)


def test_two_cuts_of_the_same_bundle(tmp_path: Path) -> None:
    """Volumes from two cuts of the same bundle are fine: any listed chunk counts wherever it lies."""
    paths = volumes("full", tmp_path)
    bundle = manifest.parse(bundle_manifest(paths[0]).read_bytes())
    shutil.move(first_chunk(paths[2]), paths[1] / CHUNKS)
    shutil.rmtree(paths[2])
    for number, path in enumerate(paths[:2], 1):
        overwrite(path / volume.LABEL, volume.render_label(bundle, number, 2))
        reseal(path, volume=number, volumes=2)
    place = enclave("fresh", tmp_path)
    assert import_bundle(
        place, [paths[0], *world().bundles["full"][2:], paths[1]], operator=operator()
    ).installed


def test_volumes_that_differ_in_what_they_share(tmp_path: Path) -> None:
    """What every volume carries must be equal (SPEC 6.4-4), even if each is consistent with itself."""
    paths = volumes("full", tmp_path)
    target = find(paths[1], "timestamp.json")
    overwrite(target, target.read_bytes() + b"\n")
    reseal(paths[1])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)


def test_shared_documents_are_held_once() -> None:
    """Broke: 99 volumes with a manifest of 64 MiB each were all held in memory."""
    one, two, _ = volume_reader.read_volumes(world().bundles["full"])
    assert all(two.small[path] is data for path, data in one.small.items() if path.startswith("m"))
    assert two.small[volume.LABEL] != one.small[volume.LABEL]


# -- a closed inventory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
def test_a_closed_inventory(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Extra undeclared files; symbolic links, FIFOs, sockets and folders on the medium (SPEC 6.4-2)."""
    paths = volumes("full", tmp_path)
    change(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)
    with pytest.raises(InventoryError):
        inspect_volumes(paths)


def test_hard_links_are_plain_files(tmp_path: Path) -> None:
    paths = volumes("full", tmp_path)
    os.link(first_chunk(paths[0]), tmp_path / "second name")
    assert import_bundle(enclave("fresh", tmp_path), paths, operator=operator()).installed


def test_links_to_volumes_are_not_followed(tmp_path: Path) -> None:
    """Broke: a symbolic link in the folder that holds the volumes was followed to anywhere."""
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc" / "airlift-any-1-vol01of03").symlink_to(world().bundles["full"][0])
    attempt(enclave("fresh", tmp_path), [tmp_path / "disc"], InventoryError, 3)


def test_sizes_are_bounded_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless data: broke, a medium with a thousand manifests of 64 MiB was read into memory."""
    place = enclave("fresh", tmp_path)
    monkeypatch.setattr(volume_reader, "MAX_SMALL_BYTES", 50_000)
    error = attempt(place, world().bundles["full"], InventoryError, 3)
    assert "50000" in str(error.expected)


@pytest.mark.parametrize(
    ("path", "size"), [("LABEL.txt", 1 << 20), ("volume.json", 1 << 20), ("metadata/1.root.json", 9 << 20)]
)
def test_files_that_are_too_long(tmp_path: Path, path: str, size: int) -> None:
    """Endless data in one file; sparse files."""
    paths = volumes("full", tmp_path)
    (paths[0] / path).unlink()
    with (paths[0] / path).open("wb") as file:
        file.truncate(size)
    attempt(enclave("fresh", tmp_path), paths, DigestError, 3)


def test_too_many_files_or_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("fresh", tmp_path)
    monkeypatch.setattr(volume_reader, "MAX_VOLUMES_GIVEN", 2)
    attempt(place, world().bundles["full"], UncheckedError, 7)
    monkeypatch.undo()
    monkeypatch.setattr(inventory, "MAX_METADATA_FILES", 4)
    attempt(place, world().bundles["full"], InventoryError, 3)


# -- consistent lies -----------------------------------------------------------------------------------------------


def test_a_chunk_that_the_attacker_declared(tmp_path: Path) -> None:
    """SHA256SUMS and volume.json rewritten to fit an extra chunk: hints are never a proof."""
    paths = volumes("full", tmp_path)
    add_chunk(paths[0])
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)


@pytest.mark.parametrize(
    "name", ["payload.exe", "9.root.json", "7.timestamp.json", "99.snapshot.json", "bundler.json", "x.json"]
)
def test_metadata_that_nothing_needs(tmp_path: Path, name: str) -> None:
    """Extra undeclared files: broke, any file in metadata/ went through if the attacker declared it."""
    paths = volumes("uncut", tmp_path)
    (paths[0] / METADATA / name).write_bytes(b"MZ")
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)


def test_a_manifest_that_nothing_names(tmp_path: Path) -> None:
    paths = volumes("uncut", tmp_path)
    odd = paths[0] / MANIFESTS / ("a" * 64 + ".json")
    odd.write_bytes(b"{}")
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path / "misnamed"), paths, DigestError, 3)
    odd.rename(odd.with_name(volume.manifest_name(hashlib.sha512(b"{}").hexdigest())))
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)


@pytest.mark.parametrize("number", range(5))
def test_a_manifest_that_the_attacker_left_out(tmp_path: Path, number: int) -> None:
    paths = volumes("uncut", tmp_path)
    find(paths[0], f"manifests/{number}").unlink()
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)


@pytest.mark.parametrize("number", range(5))
def test_a_manifest_that_the_attacker_changed(tmp_path: Path, number: int) -> None:
    """The manifests of bundle and release, the revocations, and how bundle and release were made."""
    paths = volumes("uncut", tmp_path)
    flip(find(paths[0], f"manifests/{number}"), 20)
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, DigestError, 3)


def test_a_label_that_says_something_else(tmp_path: Path) -> None:
    """A LABEL.txt that says something else than the signed data, sealed by the attacker."""
    paths = volumes("uncut", tmp_path)
    label = (paths[0] / volume.LABEL).read_bytes()
    overwrite(paths[0] / volume.LABEL, label.replace(b"UNCLASSIFIED", b"TOP SECRET  "))
    reseal(paths[0])
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)
    with pytest.raises(InventoryError):
        inspect_volumes(paths)


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"bundle": "any-99"}, InventoryError),
        ({"volume": 2, "volumes": 2}, InventoryError),
        ({"chunks": 7}, InventoryError),
        ({"chunk_bytes": 7}, InventoryError),
        ({"bundle": "../../x"}, MalformedError),
        ({"more": 1}, MalformedError),
        ({"type": "bundle"}, MalformedError),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_claims_of_the_index(tmp_path: Path, claims: dict[str, object], error: type[AirliftError]) -> None:
    paths = volumes("uncut", tmp_path)
    reseal(paths[0], **claims)
    attempt(enclave("fresh", tmp_path), paths, error, 3)


def test_an_index_that_names_another_manifest(tmp_path: Path) -> None:
    """volume.json points at the manifest of another document of the volume."""
    paths = volumes("uncut", tmp_path)
    index = volume.parse_index((paths[0] / volume.INDEX).read_bytes())
    other = next(
        path for path in sorted((paths[0] / MANIFESTS).iterdir()) if path.name[:64] != index.manifest[:64]
    )
    reseal(paths[0], manifest=hashlib.sha512(other.read_bytes()).hexdigest())
    with pytest.raises(ProvenBadError):
        import_bundle(enclave("fresh", tmp_path), paths, operator=operator())


def test_an_index_that_names_no_manifest(tmp_path: Path) -> None:
    paths = volumes("uncut", tmp_path)
    name = bundle_manifest(paths[0]).name
    reseal(paths[0], manifest="0" * 128)
    attempt(enclave("fresh", tmp_path), paths, InventoryError, 3)
    with pytest.raises(InventoryError):
        inspect_volumes(paths)
    reseal(paths[0], manifest=name[:64] + "0" * 64)
    attempt(enclave("fresh", tmp_path / "again"), paths, DigestError, 3)


def test_a_newer_format_is_not_bad(tmp_path: Path) -> None:
    """A format newer than this airlift is exit 7, and nothing is held against the medium."""
    paths = volumes("uncut", tmp_path)
    reseal(paths[0], airlift=2)
    attempt(enclave("fresh", tmp_path), paths, FormatTooNewError, 7)


# -- a medium that cannot be read, or changes ----------------------------------------------------------------------


def test_nothing_there(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for paths in ([tmp_path / "no"], [tmp_path / "file"], [tmp_path / "empty"], []):
        attempt(place, paths, UncheckedError, 7)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("which", ["chunks", "metadata"])
def test_read_errors_are_not_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, number: int
) -> None:
    """A medium that returns I/O errors: exit 7, never confused with 3."""
    place, real = enclave("fresh", tmp_path), os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if f"/{which}/" in path and "vol01of" in path:
            raise OSError(number, "injected")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    error = PermissionDeniedError if number == errno.EACCES else UncheckedError
    attempt(place, world().bundles["uncut"], error, 7)
    monkeypatch.undo()
    assert enclaves.take(place, "uncut").installed


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("/chunks"):
            raise OSError(errno.EIO, "injected", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    attempt(enclave("fresh", tmp_path), world().bundles["uncut"], UncheckedError, 7)


def test_a_chunk_replaced_after_it_was_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium that changes between two reads: bytes are verified where they are decoded (SPEC 6.3-1)."""
    paths = volumes("full", tmp_path)
    from airlift.high.importing import import_bundle as module

    def later(*args: Any, **more: Any) -> object:
        flip(first_chunk(paths[2]), 77)
        return stage(*args, **more)

    monkeypatch.setattr(module, "stage", later)
    attempt(enclave("fresh", tmp_path), paths, DigestError, 3)


@pytest.mark.parametrize(
    ("swap", "error", "code"), [("gone", UncheckedError, 7), ("link", InventoryError, 3)]
)
def test_a_chunk_taken_away_after_it_was_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: str, error: type[AirliftError], code: int
) -> None:
    paths = volumes("full", tmp_path)
    from airlift.high.importing import import_bundle as module

    def later(*args: Any, **more: Any) -> object:
        target = first_chunk(paths[0])
        shutil.move(target, tmp_path / "taken")
        if swap == "link":
            target.symlink_to(tmp_path / "taken")
        return stage(*args, **more)

    monkeypatch.setattr(module, "stage", later)
    attempt(enclave("fresh", tmp_path), paths, error, code)


# -- verify without importing --------------------------------------------------------------------------------------


def test_prove_reads_every_chunk(tmp_path: Path) -> None:
    place, paths = enclave("fresh", tmp_path), volumes("full", tmp_path)
    before = enclaves.picture(place.folder)
    assert prove_bundle(place, paths, NOW).missing == ()
    with pytest.raises(IncompleteError) as caught:
        prove_bundle(place, paths[1:], NOW)
    assert len(caught.value.data["missing"]) == 1
    flip(first_chunk(paths[0]), 0)
    with pytest.raises(DigestError):
        prove_bundle(place, paths, NOW)
    assert plan_import(place, paths, NOW).files_built == 5
    assert enclaves.picture(place.folder) == before


def test_volumes_elsewhere(tmp_path: Path) -> None:
    """A volume's folder may have any name."""
    path = copy(world().bundles["uncut"][0], tmp_path / "renamed")
    assert import_bundle(enclave("fresh", tmp_path), [path], operator=operator()).installed
