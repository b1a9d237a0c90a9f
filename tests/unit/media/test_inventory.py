"""Which files a volume has, and what desktops leave there (SPEC 6.4-2, 6.4-7)."""

import os
import stat
from pathlib import Path

import pytest

from airlift.errors import InventoryError
from airlift.media import inventory, leftovers
from airlift.media.inventory import take_inventory
from tests.support.hostile import LEFTOVER_FOLDERS


@pytest.fixture(name="volume")
def _volume(tmp_path: Path) -> Path:
    """The files and folders of a volume, all of them empty."""
    for name in ("metadata", "manifests", "chunks"):
        (tmp_path / name).mkdir()
    for name in ("LABEL.txt", "volume.json", "SHA256SUMS"):
        (tmp_path / name).touch()
    return tmp_path


def test_an_inventory(tmp_path: Path) -> None:
    for name in ("metadata", "manifests", "chunks"):
        (tmp_path / name).mkdir()
    for name, size in (("LABEL.txt", 1), ("volume.json", 2), ("SHA256SUMS", 3), ("chunks/a", 4)):
        (tmp_path / name).write_bytes(bytes(size))
    found = take_inventory(tmp_path)
    assert found.sizes == {"LABEL.txt": 1, "volume.json": 2, "SHA256SUMS": 3, "chunks/a": 4}
    assert found.passed_over == ()
    (tmp_path / "LABEL.txt").unlink()
    with pytest.raises(InventoryError, match=r"lacks LABEL\.txt"):
        take_inventory(tmp_path)


def test_leftovers_are_named_and_never_opened(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (".DS_Store", "._LABEL.txt", "chunks/._a", "metadata/desktop.ini", "manifests/Thumbs.db")
    for name in files:
        (volume / name).write_bytes(b"x")
    for name in LEFTOVER_FOLDERS:
        (volume / name).mkdir()
    opened: list[str] = []
    real = os.scandir

    def scandir(path: str) -> object:
        opened.append(os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "open", lambda path, *_, **__: opened.append(path))
    found = take_inventory(volume)
    assert found.passed_over == tuple(sorted((*files, *LEFTOVER_FOLDERS)))
    assert set(found.sizes) == {"LABEL.txt", "volume.json", "SHA256SUMS"}
    assert sorted(opened) == sorted(str(volume / part) for part in ("", "metadata", "manifests", "chunks"))


@pytest.mark.parametrize("name", ["autorun.inf", "note.txt", ".Trashes2", ".hidden", "LABEL.TXT"])
def test_what_does_not_belong_is_named(volume: Path, name: str) -> None:
    """Broke: "holds too many files, expected: at most 6", without the name, and with the advice to discard it all."""
    (volume / name).touch()
    (volume / ".DS_Store").touch()
    with pytest.raises(InventoryError, match=name) as raised:
        take_inventory(volume)
    assert "copy the volume without it" in raised.value.hint


def test_what_is_too_many_is_named(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MAX_METADATA_FILES", 2)
    for name in "abc":
        (volume / "metadata" / name).touch()
    with pytest.raises(InventoryError, match="metadata/c' is one file too many"):
        take_inventory(volume)
    monkeypatch.setattr(leftovers, "MAX_LEFTOVERS", 0)
    with pytest.raises(InventoryError, match=r"metadata/[abc]' is one file too many"):
        take_inventory(volume)


def test_devices_are_no_leftovers(volume: Path) -> None:
    try:
        os.mknod(volume / ".DS_Store", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device is not permitted here")
    with pytest.raises(InventoryError, match=r"\.DS_Store' is a link, a special file"):
        take_inventory(volume)


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        (".ds_store", True, False),
        ("._x", True, False),
        ("._", False, False),
        ("._a\nb", False, False),
        ("$Recycle.Bin", False, True),
        (".Trash-0", False, True),
        (".Trash-x", False, False),
        ("Thumbs.db ", False, False),
        (".apdis\N{KELVIN SIGN}", False, False),
    ],
)
def test_names(name: str, *, file: bool, folder: bool) -> None:
    assert (leftovers.is_file(name), leftovers.is_folder(name)) == (file, folder)
    assert leftovers.is_leftover(name) is (file or folder)
