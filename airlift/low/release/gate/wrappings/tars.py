"""Tar archives, `.nemo` among them, read forwards (POSIX.1-2001 pax, GNU tar; SPEC L2.5)."""

import re
from collections.abc import Iterator

from airlift.low.release.gate.views import Budget, Part, View
from airlift.low.release.gate.wrappings.zips import Member

_BLOCK = 512
_EXTENDED_BYTES = 1 << 20
_FILES = frozenset({b"0", b"\0", b"7"})
_PAX = frozenset({b"x", b"g"})
_WITHOUT_DATA = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_SIZE = re.compile(rb"(?:^|\n)\d+ size=(\d{1,19})\n")


def is_tar(head: bytes) -> bool:
    """Say whether a block is the header of a tar archive, by the sum that it states of its bytes."""
    block = head[:_BLOCK]
    stated = _number(block[148:156])
    if len(block) < _BLOCK or not stated:
        return False
    blank = block[:148] + b" " * 8 + block[156:]
    return stated in {sum(blank), sum(byte - 256 * (byte > 127) for byte in blank)}


def members(view: View, budget: Budget) -> Iterator[Member]:
    """Yield the regular files of an archive, up to the first block that is no header.

    A sparse file's ``view`` is None: what it unpacks to does not lie there in one piece.
    """
    place, stated = 0, None
    while budget.members > 0:
        budget.members -= 1
        header = view.read(place, _BLOCK)
        if not is_tar(header):
            return
        kind, size = header[156:157], _number(header[124:136])
        if kind not in _PAX and stated is not None:
            size, stated = stated, None
        if size is None or size < 0:
            return
        name = header[:100].partition(b"\0")[0].decode("utf-8", "replace")
        content = Part(view, place + _BLOCK, size)
        if kind in _PAX:
            stated = _pax_size(content.read(0, _EXTENDED_BYTES), stated)
        elif kind == b"S":
            yield Member(name, None)
            place += _BLOCK * _sparse_blocks(view, place)
        elif kind in _FILES:
            yield Member(name, content)
        if kind not in _WITHOUT_DATA:
            place += (size + _BLOCK - 1) // _BLOCK * _BLOCK
        place += _BLOCK


def _pax_size(records: bytes, before: int | None) -> int | None:
    found = _SIZE.findall(records)
    return int(found[-1]) if found else before


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
