"""Tar archives, `.nemo` among them, read forwards (POSIX.1-2001 pax, GNU tar; SPEC L2.5)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from airlift.intake.gate.views import Budget, Part, View
from airlift.intake.gate.wrappings.zips import Member

_BLOCK = 512
_EXTENDED_BYTES = 1 << 20
_PAX, _GLOBAL, _LONG = frozenset({b"x", b"X"}), b"g", frozenset({b"L", b"K"})
_WITHOUT_DATA = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_RECORD = re.compile(rb"(\d{1,19}) ([^=]+)=")
_SPARSE = b"GNU.sparse."


@dataclass(slots=True)
class _Ahead:
    """What headers in front of a member say of it; ``clear`` if all readers would agree."""

    name: bytes = b""
    size: int | None = None
    clear: bool = True
    told: set[bytes] = field(default_factory=set)

    def extend(self, kind: bytes, content: View) -> None:
        """Take in an extended header (``x``), or one for all members that follow (``g``)."""
        data = content.read(0, _EXTENDED_BYTES)
        found = _records(data)
        if content.size() != len(data) or kind in self.told:
            self.clear = False
        if any(key.startswith(_SPARSE) or (kind == _GLOBAL and key == b"size") for key in found):
            self.clear = False
        if kind != _GLOBAL:
            self.told.add(kind)
            self.name = found.get(b"path", self.name)
            self.size = _whole(found[b"size"]) if b"size" in found else self.size


def is_tar(head: bytes) -> bool:
    """Say whether a block is the header of a tar archive, by the sum that it states of its bytes."""
    block = head[:_BLOCK]
    stated = _number(block[148:156])
    if len(block) < _BLOCK or not stated:
        return False
    blank = block[:148] + b" " * 8 + block[156:]
    return stated in {sum(blank), sum(byte - 256 * (byte > 127) for byte in blank)}


def members(view: View, budget: Budget) -> Iterator[Member]:
    """Yield what is no link and no folder of an archive, up to the first block that is no header.

    A ``view`` that is None says that there is more: a sparse file, which does not lie there in one piece; a member of
    which readers differ how long it is; something behind the last header that is not the end.
    """
    place, ahead = 0, _Ahead()
    while budget.members > 0:
        budget.members -= 1
        header = view.read(place, _BLOCK)
        size = _number(header[124:136]) if is_tar(header) else None
        if size is None or size < 0:
            if place and header.strip(b"\0"):
                yield Member("", None)
            return
        kind = header[156:157]
        extends = kind in _PAX | _LONG | {_GLOBAL}
        if not extends and ahead.size is not None:
            size = ahead.size
        content = Part(view, place + _BLOCK, size)
        place += _BLOCK
        if kind in _LONG:
            ahead.name = content.read(0, _EXTENDED_BYTES).partition(b"\0")[0] if kind == b"L" else ahead.name
        elif extends:
            ahead.extend(kind, content)
        else:
            if kind == b"S":
                place += _BLOCK * _sparse_blocks(view, place - _BLOCK)
            name = ahead.name or header[:100].partition(b"\0")[0]
            is_folder = kind in _WITHOUT_DATA or (kind == b"\0" and name.endswith(b"/"))
            yield from _told(name, None if is_folder or kind == b"S" else content, kind, ahead)
            ahead = _Ahead()
            size = 0 if is_folder else size
        place += (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _told(name: bytes, content: View | None, kind: bytes, ahead: _Ahead) -> Iterator[Member]:
    text = name.decode("utf-8", "replace")
    if content is not None:
        yield Member(text, content)
    if kind == b"S" or not ahead.clear:
        yield Member(text, None)


def _records(data: bytes) -> Mapping[bytes, bytes]:
    """Return the records of an extended header as far as they are some, each as long as it says."""
    found, place = dict[bytes, bytes](), 0
    while (record := _RECORD.match(data, place)) and int(record[1]):
        place = record.start() + int(record[1])
        found[record[2]] = data[record.end() : place - 1]
    return found


def _whole(text: bytes) -> int:
    """Return a number as CPython reads it: 0 for what is none."""
    try:
        return max(0, int(text))
    except ValueError:
        return 0


def _sparse_blocks(view: View, place: int) -> int:
    """Return how many blocks of a sparse file's map follow its header."""
    count, more = 0, view.read(place + 482, 1)
    while more not in {b"", b"\0"}:
        count += 1
        more = view.read(place + count * _BLOCK + 504, 1)
    return count


def _number(field: bytes) -> int | None:
    """Return a number in octal, or in base 256 as GNU writes long ones."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.partition(b"\0")[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError:
        return None
