"""Codec 3: planes of bytes (C7)."""

import struct

from tests.second.codecs import frame
from tests.second.codecs.elements import Element
from tests.second.errors import demand


def decode(payload: bytes, element: Element, length: int, source: bytes | None) -> bytes:
    """Decode a payload of planes.

    Raises:
        Refused: ``malformed``.
    """
    demand(length > 0 and length % element.size == 0, "no whole elements")
    demand(len(payload) >= 1 + 5 * len(element.fields), "shorter than its table")
    predictor = payload[0]
    demand(predictor <= 2, "an unknown predictor")
    demand(predictor == 0 or (source is not None and len(source) == length), "a source that is not parallel")
    bodies = _bodies(payload, element, length // element.size)
    delta = merge(bodies, element)
    if predictor == 0:
        return delta
    assert source is not None
    if predictor == 1:
        return bytes(a ^ b for a, b in zip(delta, source, strict=True))
    return bytes((a + b) & 255 for a, b in zip(delta, source, strict=True))


def _bodies(payload: bytes, element: Element, count: int) -> list[bytes]:
    at = 1 + 5 * len(element.fields)
    planes = []
    for number, field in enumerate(element.fields):
        mode, size = struct.unpack_from("<BI", payload, 1 + 5 * number)
        demand(at + size <= len(payload), "a body that is not there")
        planes.append(_plane(mode, payload[at : at + size], field * count))
        at += size
    demand(at == len(payload), "bodies do not fill the payload")
    return planes


def _plane(mode: int, body: bytes, size: int) -> bytes:
    demand(mode <= 2, "an unknown mode")
    if mode == 0:
        demand(not body, "a body of zeros")
        return bytes(size)
    if mode == 1:
        demand(len(body) == size, "a raw body of another length")
        return body
    demand(0 < len(body) < size, "a frame that saves nothing")
    return frame.unpack(body, size)


def merge(planes: list[bytes], element: Element) -> bytes:
    """Put planes together to elements."""
    count = len(planes[0]) // element.fields[0]
    whole = bytearray(count * element.size)
    at = 0
    for plane, field in zip(planes, element.fields, strict=True):
        for byte in range(field):
            whole[at + byte :: element.size] = plane[byte::field]
        at += field
    return bytes(whole)


def split(data: bytes, element: Element) -> bytes:
    """Return the planes of elements, one after the other."""
    parts = []
    at = 0
    for field in element.fields:
        plane = bytearray(len(data) // element.size * field)
        for byte in range(field):
            plane[byte::field] = data[at + byte :: element.size]
        parts.append(bytes(plane))
        at += field
    return b"".join(parts)
