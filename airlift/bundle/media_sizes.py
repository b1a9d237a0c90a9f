"""Sizes of media and the cut of a bundle into volumes (SPEC 6.5). Pure arithmetic, in bytes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES
from airlift.bundle.volume import MAX_VOLUMES
from airlift.errors import UsageError, VolumeTooSmallError

SECTOR = 2048
CLUSTER = 32 << 10
RESERVE = 1 << 20
FOLDER_SECTORS = 16
SUMS_LINE = 64 + 2 + len("chunks/") + 64 + 1

# capacities of recordable media as their standards give them, in bytes; of + and -, the smaller
PRESETS = {
    "cd": 333_000 * SECTOR,
    "dvd": 2_295_104 * SECTOR,
    "dvd-dl": 4_171_712 * SECTOR,
    "bd25": 12_219_392 * SECTOR,
    "bd50": 24_438_784 * SECTOR,
    "bd100": 48_878_592 * SECTOR,
}
FILE_PRESETS = {"fat32": 2**32 - 1}
_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**n for n, letter in enumerate("kmgt", 1)}
_UNITS |= {f"{letter}ib": 1024**n for n, letter in enumerate("kmgt", 1)}
_SIZE = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?\s*([a-z]*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Medium:
    """What the operator said about the medium: bytes per volume and per file; None is unlimited."""

    volume_bytes: int | None = None
    file_bytes: int | None = None
    unit: int = SECTOR

    @property
    def chunk_bytes(self) -> int:
        """The largest chunk that fits a file of this medium.

        Raises:
            VolumeTooSmallError: not even the smallest chunk fits.
        """
        limit = MAX_CHUNK_BYTES if self.file_bytes is None else min(MAX_CHUNK_BYTES, self.file_bytes)
        if self.volume_bytes is not None:
            limit = min(limit, max(self.volume_bytes // 4, MIN_CHUNK_BYTES))
        if limit < MIN_CHUNK_BYTES:
            raise VolumeTooSmallError(
                "the file size is too small for any chunk", expected=f"at least {MIN_CHUNK_BYTES} bytes"
            )
        return limit


def parse_size(text: str, presets: dict[str, int]) -> int:
    """Return the bytes of ``4.7GB``, ``25GiB``, ``1048576`` or the name of a preset.

    Raises:
        UsageError: it is none of these, or zero.
    """
    word = text.strip().lower()
    if word in presets:
        return presets[word]
    match = _SIZE.match(word)
    if not match or match[3] not in _UNITS:
        raise UsageError(
            f"not a size: {text!r}",
            expected=f"a number with a unit (4.7GB, 25GiB) or one of {', '.join(sorted(presets))}",
        )
    fraction = match[2] or ""
    size: int = int(match[1] + fraction) * _UNITS[match[3]] // 10 ** len(fraction)
    if not size:
        raise UsageError(f"not a size: {text!r}", expected="more than zero bytes")
    return size


def occupied(size: int, unit: int = SECTOR) -> int:
    """Return the bytes that a file of ``size`` bytes takes up in units of ``unit``, its folder entry included."""
    return max(1, -(-size // unit)) * unit + 256


def cut_into_volumes(
    chunks: Sequence[FileDigest], medium: Medium, fixed_sizes: Sequence[int]
) -> list[tuple[FileDigest, ...]]:
    """Share the chunks out to volumes, in order; every volume also carries files of ``fixed_sizes`` bytes.

    SHA256SUMS is one of these, without its lines for the chunks: they are added here, and one unit for their end.

    Raises:
        VolumeTooSmallError: a volume cannot hold what every volume carries and one chunk, or there would be over 99.
    """
    if medium.volume_bytes is None:
        return [tuple(chunks)]
    overhead = _overhead(medium, fixed_sizes)
    volumes: list[list[FileDigest]] = [[]]
    used = overhead
    for chunk in chunks:
        need = _needed(chunk.size, medium)
        if overhead + need > medium.volume_bytes:
            break
        if used + need > medium.volume_bytes:
            volumes.append([])
            used = overhead
        volumes[-1].append(chunk)
        used += need
    if overhead > medium.volume_bytes or sum(map(len, volumes)) < len(chunks):
        largest = max((occupied(chunk.size, medium.unit) for chunk in chunks), default=0)
        raise VolumeTooSmallError(
            "the volume is too small for the metadata and one chunk",
            expected=f"at least {overhead + largest + SUMS_LINE} bytes",
            found=f"{medium.volume_bytes} bytes",
        )
    if len(volumes) > MAX_VOLUMES:
        raise VolumeTooSmallError(
            "too many volumes", expected=f"at most {MAX_VOLUMES}", found=str(len(volumes))
        )
    return [tuple(volume) for volume in volumes]


def fits(sizes: Sequence[int], medium: Medium, fixed_sizes: Sequence[int]) -> bool:
    """Say whether one volume holds chunks of these sizes, beside what every volume carries."""
    if medium.volume_bytes is None:
        return True
    taken = _overhead(medium, fixed_sizes) + sum(_needed(size, medium) for size in sizes)
    return taken <= medium.volume_bytes


def _overhead(medium: Medium, fixed_sizes: Sequence[int]) -> int:
    fixed = sum(occupied(size, medium.unit) for size in fixed_sizes)
    return RESERVE + (FOLDER_SECTORS + 1) * medium.unit + fixed


def _needed(size: int, medium: Medium) -> int:
    return occupied(size, medium.unit) + SUMS_LINE
