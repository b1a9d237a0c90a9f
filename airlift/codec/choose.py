"""Which codec codes a block: the one that makes it smallest, found by trying (SPEC C8)."""

from collections.abc import Callable, Iterable, Sequence

from airlift.codec.block import Buffer, Codec, Coded, Context, Effort, check_limits, view
from airlift.codec.plain import EQUAL, RAW
from airlift.codec.planes import PLANES
from airlift.codec.zstd import ZSTD
from airlift.tensors.element import Element

TRIED = (PLANES, ZSTD)
WINDOW = 64 << 10
WINDOWS = 4
MARGIN = 1.02
"""A codec whose sample costs this much more than the best one's is not tried on the whole block."""


def encode(
    target: Buffer,
    sources: Sequence[Buffer],
    element: Element,
    row: int = 0,
    *,
    effort: Effort = Effort.NORMAL,
) -> Coded:
    """Code the bytes of a block against its sources; the payload is never longer than ``target``.

    ``row`` is the number of elements in a row of the tensor, 0 if unknown: a hint. Deterministic for the same inputs
    and library versions; safe to call from several threads, and most of the work is outside the interpreter lock.

    Raises:
        MalformedError: the block or a source is over its limit.
    """
    block = view(target)
    context = Context([view(source) for source in sources], element, row)
    check_limits(len(block), context.sources)
    if not block:
        return Coded(RAW.id, b"")
    if EQUAL.encode(block, context, effort) is not None:
        return Coded(EQUAL.id, b"")
    return _smallest(block, context, effort) or Coded(RAW.id, bytes(block))


def _smallest(target: memoryview, context: Context, effort: Effort) -> Coded | None:
    """Return the shortest of what the candidates make, None if nothing is shorter than raw."""
    best, size = None, len(target)
    for codec in _candidates(target, context, effort):
        payload = codec.encode(target, context, effort)
        if payload is not None and len(payload) < size:
            best, size = Coded(codec.id, payload), len(payload)
    return best


def _candidates(target: memoryview, context: Context, effort: Effort) -> Iterable[Codec]:
    """Return the codecs worth trying. Only sources as long as the target can be sampled with it."""
    parallel = all(len(source) == len(target) for source in context.sources)
    if effort is Effort.HIGH or not parallel or len(target) <= 2 * WINDOW * WINDOWS:
        return TRIED
    return _promising(target, context, effort)


def _promising(target: memoryview, context: Context, effort: Effort) -> list[Codec]:
    """Return the codecs that do well on a sample."""
    sample = _sampler(len(target), context.element.size)
    sampled = sample(target)
    around = Context([sample(source) for source in context.sources], context.element, context.row)
    payloads = [(codec, codec.encode(sampled, around, effort)) for codec in TRIED]
    costs = {codec.id: len(payload) for codec, payload in payloads if payload is not None}
    limit = min(MARGIN * min(costs.values()), len(sampled))
    return [codec for codec in TRIED if codec.id in costs and costs[codec.id] <= limit]


def _sampler(length: int, size: int) -> Callable[[memoryview], memoryview]:
    """Return what takes the same evenly spread windows, on element boundaries, from ranges of ``length`` bytes."""
    last = length - WINDOW
    starts = [last * number // (WINDOWS - 1) // size * size for number in range(WINDOWS)]
    return lambda data: memoryview(b"".join(data[start : start + WINDOW] for start in starts))
