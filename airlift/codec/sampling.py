"""Which codecs are worth trying on a block, by what they make of a sample of it (SPEC C8)."""

from collections.abc import Callable, Sequence

from airlift.codec.block import Codec, Context, Effort
from airlift.tensors.element import Element

WINDOW = 64 << 10
WINDOWS = 4
LONG = 2 * WINDOW * WINDOWS
"""Of a block that is no longer a sample says no more than the block."""

MARGIN = 1.02
MARGINS = {Effort.LOW: MARGIN, Effort.NORMAL: MARGIN, Effort.HIGH: 1.1}
MARGIN_BYTES = 64
"""A codec whose sample costs this much more than the best one's is not tried on the whole block: a share of the cost,
or so many bytes if the sample hardly cost anything, which says little about the rest.
"""

GOOD = 0.5
"""Floats of 16 bits that ``ulp`` brings below this share of a long block are not tried any other way. Wider ones may
have whole planes of zeros."""

_FEW_BITS = frozenset({Element.F16, Element.BF16})


def has_few_bits(element: Element) -> bool:
    """Return whether elements are floats of 16 bits."""
    return element in _FEW_BITS


def promising(
    tried: Sequence[Codec], target: memoryview, context: Context, effort: Effort, cost: float
) -> list[Codec]:
    """Return those codecs that do well on a sample of a long block, where another would take ``cost`` bytes.

    All sources have the block's own length.
    """
    sample = _sampler(len(target), context.element.size)
    sampled = sample(target)
    around = Context([sample(source) for source in context.sources], context.element)
    payloads = [(codec, codec.encode(sampled, around, effort)) for codec in tried]
    costs = {codec.id: len(payload) for codec, payload in payloads if payload is not None}
    best = min(*costs.values(), len(sampled), cost * len(sampled) / len(target))
    limit = max(MARGINS[effort] * best, best + MARGIN_BYTES)
    return [codec for codec in tried if codec.id in costs and costs[codec.id] <= limit]


def _sampler(length: int, size: int) -> Callable[[memoryview], memoryview]:
    """Return what takes the same evenly spread windows, on element boundaries, from ranges of ``length`` bytes."""
    window = WINDOW - WINDOW % size
    starts = [(length - window) * number // (WINDOWS - 1) // size * size for number in range(WINDOWS)]
    return lambda data: memoryview(b"".join(data[start : start + window] for start in starts))
