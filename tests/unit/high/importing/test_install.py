"""Rebuilding: baselines that rot, bundlers that lie within their rights, full disks, two imports at once."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.bundle import chunk, volume
from airlift.bundle.chunk import Block, Source
from airlift.errors import (
    AirliftError,
    BaselineDamagedError,
    BaselineError,
    BusyError,
    ContentDamagedError,
    DigestError,
    FormatTooNewError,
    MalformedError,
    NoSpaceError,
    StorageError,
)
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing import install as install_module
from airlift.high.importing.commit import commit_detail, save_trust
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.install import stage
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify_bundle import verify_bundle
from tests.support import forge
from tests.support.depots import NOW
from tests.support.enclaves import (
    V1,
    V2,
    attempt,
    copy,
    enclave,
    holds_release,
    operator,
    overwrite,
    picture,
    refused,
    served,
    site,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

OLD = V1["base"]["model.safetensors"]
NEW = V2["base"]["model.safetensors"]


def at_rest(place: Enclave, data: bytes) -> Path:
    return place.content.path(forge.digest(data).sha512)


# -- a rotten baseline ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["used", "unused", "cut"])
def test_a_rotten_baseline_is_named(tmp_path: Path, where: str) -> None:
    """A base of the wrong length or content: the enclave's own disk is named (5), not the medium (3)."""
    place = enclave("one", tmp_path)
    target = at_rest(place, OLD)
    rotten = bytearray(OLD)
    rotten[-4000 if where == "used" else 200] ^= 0xFF
    overwrite(target, bytes(rotten) if where != "cut" else OLD[:-1])
    error = BaselineError if where == "cut" else BaselineDamagedError
    found = attempt(place, world().bundles["delta"], error, 5)
    if where != "cut":
        assert str(target) in str(found.found)


def test_a_rotten_baseline_that_does_not_even_decode(tmp_path: Path) -> None:
    """A codec that stumbles over a rotten base: the base is named as well."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    wrong = Block(0, 0, 100_000, 2, 0, (Source(0, 0, 100_000),), b"no frame")
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    rest = forge.raw(0, 100_000, NEW[100_000:])
    paths = forge.publish(low, made, forge.packed(wrong, rest), tmp_path / "evil")
    attempt(place, paths, MalformedError, 3)
    rotten = bytearray(OLD)
    rotten[10] ^= 1
    overwrite(at_rest(place, OLD), bytes(rotten))
    attempt(place, paths, BaselineDamagedError, 5)


def test_a_baseline_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("one", tmp_path)
    real = files.read_into

    def read_into(descriptor: int, offset: int, buffer: memoryview) -> int:
        count = real(descriptor, offset, buffer)
        return count - 1 if "/content/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()) else count

    monkeypatch.setattr(files, "read_into", read_into)
    attempt(place, world().bundles["delta"], BaselineDamagedError, 5)


def test_a_base_that_is_not_held(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    paths = forge.publish(low, made, forge.packed(forge.raw(0, 0, NEW)), tmp_path / "evil")
    place.content.path(forge.digest(OLD).sha512).unlink()
    attempt(place, paths, BaselineError, 5)


# -- a hostile bundler ---------------------------------------------------------------------------------------------


def half() -> int:
    return len(NEW) // 2


def whole(**change: object) -> Block:
    return replace(forge.raw(0, 0, NEW), **change)  # type: ignore[arg-type]


def copy_of(length: int, start: int = 0) -> Block:
    return Block(0, 0, len(NEW), 1, 0, (Source(0, start, length),), b"")


LIES: dict[str, tuple[Callable[[], Sequence[Block]], type[AirliftError]]] = {
    "other bytes": (lambda: [forge.raw(0, 0, bytes(len(NEW)))], DigestError),
    "old bytes": (lambda: [copy_of(len(NEW))], DigestError),
    "overlap": (lambda: [forge.raw(0, 0, NEW), forge.raw(0, 5, NEW[5:])], MalformedError),
    "gap": (
        lambda: [forge.raw(0, 0, NEW[: half()]), forge.raw(0, half() + 1, NEW[half() + 1 :])],
        MalformedError,
    ),
    "out of order": (
        lambda: [forge.raw(0, half(), NEW[half() :]), forge.raw(0, 0, NEW[: half()])],
        MalformedError,
    ),
    "too short": (lambda: [forge.raw(0, 0, NEW[: half()])], MalformedError),
    "outside the target": (lambda: [forge.raw(0, 0, NEW + b"x")], MalformedError),
    "another file": (lambda: [replace(forge.raw(0, 0, NEW), file=1)], MalformedError),
    "outside the base": (lambda: [copy_of(len(NEW), 1)], MalformedError),
    "no such base": (
        lambda: [Block(0, 0, len(NEW), 1, 0, (Source(7, 0, len(NEW)),), b"")],
        MalformedError,
    ),
    "claims more": (lambda: [whole(payload=NEW[:-1])], MalformedError),
    "claims less": (lambda: [whole(payload=NEW + b"x")], MalformedError),
    "a copy of another length": (lambda: [copy_of(len(NEW) - 1)], MalformedError),
    "no frame": (lambda: [whole(codec=2)], MalformedError),
    "no block": (list, MalformedError),
    "a huge source": (
        lambda: [Block(0, 0, len(NEW), 1, 0, (Source(0, 0, 2**63),), b"")],
        MalformedError,
    ),
    "a huge start": (lambda: [whole(start=2**63)], MalformedError),
}


@pytest.mark.parametrize("lie", LIES, ids=lambda name: str(name).replace(" ", "-"))
def test_a_hostile_bundler(tmp_path: Path, lie: str) -> None:
    """A stolen bundler key may waste time, and may not install a byte.

    Deltas that read outside the base or write outside the target, overlapping or missing blocks, a chunk that claims
    more output than declared.
    """
    blocks, error = LIES[lie]
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    paths = forge.publish(low, made, [chunk.format(blocks())], tmp_path / "evil")
    attempt(place, paths, error, 3, activate=True)
    assert holds_release(place, V1)
    assert not (place.staging_path(place.state().bundles[0].manifest)).exists()


def test_a_codec_of_the_future_is_not_bad(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    paths = forge.publish(low, made, forge.packed(whole(codec=200)), tmp_path / "evil")
    attempt(place, paths, FormatTooNewError, 7)


def test_chunks_that_are_no_chunks(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    paths = forge.publish(low, made, [b"PK\3\4" + bytes(100)], tmp_path / "evil")
    attempt(place, paths, MalformedError, 3)


def test_a_bundle_that_lacks_what_the_enclave_lacks(tmp_path: Path) -> None:
    """A bundler that leaves out a file of the release: its baseline is what is said to be missing."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    data = V1["guard"]["guard.safetensors"]
    made = forge.describe(low, "assistant@1", files=[data])
    paths = forge.publish(low, made, forge.packed(forge.raw(0, 0, data)), tmp_path / "evil")
    attempt(place, paths, BaselineError, 5)


