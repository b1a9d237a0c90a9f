import shutil
import subprocess
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airlift import codec, files
from airlift.bundle import chunk, media_sizes, volume
from airlift.bundle.media_sizes import Medium
from airlift.errors import (
    AirliftError,
    DigestError,
    ExistsError,
    ExpiredError,
    KeyUnavailableError,
    NoSpaceError,
    NotHeldError,
    UncheckedError,
    UnpublishedError,
    UsageError,
    VolumeTooSmallError,
)
from airlift.low.bundle import chunks, encode
from airlift.low.bundle.job import Destination
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.renew import renew
from airlift.low.depot import enclaves
from airlift.low.depot.enclaves import Acknowledged
from airlift.low.depot.events import read_events
from airlift.low.returns.register import register
from airlift.media import volume_writer
from airlift.media.staging import hold, staging
from airlift.trust.tuf import bundling
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, Site, copy_site, signed_site
from tests.support.rebuild import load_bundle, rebuild
from tests.support.weights import noise, safetensors, weights

BIG = 600 << 10


def stack(changed: int = 0) -> dict[str, dict[str, bytes]]:
    return {
        "base": {
            "model.safetensors": weights(1, rows=300, columns=512, changed=changed),
            "config.json": b'{"changed": %d}' % changed,
            "empty.txt": b"",
        },
        "guard": {
            "guard.safetensors": weights(2),
            "copy.safetensors": weights(2),
            "words.txt": noise(7, BIG),
        },
    }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = signed_site(tmp_path_factory.mktemp("template"))
    site.release(stack(), "1")
    site.release(stack(changed=50), "2", versions={"guard": "1"})
    return site


@pytest.fixture
def stocked(template: Site, tmp_path: Path) -> Site:
    return copy_site(template, tmp_path)


def folders(result: BundleResult) -> list[Path]:
    return [item.path for item in result.volumes]


def held(site: Site) -> Callable[[str], bytes]:
    return lambda sha512: site.depot.content.path(sha512).read_bytes()


def nothing(sha512: str) -> bytes:
    raise AssertionError(f"a complete bundle needs no base, and asked for {sha512}")


def chunk_files(result: BundleResult) -> list[tuple[str, str]]:
    return [
        (folder.name[-8:], path.name)
        for folder in folders(result)
        for path in sorted((folder / "chunks").iterdir())
    ]


# -- what comes out --------------------------------------------------------------------------------------------------


def test_a_complete_bundle(stocked: Site) -> None:
    result = stocked.bundle("assistant@1")
    assert (result.bundle, result.sequence, result.enclave) == ("any-1", 1, None)
    assert (result.baseline, result.baseline_known_by, result.target) == (None, "none", "assistant@1")
    rebuilt = rebuild(folders(result), nothing)
    release = stocked.depot.load_release("assistant@1")
    assert rebuilt.keys() == release.contents().keys()
    assert result.target_bytes == sum(release.contents().values())
    assert sum(result.codecs.values()) == result.target_bytes
    assert [(item.name, item.change) for item in result.components] == [("base", "new"), ("guard", "new")]


def test_a_delta(stocked: Site) -> None:
    result = stocked.bundle("assistant@2", from_="assistant@1")
    assert (result.baseline, result.baseline_known_by) == ("assistant@1", "operator")
    assert result.files == 2
    assert result.chunk_bytes < result.target_bytes / 100
    assert [(item.name, item.change) for item in result.components] == [
        ("base", "changed"),
        ("guard", "unchanged"),
    ]
    rebuilt = rebuild(folders(result), held(stocked))
    assert weights(1, rows=300, columns=512, changed=50) in rebuilt.values()
    made = load_bundle(folders(result)[0])
    assert made.baseline is not None
    assert {base.sha512 for base in made.bases} <= set(stocked.depot.load_release("assistant@1").contents())


def test_from_a_release_to_itself(stocked: Site) -> None:
    result = stocked.bundle("assistant@1", from_="assistant@1")
    assert (result.files, result.chunks, result.target_bytes, len(result.volumes)) == (0, 0, 0, 1)
    assert rebuild(folders(result), nothing) == {}


