"""When content is digested again, and when it is good enough that it was (SPEC L4.12)."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import DigestError, NoSpaceError
from airlift.low.authority.sign import sign
from airlift.low.bundle import content_reader
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import BASE_AGE, TARGET_AGE, DigestCache, open_digest_cache
from airlift.store.content import KEPT_OPEN, ContentFolder, CountBytes
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.weights import weights


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = signed_site(tmp_path)
    for version in ("1", "2"):
        site.release({"base": {"model.safetensors": weights(1, changed=int(version))}}, version)
    return site


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was digested for its own sake, by SHA-512."""
    found: list[str] = []
    real = ContentFolder.verified_stamp

    def noted(folder: ContentFolder, sha512: str, read: CountBytes, pieces: bytes = b"") -> str | None:
        found.append(sha512)
        return real(folder, sha512, read, pieces)

    monkeypatch.setattr(ContentFolder, "verified_stamp", noted)
    return found


def only(site: Site, version: str) -> str:
    (sha512,) = site.depot.load_release(f"assistant@{version}").contents()
    return sha512


def record(site: Site) -> Path:
    return site.depot.folder / "verified.json"


def delta(site: Site, output: str = "out", days: float = 0) -> None:
    site.bundle("assistant@2", output, from_="assistant@1", now=NOW + timedelta(days=days))


def test_what_was_just_taken_in_is_not_digested_again(site: Site, looked: list[str]) -> None:
    delta(site)
    assert not looked


def test_after_thirty_days_it_is(site: Site, looked: list[str]) -> None:
    delta(site, "one", days=30)
    assert not looked
    delta(site, "two", days=31)
    assert looked == [only(site, "1")]
    delta(site, "three", days=61)
    assert looked == [only(site, "1")], "what was found out counts from then on"


def test_a_clock_that_went_back_proves_nothing(site: Site, looked: list[str]) -> None:
    delta(site, days=-1)
    assert looked == [only(site, "1")]


def test_a_file_that_was_touched_is_digested(site: Site, looked: list[str]) -> None:
    path = site.depot.content.path(only(site, "1"))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    delta(site, "one")
    delta(site, "two")
    assert looked == [only(site, "1")]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes())
    delta(site, "three")
    assert len(looked) == 2


def test_targets_that_were_coded_were_digested(site: Site, looked: list[str]) -> None:
    record(site).unlink()
    site.bundle("assistant@1", "full")
    delta(site)
    assert not looked


def test_a_target_is_digested_unless_it_was_within_a_day(site: Site) -> None:
    path = site.depot.content.path(only(site, "2"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    cache = open_digest_cache(site.depot, NOW)
    cache.note_written(only(site, "2"))  # as if its file looked untouched
    cache.save()
    delta(site, "one", days=1)
    with pytest.raises(DigestError, match="has changed"):
        delta(site, "two", days=1.001)


@pytest.mark.parametrize("last", [b"?", b""])
def test_a_target_that_is_touched_while_it_is_coded_is_digested_after_all(
    site: Site, looked: list[str], last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be digested, as its file looks untouched; then somebody writes to it."""
    path = site.depot.content.path(only(site, "2"))
    content = path.read_bytes()
    real = content_reader.read

    def touching(depot: Depot, sha512: str, start: int, buffer: memoryview) -> memoryview:
        found = real(depot, sha512, start, buffer)
        if sha512 == only(site, "2"):
            path.chmod(0o644)
            path.write_bytes(content[: len(content) - len(last)] + last)
        return found

    monkeypatch.setattr(content_reader, "read", touching)
    if last:
        with pytest.raises(DigestError, match="has changed"):
            delta(site)
    else:
        delta(site)
    assert looked == [only(site, "2")]


def test_to_sign_is_to_have_digested(site: Site, looked: list[str]) -> None:
    site.release({"base": {"model.safetensors": weights(1, changed=3)}}, "3", names=())
    record(site).unlink()
    sign(site.depot, "assistant@3", signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    assert looked == [only(site, "3")]
    assert open_digest_cache(site.depot, NOW).is_fresh(only(site, "3"), TARGET_AGE)


def test_a_target_that_changes_while_it_is_read_is_not_noted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.read_into

    def touching(descriptor: int, offset: int, room: memoryview) -> int:
        os.utime(descriptor)
        return real(descriptor, offset, room)

    monkeypatch.setattr(files, "read_into", touching)
    later = NOW + timedelta(days=2)
    site.bundle("assistant@1", "full", now=later)
    assert not open_digest_cache(site.depot, later).is_fresh(only(site, "1"), BASE_AGE)


def test_content_that_shrinks_while_it_is_read(site: Site) -> None:
    room = memoryview(bytearray(8))
    sha512 = only(site, "1")
    end = site.depot.content.path(sha512).stat().st_size
    assert content_reader.read(site.depot, sha512, end - 8, room) is room
    with pytest.raises(DigestError, match="shorter"):
        content_reader.read(site.depot, sha512, end - 7, room)


def opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_more_contents_than_are_kept_open(site: Site) -> None:
    site.release({"many": {f"{n}.txt": b"%d" % n for n in range(20)}}, "9")
    digests = list(site.depot.load_release("assistant@9").contents())
    with site.depot.content.reader(digests) as read:
        found = {read(n, 0, 9) for _ in range(2) for n in range(20)}
        open_now = opened()
    assert found == {b"%d" % n for n in range(20)}
    assert open_now - opened() == KEPT_OPEN


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[:-1],
    "empty": lambda _: b"",
    "another type": lambda data: data.replace(b"depot-verified", b"depot-releases"),
    "too new": lambda data: data.replace(b'"airlift":1', b'"airlift":2'),
    "no digest": lambda data: data.replace(b'{"file"', b'{"FILE"'),
    "no time": lambda data: data.replace(b"T12:00:00Z", b"T12:00:61Z"),
    "a short digest": lambda data: data.replace(b'":{"file"', b'x":{"file"'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_means_to_look_again(site: Site, looked: list[str], damage: str) -> None:
    data = record(site).read_bytes()
    assert DAMAGES[damage](data) != data
    record(site).write_bytes(DAMAGES[damage](data))
    delta(site, "one")
    assert looked == [only(site, "1")]
    delta(site, "two")
    assert len(looked) == 1


def test_what_others_found_out_meanwhile_is_kept(site: Site) -> None:
    one, two = (DigestCache(site.depot, NOW, {}) for _ in range(2))
    record(site).unlink()
    for cache, version in ((one, "1"), (two, "2")):
        cache.note_written(only(site, version))
        cache.save()
    assert set(open_digest_cache(site.depot, NOW).saved) == {only(site, "1"), only(site, "2")}


def test_content_that_is_gone_is_not_held(site: Site) -> None:
    site.depot.content.path(only(site, "1")).unlink()
    assert not open_digest_cache(site.depot, NOW + BASE_AGE).is_fresh(only(site, "1"), BASE_AGE)
    assert open_digest_cache(site.depot, NOW + BASE_AGE).is_fresh(only(site, "2"), BASE_AGE)


def test_no_space_for_the_record_uses_no_sequence_number(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.write_durable

    def full(path: Path, data: bytes, **more: object) -> None:
        if path == record(site):
            raise NoSpaceError("no space left")
        real(path, data, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write_durable", full)
    with pytest.raises(NoSpaceError) as caught:
        delta(site, days=2)
    assert "sequence_used" not in caught.value.data
    assert not (site.folder / "out").exists()
