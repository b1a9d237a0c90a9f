"""Unpack LZ4 frames: joblib writes them, and the standard library has no reader for them (LZ4 frame format 1.6.3)."""

from collections.abc import Iterator

from airlift.intake.gate.views import DamagedStreamError, View

MAGIC = b"\x04\x22\x4d\x18"

_BLOCK_BYTES = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}
_HISTORY = 64 << 10


def unpack(view: View) -> Iterator[bytes]:
    """Yield the blocks of one frame after another, each of at most 4 MiB; digests within are not checked.

    Raises:
        DamagedStreamError: what is read is no frame, or a block of one does not unpack.
    """
    offset = 0
    while view.read(offset, 4) == MAGIC:
        flags, size = view.read(offset + 4, 1), view.read(offset + 5, 1)
        limit = _BLOCK_BYTES.get(size[0] >> 4 & 7) if size else None
        if not flags or flags[0] >> 6 != 1 or limit is None:
            raise DamagedStreamError
        offset += 7 + 8 * (flags[0] >> 3 & 1) + 4 * (flags[0] & 1)
        history = b""
        while True:
            word = _number(view.read(offset, 4))
            offset += 4
            if not word:
                break
            length = word & 0x7FFF_FFFF
            data = view.read(offset, length) if length <= limit else b""
            if len(data) < length or not length:
                raise DamagedStreamError
            block = data if word >> 31 else _block(data, history, limit)
            yield block
            history = (history + block)[-_HISTORY:]
            offset += length + 4 * (flags[0] >> 4 & 1)
        offset += 4 * (flags[0] >> 2 & 1)


def _number(word: bytes) -> int:
    if len(word) < 4:
        raise DamagedStreamError
    return int.from_bytes(word, "little")


def _block(data: bytes, history: bytes, limit: int) -> bytes:
    """Unpack one block: runs of literals, each followed by a copy of earlier bytes (LZ4 block format)."""
    out, place = bytearray(history), 0
    while place < len(data):
        token = data[place]
        literals, place = _length(data, place + 1, token >> 4)
        if place + literals > len(data):
            raise DamagedStreamError
        out += data[place : place + literals]
        place += literals
        if place >= len(data):
            break
        distance = int.from_bytes(data[place : place + 2], "little")
        length, place = _length(data, place + 2, token & 15)
        length += 4
        if not 0 < distance <= len(out) or len(out) - len(history) + length > limit:
            raise DamagedStreamError
        start = len(out) - distance
        run = bytes(out[start : start + length])
        out += (run * (length // len(run) + 1))[:length]
    return bytes(out[len(history) :])


def _length(data: bytes, place: int, first: int) -> tuple[int, int]:
    """Return a length that starts with four bits, and the place behind it."""
    total = first
    while first == 15:
        if place >= len(data):
            raise DamagedStreamError
        byte, place = data[place], place + 1
        total += byte
        if byte != 255:
            break
    return total, place
