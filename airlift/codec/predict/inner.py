"""A block inside a block: coded by another codec against a prediction of the whole target (SPEC P1).

The codecs that predict keep only what they predict from, and hand the rest to one of these.
"""

from dataclasses import replace

from airlift.codec.block import Context, Effort, admit
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL, same
from airlift.codec.sampling import GOOD, LONG, WINDOW, has_few_bits, promising
from airlift.codec.ulp import ulp
from airlift.codec.ulp.ulp import ULP
from airlift.errors import FormatTooNewError

INNER = (EQUAL, PLANES, ULP)
"""The codecs that may stand inside; none of them may predict in its turn."""

FEW = 1 / 512
"""Of what costs less than this share of its bytes, nearly all is zero planes: they are soon tried."""


def encode(
    target: memoryview, prediction: memoryview | None, context: Context, effort: Effort
) -> tuple[int, bytes]:
    """Return the id and the payload of the inner codec that codes the target (whole elements) shortest.

    Of a long block ``planes`` is left out where a sample, or the kind of number, says that it would lose.
    """
    if prediction is not None and same(target, prediction):
        return EQUAL.id, b""
    inside = _inside(prediction, context)
    plan = ulp.plan(target, prediction, context.element, context.rows)
    cost = len(target) if plan is None else plan.bits / 8
    tried = plan is None or _tries_planes(target, inside, effort, cost)
    planes = PLANES.encode(target, inside, effort) if tried else None
    payload = None if plan is None else ulp.write(plan)
    found = [(number, data) for number, data in ((PLANES.id, planes), (ULP.id, payload)) if data is not None]
    return min(found, key=lambda item: len(item[1]))


def _tries_planes(target: memoryview, inside: Context, effort: Effort, cost: float) -> bool:
    """Return whether ``planes`` may be shorter than the ``cost`` bytes that ``ulp`` would take."""
    if len(target) > WINDOW and has_few_bits(inside.element):
        return not FEW * len(target) <= cost < GOOD * len(target)
    return len(target) <= LONG or bool(promising((PLANES,), target, inside, effort, cost))


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
