"""Select the codec that makes a block smallest, and encode with it (SPEC C8).

What ``ulp`` would take follows from its counts, without writing anything. Of the others a sample is coded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from airlift.codec.block import Buffer, Codec, Coded, Context, Effort, Rows, check_limits, view
from airlift.codec.grid.grid import GRID
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL, RAW
from airlift.codec.plain.zstd import ZSTD
from airlift.codec.predict.adapter import ADAPTER
from airlift.codec.predict.convert import CONVERT
from airlift.codec.predict.lowrank import LOWRANK
from airlift.codec.predict.narrow import NARROW
from airlift.codec.sampling import GOOD, LONG, MARGIN, has_few_bits, promising
from airlift.codec.ulp import ulp
from airlift.codec.ulp.ulp import ULP, Plan
from airlift.codec.ulp.unit import NIBBLE, unit_of
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint

TRIED = (PLANES, ZSTD)
CHEAP = 0.05
"""A prediction that leaves this share of a block leaves nothing to look for."""


def encode(
    target: Buffer,
    sources: Sequence[Buffer],
    element: Element,
    rows: Sequence[Rows] = (),
    *,
    effort: Effort = Effort.NORMAL,
    hint: Hint = None,
) -> Coded:
    """Code the bytes of a block against its sources; the payload is never longer than ``target``.

    ``rows`` are (elements a row, elements) from the start on, and ``hint`` says how a matrix seems to have moved. An
    adapter's factors are the second and third source, which no other codec reads. Deterministic for the same inputs
    and library versions; safe to call from several threads, with most work outside the interpreter lock.

    Raises:
        MalformedError: the block or a source is over its limit.
    """
    block = view(target)
    context = Context([view(source) for source in sources], element, rows, hint)
    check_limits(len(block), context.sources)
    if not block:
        return Coded(RAW.id, b"")
    if EQUAL.encode(block, context, effort) is not None:
        return Coded(EQUAL.id, b"")
    return _smallest(block, context, effort) or Coded(RAW.id, bytes(block))


def _smallest(target: memoryview, context: Context, effort: Effort) -> Coded | None:
    """Return the shortest of what the candidates make, None if nothing is shorter than raw."""
    best = _predicted(target, context, effort)
    if best is not None and (best.codec == NARROW.id or len(best.payload) <= CHEAP * len(target)):
        return best
    size = len(target) if best is None else len(best.payload)
    plain = replace(context, sources=context.sources[:1], hint=None)
    plan = _plan(target, plain)
    for codec in _candidates(target, plain, effort, len(target) if plan is None else plan.bits / 8):
        payload = codec.encode(target, plain, effort)
        if payload is not None and len(payload) < size:
            best, size = Coded(codec.id, payload), len(payload)
    if plan is not None and plan.bits / 8 < MARGIN * size:
        payload = ulp.write(plan)
        if len(payload) < size:
            return Coded(ULP.id, payload)
    return best


def _predicted(target: memoryview, context: Context, effort: Effort) -> Coded | None:
    """Return what a codec with another inside makes, None if none is shorter than raw.

    These are the codec that the hint speaks of, and the one for numbers in too wide a type.
    """
    payloads = (
        (codec.id, codec.encode(target, context, effort)) for codec in (*_hinted(context.hint), NARROW)
    )
    found = [Coded(number, payload) for number, payload in payloads if payload is not None]
    best = min(found, key=lambda coded: len(coded.payload), default=None)
    return None if best is None or len(best.payload) >= len(target) else best


def _hinted(hint: Hint) -> tuple[Codec, ...]:
    """Return the codec that a hint speaks of."""
    match hint:
        case None:
            return ()
        case Adapter():
            return (ADAPTER,)
        case Conversion():
            return (CONVERT,)
        case Grid():
            return (GRID,)
        case _:
            return (LOWRANK,)


def _plan(target: memoryview, context: Context) -> Plan | None:
    """Return how ``ulp`` would code the block; None for opaque bytes without a counterpart."""
    source = context.parallel(len(target))
    if context.element is Element.BYTES and source is None:
        return None
    plan = ulp.plan(target, source, context.element, context.rows)
    unit = unit_of(context.element)
    if plan is None or source is None or unit.floating or unit.bits == 8:
        return plan
    packed = ulp.plan(target, source, Element.U8)  # of nibbles the payload is the same for every integer
    return packed if packed is not None and packed.model.unit == NIBBLE and packed.bits < plan.bits else plan


def _candidates(target: memoryview, context: Context, effort: Effort, cost: float) -> Iterable[Codec]:
    """Return the codecs worth trying where ``ulp`` would take ``cost`` bytes.

    Only sources as long as the target can be sampled with it.
    """
    parallel = all(len(source) == len(target) for source in context.sources)
    if not parallel or len(target) <= LONG:
        return TRIED
    good = has_few_bits(context.element) and cost < GOOD * len(target)
    return () if good else promising(TRIED, target, context, effort, cost)
