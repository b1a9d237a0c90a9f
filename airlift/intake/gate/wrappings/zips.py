"""Zip archives: every member that any reader would find (APPNOTE 6.3.10; SPEC L2.5).

Members are found through the central directory, from the end of the file, as loaders do, so that nothing in front
hides them. Where readers differ (an archive with bytes before it, two end records, a 64-bit directory beside a short
one) each reading is looked at.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from airlift.intake.gate.views import Budget, Part, Unpacked, View
from airlift.intake.gate.wrappings import streams

LOCAL = b"PK\x03\x04"
_ENTRY, _END, _END64, _LOCATOR = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_COMMENT = (1 << 16) - 1
_UNICODE_NAME = 0x7075
_ENDS = 8
"""End records that are tried, from the last on; a comment may hold what looks like one."""
_ENTRY_FIELDS = struct.Struct("<4s4xHH8xLLHHH8xL")
_UNPACK: dict[int, Callable[[View], Iterator[bytes]]] = {
    8: streams.inflate,
    12: streams.unpack_bzip2,
    14: streams.unpack_lzma_member,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive; ``view`` is None where it cannot be looked into, being encrypted for one."""

    name: str
    view: View | None


@dataclass(frozen=True, slots=True)
class Directory:
    """A central directory: bytes ``[start, end)``, and what is added to the offsets that it states."""

    start: int
    end: int
    shift: int


def directories(view: View) -> list[Directory]:
    """Return every central directory that some reader would use; none if this is no zip archive, or is cut off."""
    size = view.reach() if view.read(0, 4) == LOCAL else view.size()
    if size is None:
        return []
    start = max(0, size - _COMMENT - 22)
    tail = view.read(start, size - start)
    found: dict[Directory, None] = {}
    end = len(tail)
    for _ in range(_ENDS):
        end = tail.rfind(_END, 0, end)
        if end < 0:
            break
        for directory in _stated(view, start + end, tail[end : end + 22]):
            if view.read(directory.start, 4) == _ENTRY:
                found[directory] = None
    return list(found)


def is_empty_archive(view: View, head: bytes) -> bool:
    """Say whether these bytes are an archive without members."""
    return head.startswith(_END) and view.size() == 22


def _stated(view: View, place: int, record: bytes) -> Iterator[Directory]:
    """Yield where an end record at ``place`` may say that the directory is: from its own end back, or from 0 on."""
    if len(record) < 22:
        return
    length, offset = struct.unpack_from("<LL", record, 12)
    yield from _placed(place, length, offset)
    locator = view.read(max(0, place - 20), 20)
    if place >= 20 and locator.startswith(_LOCATOR):
        for at in {place - 76, int.from_bytes(locator[8:16], "little")}:
            wide = view.read(at, 56) if 0 <= at <= place else b""
            if len(wide) == 56 and wide.startswith(_END64):
                length, offset = struct.unpack_from("<QQ", wide, 40)
                yield from _placed(at, length, offset)


def _placed(end: int, length: int, offset: int) -> Iterator[Directory]:
    if length <= end:
        yield Directory(end - length, end, end - length - offset)
    if offset < end and offset != end - length:
        yield Directory(offset, end, 0)


def members(view: View, directory: Directory, budget: Budget) -> Iterator[Member]:
    """Yield the members that a directory lists, as far as it is one and the budget goes."""
    place = directory.start
    while place < directory.end and budget.members > 0:
        budget.members -= 1
        fields = view.read(place, 46)
        if len(fields) < 46 or not fields.startswith(_ENTRY):
            return
        _, flags, method, packed, size, name, extra, comment, offset = _ENTRY_FIELDS.unpack(fields)
        text = view.read(place + 46, name)
        fields = view.read(place + 46 + name, extra)
        size, packed, offset = _wide(fields, size, packed, offset)
        place += 46 + name + extra + comment
        local = view.read(offset + directory.shift, 30) if offset + directory.shift >= 0 else b""
        content = None
        if len(local) == 30 and local.startswith(LOCAL):
            skip = sum(struct.unpack_from("<HH", local, 26))
            length = packed if method else max(packed, size)  # of what is stored, readers take either
            data = Part(view, offset + directory.shift + 30 + skip, length)
            content = _unpacked(data, flags, method, budget)
        for called in _names(text, fields):
            yield Member(called, content)


def _names(text: bytes, extra: bytes) -> list[str]:
    """Return what readers call a member: up to a zero byte, and by its name in Unicode (APPNOTE 4.6.9)."""
    names = [text]
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == _UNICODE_NAME and length > 5:
            names.append(extra[9 : 4 + length])
        extra = extra[4 + length :]
    return list(dict.fromkeys(name.partition(b"\0")[0].decode("utf-8", "replace") for name in names))


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return size, packed size and offset, from the 64-bit field where the short one is full (APPNOTE 4.5.3)."""
    values = [size, packed, offset]
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        for at, value in enumerate(values if kind == 1 else ()):
            if value == 0xFFFF_FFFF and len(field) >= 8:
                values[at], field = int.from_bytes(field[:8], "little"), field[8:]
    return values[0], values[1], values[2]


def members_forward(view: View, budget: Budget) -> Iterator[Member]:
    """Yield members by their local headers, for an archive whose end is not at hand; up to one of unknown length."""
    place = 0
    while budget.members > 0:
        budget.members -= 1
        header = view.read(place, 30)
        if len(header) < 30 or not header.startswith(LOCAL):
            return
        flags, method = struct.unpack_from("<HH", header, 6)
        packed, size, name, extra = struct.unpack_from("<LLHH", header, 18)
        text = view.read(place + 30, name).decode("utf-8", "replace")
        size, packed, _ = _wide(view.read(place + 30 + name, extra), size, packed, 0)
        place += 30 + name + extra
        yield Member(text, _unpacked(Part(view, place, None if flags & 8 else packed), flags, method, budget))
        if flags & 8:
            return
        place += packed


def _unpacked(data: View, flags: int, method: int, budget: Budget) -> View | None:
    """Return what a member holds; None if it is encrypted, or packed in a way that is not known here."""
    if flags & 1:
        return None
    if method == 0:
        return data
    if method == 93:
        return streams.open_zstd(data, budget)
    unpack = _UNPACK.get(method)
    return Unpacked(partial(unpack, data), budget) if unpack else None
