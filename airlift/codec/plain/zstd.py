"""The codec ``zstd``: one frame, with the first source as its prefix (SPEC C6). For opaque bytes."""

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.plain import frame

SMALL = 1 << 20
STRONG = 19
STRONG_REACH = 24 << 20
ALONE = {Effort.LOW: 3, Effort.NORMAL: 9, Effort.HIGH: STRONG}
AFTER_PREFIX = {Effort.LOW: (1, 22), Effort.NORMAL: (3, 22), Effort.HIGH: (12, 24)}
"""Level and logarithm of the table size, which bounds memory to ``8 << 24`` bytes.

The strong level serves what is small at any effort but the lowest, and after a prefix what is within reach of both.
"""


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    if not target:
        return None
    prefix = _prefix(context)
    return frame.write(target, _parameters(len(target), len(prefix or b""), effort), prefix)


def _parameters(length: int, prefix: int, effort: Effort) -> dict[str, int]:
    reach = {Effort.LOW: 0, Effort.NORMAL: SMALL, Effort.HIGH: STRONG_REACH}[effort]
    if length + prefix <= reach:
        return frame.level(STRONG, length, prefix)
    if not prefix:
        return frame.level(ALONE[effort], length, 0)
    number, table_log = AFTER_PREFIX[effort]
    return frame.level(number, length, prefix, table_log=table_log)


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    return memoryview(frame.read(payload, length, _prefix(context)))


def _prefix(context: Context) -> memoryview | None:
    return context.sources[0] if context.sources and len(context.sources[0]) else None


ZSTD = Codec(2, "zstd", _encode, _decode)
