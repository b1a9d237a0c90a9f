"""Bundles with parity of the world's first release, made once per session, and what happens to media on the way."""

import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from airlift.bundle import volume
from airlift.bundle.manifest import Bundle
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity import layout
from airlift.errors import DigestError, IncompleteError
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.import_bundle import import_bundle
from tests.support.depots import Site
from tests.support.enclaves import V1, holds_release, operator, overwrite, served, site
from tests.support.rebuild import load_bundle

ACROSS, LANES = "across", "lanes"
SIZES = {ACROSS: ("2", 1_850_000), LANES: ("20%", 1_700_000)}


@cache
def _made() -> tuple[tempfile.TemporaryDirectory[str], Site, Mapping[str, tuple[Path, ...]]]:
    place = tempfile.TemporaryDirectory(prefix="airlift-tests-")
    low = site(Path(place.name))
    found = {}
    for name, (asked, size) in SIZES.items():
        made = low.bundle(
            "assistant@1",
            name,
            medium=Medium(volume_bytes=size),
            redundancy=layout.parse(asked),
            from_="none",
        )
        found[name] = tuple(item.path for item in made.volumes)
    return place, low, found


def low_side() -> Site:
    """Return the low side that made them; do not change it."""
    return _made()[1]


def protected(name: str) -> tuple[Path, ...]:
    """Return the volumes of a bundle: 3 and 2 of parity (``across``), or 5 with parity on each (``lanes``)."""
    return _made()[2][name]


def copies(name: str, folder: Path) -> list[Path]:
    """Return writable copies of the volumes of a bundle."""
    return [Path(shutil.copytree(path, folder / "media" / path.name)) for path in protected(name)]


# -- damage --------------------------------------------------------------------------------------------------------


def chunk_files(folders: Sequence[Path]) -> list[Path]:
    """Return the files of all chunks, volume by volume, in the order of their names."""
    return [path for folder in folders for path in sorted((folder / volume.CHUNKS).iterdir())]


def scratch(path: Path, dice: random.Random) -> None:
    """Take some bytes of a chunk away, or change them, or all of it."""
    data = bytearray(path.read_bytes())
    start = dice.randrange(len(data))
    kind = dice.randrange(4)
    if kind == 0:
        path.unlink()
        return
    if kind == 1:
        del data[start:]
    elif kind == 2:
        data[start : start + 2048] = bytes(len(data[start : start + 2048]))
        data[start] ^= 0xFF if not data[start] else 0
        data[start] |= 1
    else:
        data[start] ^= 1 << dice.randrange(8)
    overwrite(path, bytes(data))


def neighbours(folders: Sequence[Path], dice: random.Random) -> list[Path]:
    """Return the chunks that scratches go over: runs of neighbours on every volume, few or many, in any order."""
    found = []
    for folder in folders:
        there = chunk_files([folder])
        for _ in range(dice.randrange(4)):
            start = dice.randrange(len(there))
            found += there[start : start + dice.choice((1, 1, 2, 3))]
    found = list(dict.fromkeys(found))
    dice.shuffle(found)
    return found


def outlook(bundle: Bundle, folders: Sequence[Path], damaged: Sequence[Path]) -> tuple[set[str], bool]:
    """Return the data chunks (SHA-512) that are lost, and whether every stripe has enough members left.

    Counted here from names alone, with nothing of the code under test.
    """
    good = {
        path.name for path in chunk_files(folders) if path not in damaged
    }  # a chunk may be on two volumes
    lost, enough = set(), True
    for stripe in bundle.parity:
        data = [bundle.chunks[index].sha512 for index in stripe.data]
        members = [*data, *(item.sha512 for item in stripe.parity)]
        gone = [sha512 for sha512 in data if volume.chunk_name(sha512) not in good]
        lost.update(gone)
        if gone and sum(volume.chunk_name(sha512) in good for sha512 in members) < len(data):
            enough = False
    return lost, enough


def manifest_of(folders: Sequence[Path]) -> Bundle:
    """Return the bundle manifest that volumes carry."""
    return load_bundle(folders[0])


def scratched(place: Enclave, name: str, folder: Path, dice: random.Random, *, gentle: bool) -> bool:
    """Scratch copies of a bundle, some volumes lost, and import them; say whether that could be done.

    With ``gentle`` enough of each stripe is left. What the outcome must be is counted from names: complete and byte
    for byte, or exit 3 or 4 and nothing changed.
    """
    folders = copies(name, folder)
    bundle = manifest_of(folders)
    gone = set(dice.sample(range(len(folders)), dice.choice((0, 0, 0, 1, 2) if name == ACROSS else (0,))))
    given, damaged = [path for number, path in enumerate(folders) if number not in gone], list[Path]()
    for path in neighbours(given, dice):
        if not gentle or outlook(bundle, given, [*damaged, path])[1]:
            damaged.append(path)
    lost, enough = outlook(bundle, given, damaged)
    for path in damaged:
        scratch(path, dice)
    before = served(place)
    if enough:
        result = import_bundle(place, given, operator=operator(), activate=True)
        assert set(result.repaired) == lost
        assert holds_release(place, V1)
        return True
    with pytest.raises((IncompleteError, DigestError)) as caught:
        import_bundle(place, given, operator=operator(), activate=True)
    assert caught.value.exit_code == 3 or caught.value.data["missing"]
    assert served(place) == before
    return False
