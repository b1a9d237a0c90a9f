import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from airlift.bundle import volume
from airlift.bundle.media_sizes import Medium
from airlift.errors import (
    AirliftError,
    DigestError,
    FormatTooNewError,
    InventoryError,
    MixedVolumesError,
    NotHeldError,
    UncheckedError,
    UsageError,
)
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.withdraw import withdraw
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, Site, copy_site, signed_site
from tests.support.weights import noise, weights


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = signed_site(tmp_path_factory.mktemp("template"))
    site.release({"base": {"model.safetensors": weights(1), "words.txt": noise(2, 500_000)}})
    site.bundle(medium=Medium(volume_bytes=1_600_000, file_bytes=100_000))
    site.bundle(output="other")
    return site


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    found = copy_site(template, tmp_path)
    for path in found.folder.glob("o*/**/*"):
        path.chmod(0o755)
    return found


@pytest.fixture
def out(site: Site) -> Path:
    return site.folder / "out"


def first(out: Path, pattern: str) -> Path:
    return min(out.glob(pattern))


def test_nothing_to_check() -> None:
    with pytest.raises(UsageError, match="nothing to check"):
        check_volumes([])


def test_all_volumes_are_good(site: Site, out: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = check_volumes(
        [out], depot=site.depot, progress=lambda _stage, done, total: seen.append((done, total))
    )
    assert (result.bundle, result.sequence, result.target, result.baseline) == (
        "any-1",
        1,
        "assistant@1",
        None,
    )
    assert result.volumes_present == result.volumes_total == len(result.volumes) > 1
    assert (result.missing, result.published, result.marking) == ((), True, "UNCLASSIFIED")
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert sum(item.bytes for item in result.volumes) == total
    assert seen[-1][0] <= total


def test_one_volume_by_itself(out: Path) -> None:
    one, *others = sorted(out.iterdir())
    result = check_volumes([one])
    assert (result.volumes_present, result.volumes_total, result.published) == (1, len(others) + 1, None)
    assert result.missing
    there = {path.name for path in (one / "chunks").iterdir()}
    assert not {volume.chunk_name(digest) for digest in result.missing} & there


def test_volumes_of_two_bundles(site: Site, out: Path) -> None:
    """THREATS, update system: mix-and-match of two bundles' volumes."""
    with pytest.raises(MixedVolumesError):
        check_volumes([out, site.folder / "other"])


@pytest.mark.parametrize("path", ["missing", "."])
def test_no_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(UncheckedError):
        check_volumes([tmp_path / path])


def test_a_withdrawn_bundle(site: Site, out: Path) -> None:
    withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW)
    with pytest.raises(NotHeldError):
        check_volumes([out], depot=site.depot)
    assert check_volumes([out]).published is None


def test_every_flipped_byte_is_noticed(out: Path) -> None:
    """THREATS, parser: bit-flipped chunks and volumes. One byte of every file, and of both ends of the small ones."""
    folder = min(out.iterdir())
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        good = path.read_bytes()
        for position in {0, len(good) // 2, len(good) - 1}:
            bad = bytearray(good)
            bad[position] ^= 1
            path.write_bytes(bad)
            with pytest.raises(AirliftError) as caught:
                check_volumes([folder])
            assert caught.value.exit_code in {3, 7}, path
        path.write_bytes(good)
    assert check_volumes([folder]).bundle == "any-1"


@pytest.mark.parametrize(
    "pattern", ["*/chunks/*", "*/metadata/*", "*/manifests/*", "*/LABEL.txt", "*/SHA256SUMS"]
)
@pytest.mark.parametrize("change", ["cut", "grown", "gone", "link"])
def test_every_changed_file_is_noticed(out: Path, pattern: str, change: str) -> None:
    """THREATS, parser: truncated and grown volumes; file system: symbolic links on the medium."""
    path = first(out, pattern)
    data = path.read_bytes()
    if change == "cut":
        path.write_bytes(data[:-1])
    elif change == "grown":
        path.write_bytes(data + b"\n")
    else:
        kept = out.parent / "kept"
        path.rename(kept)
        if change == "link":
            path.symlink_to(kept)
    with pytest.raises(AirliftError) as caught:
        check_volumes([out])
    assert caught.value.exit_code == (4 if change == "gone" and "chunks" in pattern else 3)


@pytest.mark.parametrize("place", ["extra", "chunks/extra", "metadata/extra.json", "chunks/.hidden"])
def test_extra_files(out: Path, place: str) -> None:
    """THREATS, update system: extra undeclared files."""
    (min(out.iterdir()) / place).write_bytes(b"x")
    with pytest.raises(InventoryError):
        check_volumes([out])


def test_extra_folders_and_special_files(out: Path) -> None:
    """THREATS, file system: FIFOs on the medium."""
    folder = min(out.iterdir())
    (folder / "chunks" / "sub").mkdir()
    with pytest.raises(InventoryError):
        check_volumes([out])
    (folder / "chunks" / "sub").rmdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(InventoryError):
        check_volumes([out])


def test_chunks_that_lie_on_another_volume(out: Path) -> None:
    one, two, *_ = sorted(out.iterdir())
    chunk = first(one, "chunks/*")
    shutil.move(chunk, two / "chunks" / chunk.name)
    with pytest.raises(InventoryError):
        check_volumes([out])


def test_sums_and_index_that_agree_on_something_else(out: Path) -> None:
    """A volume whose texts were made to fit a foreign chunk still lacks its signed digest."""
    folder = min(out.iterdir())
    chunk = first(folder, "chunks/*")
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    sums = volume.parse_sums((folder / volume.SUMS).read_bytes())
    sums[f"chunks/{chunk.name}"] = hashlib.sha256(data).hexdigest()
    rewrite(folder, sums)
    with pytest.raises(DigestError, match="is damaged"):
        check_volumes([folder])
    stranger = "0" * 64
    chunk.rename(chunk.with_name(stranger))
    sums[f"chunks/{stranger}"] = sums.pop(f"chunks/{chunk.name}")
    rewrite(folder, sums)
    with pytest.raises(InventoryError):
        check_volumes([folder])


def rewrite(folder: Path, sums: dict[str, str]) -> None:
    data = volume.format_sums(sums)
    (folder / volume.SUMS).write_bytes(data)
    index = volume.parse_index((folder / volume.INDEX).read_bytes())
    changed = dataclasses.replace(index, sums=hashlib.sha512(data).hexdigest())
    (folder / volume.INDEX).write_bytes(volume.format_index(changed))


def test_a_newer_format(out: Path) -> None:
    path = first(out, "*/volume.json")
    path.write_bytes(path.read_bytes().replace(b'"airlift":1', b'"airlift":2'))
    with pytest.raises(FormatTooNewError):
        check_volumes([out])