def test_a_tensor_that_was_renamed_and_moved(site: Site) -> None:
    """Only opaque bytes and headers cost anything."""
    body = noise(5, 1 << 20)
    one = {"a": {"x.safetensors": safetensors({"old": ("U8", (1 << 20,), body)})}}
    two = {
        "b": {"y.safetensors": safetensors({"pad": ("U8", (8,), bytes(8)), "new": ("U8", (1 << 20,), body)})}
    }
    site.release(one, "1")
    site.release(two, "2")
    result = site.bundle("assistant@2", from_="assistant@1")
    assert result.chunk_bytes < 1000
    rebuild(folders(result), held(site))


def test_long_equal_runs_are_one_block(site: Site) -> None:
    """A block longer than 16 MiB has no payload and one source of its own length."""
    body = noise(3, 18 << 20)
    site.release(
        {"a": {"x.safetensors": safetensors({"w": ("BF16", (9 << 20,), body), "v": ("U8", (1,), b"1")})}},
        "1",
    )
    site.release(
        {"a": {"x.safetensors": safetensors({"w": ("BF16", (9 << 20,), body), "v": ("U8", (1,), b"2")})}},
        "2",
    )
    result = site.bundle("assistant@2", from_="assistant@1")
    assert result.chunk_bytes < 500
    assert result.codecs["equal"] > 18 << 20
    rebuild(folders(result), held(site))


def test_the_volume_says_what_it_is(stocked: Site) -> None:
    result = stocked.bundle("assistant@1", for_="alpha")
    (folder,) = folders(result)
    assert folder.name == "airlift-alpha-1-vol01of01"
    assert folder.parent.stat().st_dev == folder.stat().st_dev
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [volume.LABEL, volume.INDEX, volume.SUMS, volume.METADATA, volume.MANIFESTS, volume.CHUNKS]
    )
    sums = volume.parse_sums((folder / volume.SUMS).read_bytes())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(sums) == there - {volume.SUMS, volume.INDEX}
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) == result.volumes[0].bytes
    assert read_events(stocked.depot)[-1].detail["bundle"] == "alpha-1"


# -- determinism -----------------------------------------------------------------------------------------------------


def test_the_same_at_any_number_of_workers(stocked: Site) -> None:
    medium = Medium(volume_bytes=2 << 20, file_bytes=100_000)
    one = stocked.bundle("assistant@2", "one", workers=1, medium=medium)
    four = stocked.bundle("assistant@2", "four", workers=4, medium=medium)
    assert len(one.volumes) > 1
    assert chunk_files(one) == chunk_files(four)
    again = load_bundle(folders(four)[0])
    assert [item.sha512 for item in load_bundle(folders(one)[0]).chunks] == [
        item.sha512 for item in again.chunks
    ]
    assert (one.sequence, four.sequence) == (1, 2)


def test_delta_is_the_same_at_any_number_of_workers(stocked: Site) -> None:
    made = [
        load_bundle(folders(stocked.bundle("assistant@2", str(n), from_="assistant@1", workers=n))[0])
        for n in (1, 4)
    ]
    assert (made[0].chunks, made[0].bases) == (made[1].chunks, made[1].bases)


# -- media -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [media_sizes.SECTOR, media_sizes.CLUSTER])
def test_every_volume_fits_its_medium(stocked: Site, unit: int) -> None:
    medium = Medium(volume_bytes=2_400_000, file_bytes=1 << 16, unit=unit)
    result = stocked.bundle("assistant@1", medium=medium)
    assert len(result.volumes) > 1
    assert {path.name[-2:] for path in folders(result)} == {f"{len(result.volumes):02d}"}
    for folder in folders(result):
        files_in = [path for path in folder.rglob("*") if path.is_file()]
        assert max(path.stat().st_size for path in files_in if path.parent.name == "chunks") <= 1 << 16
        taken = sum(media_sizes.occupied(path.stat().st_size, unit) for path in files_in)
        assert taken + media_sizes.RESERVE + media_sizes.FOLDER_SECTORS * unit <= 2_400_000
    rebuild(folders(result), nothing)


