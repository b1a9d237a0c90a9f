"""One hostile corpus, four commands: what ``low check`` blesses ``high import`` accepts, and the reverse."""

import errno
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import Marking
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError, InventoryRefusedError
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.importing.repair import repair
from airlift.high.verification.inspect import inspect_volumes
from airlift.low.bundle.check_volumes import check_volumes
from tests.support import forge, hostile
from tests.support.depots import NOW
from tests.support.enclaves import V2, enclave, operator, picture, site, volumes, world
from tests.support.hostile import BAD, GOOD, UNREADABLE, VARIANTS, Outcome, Variant

STRICT = Outcome(0, 0, 6, 6)
NEW = V2["base"]["model.safetensors"]

pytestmark = pytest.mark.usefixtures("quick_disk")


def exit_code(command: Callable[[], object]) -> int:
    """Return the exit code that a command ends with."""
    try:
        command()
    except AirliftError as error:
        return error.exit_code
    return 0


def outcome(paths: Sequence[Path], folder: Path, place: Enclave | None = None) -> Outcome:
    """Run all four commands on the same volumes, the latter two in ``place`` or in a fresh enclave."""
    place = place or enclave("fresh", folder)
    return Outcome(
        check=exit_code(lambda: check_volumes(paths)),
        inspect=exit_code(lambda: inspect_volumes(paths)),
        verify=exit_code(lambda: prove_bundle(place, paths, NOW)),
        import_=exit_code(lambda: import_bundle(place, paths, operator=operator())),
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: str(variant.name))
def test_the_four_commands_agree(variant: Variant, tmp_path: Path) -> None:
    """Broke: a check blessed links to volumes, oversize files, differing metadata and a wrong ``chunk_bytes``."""
    (tmp_path / "media").mkdir()
    paths = variant.make(tmp_path / "media")
    before = picture(tmp_path / "media")
    assert outcome(paths, tmp_path) == variant.outcome
    assert picture(tmp_path / "media") == before


@pytest.mark.parametrize("change", hostile.LEFTOVERS, ids=lambda change: str(change.__name__))
def test_a_strict_enclave(tmp_path: Path, change: hostile.Change) -> None:
    """Who knows the policy refuses what a desktop left in a volume; nobody minds what lies beside it (SPEC 6.4-8)."""
    (path,) = volumes("uncut", tmp_path)
    change(path)
    (tmp_path / "policy.yaml").write_text("airlift: 2\nenclave: alpha\ninventory: strict\n")
    place = enclave("fresh", tmp_path)
    change_policy(place, tmp_path / "policy.yaml", operator=operator())
    assert outcome([path], tmp_path, place) == STRICT
    with pytest.raises(InventoryRefusedError):
        plan_import(place, [path], NOW)
    beside = hostile.beside_leftovers(tmp_path)
    assert outcome(beside, tmp_path, place) == GOOD
    with pytest.raises(InventoryRefusedError):
        repair(place, [path], operator=operator())


def test_every_command_tells_what_it_passed_over(tmp_path: Path) -> None:
    paths = volumes("full", tmp_path)
    hostile.leftovers(paths[0])
    hostile.leftovers_among_chunks(paths[1])
    (paths[0].parent / ".Trashes").mkdir()
    place, top = enclave("fresh", tmp_path), paths[0].parent
    left = (top / ".Trashes", paths[0] / "._LABEL.txt", paths[1] / volume.CHUNKS / ".DS_Store")
    told = (
        check_volumes([*paths, top]).passed_over,
        inspect_volumes([top]).passed_over,
        prove_bundle(place, [top], NOW).passed_over,
        plan_import(place, [top], NOW).passed_over,
        import_bundle(place, [top], operator=operator()).passed_over,
        import_bundle(place, [top], operator=operator()).passed_over,
        repair(place, [top], operator=operator()).passed_over,
    )
    assert set(told) == {tuple(sorted(left))}
    assert check_volumes(paths).passed_over == tuple(sorted(left[1:]))
    clean = check_volumes(world().bundles["full"])
    assert [item.bytes for item in check_volumes(paths).volumes] == [item.bytes for item in clean.volumes]


