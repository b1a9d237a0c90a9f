"""Unpack compressed streams, forwards and within bounds: gzip, zlib, bzip2, xz, lzma, zstd, LZ4 frames (SPEC L2.5).

A file of several streams after another is read as the loaders do: as one. Each function yields pieces of at most
``CHUNK`` bytes (LZ4: a block) and raises :class:`DamagedStreamError` where a stream breaks.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import zstandard

from airlift.low.release.gate.views import CHUNK, Budget, DamagedStreamError, Part, Unpacked, View
from airlift.low.release.gate.wrappings import lz4

MEMORY = 72 << 20
"""Bytes that an lzma dictionary may take: those of ``xz -9``."""
WINDOW_BYTES = 32 << 20
"""The longest zstd window: what ``zstd -20`` needs; that of ``--ultra`` and ``--long`` is not looked into."""

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
        return "zlib", partial(inflate, Part(view, old.end()))
    if _is_zlib(head):
        return "zlib", partial(inflate, view)
    if _is_lzma(head):
        return "lzma", partial(_unpack_lzma, view)
    return None


def open_zstd(view: View, budget: Budget) -> Unpacked:
    """Return what a zstd stream unpacks to."""
    return Unpacked(partial(_zstd, view), budget)


def _is_zlib(head: bytes) -> bool:
    """Say whether two bytes are a header of RFC 1950, without a dictionary."""
    if len(head) < 8 or head[0] & 0x8F != 8:
        return False
    return (head[0] << 8 | head[1]) % 31 == 0 and not head[1] & 0x20


def _is_lzma(head: bytes) -> bool:
    """Say whether a header of the old lzma format is plausible, by the rules of liblzma for guessing."""
    if len(head) < 14 or head[0] > (4 * 5 + 4) * 9 + 8:
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    power = 1 << max(0, dictionary.bit_length() - 1)
    round_size = dictionary in {power, power + power // 2, (1 << 32) - 1}
    return dictionary >= 1 << 12 and round_size and (size == (1 << 64) - 1 or 0 < size < 1 << 38)


def inflate(view: View, bits: int = 15) -> Iterator[bytes]:
    """Yield what a zlib stream unpacks to; ``bits`` is -15 for a bare one, as zip archives have it."""
    return _run(view, lambda: _Inflater(bits), several=False)


def unpack_lzma_member(view: View) -> Iterator[bytes]:
    """Yield what a member of a zip archive that is packed with lzma unpacks to (APPNOTE 5.8)."""
    head = view.read(0, 9)
    if len(head) < 9 or head[2:4] != b"\x05\0":
        raise DamagedStreamError
    alone = head[4:9] + b"\xff" * 8

    def make() -> Unpacker:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY)
        unpacker.decompress(alone, 0)
        return unpacker

    yield from _run(Part(view, 9), make, several=False)


def _unpack_lzma(view: View) -> Iterator[bytes]:
    return _run(view, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY), several=False)


def unpack_bzip2(view: View) -> Iterator[bytes]:
    """Yield what a bzip2 stream unpacks to."""
    return _run(view, bz2.BZ2Decompressor, several=False)


class _Inflater:
    """zlib with the methods of bz2 and lzma."""

    def __init__(self, bits: int) -> None:
        self._zlib = zlib.decompressobj(bits)
        self._full = False

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
        return found


def _run(view: View, make: Callable[[], Unpacker], *, several: bool) -> Iterator[bytes]:
    unpacker, offset, waiting = _made(make), 0, b""
    while True:
        if not waiting and unpacker.needs_input:
            waiting = view.read(offset, CHUNK)
            offset += len(waiting)
            if not waiting:
                raise DamagedStreamError  # it ends before its end
        yield _some(unpacker, waiting)
        waiting = b""
        if unpacker.eof:
            waiting = unpacker.unused_data.lstrip(b"\0") if several else b""
            if several and not waiting:
                waiting = view.read(offset, CHUNK)
                offset += len(waiting)
            if not waiting:
                return
            unpacker = _made(make)


def _made(make: Callable[[], Unpacker]) -> Unpacker:
    try:
        return make()
    except (lzma.LZMAError, OSError, ValueError) as error:
        raise DamagedStreamError from error


def _some(unpacker: Unpacker, data: bytes) -> bytes:
    try:
        return unpacker.decompress(data, CHUNK)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise DamagedStreamError from error


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
            try:
                data = stream.read(CHUNK)
            except zstandard.ZstdError as error:
                raise DamagedStreamError from error
            if not data:
                return
            yield data


_MAGIC: dict[bytes, tuple[str, Callable[[View], Iterator[bytes]]]] = {
    b"\x1f\x8b\x08": ("gzip", lambda view: _run(view, lambda: _Inflater(31), several=True)),
    b"BZh": ("bzip2", lambda view: _run(view, bz2.BZ2Decompressor, several=True)),
    b"\xfd7zXZ\0": (
        "xz",
        lambda view: _run(view, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY), several=True),
    ),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    lz4.MAGIC: ("lz4", lz4.unpack),
}
