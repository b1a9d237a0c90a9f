"""Volumes on images of media: UDF, FAT32, exFAT, and ISO 9660 without what keeps long names.

The programs of others write them and read them back; what can be mounted is.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from airlift.errors import AirliftError
from airlift.high.importing.import_bundle import import_bundle
from airlift.media.volume_reader import read_volumes
from tests.support import enclaves
from tests.support.enclaves import V1

Tool = Callable[[str], str]


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that must succeed."""
    done = subprocess.run(
        [*map(str, words)], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def optical(tool: Tool, source: Path, folder: Path, *options: str) -> Path:
    """Write a folder into an ISO 9660 image."""
    image = folder / f"{source.name}.iso"
    run(tool("genisoimage"), "-quiet", *options, "-o", image, source, folder=folder)
    return image


def unpacked(tool: Tool, image: Path, kind: str) -> Path:
    """Read an image back with 7-Zip."""
    target = image.with_suffix(f".{kind}-read")
    run(tool("7z"), "x", "-y", f"-t{kind}", f"-o{target}", image, folder=image.parent)
    return target


@contextmanager
def mounted(tool: Tool, image: Path, folder: Path, *options: str) -> Iterator[Path]:
    """Mount an exFAT image by the kernel, or where it cannot by FUSE; skip where neither is permitted."""
    place = folder / "mounted"
    place.mkdir(exist_ok=True)
    programs = ((tool("mount"), "-t", "exfat"), (tool("mount.exfat-fuse"),))
    loop = subprocess.run(
        [tool("losetup"), "-f", "--show", image], capture_output=True, text=True, check=False
    )
    device = loop.stdout.strip()
    tries = ([*program, *options, device, place] for program in programs)
    if not device or all(
        subprocess.run(words, capture_output=True, check=False).returncode for words in tries
    ):
        run(tool("losetup"), *(("-d", device) if device else ("-a",)), folder=folder)
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        run(tool("umount"), place, folder=folder)
        run(tool("losetup"), "-d", device, folder=folder)


def imported(folders: Sequence[Path], folder: Path) -> None:
    """Import what was read back, and compare every byte."""
    place = enclaves.enclave("fresh", folder)
    import_bundle(place, folders, operator=enclaves.operator(), activate=True)
    for component, items in V1.items():
        for name, data in items.items():
            assert (place.active / component / name).read_bytes() == data


def test_udf(tmp_path: Path, require_tool: Tool) -> None:
    """A bridge as DVD writers make them, read as UDF."""
    sources = enclaves.volumes("full", tmp_path)
    images = [optical(require_tool, source, tmp_path, "-udf") for source in sources]
    imported([unpacked(require_tool, image, "udf") for image in images], tmp_path)


def test_joliet_with_longer_names(tmp_path: Path, require_tool: Tool) -> None:
    """Joliet stretched to 103 letters holds the names of a volume, without Rock Ridge."""
    sources = enclaves.volumes("full", tmp_path)
    images = [optical(require_tool, source, tmp_path, "-J", "-joliet-long") for source in sources]
    imported([unpacked(require_tool, image, "iso") for image in images], tmp_path)


def test_fat32(tmp_path: Path, require_tool: Tool) -> None:
    """A USB stick, all volumes side by side."""
    image, target = tmp_path / "fat.img", tmp_path / "read"
    target.mkdir()
    with image.open("wb") as file:
        file.truncate(48 << 20)
    run(require_tool("mkfs.vfat"), "-F", "32", image, folder=tmp_path)
    sources = enclaves.volumes("full", tmp_path)
    run(require_tool("mcopy"), "-s", "-i", image, *sources, "::", folder=tmp_path)
    run(require_tool("mcopy"), "-s", "-n", "-i", image, "::*", target, folder=tmp_path)
    assert len(list(target.iterdir())) == len(sources)
    imported([target], tmp_path)


def test_exfat(tmp_path: Path, require_tool: Tool) -> None:
    """A large USB stick, mounted, and imported from where it is mounted, read-only."""
    image = tmp_path / "exfat.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    run(require_tool("mkfs.exfat"), image, folder=tmp_path)
    sources = enclaves.volumes("full", tmp_path)
    with mounted(require_tool, image, tmp_path) as place:
        run("cp", "-r", *sources, place, folder=tmp_path)
    with mounted(require_tool, image, tmp_path, "-o", "ro") as place:
        imported([place], tmp_path)


@pytest.mark.parametrize(
    ("options", "exit_code", "told"),
    [
        pytest.param((), 7, "there is no volume in", id="8.3"),
        pytest.param(("-l",), 7, "there is no volume in", id="31 upper-case letters"),
        pytest.param(("-J",), 3, "and the files differ", id="joliet, 64 letters"),
    ],
)
def test_names_that_were_folded_or_cut(
    tmp_path: Path, require_tool: Tool, options: tuple[str, ...], exit_code: int, told: str
) -> None:
    """ISO 9660 alone and plain Joliet cannot hold the names: that is said, with what to do."""
    source = enclaves.volumes("full", tmp_path)[0]
    image = optical(require_tool, source, tmp_path, *options)
    with pytest.raises(AirliftError, match=told) as caught:
        read_volumes([unpacked(require_tool, image, "iso")])
    assert caught.value.exit_code == exit_code
    assert "Rock Ridge" in (caught.value.hint or "")