def test_the_corpus_is_whole() -> None:
    """No two variants have the same name, and every outcome that can be is there."""
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) > 100
    named = {value for value in vars(hostile).values() if isinstance(value, Outcome)}
    assert {variant.outcome for variant in VARIANTS} == named


@pytest.mark.parametrize("command", ["check", "inspect", "import"])
def test_every_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A medium that changes between two reads: nothing is read again after it was held against its digest."""
    place, paths = enclave("fresh", tmp_path), world().bundles["full"]
    read, real = Counter[str](), files.open_regular

    def counted(path: Path) -> int:
        read[str(path)] += 1
        return real(path)

    monkeypatch.setattr(files, "open_regular", counted)
    if command == "check":
        check_volumes(paths)
    elif command == "inspect":
        inspect_volumes(paths)
    else:
        import_bundle(place, paths, operator=operator())
    there = {str(file) for path in paths for file in path.rglob("*") if file.is_file()}
    wanted = {file for file in there if command != "inspect" or "/chunks/" not in file}
    assert {file: read[file] for file in there if read[file]} == dict.fromkeys(wanted, 1)


def test_a_mount_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: a check blessed volumes with another file system in them; here the volume's own looks different."""
    paths = volumes("uncut", tmp_path)
    real = Path.stat

    def stat(self: Path, **more: Any) -> os.stat_result:
        found = real(self, **more)
        if self.name == paths[0].name:
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:]))
        return found

    monkeypatch.setattr(Path, "stat", stat)
    assert outcome(paths, tmp_path) == BAD


@pytest.mark.parametrize("part", [volume.CHUNKS, volume.METADATA])
def test_a_real_mount_point(tmp_path: Path, require_tool: Callable[[str], str], part: str) -> None:
    """The same files, but on a file system of their own; it takes a mount of its own."""
    (path,) = volumes("uncut", tmp_path)
    script = (
        'cp -a "$1/$2" kept && mount -t tmpfs tmpfs "$1/$2" && cp -a kept/. "$1/$2" || exit 99; '
        'for verb in "low check" "high inspect"; do "$3" -m airlift $verb "$1"; echo "$verb $?" >>codes; done'
    )
    wrapper = (require_tool("unshare"), "-m", "/bin/sh", "-c", script, "sh")
    done = subprocess.run(
        [*wrapper, path, part, sys.executable], cwd=tmp_path, capture_output=True, check=False
    )
    if not (tmp_path / "codes").exists():
        pytest.skip(f"mounting is not permitted here: {done.stderr!r}")
    assert (tmp_path / "codes").read_text().splitlines() == ["low check 3", "high inspect 3"]


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, target=replace(made.target, version="77")),
        lambda made: replace(made, marking=Marking("SECRET")),
        lambda made: replace(made, files=(*made.files, forge.digest(b"of no release"))),
    ],
    ids=["version", "marking", "file"],
)
def test_a_bundle_that_says_something_else_than_its_release(
    tmp_path: Path, change: Callable[[Bundle], Bundle]
) -> None:
    """Broke: `low check` and `high inspect`, which have both manifests, took what an import refuses."""
    low = site(tmp_path)
    made = change(forge.describe(low, "assistant@2", files=[NEW]))
    blocks = [forge.raw(number, 0, data) for number, data in enumerate((NEW, b"of no release"))]
    paths = forge.publish(low, made, forge.packed(*blocks[: len(made.files)]), tmp_path / "evil")
    assert outcome(paths, tmp_path) == BAD


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_one_of_several_volumes_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Broke: in a folder of volumes it passed for no volume, and `low check` blessed the others."""
    volumes("full", tmp_path)
    folder, real = tmp_path, os.lstat

    def lstat(path: Any, **more: Any) -> os.stat_result:
        if "vol02of" in str(path) and str(path).endswith(volume.INDEX):
            raise OSError(number, "injected")
        return real(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    assert outcome([folder / "media-full"], tmp_path) == UNREADABLE


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_medium_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A medium that returns I/O errors: never confused with one that is bad."""
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if "/metadata/" in path and "vol01of" in path:
            raise OSError(number, "injected")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert outcome(world().bundles["full"], tmp_path) == UNREADABLE


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: Any) -> object:
        if str(path).endswith("/chunks"):
            raise OSError(errno.EIO, "injected", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert outcome(world().bundles["uncut"], tmp_path) == UNREADABLE
