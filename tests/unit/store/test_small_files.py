"""Small files that are written together: whole, synced before their names, readable while they wait."""

import errno
import os
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import DigestError, NoSpaceError, StorageError
from airlift.store.content import ContentFolder
from airlift.store.small_files import SmallFiles, waiting
from tests.crash import model
from tests.crash.recorder import Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return files.make_folder(tmp_path / "files")


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("count", [0, 1, 5, 127, 128, 129, 300])
def test_all_are_there_in_the_end(folder: Path, count: int) -> None:
    made = {f"{number:03d}": b"%d" % number * number for number in range(count)}
    with waiting(folder) as small:
        for name, data in made.items():
            small.put(name, data)
            found = small.find(name)
            assert (found if found is not None else (folder / name).read_bytes()) == data
    assert held(folder) == made
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} <= {0o444}


def test_many_bytes_do_not_wait(folder: Path) -> None:
    with waiting(folder) as small:
        small.put("one", bytes(files.TOGETHER_BYTES - 1))
        assert held(folder) == {}
        small.put("two", b"x")
        assert sorted(held(folder)) == ["one", "two"]
        assert small.find("one") is None


@pytest.mark.parametrize("count", [3, 40])
def test_bytes_are_durable_before_names_and_names_in_the_end(tmp_path: Path, count: int) -> None:
    (tmp_path / "files").mkdir()
    with Recorder(tmp_path) as disk, waiting(tmp_path / "files") as small:
        for number in range(count):
            small.put(str(number), b"x")
        small.write()
        assert len(model.unsynced(disk.root)) >= count  # names, which nobody counts on yet
    assert disk.broken == []
    assert model.unsynced(disk.root) == []


def test_what_was_right_before_a_failure_is_kept(folder: Path) -> None:
    def take() -> None:
        with waiting(folder) as small:
            small.put("right", b"x")
            raise DigestError("the next one is wrong")

    with pytest.raises(DigestError):
        take()
    assert held(folder) == {"right": b"x"}


@pytest.mark.parametrize("call", ["open", "write", "fchmod", "fsync", "rename"])
def test_a_disk_that_fails(folder: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left but what has its name, and that is whole."""
    real, calls = getattr(os, call), 0

    def failing(*args: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **named)

    small = SmallFiles(folder)
    for name in ("one", "two", "three"):
        small.put(name, name.encode())
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(NoSpaceError):
        small.settle()
    monkeypatch.undo()
    assert all(name.encode() == data for name, data in held(folder).items())
    assert len(held(folder)) == (2 if call == "rename" else 0)


def test_content_that_cannot_all_be_named_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = ContentFolder(files.make_folder(tmp_path / "content"))
    real = os.rename

    def failing(source: str, target: str) -> None:
        if "b" in Path(target).parent.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(StorageError), files.naming() as names:
        content.keep_small([(Path(str(n)), b"%d" % n) for n in range(60)], names)
    assert content.places() == []
