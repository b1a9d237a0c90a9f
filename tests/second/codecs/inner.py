"""The codecs that may stand inside of another: equal, planes, ulp (P1)."""

from tests.second.codecs import planes, ulp
from tests.second.codecs.elements import Element
from tests.second.errors import Refused, demand

EQUAL, PLANES, ULP = 1, 3, 4
INNER = (EQUAL, PLANES, ULP)


def decode_inner(codec: int, payload: bytes, kind: Element, length: int, prediction: bytes | None) -> bytes:
    """Decode a payload as if the prediction were its only source.

    Args:
        codec: One of ``INNER``.
        payload: The rest of the outer payload.
        kind: The element of what is decoded.
        length: Its length in bytes.
        prediction: The source, or None if there is none.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    if codec == EQUAL:
        demand(not payload and prediction is not None and len(prediction) == length, "equal with a payload")
        return prediction or b""
    if codec == PLANES:
        return planes.decode(payload, kind, length, prediction)
    if codec == ULP:
        return ulp.decode(payload, kind, length, prediction)
    raise Refused("format-too-new", f"inner codec {codec}")
