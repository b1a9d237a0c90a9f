"""GGUF files of a component: what cannot be placed is told, and split models must be whole (SPEC L2.8)."""

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from airlift.errors import ForbiddenFileError
from airlift.low.release.gguf_sets import MAX_TOLD, examine
from airlift.low.release.make_release import make_release
from tests.support.depots import NOW, Site, signed_site
from tests.support.gguf_files import F32, Tensor, gguf, number, pair

TENSOR = Tensor("n", (1,), F32, bytes(4))
PARTS = {f"m-{part + 1:05d}-of-00003.gguf": part for part in range(3)}


def part(number_of: int, count: int) -> bytes:
    """Return a part of a split model, as llama.cpp's gguf-split writes it."""
    short = [
        pair("split.no", 2, struct.pack("<H", number_of)),
        pair("split.count", 2, struct.pack("<H", count)),
    ]
    return gguf([TENSOR], short)


def examined(folder: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Examine a component of these files."""
    paths = {name: folder / f"{place}" for place, name in enumerate(sorted(files))}
    for name, path in paths.items():
        path.write_bytes(files[name])
    return examine("base", paths)


def refused(folder: Path, files: Mapping[str, bytes]) -> ForbiddenFileError:
    """Examine what must be refused."""
    with pytest.raises(ForbiddenFileError) as caught:
        examined(folder, files)
    assert caught.value.exit_code == 2
    return caught.value


WHOLE = {name: part(place, 3) for name, place in PARTS.items()}


def test_what_is_placed_is_not_told(tmp_path: Path) -> None:
    files = {
        "a.gguf": gguf([TENSOR]),
        "b.gguf": part(0, 1),
        "x-00002-of-00003.safetensors": b"",
        "c": b"GGUF",
    }
    assert examined(tmp_path, files) == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gguf([TENSOR] * 2), "a GGUF header names a tensor twice"),
        (gguf(version=1), "a GGUF file is of another version or byte order (1)"),
        (gguf(version=3 << 24), f"a GGUF file is of another version or byte order ({3 << 24})"),
    ],
)
def test_what_cannot_be_placed_is_told(tmp_path: Path, data: bytes, reason: str) -> None:
    assert examined(tmp_path, {"M.GGUF": data}) == (f"base/M.GGUF is carried as opaque bytes: {reason}",)


def test_what_is_damaged_is_for_who_collects_it(tmp_path: Path) -> None:
    assert examined(tmp_path, {"m.gguf": gguf([TENSOR])[:40]}) == ()


@pytest.mark.parametrize("folder", ["", "q4/", "of-2/"])
def test_a_whole_set(tmp_path: Path, folder: str) -> None:
    files = {f"{folder}{name}": data for name, data in WHOLE.items()}
    assert examined(tmp_path, files | {"other.gguf": gguf([TENSOR])}) == ()


@pytest.mark.parametrize("lacking", PARTS)
def test_a_set_that_lacks_a_part(tmp_path: Path, lacking: str) -> None:
    """A download that was cut short, or one file of three that looks whole: no library can load it."""
    error = refused(tmp_path, {name: data for name, data in WHOLE.items() if name != lacking})
    assert error.message == f"component base: a model in 3 files lacks {lacking}"
    assert (error.expected, error.found) == ("m-00001-of-00003.gguf to m-00003-of-00003.gguf", "2 of 3")


def test_a_part_in_another_folder_does_not_count(tmp_path: Path) -> None:
    names = ("m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "x/m-00003-of-00003.gguf")
    assert "lacks" in refused(tmp_path, dict(zip(names, WHOLE.values(), strict=True))).message


def test_names_alone_tell_of_a_set_too(tmp_path: Path) -> None:
    """Threat: a set of which a reader cannot place the headers."""
    error = refused(tmp_path, {"m-00001-of-00002.gguf": gguf(version=1)})
    assert "lacks m-00002-of-00002.gguf" in error.message
    assert refused(tmp_path, {"m-00001-of-99999.gguf": gguf([TENSOR])}).message.endswith(
        f"m-{MAX_TOLD + 1:05d}-of-99999.gguf and {99_998 - MAX_TOLD} more"
    )


@pytest.mark.parametrize("name", ["model.gguf", "m-00002-of-00003.gguf", "m-00001-of-00002.gguf"])
def test_a_part_under_another_name(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, {name: part(0, 3)})
    assert error.message == f"component base: {name} is part 1 of 3 by its header, and not by its name"
    assert error.expected == "a name that ends in -00001-of-00003.gguf"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def test_a_release_tells_it(site: Site) -> None:
    odd = gguf([TENSOR], [number("a", 1), number("a", 1)])
    result = site.release({"base": WHOLE | {"odd.gguf": odd}})
    assert result.published
    assert result.warnings == (
        "base/odd.gguf is carried as opaque bytes: a GGUF header has a key twice: b'a'",
    )


def test_a_release_refuses_half_a_set(site: Site) -> None:
    path = site.manifest({"base": {"m-00001-of-00003.gguf": part(0, 3)}})
    with pytest.raises(ForbiddenFileError, match=r"lacks m-00002-of-00003\.gguf, m-00003"):
        make_release(site.depot, path, now=NOW)