def test_metadata_and_manifests_are_on_every_volume(stocked: Site) -> None:
    result = stocked.bundle("assistant@1", medium=Medium(volume_bytes=2 << 20))
    first, *others = folders(result)
    assert others
    for part in (volume.METADATA, volume.MANIFESTS):
        expected = {path.name: path.read_bytes() for path in (first / part).iterdir()}
        for other in others:
            assert {path.name: path.read_bytes() for path in (other / part).iterdir()} == expected


def test_a_volume_that_is_too_small_costs_no_sequence_number(stocked: Site) -> None:
    with pytest.raises(VolumeTooSmallError) as caught:
        stocked.bundle("assistant@1", medium=Medium(volume_bytes=1 << 20))
    assert "sequence_used" not in caught.value.data
    assert not (stocked.folder / "out").exists()
    assert bundling.sequence_of(stocked.depot.store) == 0


def test_a_file_size_that_is_too_small(stocked: Site) -> None:
    with pytest.raises(VolumeTooSmallError):
        stocked.bundle("assistant@1", medium=Medium(file_bytes=1000))
    assert not (stocked.folder / "out").exists()


def test_what_was_written_is_measured(stocked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_sizes, "cut_into_volumes", lambda chunks, _medium, _sizes: [tuple(chunks)])
    with pytest.raises(VolumeTooSmallError, match="is too large") as caught:
        stocked.bundle("assistant@1", medium=Medium(volume_bytes=1_500_000))
    assert caught.value.data["sequence_used"] == 1
    assert not (stocked.folder / "out").exists()


# -- baselines -------------------------------------------------------------------------------------------------------


def enrolled(site: Site, *acknowledged: Acknowledged) -> None:
    (site.keys / "ledger.pub").write_bytes(keys.signer("ledger").public.pem())
    register(site.depot, "alpha", ledger_key=site.keys / "ledger.pub", now=NOW)
    entry = enclaves.load(site.depot, "alpha")
    enclaves.save(
        site.depot,
        enclaves.EnclaveRecord(
            entry.enclave, entry.enrolled, entry.ledger_key, entry.fingerprint, acknowledged
        ),
    )


def acknowledge(digest: str, known_by: str = "receipt") -> Acknowledged:
    return Acknowledged(digest, 1, "2026-11-21T12:00:00Z", known_by)


def test_what_an_enclave_acknowledged_is_the_baseline(stocked: Site) -> None:
    one, two = (reference.digest for reference in stocked.depot.releases())
    enrolled(stocked, acknowledge(one, "operator"))
    result = stocked.bundle("assistant@2", for_="alpha")
    assert (result.enclave, result.baseline, result.baseline_known_by) == ("alpha", "assistant@1", "operator")
    enrolled_again = enclaves.load(stocked.depot, "alpha")
    assert enrolled_again.acknowledged == (acknowledge(one, "operator"),)
    enclaves.save(
        stocked.depot,
        enclaves.EnclaveRecord(
            "alpha",
            NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
            enrolled_again.ledger_key,
            enrolled_again.fingerprint,
            (acknowledge(one), acknowledge(two), acknowledge("f" * 128)),
        ),
    )
    result = stocked.bundle("assistant@2", "next", for_="alpha")
    assert (result.baseline, result.baseline_known_by, result.files) == ("assistant@2", "receipt", 0)


@pytest.mark.parametrize("from_", [None, "none"])
def test_an_enclave_that_said_nothing(stocked: Site, from_: str | None) -> None:
    for name in ("alpha", "unknown"):
        result = stocked.bundle("assistant@2", name, for_=name, from_=from_)
        assert (result.baseline, result.baseline_known_by) == (None, "none")
        if name == "alpha":
            continue
        enrolled(stocked)


