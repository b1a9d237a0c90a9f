"""A block inside a block: coded by another codec against a prediction of the whole target (SPEC P1).

The codecs that predict keep only what they predict from, and hand the rest to one of these.
"""

from dataclasses import replace

from airlift.codec.block import Context, Effort
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL, same
from airlift.codec.ulp.ulp import ULP
from airlift.errors import FormatTooNewError

INNER = (EQUAL, PLANES, ULP)
"""The codecs that may stand inside; none of them may predict in its turn."""


def encode(target: memoryview, prediction: memoryview, context: Context, effort: Effort) -> tuple[int, bytes]:
    """Return the id and the payload of the inner codec that codes the target (whole elements) shortest."""
    if same(target, prediction):
        return EQUAL.id, b""
    inside = replace(context, sources=[prediction], hint=None)
    payloads = ((codec.id, codec.encode(target, inside, effort)) for codec in (PLANES, ULP))
    found = [(number, payload) for number, payload in payloads if payload is not None]
    return min(found, key=lambda item: len(item[1]))


def decode(codec: int, payload: memoryview, prediction: memoryview, context: Context) -> memoryview:
    """Return the target, which is as long as its prediction.

    Raises:
        FormatTooNewError: the codec is not one that may stand inside.
        MalformedError: the payload is not of this codec.
    """
    found = next((known for known in INNER if known.id == codec), None)
    if found is None:
        raise FormatTooNewError("a predicted block has an unknown inner codec", found=str(codec))
    return found.decode(payload, replace(context, sources=[prediction], hint=None), len(prediction))