def test_a_file_of_the_bundle_that_is_held_already_is_not_built(tmp_path: Path) -> None:
    """A bundler that sends wrong bytes for a file that is held gains nothing."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    data = V1["guard"]["guard.safetensors"]
    made = forge.describe(low, "assistant@2", files=[data, NEW])
    blocks = forge.packed(forge.raw(0, 0, bytes(len(data))), forge.raw(1, 0, NEW))
    paths = forge.publish(low, made, blocks, tmp_path / "evil")
    assert import_bundle(place, paths, operator=operator(), activate=True).files_built == 1
    assert holds_release(place, V2)


def test_a_long_copy_is_taken_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy longer than a block (SPEC 6.3-3), here with a small limit."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    monkeypatch.setattr(chunk, "MAX_BLOCK_BYTES", 64 << 10)
    monkeypatch.setattr(chunk, "PIECE_BYTES", 16 << 10)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    same = next(n for n in range(len(NEW)) if NEW[n] != OLD[n])
    blocks = [Block(0, 0, same, 1, 0, (Source(0, 0, same),), b"")]
    blocks += [forge.raw(0, n, NEW[n : n + 65536][: len(NEW) - n]) for n in range(same, len(NEW), 65536)]
    paths = forge.publish(low, made, forge.packed(*blocks), tmp_path / "good")
    assert import_bundle(place, paths, operator=operator(), activate=True).files_built == 1
    assert holds_release(place, V2)


# -- only the verifier ---------------------------------------------------------------------------------------------


def test_only_the_verifier_makes_a_verified_bundle(tmp_path: Path) -> None:
    """Skipping verification is a type error, and an error at run time (SPEC 7.2-6)."""
    place = enclave("one", tmp_path)
    verified = verify_bundle(place, world().bundles["full"], place.state(), NOW)
    fields = {name: getattr(verified, name) for name in VerifiedBundle.__slots__}
    assert "seal" not in fields
    with pytest.raises(TypeError, match="only the verifier"):
        VerifiedBundle(**fields, seal=object())
    with pytest.raises(ValueError, match="seal"):
        replace(verified, documents={})  # type: ignore[call-arg] # used to make a sealed bundle out of another one
    for use in (
        lambda: commit_detail(verified, "x", None),
        lambda: save_trust(place, verified, place.state()),
    ):
        with pytest.raises(ValueError, match="committed before"):
            use()
    renewal = verify_bundle(place, world().bundles["renewal"], place.state(), NOW)
    with pytest.raises(ValueError, match="nothing to stage"):
        stage(place, renewal, lambda *_: None, expected=Expected(), now=NOW)


# -- storage -------------------------------------------------------------------------------------------------------


def test_no_space_is_found_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = enclave("fresh", tmp_path)
    monkeypatch.setattr(files, "free_bytes", lambda _folder: 1000)
    attempt(place, world().bundles["uncut"], NoSpaceError, 8)
    assert list(place.staging.iterdir()) == []


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, NoSpaceError), (errno.EIO, StorageError)])
@pytest.mark.parametrize("after", [0, 3])
def test_a_full_or_broken_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[AirliftError], after: int
) -> None:
    """A full disk: exit 8, the old state, and the next run goes on with what was staged."""
    place, real, count = enclave("fresh", tmp_path), os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal count
        if "/staging/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            count += 1
            if count > after:
                raise OSError(number, "injected")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    attempt(place, world().bundles["uncut"], error, 8)
    monkeypatch.undo()
    assert [path for path in place.staging.rglob("*") if path.name.startswith(".tmp-")] == []
    assert take(place, "uncut", activate=True).installed
    assert holds_release(place, V1)


def test_staging_on_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A staging folder on another file system, from which nothing can be renamed: exit 8, and the old state."""
    place, real, refusals = enclave("fresh", tmp_path), os.rename, list[str]()

    def rename(source: str | Path, target: str | Path, **more: int) -> None:
        if "/staging/" in str(source) and "/staging/" not in str(target):
            refusals.append(str(source))
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target, **more)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(StorageError):
        take(place, "uncut")
    assert refusals
    assert (place.state().installed, place.state().active) == ((), None)
    monkeypatch.undo()
    assert take(place, "uncut", activate=True).installed
    assert holds_release(place, V1)


