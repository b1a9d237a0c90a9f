"""Zip archives: members that are stored as they are, each read as a file of its own (SPEC T28, T29).

NumPy writes ``.npz`` so, PyTorch its checkpoints, Keras its models. A member that is compressed or encrypted stays
bytes; so does an archive inside the archive. Nothing is unpacked.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3)
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.formats import npy, onnx, pytorch, safetensors, tflite
from airlift.tensors.layout import Layout, distinct, moved
from airlift.tensors.region import Cursor, Region, text
from airlift.tensors.span import TensorSpan, opaque, tile

MAGIC = b"PK\3\4"
MAX_MEMBERS = 1 << 16
MAX_COMMENT_BYTES = (1 << 16) - 1

_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_END_64_PLACE = struct.Struct("<4sIQI")
_MEMBER = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_EXTRA = struct.Struct("<HH")
_U64 = struct.Struct("<Q")
_ENCRYPTED = 1
_FULL, _FULL_16 = 0xFFFFFFFF, 0xFFFF
HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Member:
    """A stored member: its name, and where its bytes lie."""

    name: str
    start: int
    size: int


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts."""
    return head.startswith(MAGIC)


def read(region: Region) -> Layout:
    """Return the tensors of all members that are stored.

    Raises:
        MalformedError: the list of members does not lie in the file, or a member reaches into another.
    """
    stored = list(members(region))
    tile((opaque(item.start, item.start + item.size) for item in stored), region.size)
    storages = _storages(region, {item.name: item for item in stored})
    found = list(storages.values())
    for item in stored:
        if item.name not in storages:
            found += (moved(span, item.start) for span in _inside(_part(region, item), item.name))
    return Layout(tuple(found))


def members(region: Region) -> Iterator[Member]:
    """Yield the stored members in the order of the list at the end of an archive.

    Raises:
        MalformedError: the list does not lie in the file, or it says something else than a member does.
    """
    count, start, size = _directory(region)
    if count > MAX_MEMBERS:
        raise MalformedError(
            "an archive has too many members", expected=f"at most {MAX_MEMBERS}", found=str(count)
        )
    cursor = Cursor(region.part(start, size))
    for _ in range(count):
        found = _member(cursor, region)
        if found is not None:
            yield found


# -- the list of members -------------------------------------------------------------------------------------------


def _directory(region: Region) -> tuple[int, int, int]:
    """Return how many members there are, and where the list of them lies."""
    reach = min(region.size, _END.size + MAX_COMMENT_BYTES)
    tail = region.read(region.size - reach, reach)
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise MalformedError("an archive has no list of members")
    _, _, _, _, count, size, start, _ = _END.unpack_from(tail, place)
    if _FULL not in {size, start} and count != _FULL_16:
        return count, start, size
    before = region.size - reach + place - _END_64_PLACE.size
    magic, _, place, _ = _END_64_PLACE.unpack(region.read(before, _END_64_PLACE.size))
    if magic != b"PK\6\7":
        return count, start, size
    magic, *_, count, size, start = _END_64.unpack(region.read(place, _END_64.size))
    if magic != b"PK\6\6":
        raise MalformedError("an archive has no list of members")
    return count, start, size


def _member(cursor: Cursor, region: Region) -> Member | None:
    """Return the next member of the list if it is stored, and not empty."""
    magic, _, _, flags, method, _, _, _, packed, size, *lengths, _, _, _, start = cursor.unpack(_MEMBER)
    if magic != b"PK\1\2":
        raise MalformedError("the list of an archive's members is damaged", found=f"at {cursor.position}")
    name, extra = cursor.take(lengths[0]), cursor.take(lengths[1])
    cursor.skip(lengths[2])
    size, packed, start = _large((size, packed, start), extra)
    if method or flags & _ENCRYPTED or packed != size or not size:
        return None
    magic, *_, named, after = _LOCAL.unpack(region.read(start, _LOCAL.size))
    start += _LOCAL.size
    if magic != MAGIC or region.read(start, named) != name:
        raise MalformedError("a member of an archive is not what the list says", found=ascii(name[:80]))
    start += named + after
    region.part(start, size)
    return Member(text(name), start, size)


def _large(numbers: tuple[int, ...], extra: bytes) -> tuple[int, ...]:
    """Return numbers of 32 bits with those that are full replaced by the 64 bits in the extra field 1."""
    waiting, found = list(numbers), extra
    if _FULL not in waiting:
        return numbers
    while len(found) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(found)
        values = found[_EXTRA.size : _EXTRA.size + length]
        if kind == 1:
            wide = iter(value for (value,) in _U64.iter_unpack(values[: len(values) // 8 * 8]))
            return tuple(next(wide, number) if number == _FULL else number for number in waiting)
        found = found[_EXTRA.size + length :]
    return numbers


# -- what is in a member -------------------------------------------------------------------------------------------


_READERS: tuple[tuple[Callable[[str, bytes], bool], Callable[[Region], Layout]], ...] = (
    (safetensors.fits, safetensors.read),
    (tflite.fits, tflite.read),
    (onnx.fits, onnx.read),
)


def _inside(region: Region, name: str) -> tuple[TensorSpan, ...]:
    """Return the tensors of a member, none if it is of no format that is read, or damaged."""
    head = region.read(0, min(region.size, HEAD_BYTES))
    try:
        if npy.fits(name, head):
            return npy.read(region, name.removesuffix(".npy")).tensors
        reader = next((read for fits, read in _READERS if fits(name.lower(), head)), None)
        found = tile(distinct(reader(region).tensors), region.size) if reader else ()
        return tuple(span for span in found if not span.opaque)
    except (MalformedError, FormatTooNewError):
        return ()


def _storages(region: Region, stored: dict[str, Member]) -> dict[str, TensorSpan]:
    """Return the storages of a PyTorch checkpoint by member, as tensors where its pickle tells what they are."""
    found = dict[str, TensorSpan]()
    for pickle, within in pytorch.PICKLES.items():
        name = next((name for name in stored if name.rpartition("/")[2] == pickle), None)
        if name is None:
            continue
        folder = name.removesuffix(pickle)
        told = pytorch.describe(_part(region, stored[name])) if _little(region, stored, folder) else {}
        for member, item in stored.items():
            if member.startswith(f"{folder}{within}/"):
                key = member.removeprefix(f"{folder}{within}/")
                found[member] = pytorch.span(told.get(key), member, item.start, item.size)
    return found


def _little(region: Region, stored: dict[str, Member], folder: str) -> bool:
    """Say whether the numbers of a checkpoint are little-endian: it says so, or nothing."""
    order = stored.get(f"{folder}byteorder")
    return order is None or _part(region, order).read(0, order.size) == b"little"


def _part(region: Region, member: Member) -> Region:
    return region.part(member.start, member.size)
