"""Shards: the same chunks as one process makes, whatever was killed between, and nothing a worker can do (L4.20)."""

import hashlib
import os
import shutil
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from airlift.bundle.media_sizes import Medium
from airlift.codec import Coded
from airlift.errors import (
    AirliftError,
    DigestError,
    InventoryError,
    MalformedError,
    PartsMissingError,
    ProvenBadError,
    UncheckedError,
    UsageError,
)
from airlift.low.bundle.content_reader import Targets
from airlift.low.bundle.encode import Encoded
from airlift.low.bundle.sharding import join as join_module
from airlift.low.bundle.sharding import shard_file
from airlift.low.bundle.sharding.shard_format import DIGEST_BYTES, HEAD, ROW
from airlift.trust.tuf import bundling
from tests.support.depots import Site, copy_site, signed_site
from tests.support.rebuild import rebuild
from tests.support.shards import DELTA, SMALL, code, code_all, divided, held, join, place, stock


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A depot with two releases, three shards of the delta between them, and the bundle of one process."""
    site = stock(signed_site(tmp_path_factory.mktemp("template")))
    code_all(site, 3)
    return site


@pytest.fixture(scope="module")
def alone(template: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """What one process makes."""
    return held(copy_site(template, tmp_path_factory.mktemp("alone")).bundle(**DELTA, medium=SMALL))


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    return copy_site(template, tmp_path)


@pytest.fixture
def bare(site: Site) -> Site:
    shutil.rmtree(site.folder / "shared")
    return site


# -- what comes out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_joined_shards_are_what_one_process_makes(bare: Site, alone: tuple[object, ...], of: int) -> None:
    made = code_all(bare, of)
    result = join(bare)
    assert held(result) == alone
    assert len({item.plan for item in made}) == 1
    assert sum(item.target_bytes for item in made) == result.target_bytes
    assert result.sequence == 1
    rebuilt = rebuild(
        [item.path for item in result.volumes], lambda sha512: bare.depot.content.path(sha512).read_bytes()
    )
    assert rebuilt.keys() == {item.sha512 for item in alone[0]}  # type: ignore[attr-defined]


def test_a_complete_bundle_of_shards(bare: Site, template: Site, tmp_path: Path) -> None:
    code_all(bare, 3, from_="none")
    other = copy_site(template, tmp_path / "other")
    assert held(join(bare, from_="none")) == held(other.bundle("assistant@2", medium=SMALL))


def test_parts_cost_about_the_same(site: Site) -> None:
    runs = divided(site).divide(4)
    assert [run.first for run in runs[1:]] == [run.last for run in runs[:-1]]
    assert sum(run.blocks for run in runs) == sum(1 for _ in divided(site).blocks())
    assert max(run.blocks for run in runs) - min(run.blocks for run in runs) <= 2


def test_a_part_without_blocks_is_a_shard_like_any_other(tmp_path: Path) -> None:
    site = signed_site(tmp_path)
    site.release({"base": {"a.txt": b"one line\n"}}, "1")
    made = code_all(site, 3, release="assistant@1", from_="none")
    assert sorted(item.blocks for item in made) == [0, 0, 1]
    result = join(site, reference="assistant@1", from_="none")
    assert held(result) == held(site.bundle("assistant@1", "alone"))


def test_nothing_to_rebuild(bare: Site) -> None:
    code(bare, 1, 1, from_="assistant@2")
    assert join(bare, from_="assistant@2").chunks == 0


def test_the_depot_is_not_changed_by_a_shard(bare: Site) -> None:
    """Nor locked: it may be read-only where shards are coded."""

    def look() -> dict[Path, tuple[int, int]]:
        found = {path: path.stat() for path in (bare.folder / "depot").rglob("*") if path.name != "lock"}
        return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}

    before = look()
    with bare.depot.lock():
        code(bare, 1, 2)
    assert look() == before


def test_a_shard_that_is_there_is_not_coded_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place(site, 2, 3).path.stat()
    monkeypatch.setattr("airlift.codec.encode", None)
    again = code(site, 2, 3)
    assert again.already
    after = place(site, 2, 3).path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert again.digest == place(site, 2, 3).path.read_bytes()[-DIGEST_BYTES:].hex()


def test_a_shard_can_be_joined_for_any_medium_with_the_same_blocks(
    bare: Site, template: Site, tmp_path: Path
) -> None:
    """And again, for another volume size: blocks depend on the largest chunk alone."""
    code_all(bare, 2, from_="none")
    cut = Medium(volume_bytes=1_500_000, file_bytes=70_000)
    other = copy_site(template, tmp_path / "other").bundle("assistant@2", medium=cut)
    assert len(other.volumes) > 1
    assert held(join(bare, medium=cut, from_="none")) == held(other)
    assert join(bare, "again", from_="none").sequence == 2


def test_explain_counts_joined_blocks(site: Site) -> None:
    alone = site.bundle(**DELTA, medium=SMALL, explain=True, dry_run=True)
    assert join(site, explain=True, dry_run=True).explain == alone.explain


# -- missing, and of others ------------------------------------------------------------------------------------------


def test_missing_shards_are_named_with_what_makes_them(site: Site) -> None:
    shutil.rmtree(place(site, 2, 3).folder)
    with pytest.raises(PartsMissingError) as caught:
        join(site)
    assert caught.value.exit_code == 4
    assert caught.value.data["missing"] == [2]
    assert caught.value.data["commands"] == ["airlift low bundle --shard 2/3"]
    assert not (site.folder / "out").exists()
    with pytest.raises(PartsMissingError):
        join(site, dry_run=True)
    code(site, 2, 3)
    assert join(site, dry_run=True).volumes == ()
    assert join(site).sequence == 1


def test_a_folder_left_by_a_killed_command_is_no_shard(site: Site) -> None:
    folder = place(site, 2, 3).folder
    (folder / "blocks").unlink()
    left = folder / f".tmp-{'0' * 16}"
    (left / "chunks").mkdir(parents=True)
    (left / "blocks").write_bytes(b"half")
    with pytest.raises(PartsMissingError, match="1 of 3 shards are missing"):
        join(site)
    code(site, 2, 3)
    assert [path.name for path in folder.iterdir()] == ["blocks"]


def test_shards_of_other_plans_and_other_cuts(site: Site, alone: tuple[object, ...]) -> None:
    """Another release, effort or medium, and another N, lie beside them and are never taken."""
    code_all(site, 2, release="assistant@1", from_="none")
    code(site, 1, 2)
    assert held(join(site)) == alone
    with pytest.raises(PartsMissingError) as caught:
        join(site, "again", of=2)
    assert caught.value.data["missing"] == [2]
    assert "2 of other plans" in (caught.value.found or "")


def test_nothing_there(site: Site) -> None:
    (site.folder / "nothing").mkdir()
    with pytest.raises(PartsMissingError, match="1 of 1 shards are missing"):
        join(site, shared="nothing")
    with pytest.raises(UncheckedError):
        join(site, shared="nowhere")


# -- a worker is not trusted -----------------------------------------------------------------------------------------

Change = Callable[[bytearray], None]


def rows(data: bytearray) -> int:
    """Return where the table of a shard begins."""
    blocks: int = struct.unpack_from("<I", data, 80)[0]
    return len(data) - DIGEST_BYTES - ROW.size * blocks


def signed(change: Change) -> Change:
    """Return a change after which the shard has its own digest again: a worker can do that."""

    def done(data: bytearray) -> None:
        change(data)
        data[-DIGEST_BYTES:] = hashlib.sha512(data[:-DIGEST_BYTES]).digest()

    return done


def put(layout: str, offset: int, value: int, row: int | None = None) -> Change:
    def done(data: bytearray) -> None:
        start = offset if row is None else rows(data) + ROW.size * row + offset
        struct.pack_into(layout, data, start, value)

    return signed(done)


def swap_rows(data: bytearray) -> None:
    start = rows(data)
    first, second = data[start : start + ROW.size], data[start + ROW.size : start + 2 * ROW.size]
    data[start : start + 2 * ROW.size] = second + first


def longer(data: bytearray) -> None:
    data[HEAD.size : HEAD.size] = b"\0"


HOSTILE: dict[str, tuple[Change, type[AirliftError]]] = {
    "another magic": (put("<B", 0, 0), MalformedError),
    "another plan": (put("<B", 8, 0xEE), MalformedError),
    "another part": (put("<I", 72, 2), MalformedError),
    "of another number of parts": (put("<I", 76, 7), MalformedError),
    "more blocks": (put("<I", 80, 1 << 31), MalformedError),
    "fewer blocks": (put("<I", 80, 1), MalformedError),
    "a reserved word": (put("<I", 84, 1), MalformedError),
    "another file": (put("<I", 0, 1, row=0), MalformedError),
    "an unknown codec": (put("<B", 4, 77, row=0), MalformedError),
    "another element": (put("<B", 5, 13, row=0), MalformedError),
    "sources that nobody planned": (put("<B", 6, 4, row=0), MalformedError),
    "a reserved byte": (put("<B", 7, 1, row=0), MalformedError),
    "another start": (put("<Q", 8, 4, row=0), MalformedError),
    "a length beyond the file": (put("<Q", 16, 1 << 60, row=0), MalformedError),
    "a payload of 4 GiB": (put("<I", 24, (1 << 32) - 1, row=0), MalformedError),
    "a payload that is not there": (put("<I", 24, 1, row=0), MalformedError),
    "rows swapped": (signed(swap_rows), MalformedError),
    "one byte more": (signed(longer), MalformedError),
}


def change(path: Path, alter: Change) -> None:
    data = bytearray(path.read_bytes())
    alter(data)
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("what", HOSTILE)
def test_a_shard_that_lies_is_named_and_refused(site: Site, what: str) -> None:
    alter, kind = HOSTILE[what]
    shard = place(site, 1, 3)
    change(shard.path, alter)
    before = shard.path.read_bytes()
    with pytest.raises(kind) as caught:
        join(site)
    error = caught.value
    assert error.exit_code == 3
    assert "shard 1 of 3 is wrong" in error.message
    assert (error.data["shard"], error.data["of"], error.data["path"]) == (1, 3, str(shard.path))
    assert shard.path.read_bytes() == before
    assert not (site.folder / "out").exists()
    assert bundling.sequence_of(site.depot.store) == 0
    with pytest.raises(kind, match="shard 1 of 3 is wrong"):
        code(site, 1, 3)


def payloads(data: bytearray) -> None:
    """Turn one bit of the first payload."""
    data[HEAD.size] ^= 1


def test_a_shard_that_rotted_is_found_by_its_digest(site: Site) -> None:
    """Whether its blocks are decoded or not."""
    change(place(site, 2, 3).path, payloads)
    with pytest.raises(DigestError, match="shard 2 of 3 is wrong: it is not as it was written"):
        join(site, check=False)
    with pytest.raises(ProvenBadError, match="shard 2 of 3 is wrong"):
        join(site)
    with pytest.raises(DigestError, match="shard 2 of 3 is wrong"):
        code(site, 2, 3)
    assert bundling.sequence_of(site.depot.store) == 0


def recoded(site: Site, number: int, of: int, alter: Callable[[Coded], Coded]) -> None:
    """Have a worker code a shard, and write something else for each of its blocks."""
    plan, where = divided(site), place(site, number, of)
    run = plan.divide(of)[number - 1]
    blocks = list(shard_file.read_shard(where, run, plan.blocks(run)))
    made = [(file, segment, alter(coded)) for file, segment, coded in blocks]
    items = [Encoded(file, segment, coded.codec, coded.payload) for file, segment, coded in made]
    shard_file.write_shard(where, run, items)


def lie(coded: Coded) -> Coded:
    """Return what decodes, where it does, to something else."""
    return Coded(coded.codec, coded.payload[:-1] + bytes([coded.payload[-1] ^ 1])) if coded.payload else coded


def test_payloads_that_decode_to_something_else(site: Site) -> None:
    """Signed by their digest, as the plan has them, and wrong: the blocks are decoded again."""
    recoded(site, 2, 3, lie)
    with pytest.raises(ProvenBadError, match="shard 2 of 3 is wrong") as caught:
        join(site)
    assert caught.value.data["shard"] == 2
    assert not (site.folder / "out").exists()


def test_what_is_not_checked_is_the_workers_word(site: Site) -> None:
    """--no-check: no byte that was not signed comes out of it, but perhaps a bundle that rebuilds nothing."""
    recoded(site, 2, 3, lie)
    result = join(site, check=False)
    with pytest.raises((AirliftError, AssertionError)):
        rebuild(
            [item.path for item in result.volumes],
            lambda sha512: site.depot.content.path(sha512).read_bytes(),
        )


def test_other_payloads_of_the_same_bytes_are_as_good(site: Site, alone: tuple[object, ...]) -> None:
    """A worker may make a bundle larger, and not wrong."""
    plan = divided(site)
    run = plan.divide(3)[1]
    where = place(site, 2, 3)
    raw = []
    for file, segment, _ in shard_file.read_shard(where, run, plan.blocks(run)):
        path = site.depot.content.path(plan.plan.files[file].entry.sha512)
        raw.append(Encoded(file, segment, 0, path.read_bytes()[segment.start : segment.end]))
    shard_file.write_shard(where, run, raw)
    result = join(site)
    assert held(result) != alone
    rebuild(
        [item.path for item in result.volumes], lambda sha512: site.depot.content.path(sha512).read_bytes()
    )


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_plain_file_is_refused(site: Site, tmp_path: Path, kind: str) -> None:
    path = place(site, 2, 3).path
    path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(InventoryError, match="shard 2 of 3 is wrong"):
        join(site)


def test_nothing_is_written_through_a_link(bare: Site, tmp_path: Path) -> None:
    """Who may write to the shared folder could have others write elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    where = place(bare, 1, 2)
    where.shared.mkdir()
    where.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InventoryError, match="its folder is a link"):
        code(bare, 1, 2)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_shard_that_changes_while_it_is_joined(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held against the plan once is held against it again when it is read: nothing is taken from before."""
    real = shard_file.check_shard

    def checked(where: shard_file.Place, *arguments: object) -> None:
        real(where, *arguments)  # type: ignore[arg-type]
        if where.share.number == 3:
            change(place(site, 2, 3).path, HOSTILE["rows swapped"][0])

    monkeypatch.setattr(shard_file, "check_shard", checked)
    with pytest.raises(MalformedError, match="shard 2 of 3 is wrong"):
        join(site)
    assert not (site.folder / "out").exists()


@pytest.mark.parametrize("which", ["target", "base"])
def test_the_depot_is_blamed_for_what_rotted_there(site: Site, which: str) -> None:
    """After the shards were coded: a sound shard is not refused for it."""
    release = site.depot.load_release("assistant@2" if which == "target" else "assistant@1")
    entry = next(entry for _, entry in release.files() if entry.path == "model.safetensors")
    path = site.depot.content.path(entry.sha512)
    change(path, lambda data: data.__setitem__(-1, data[-1] ^ 1))
    with pytest.raises(
        DigestError, match=r"base/model\.safetensors is missing from the depot or has changed"
    ) as caught:
        join(site)
    assert "shard" not in caught.value.data


def test_no_target_is_read_twice_by_a_join(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is digested is what the blocks are held against."""
    read, count = Targets.read, 0

    def counted(self: Targets, number: int, *arguments: Any) -> memoryview:
        nonlocal count
        data = read(self, number, *arguments)
        count += len(data)
        return data

    monkeypatch.setattr(Targets, "read", counted)
    result = join(site)
    assert count == result.target_bytes


@pytest.mark.parametrize(
    ("there", "of"),
    [
        ({}, 1),
        ({2: {1}, 4: {1, 2, 3}}, 4),
        ({1: {1}, 3: {1, 2, 3}}, 3),
        ({1: {1}, 3: {1, 2}}, 1),
        ({2: {1}, 4: {1, 2}}, 4),
    ],
)
def test_the_cut_of_which_the_least_is_missing(there: dict[int, set[int]], of: int) -> None:
    """One more shard that is all of the plan, and wrong, does not stand in the way of whole others."""
    assert join_module._likeliest(there) == of


def test_what_is_in_the_way_of_a_shard_is_seen(site: Site) -> None:
    where = place(site, 2, 3)
    shutil.rmtree(where.folder)
    assert not where.there()
    where.folder.write_bytes(b"a file")
    assert not where.there()
    where.folder.unlink()
    where.folder.mkdir()
    where.path.symlink_to("nothing")
    assert where.there()


def test_nobody_explains_what_nobody_looks_into(site: Site) -> None:
    with pytest.raises(UsageError, match="cannot be explained"):
        join(site, explain=True, check=False)


# -- killed ----------------------------------------------------------------------------------------------------------


def started(site: Site, number: int, of: int) -> int:
    """Code a shard in a process of its own; return its id."""
    child = os.fork()
    if child == 0:
        try:
            code(site, number, of)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def test_a_shard_killed_at_any_moment_and_made_again_is_the_same(site: Site) -> None:
    """SIGKILL somewhere: there is a whole shard or none, and the next run makes the same bytes."""
    where, random = place(site, 2, 3), Random(17)
    expected = where.path.read_bytes()
    shutil.rmtree(where.folder)
    before = time.monotonic()
    os.waitpid(started(site, 2, 3), 0)
    whole = time.monotonic() - before
    assert where.path.read_bytes() == expected
    killed = 0
    while killed < 4:
        shutil.rmtree(where.folder, ignore_errors=True)
        child = started(site, 2, 3)
        wait = random.uniform(0, whole)
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if where.there():
            assert where.path.read_bytes() == expected
            whole = wait  # the machine is quicker than it was
        else:
            killed += 1
    assert code(site, 2, 3).digest == expected[-DIGEST_BYTES:].hex()
    assert where.path.read_bytes() == expected
    assert [path.name for path in where.folder.iterdir()] == ["blocks"]


def test_two_processes_on_the_same_shard(site: Site, alone: tuple[object, ...]) -> None:
    where = place(site, 2, 3)
    expected = where.path.read_bytes()
    shutil.rmtree(where.folder)
    for child in [started(site, 2, 3) for _ in range(2)]:
        assert os.waitpid(child, 0)[1] == 0
    assert where.path.read_bytes() == expected
    assert [path.name for path in where.folder.iterdir()] == ["blocks"]
    assert held(join(site)) == alone
