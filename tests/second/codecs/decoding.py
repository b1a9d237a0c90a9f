"""One block: which decoder, and what every one of them is held to (C1, C2)."""

from collections.abc import Sequence

from tests.second.codecs import convert, frame, grid, narrow, planes, product, ulp
from tests.second.codecs.elements import Element, element
from tests.second.errors import Refused, demand

TARGET = 1 << 24
SOURCE = 1 << 25

RAW, EQUAL, ZSTD, PLANES, ULP, LOWRANK, ADAPTER, NARROW, CONVERT, GRID = range(10)

TAKES = {
    RAW: (0, 0),
    EQUAL: (1, 1),
    ZSTD: (0, 1),
    PLANES: (0, 1),
    ULP: (0, 1),
    LOWRANK: (1, 1),
    ADAPTER: (3, 3),
    NARROW: (1, 1),
    CONVERT: (1, 2),
    GRID: (0, 2),
}
"""The fewest and the most sources of each codec (section 12)."""

_PARALLEL = (EQUAL, LOWRANK, ADAPTER, NARROW)


def decode(codec: int, code: int, length: int, sources: Sequence[bytes], payload: bytes) -> bytes:
    """Decode a block.

    Args:
        codec: Its codec.
        code: The code of its element.
        length: Bytes of the target.
        sources: The bytes of its sources.
        payload: What was coded.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    if codec not in TAKES:
        raise Refused("format-too-new", f"codec {codec}")
    kind = element(code)
    demand(length <= TARGET and len(sources) <= 4, "a block that is too long")
    demand(all(len(source) <= SOURCE for source in sources), "a source that is too long")
    demand(len(payload) <= length, "a payload that is longer than its target")
    demand(len(sources) >= TAKES[codec][0], "too few sources")
    demand(codec not in _PARALLEL or len(sources[0]) == length, "a source that is not parallel")
    target = _decode(codec, kind, length, sources, payload)
    demand(len(target) == length, "a target of another length")
    return target


def _decode(codec: int, kind: Element, length: int, sources: Sequence[bytes], payload: bytes) -> bytes:
    first = sources[0] if sources else None
    if codec == RAW:
        return payload
    if codec == ZSTD:
        return frame.unpack(payload, length, first or b"")
    if codec == PLANES:
        return planes.decode(payload, kind, length, first)
    if codec == ULP:
        return ulp.decode(payload, kind, length, first)
    if codec == GRID:
        return grid.decode(payload, kind, length, sources)
    return _decode_from(codec, kind, length, sources, payload)


def _decode_from(codec: int, kind: Element, length: int, sources: Sequence[bytes], payload: bytes) -> bytes:
    """Decode with a codec that cannot do without sources."""
    if codec == EQUAL:
        demand(not payload, "equal with a payload")
        return sources[0]
    if codec == LOWRANK:
        return product.decode_lowrank(payload, kind, length, sources[0])
    if codec == ADAPTER:
        return product.decode_adapter(payload, kind, length, sources)
    if codec == NARROW:
        return narrow.decode(payload, kind, length, sources[0])
    return convert.decode(payload, kind, length, sources)