def test_from_wins_over_what_was_acknowledged(stocked: Site) -> None:
    enrolled(stocked, acknowledge(stocked.depot.releases()[1].digest))
    result = stocked.bundle("assistant@2", for_="alpha", from_="assistant@1")
    assert (result.baseline, result.baseline_known_by) == ("assistant@1", "operator")
    assert stocked.bundle("assistant@2", "full", for_="alpha", from_="none").baseline is None


@pytest.mark.parametrize("name", ["any", "Upper", "a" * 25, ""])
def test_names_that_no_enclave_has(stocked: Site, name: str) -> None:
    with pytest.raises(UsageError):
        stocked.bundle("assistant@1", for_=name)
    assert not (stocked.folder / "out").exists()


# -- refusals --------------------------------------------------------------------------------------------------------


def test_only_published_releases(stocked: Site) -> None:
    stocked.release(stack(changed=9), "3", names=RELEASERS[:1], versions={"guard": "1"})
    for more in ({}, {"from_": "assistant@1"}):
        with pytest.raises(UnpublishedError) as caught:
            stocked.bundle("assistant@3", **more)
        assert caught.value.exit_code == 6
    with pytest.raises(UnpublishedError):
        stocked.bundle("assistant@1", from_="assistant@3")
    assert stocked.bundle("assistant@1").sequence == 1, "a pending change never blocks what is published"


def test_an_unknown_release(stocked: Site) -> None:
    with pytest.raises(NotHeldError):
        stocked.bundle("assistant@9")


def test_a_key_that_is_no_bundlers(stocked: Site) -> None:
    """THREATS, update system: key of another role."""
    with pytest.raises(KeyUnavailableError):
        stocked.bundle("assistant@1", signer=keys.signer("alice"))
    assert not (stocked.folder / "out").exists()


def test_expired_metadata(stocked: Site) -> None:
    with pytest.raises(ExpiredError):
        stocked.bundle("assistant@1", now=NOW + timedelta(days=400))
    assert not (stocked.folder / "out").exists()


def test_an_existing_volume_is_never_touched(stocked: Site) -> None:
    place = stocked.folder / "out" / "airlift-any-1-vol01of01"
    place.mkdir(parents=True)
    (place / "mine").write_bytes(b"x")
    with pytest.raises(ExistsError):
        stocked.bundle("assistant@1")
    assert [path.name for path in (stocked.folder / "out").iterdir()] == [place.name]
    assert [path.name for path in place.iterdir()] == ["mine"]
    assert bundling.sequence_of(stocked.depot.store) == 0


def test_dry_run_writes_nothing(stocked: Site) -> None:
    before = sorted(stocked.folder.rglob("*"))
    result = stocked.bundle("assistant@2", from_="assistant@1", dry_run=True)
    assert (result.bundle, result.files, result.volumes) == ("any-1", 2, ())
    assert result.target_bytes > 0
    assert sorted(stocked.folder.rglob("*")) == before


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_content_that_has_rotted_does_not_go_out(stocked: Site, version: str) -> None:
    """Neither as a target nor as a base: the delta would not rebuild anything."""
    entry = next(
        entry
        for _, entry in stocked.depot.load_release(f"assistant@{version}").files()
        if entry.path == "model.safetensors"
    )
    path = stocked.depot.content.path(entry.sha512)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(DigestError, match=r"base/model\.safetensors"):
        stocked.bundle("assistant@2", from_="assistant@1")
    assert not (stocked.folder / "out").exists()
    path.unlink()
    with pytest.raises(AirliftError):
        stocked.bundle("assistant@2", from_="assistant@1")
    assert bundling.sequence_of(stocked.depot.store) == 0
    again = stocked.release(stack(changed=50 * (int(version) - 1)), version, versions={"guard": "1"})
    assert (again.already, again.new_bytes) == (True, entry.size)
    rebuild(folders(stocked.bundle("assistant@2", from_="assistant@1")), held(stocked))


