"""Unpack compressed streams, forwards and within bounds: gzip, zlib, bzip2, xz, lzma, zstd, LZ4 frames (SPEC L2.5).

A file of several streams after another is read as the loaders do: as one. Each function yields pieces of at most
``CHUNK`` bytes (LZ4: a block) and raises :class:`DamagedStreamError` where a stream breaks, once all was yielded that
a loader gets before that: it may have run it by then, whatever the sums at the end say.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import zstandard

from airlift.intake.gate.views import (
    CHUNK,
    WINDOW,
    Budget,
    DamagedStreamError,
    Part,
    StarvedStreamError,
    Unpacked,
    View,
)
from airlift.intake.gate.wrappings import lz4

MEMORY = 72 << 20
"""Bytes that an lzma dictionary may take: those of ``xz -9``."""
DICTIONARY = 64 << 20
"""The longest dictionary that an lzma header gets, whatever it states: it is enough up to the first longer reach."""
WINDOW_BYTES = 32 << 20
"""The longest zstd window: what ``zstd -20`` needs; that of ``--ultra`` and ``--long`` is not looked into."""
FEED, FINE = 4 << 10, 1 << 10
"""Bytes that an unpacker is given, and asked for, at once: where a stream breaks, it loses less than these."""

_GZIP = b"\x1f\x8b\x08"
_ZFILE = re.compile(rb"ZF0x[0-9a-f]{1,17}L? *")
"""What joblib wrote before 0.10 in front of a zlib stream: its length in hex, filled up with blanks."""


class Unpacker(Protocol):
    """What bz2 and lzma call a decompressor."""

    @property
    def eof(self) -> bool:
        """Say whether the stream has ended."""
        ...

    @property
    def needs_input(self) -> bool:
        """Say whether more input is needed for more output."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Return input behind the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Unpack at most ``max_length`` bytes."""
        ...


def open_stream(view: View, head: bytes, budget: Budget) -> tuple[str, Unpacked] | None:
    """Return the name of the compression that ``head`` starts with, and what it unpacks to; None if it is none."""
    found = _find(view, head)
    return (found[0], Unpacked(found[1], budget)) if found else None


def _find(view: View, head: bytes) -> tuple[str, Callable[[], Iterator[bytes]]] | None:
    for magic, (name, unpack) in _MAGIC.items():
        if head.startswith(magic):
            return name, partial(unpack, view)
    old = _ZFILE.match(head)
    if old is not None:
        return "zlib", partial(_unpack_zlib, Part(view, old.end()))
    if _is_zlib(head):
        return "zlib", partial(_unpack_zlib, view)
    if _is_lzma(head):
        return "lzma", partial(_unpack_lzma, view)
    if _is_skippable(head):
        place = _past_skippable(view)
        return _find(Part(view, place), view.read(place, WINDOW))
    return None


def _is_skippable(head: bytes) -> bool:
    """Say whether a frame begins that zstd and LZ4 pass over (RFC 8878, 3.1.2)."""
    return len(head) >= 8 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18"


def _past_skippable(view: View) -> int:
    place = 0
    while _is_skippable(head := view.read(place, 8)):
        place += 8 + int.from_bytes(head[4:], "little")
    return place


def open_zstd(view: View, budget: Budget) -> Unpacked:
    """Return what a zstd stream unpacks to."""
    return Unpacked(partial(_zstd, view), budget)


def _is_zlib(head: bytes) -> bool:
    """Say whether two bytes are a header of RFC 1950, without a dictionary."""
    if len(head) < 8 or head[0] & 0x8F != 8:
        return False
    return (head[0] << 8 | head[1]) % 31 == 0 and not head[1] & 0x20


def _is_lzma(head: bytes) -> bool:
    """Say whether a header of the old lzma format is plausible: by its usual first bytes, or as liblzma guesses."""
    if len(head) < 14 or head[0] > (4 * 5 + 4) * 9 + 8:
        return False
    if head.startswith(b"]\0") or (
        head[:1] == b"]" and not head[13]
    ):  # joblib asks for no more than the first
        return True
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    power = 1 << max(0, dictionary.bit_length() - 1)
    round_size = dictionary in {power, power + power // 2, (1 << 32) - 1}
    return dictionary >= 1 << 12 and round_size and (size == (1 << 64) - 1 or 0 < size < 1 << 38)


def inflate(view: View) -> Iterator[bytes]:
    """Yield what a bare deflate stream unpacks to, as zip archives have it."""
    yield from _one(view, 0, _Inflater())


def _unpack_zlib(view: View) -> Iterator[bytes]:
    unpacker = _Inflater(zlib.adler32, 1)
    place = yield from _one(view, 2, unpacker)
    if int.from_bytes(view.read(place, 4), "big") != unpacker.total:
        raise DamagedStreamError


def unpack_lzma_member(view: View) -> Iterator[bytes]:
    """Yield what a member of a zip archive that is packed with lzma unpacks to (APPNOTE 5.8)."""
    head = view.read(0, 9)
    if len(head) < 9 or head[2:4] != b"\x05\0":
        raise DamagedStreamError
    yield from _one(view, 9, _lzma(head[4:9], b"\xff" * 8))


def _unpack_lzma(view: View) -> Iterator[bytes]:
    head = view.read(0, 13)
    yield from _one(view, 13, _lzma(head[:5], head[5:]))


def _lzma(properties: bytes, size: bytes) -> Unpacker:
    dictionary = min(int.from_bytes(properties[1:], "little"), DICTIONARY)
    unpacker = _made(lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY))
    _, error = _some(unpacker, properties[:1] + dictionary.to_bytes(4, "little") + size)
    if error:
        raise error
    return unpacker


