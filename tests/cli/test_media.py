"""Media as they are: drives that give up or hang, media that are pulled out, and volumes that were copied twice."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import World
from tests.cli.transcript import airlift

GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EIO, errno.ENOMEDIUM)
READS = "preadv,preadv2"


def chunk(volume: Path) -> Path:
    """Return the first chunk of a volume."""
    return min((volume / "chunks").iterdir())


def spoilt(strace: str, inject: str, path: Path) -> tuple[str, ...]:
    """Return the wrapper under which reads of this file go as ``inject`` says."""
    words = (
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        str(path),
        f"-etrace={READS}",
        f"-einject={READS}:{inject}",
    )
    return (strace, *words)


@pytest.fixture
def strace(require_tool: Callable[[str], str]) -> str:
    """The path of strace."""
    return require_tool("strace")


def test_a_drive_that_gives_up_in_the_middle_of_a_chunk(world: World, strace: str) -> None:
    """Exit 7 names the file, nothing is active, and the same command works once it can be read."""
    (volume,) = world.volumes("alpha-5")
    bad = chunk(volume)
    assert bad.stat().st_size > 1 << 20, "or there is no second read"
    wrapper = spoilt(strace, "error=EIO:when=2", bad)
    words: tuple[str | Path, ...] = ("high", "import", volume, "--activate", "--format", "json")
    error = world.run(*words, wrapper=wrapper).expect(7).error
    assert (error["code"], error["message"]) == ("unreadable", f"cannot read {bad}")
    assert error["found"] == "Input/output error"
    assert "run the same command again" in error["hint"]
    assert world.quick("high", "status", "--format", "json").expect(0).data["active"] is None
    world.quick(*words).expect(0)
    world.quick("high", "check").expect(0)


def test_a_drive_that_hangs(world: World, strace: str) -> None:
    """A read that does not come back within the limit ends in exit 7 with a word, and changes nothing."""
    volume = world.volumes("alpha-1")[1]
    wrapper = spoilt(strace, "delay_enter=6s:when=1", chunk(volume))
    words: tuple[str | Path, ...] = ("high", "import", *world.volumes("alpha-1"), "--format", "json")
    said = airlift(*words, cwd=world.folder, environment={"AIRLIFT_MEDIUM_SECONDS": "2"}, wrapper=wrapper)
    assert said.expect(7).error["code"] == "stalled"
    path = chunk(volume)
    assert said.error["message"] == f"the medium does not answer: a read of {path} has not come back"
    assert said.error["expected"] == "within 2 seconds"
    assert "run the same command again" in said.error["hint"]
    world.quick("high", "import", *world.volumes("alpha-1"), "--activate").expect(0)
    world.quick("high", "check").expect(0)


def test_a_limit_that_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("0", "-1", "x", "", "86401", "9" * 30):
        monkeypatch.setenv("AIRLIFT_MEDIUM_SECONDS", limit)
        said = world.quick("high", "inspect", *world.volumes("alpha-1"), "--format", "json").expect(2)
        assert said.error["expected"] == "1 to 86400"


@pytest.mark.parametrize("number", GONE, ids=errno.errorcode.__getitem__)
def test_a_medium_that_is_pulled_out(world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From the second volume's first chunk on nothing opens: that is never taken for a volume that is bad."""
    first, second, third = world.volumes("alpha-1")
    usual, pulled = os.open, (str(second / "chunks"), str(third / "chunks"))

    def opening(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).startswith(pulled) and not flags & os.O_DIRECTORY:
            raise OSError(number, os.strerror(number), str(path))
        return usual(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opening)
        said = world.quick("high", "import", first, second, third, "--format", "json").expect(7)
    assert said.error["code"] == "unreadable"
    assert said.error["message"].startswith(f"cannot read {second}")
    assert said.error["found"] == os.strerror(number)
    assert world.quick("high", "status", "--format", "json").expect(0).data["active"] is None
    world.quick("high", "import", first, second, third).expect(0)


def test_a_folder_that_vanishes_while_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The medium is unmounted during the import of one volume of three: what was staged before stays."""
    first, second, third = world.volumes("alpha-1")
    world.quick("high", "import", first).expect(4)
    usual, gone = os.preadv, world.folder / "gone"

    def reading(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if "/chunks/" in Path(f"/proc/self/fd/{descriptor}").readlink().as_posix() and second.exists():
            second.rename(gone)
            third.rename(world.folder / "gone too")
        return usual(descriptor, buffers, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", reading)
        said = world.quick("high", "import", second, third, "--format", "json").expect(7)
    assert said.error["message"].startswith("cannot read ")
    assert said.error["found"] == os.strerror(errno.ENOENT)
    world.quick("high", "import", gone, world.folder / "gone too").expect(0)


def test_a_volume_that_was_copied_twice(world: World, strace: str) -> None:
    """Both copies are given, and one of them cannot be read in a place: the other makes up for it."""
    (volume,) = world.volumes("alpha-5")
    again = world.folder / "again"
    shutil.copytree(volume, again / volume.name)
    wrapper = spoilt(strace, "error=EIO", chunk(volume))
    words: tuple[str | Path, ...] = ("high", "import", volume, again, "--activate", "--format", "json")
    said = world.run(*words, wrapper=wrapper).expect(0)
    assert (said.data["volumes_present"], said.data["volumes_total"]) == (1, 1)
    world.quick("high", "check").expect(0)