def test_a_codec_that_lies_is_caught(stocked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = codec.decode

    def lie(*arguments: object, **more: object) -> bytes:
        data = bytearray(real(*arguments, **more))  # type: ignore[arg-type]
        data[0] ^= 1
        return bytes(data)

    monkeypatch.setattr(codec, "decode", lie)
    with pytest.raises(DigestError, match="does not decode"):
        stocked.bundle("assistant@1")
    assert not (stocked.folder / "out").exists()
    assert stocked.bundle("assistant@1", check=False).sequence == 1


def fail_at(site: Site, step: str, limit: int) -> BundleResult | AirliftError:
    """Bundle while the call number ``limit`` of ``files.<step>`` in the output folder finds the disk full."""
    real, count = getattr(files, step), 0

    def full(*arguments: object, **more: object) -> object:
        nonlocal count
        if str(arguments[0]).startswith(str(site.folder / "out")):
            count += 1
            if count == limit:
                raise NoSpaceError("no space left")
        return real(*arguments, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, step, full)
        try:
            return site.bundle("assistant@1")
        except NoSpaceError as error:
            return error


@pytest.mark.parametrize("step", ["writer", "rename_durable"])
def test_a_full_disk_leaves_no_output(site: Site, step: str) -> None:
    """THREATS, file system: a full disk at every write."""
    site.release({"base": {"model.safetensors": weights(1)}})
    result: BundleResult | AirliftError | None = None
    used = 0
    for limit in range(1, 40):
        result = fail_at(site, step, limit)
        if isinstance(result, BundleResult):
            assert result.sequence == used + 1
            rebuild(folders(result), nothing)
            break
        assert not (site.folder / "out").exists()
        if "sequence_used" in result.data:
            used += 1
            assert result.data["sequence_used"] == used
            assert f"sequence number {used} is used up" in result.hint
    assert used
    assert isinstance(result, BundleResult)


def test_an_output_folder_with_other_things_stays(stocked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    output = stocked.folder / "out"
    output.mkdir()
    (output / "mine").write_bytes(b"x")

    def fail(*_arguments: object) -> None:
        raise NoSpaceError("no space left")

    monkeypatch.setattr(volume_writer, "move_into_place", fail)
    with pytest.raises(NoSpaceError):
        stocked.bundle("assistant@1")
    assert [path.name for path in output.iterdir()] == ["mine"]


def test_what_a_killed_command_left_is_swept(stocked: Site) -> None:
    output = stocked.folder / "out"
    left, held, mine, odd = (output / f".tmp-{name}" for name in ("0" * 16, "1" * 16, "2" * 16, "mine"))
    (output / f".tmp-{'4' * 16}").mkdir(parents=True)  # killed before there was a mark, or after
    for folder in (left, held, odd):
        (folder / volume.CHUNKS).mkdir(parents=True)
        (folder / volume.CHUNKS / "part").write_bytes(b"x")
    mine.mkdir()
    (mine / "letter").write_bytes(b"x")
    (output / f".tmp-{'3' * 16}").symlink_to(odd)
    with hold(held) as is_held:
        assert is_held
        (folder,) = folders(stocked.bundle("assistant@1"))
    assert {path.name for path in output.iterdir()} == {
        held.name, mine.name, odd.name, f".tmp-{'3' * 16}", folder.name
    }  # fmt: skip
    stocked.bundle("assistant@1")
    assert not held.exists()
    assert (odd / volume.CHUNKS / "part").exists()


def test_work_that_goes_on_is_not_swept(stocked: Site) -> None:
    output = stocked.folder / "out"
    with staging(output) as one, staging(output) as other:
        assert one.exists()
        stocked.bundle("assistant@1")
        assert one.exists()
        assert other.exists()


def test_few_blocks_are_in_flight(stocked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not depend on the size of a model: at most 2 * workers blocks wait or run."""
    monkeypatch.setattr(chunks, "BLOCK_BYTES", 4096)
    started, finished, most = 0, 0, 0
    lock = threading.Lock()
    real = encode._encode_block

    def counted(*arguments: Any, **more: Any) -> encode.Encoded:
        nonlocal started
        with lock:
            started += 1
        return real(*arguments, **more)

    def seen(stage: str, _done: int, _total: int) -> None:
        nonlocal finished, most
        if stage == "encoding":
            with lock:
                most = max(most, started - finished)
                finished += 1

    monkeypatch.setattr(encode, "_encode_block", counted)
    stocked.bundle("assistant@1", workers=2, progress=seen)
    assert finished > 50
    assert most <= 2 * 2 + 1


def test_no_target_is_read_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is digested is what is coded: the same bytes, read once."""
    site.release({"base": {"a.dat": noise(51, 600_000)}, "guard": {"b.dat": noise(52, 700_001)}}, "1")
    monkeypatch.setattr(chunks, "BLOCK_BYTES", 64 << 10)
    real, count = files.read_into, 0

    def counted(descriptor: int, offset: int, room: memoryview) -> int:
        nonlocal count
        count += len(room)
        return real(descriptor, offset, room)

    monkeypatch.setattr(files, "read_into", counted)
    result = site.bundle("assistant@1")
    assert count == result.target_bytes


@pytest.mark.parametrize("thread", ["read", "code", "write"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, UncheckedError])
def test_whatever_fails_on_a_thread_ends_the_command(
    stocked: Site, monkeypatch: pytest.MonkeyPatch, thread: str, error: type[BaseException]
) -> None:
    place = {"read": (files, "read_into"), "code": (codec, "encode"), "write": (chunks, "_write_chunk")}
    monkeypatch.setattr(chunks, "BLOCK_BYTES", 4096)
    real, count = getattr(*place[thread]), 0

    def fail(*arguments: object, **more: object) -> object:
        nonlocal count
        count += 1
        if count == 5:
            raise error("now")
        return real(*arguments, **more)

    monkeypatch.setattr(*place[thread], fail)
    threads = threading.active_count()
    with pytest.raises(error):
        stocked.bundle("assistant@1", medium=Medium(file_bytes=100_000))
    assert threading.active_count() == threads
    assert not (stocked.folder / "out").exists()


# -- renew -----------------------------------------------------------------------------------------------------------


def test_renew(stocked: Site) -> None:
    result = renew(stocked.depot, Destination(stocked.folder / "out"), signer=keys.signer(BUNDLER), now=NOW)
    assert (result.bundle, result.target, result.baseline, result.chunks) == ("any-1", None, None, 0)
    (folder,) = folders(result)
    made = load_bundle(folder)
    assert (made.files, made.chunks, made.target) == ((), (), None)
    assert len(list((folder / volume.MANIFESTS).iterdir())) == 2
    assert not list((folder / volume.CHUNKS).iterdir())


def test_renew_for_one_enclave_dry(stocked: Site) -> None:
    result = renew(
        stocked.depot,
        Destination(stocked.folder / "out", "alpha"),
        signer=keys.signer(BUNDLER),
        now=NOW,
        dry_run=True,
    )
    assert (result.bundle, result.volumes) == ("alpha-1", ())
    assert not (stocked.folder / "out").exists()


def test_renew_on_a_small_medium(stocked: Site) -> None:
    with pytest.raises(VolumeTooSmallError):
        renew(
            stocked.depot,
            Destination(stocked.folder / "out", medium=Medium(volume_bytes=1 << 20)),
            signer=keys.signer(BUNDLER),
            now=NOW,
        )
    shutil.rmtree(stocked.folder / "out", ignore_errors=True)


def test_a_chunk_never_has_more_blocks_than_a_reader_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of millions of copies would cost a reader gigabytes: writer and reader share the limit."""
    monkeypatch.setattr(chunk, "MAX_BLOCKS", 3)
    block = chunk.Block(0, 0, 1, 0, 0, (), b"x")
    packed = chunks.pack([block] * 7, chunk.MAX_BLOCK_BYTES)
    assert [chunk.HEADER.unpack_from(table)[1] for table, *_ in packed] == [3, 3, 1]
