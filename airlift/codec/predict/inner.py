"""A block inside a block: coded by another codec against a prediction of the whole target (SPEC P1).

The codecs that predict keep only what they predict from, and hand the rest to one of these.
"""

from dataclasses import replace

from airlift.codec.block import Context, Effort, admit
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL, same
from airlift.codec.ulp.ulp import ULP
from airlift.errors import FormatTooNewError

INNER = (EQUAL, PLANES, ULP)
"""The codecs that may stand inside; none of them may predict in its turn."""


def encode(
    target: memoryview, prediction: memoryview | None, context: Context, effort: Effort
) -> tuple[int, bytes]:
    """Return the id and the payload of the inner codec that codes the target (whole elements) shortest."""
    if prediction is not None and same(target, prediction):
        return EQUAL.id, b""
    inside = _inside(prediction, context)
    payloads = ((codec.id, codec.encode(target, inside, effort)) for codec in (PLANES, ULP))
    found = [(number, payload) for number, payload in payloads if payload is not None]
    return min(found, key=lambda item: len(item[1]))


def decode(
    codec: int, payload: memoryview, prediction: memoryview | None, context: Context, length: int
) -> memoryview:
    """Return the target, of ``length`` bytes, as long as its prediction if there is one.

    Raises:
        FormatTooNewError: the codec is not one that may stand inside.
        MalformedError: the payload is not of this codec, or the codec needs a prediction.
    """
    found = next((known for known in INNER if known.id == codec), None)
    if found is None:
        raise FormatTooNewError("a predicted block has an unknown inner codec", found=str(codec))
    return found.decode(payload, admit(found, _inside(prediction, context), length), length)


def _inside(prediction: memoryview | None, context: Context) -> Context:
    return replace(context, sources=[] if prediction is None else [prediction], hint=None)