def test_a_resumed_import_uses_what_is_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that was verified is not done twice."""
    place = enclave("fresh", tmp_path)
    from airlift.high.importing import commit as module

    def fail(*_: object) -> None:
        raise NoSpaceError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(module, "install", fail)
        attempt(place, world().bundles["uncut"], NoSpaceError, 8)
    (work,) = place.staging.iterdir()
    before = picture(work)
    assert len(list((work / "files").iterdir())) == 5
    with monkeypatch.context() as patch:
        patch.setattr(VerifiedBundle, "read_chunk", fail)
        result = take(place, "uncut", activate=True)
    assert (result.files_built, len(result.recovered)) == (5, 1)
    assert before
    assert holds_release(place, V1)


def test_content_that_vanishes_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("one", tmp_path)
    from airlift.high.importing import commit as module

    def install(*args: Any) -> object:
        at_rest(place, V1["guard"]["guard.safetensors"]).rename(tmp_path / "taken")
        return install_module.install(*args)

    monkeypatch.setattr(module, "install", install)
    with pytest.raises(ContentDamagedError):
        take(place, "delta")
    assert len(place.state().installed) == 1


# -- two at once ---------------------------------------------------------------------------------------------------


def test_the_lock(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    with place.lock():
        attempt(place, world().bundles["delta"], BusyError, 7)
    assert take(place, "delta").installed


RACER = """
import sys, time
from pathlib import Path
from airlift.errors import BusyError
from airlift.high.enclave.enclave import Operator, open_enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.trust.keys.load import load_signer
from datetime import datetime, UTC
place = open_enclave(Path(sys.argv[1]))
operator = Operator("racer", load_signer(place.ledger_key), datetime(2026, 11, 21, 12, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
try:
    print("already" if import_bundle(place, [Path(sys.argv[2])], operator=operator).already else "done")
except BusyError:
    print("busy")
"""


def test_two_imports_at_once(tmp_path: Path) -> None:
    """Two imports at once, in two processes: one does it, the other is told; the ledger has one commit."""
    place, path = enclave("one", tmp_path), copy(world().bundles["delta"][0], tmp_path / "medium")
    command = [sys.executable, "-c", RACER, str(place.folder), str(path)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.communicate()[0].strip() for racer in racers)
    assert said in (["busy", "done"], ["already", "done"])
    assert len(place.state().bundles) == 2


def test_a_bundle_whose_label_is_tampered_never_reaches_the_decoder(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    path = copy(world().bundles["delta"][0], tmp_path / "medium")
    overwrite(path / volume.LABEL, b"hello\n")
    before = served(place)
    with refused(place, DigestError, 3):
        import_bundle(place, [path], operator=operator())
    assert served(place) == before