def unpack_bzip2(view: View) -> Iterator[bytes]:
    """Yield what a bzip2 stream unpacks to."""
    yield from _one(view, 0, _made(bz2.BZ2Decompressor))


class _Inflater:
    """zlib of a bare stream, with the methods of bz2 and lzma; ``total`` is what ``add`` makes of what came out."""

    def __init__(self, add: Callable[[bytes, int], int] | None = None, total: int = 0) -> None:
        self._zlib = zlib.decompressobj(-15)
        self._full = False
        self._add, self.total = add, total

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = CHUNK) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length
        self.total = self._add(found, self.total) if self._add else 0
        return found


def _gunzip(view: View) -> Iterator[bytes]:
    """Yield what the members of a gzip file unpack to, read as CPython does: the sum of a header is not looked at."""
    place = 0
    while view.read(place, 1):
        unpacker = _Inflater(zlib.crc32)
        place = yield from _one(view, _past_header(view, place), unpacker)
        if int.from_bytes(view.read(place, 4), "little") != unpacker.total:
            raise DamagedStreamError
        place = _past_zeros(view, place + 8)


def _past_header(view: View, place: int) -> int:
    """Return the place behind the header of a member (RFC 1952, 2.3), whatever bits nobody knows are set in it."""
    head = view.read(place, 10)
    if len(head) < 10 or not head.startswith(_GZIP):
        raise DamagedStreamError
    place += 10
    if head[3] & 4:
        place += 2 + int.from_bytes(view.read(place, 2), "little")
    for bit in (8, 16):
        place = _past_text(view, place) if head[3] & bit else place
    return place + (head[3] & 2)


def _past_text(view: View, place: int) -> int:
    while data := view.read(place, CHUNK):
        end = data.find(b"\0")
        if end >= 0:
            return place + end + 1
        place += len(data)
    raise DamagedStreamError


def _several(view: View, make: Callable[[], Unpacker]) -> Iterator[bytes]:
    place = 0
    while True:
        place = _past_zeros(view, (yield from _one(view, place, _made(make))))
        if not view.read(place, 1):
            return


def _one(view: View, place: int, unpacker: Unpacker) -> Generator[bytes, None, int]:
    """Yield what the stream at ``place`` unpacks to; return the place behind it."""
    while not unpacker.eof:
        waiting = view.read(place, FEED) if unpacker.needs_input else b""
        place += len(waiting)
        if unpacker.needs_input and not waiting:
            raise DamagedStreamError  # it ends before its end
        found, error = _some(unpacker, waiting)
        yield found
        if error:
            raise error
    return place - len(unpacker.unused_data)


def _past_zeros(view: View, place: int) -> int:
    while data := view.read(place, CHUNK):
        rest = data.lstrip(b"\0")
        if rest:
            return place + len(data) - len(rest)
        place += len(data)
    return place


def _made(make: Callable[[], Unpacker]) -> Unpacker:
    try:
        return make()
    except (lzma.LZMAError, OSError, ValueError) as error:
        raise DamagedStreamError from error


def _some(unpacker: Unpacker, data: bytes) -> tuple[bytes, DamagedStreamError | None]:
    """Return what comes out, at most ``CHUNK`` bytes, and the error that ends it."""
    parts: list[bytes] = []
    try:
        while len(parts) < CHUNK // FINE:
            parts.append(unpacker.decompress(data, FINE))
            data = b""
            if unpacker.eof or unpacker.needs_input:
                break
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        return b"".join(parts), _broken(error)
    return b"".join(parts), None


def _broken(error: Exception) -> DamagedStreamError:
    """Return what an error of a library amounts to: the one for too little memory can be told by its text only."""
    starved = isinstance(error, lzma.LZMAError | zstandard.ZstdError) and "memory" in str(error).lower()
    return StarvedStreamError() if starved else DamagedStreamError()


@dataclass(slots=True)
class _Forward:
    """A view as the file that zstandard wants to read."""

    view: View
    offset: int = 0

    def read(self, length: int) -> bytes:
        data = self.view.read(self.offset, min(length, CHUNK))
        self.offset += len(data)
        return data


def _zstd(view: View) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
    source = _Forward(view)
    with unpacker.stream_reader(source, read_size=CHUNK, read_across_frames=True) as stream:  # type: ignore[arg-type]
        while True:
            parts: list[bytes] = []
            try:
                while len(parts) < CHUNK // FINE and (data := stream.read(FINE)):
                    parts.append(data)
            except zstandard.ZstdError as error:
                yield b"".join(parts)
                raise _broken(error) from error
            if not parts:
                return
            yield b"".join(parts)


_MAGIC: dict[bytes, tuple[str, Callable[[View], Iterator[bytes]]]] = {
    _GZIP: ("gzip", _gunzip),
    b"BZh": ("bzip2", lambda view: _several(view, bz2.BZ2Decompressor)),
    b"\xfd7zXZ\0": (
        "xz",
        lambda view: _several(view, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY)),
    ),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    lz4.MAGIC: ("lz4", lz4.unpack),
}
