"""Step through protocol buffers without reading what they hold (protobuf encoding)."""

from collections.abc import Iterator
from dataclasses import dataclass

from airlift.intake.gate.views import View

_FIELDS = 1_000_000
_AHEAD = 4096
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class NotProtobufError(Exception):
    """Raised within this room: what is read are no fields of a message."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number and wire type, and where its content lies; ``value`` is that of a varint."""

    number: int
    wire: int
    start: int
    end: int
    value: int = 0


def fields(view: View, start: int, end: int, limit: int = _FIELDS) -> Iterator[Field]:
    """Yield the first ``limit`` fields of the message in ``[start, end)``.

    Raises:
        NotProtobufError: it is none, or runs over its end.
    """
    window, base = b"", start
    for _ in range(limit):
        if start == end:
            return
        if start + 20 > base + len(window):
            window, base = view.read(start, min(_AHEAD, end - start)), start
        key, at = _varint(window, start - base)
        wire, value = key & 7, 0
        place = base + at
        if wire == VARINT:
            value, at = _varint(window, at)
            stop = base + at
        elif wire == BYTES:
            value, at = _varint(window, at)
            place, value, stop = base + at, 0, base + at + value
        elif wire in {FIXED32, FIXED64}:
            stop = place + (4 if wire == FIXED32 else 8)
        else:
            raise NotProtobufError
        if stop > end or not key >> 3:
            raise NotProtobufError
        yield Field(key >> 3, wire, place, stop, value)
        start = stop


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise NotProtobufError
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise NotProtobufError
