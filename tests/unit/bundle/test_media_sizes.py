"""Sizes of media, and the cut of a bundle into volumes."""

import pytest

from airlift.bundle import media_sizes
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES
from airlift.bundle.media_sizes import CLUSTER, FILE_PRESETS, PRESETS, SECTOR, Medium
from airlift.errors import UsageError, VolumeTooSmallError
from tests.support.bundle_values import content

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1048576),
        ("1b", 1),
        ("4.7GB", 4_700_000_000),
        ("4.7 gb", 4_700_000_000),
        (" 25GiB ", 25 << 30),
        ("1.5KiB", 1536),
        ("0.5kb", 500),
        ("2TB", 2 * 10**12),
        ("1.000001mb", 1_000_001),
        ("2147483648", 2**31),
        ("dvd", 4_700_372_992),
        ("DVD-DL", 8_543_666_176),
        ("bd25", 25_025_314_816),
        ("bd50", 50_050_629_632),
        ("bd100", 100_103_356_416),
        ("cd", 681_984_000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert media_sizes.parse_size(text, PRESETS) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0GB",
        "0.0000001",
        "-1",
        "+1",
        "1e9",
        "1,5GB",
        "GB",
        ".5GB",
        "1.GB",
        "1PB",
        "1 0",
        "1GB\n1",
        "dvdx",
        "fat32",
        "9" * 13,
        "\u0664GB",
        "\uff14GB",
        "inf",
        "nan",
        "0x10",
        "0.1b",
    ],
)
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        media_sizes.parse_size(text, PRESETS)


def test_fat32_holds_files_below_4_gib() -> None:
    assert media_sizes.parse_size("fat32", FILE_PRESETS) == 2**32 - 1


def test_presets_are_whole_sectors() -> None:
    assert all(size % SECTOR == 0 for size in PRESETS.values())


@pytest.mark.parametrize(
    ("medium", "expected"),
    [
        (Medium(), MAX_CHUNK_BYTES),
        (Medium(file_bytes=2**32 - 1), MAX_CHUNK_BYTES),
        (Medium(file_bytes=MIN_CHUNK_BYTES), MIN_CHUNK_BYTES),
        (Medium(volume_bytes=PRESETS["bd25"]), MAX_CHUNK_BYTES),
        (Medium(volume_bytes=40 * MIB), 10 * MIB),
        (Medium(volume_bytes=40 * MIB, file_bytes=MIB), MIB),
        (Medium(volume_bytes=1), MIN_CHUNK_BYTES),
    ],
)
def test_the_largest_chunk_follows_from_the_medium(medium: Medium, expected: int) -> None:
    assert medium.chunk_bytes == expected


@pytest.mark.parametrize("size", [0, 1, MIN_CHUNK_BYTES - 1])
def test_a_file_size_too_small_for_any_chunk_is_refused(size: int) -> None:
    with pytest.raises(VolumeTooSmallError, match="too small for any chunk"):
        _ = Medium(file_bytes=size).chunk_bytes


@pytest.mark.parametrize("unit", [SECTOR, CLUSTER])
def test_files_occupy_whole_units(unit: int) -> None:
    for size, units in (
        (0, 1),
        (1, 1),
        (unit, 1),
        (unit + 1, 2),
        (2**31 + 1, (2**31 + 1 + unit - 1) // unit),
    ):
        assert media_sizes.occupied(size, unit) == units * unit + 256


# -- the cut -------------------------------------------------------------------------------------------------------


def chunks(count: int, size: int) -> list[FileDigest]:
    return [content(f"chunk {n}", size) for n in range(count)]


def test_without_a_limit_there_is_one_volume() -> None:
    some = chunks(3, MIB)
    assert media_sizes.cut_into_volumes(some, Medium(), [10**12]) == [tuple(some)]
    assert media_sizes.cut_into_volumes([], Medium(), []) == [()]


def test_no_chunks_still_make_a_volume() -> None:
    assert media_sizes.cut_into_volumes([], Medium(volume_bytes=4 * MIB), [1000]) == [()]


def test_chunks_stay_in_order_and_volumes_are_filled() -> None:
    some = chunks(10, MIB)
    volumes = media_sizes.cut_into_volumes(some, Medium(volume_bytes=5 * MIB), [])
    assert [item for part in volumes for item in part] == some
    assert [len(part) for part in volumes] == [3, 3, 3, 1]


def test_a_volume_filled_to_the_last_byte() -> None:
    need = media_sizes.occupied(MIB) + media_sizes.SUMS_LINE
    least = media_sizes.RESERVE + (media_sizes.FOLDER_SECTORS + 1) * SECTOR + media_sizes.occupied(100) + need
    some = chunks(2, MIB)
    assert media_sizes.cut_into_volumes(some, Medium(volume_bytes=least + need), [100]) == [tuple(some)]
    assert media_sizes.cut_into_volumes(some, Medium(volume_bytes=least), [100]) == [(some[0],), (some[1],)]
    with pytest.raises(VolumeTooSmallError, match="too small for the metadata and one chunk") as caught:
        media_sizes.cut_into_volumes(some, Medium(volume_bytes=least - 1), [100])
    assert caught.value.expected == f"at least {least} bytes"


def test_metadata_alone_may_be_too_much() -> None:
    with pytest.raises(VolumeTooSmallError, match="too small for the metadata"):
        media_sizes.cut_into_volumes([], Medium(volume_bytes=MIB), [])


def test_at_most_99_volumes() -> None:
    medium = Medium(volume_bytes=3 * MIB)
    assert len(media_sizes.cut_into_volumes(chunks(99, MIB), medium, [])) == 99
    with pytest.raises(VolumeTooSmallError, match="too many volumes") as caught:
        media_sizes.cut_into_volumes(chunks(100, MIB), medium, [])
    assert (caught.value.expected, caught.value.found) == ("at most 99", "100")
