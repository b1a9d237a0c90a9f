"""Find out by which rule numbers were converted, on windows of both sides. For the low side only.

The rules tried are those that writers of files use. What costs least in a sample wins, and of equals the first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from airlift.codec.block import Context
from airlift.codec.predict import convert
from airlift.codec.ulp.unit import difference, unit_of
from airlift.errors import AirliftError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom, numbers
from airlift.tensors.matching.windows import Window

LIMITS = {
    Element.F8_E4M3: (448.0, 240.0),
    Element.F8_E5M2: (57344.0,),
    Element.I8: (127.0, 127.5, 128.0),
}
"""What the largest number of a group becomes: 127.5 in compressed-tensors, whose range is 255 / 2."""


def casts(element: Element, source: Element) -> Iterator[Conversion]:
    """Yield the rules without scales that make ``element`` of ``source``; the number of columns is 1, or 32."""
    for rule, fused in ((Rule.CAST, False), (Rule.TRUNCATE, False), (Rule.GGML, False), (Rule.GGML, True)):
        made = Conversion(rule=rule, source=source, columns=numbers(element), fused=fused)
        if convert.possible(made, element) and (not fused or element is Element.Q4_0):
            yield made


def scalings(
    element: Element, source: Element, columns: int, group: tuple[int, int], stored: Element | None
) -> Iterator[Conversion]:
    """Yield the rules with scales, computed (but for all numbers at once) or, if ``stored``, of that element."""
    works = dict.fromkeys((Element.F32, source, Element.BF16))
    for work in works:
        for multiply in (False, True):
            for limit in LIMITS[element] if group != (0, 0) else ():
                yield Conversion(
                    rule=Rule.SCALE, source=source, columns=columns, scales_from=ScalesFrom.LARGEST, work=work,
                    multiply=multiply, group=group, limit=limit,
                )  # fmt: skip
            if stored is not None:
                yield Conversion(
                    rule=Rule.SCALE, source=source, columns=columns, scales_from=ScalesFrom.PAYLOAD, scale=stored,
                    work=work, multiply=multiply, group=group,
                )  # fmt: skip


def scale_rules(
    element: Element, source: Element, columns: int, group: tuple[int, int]
) -> Iterator[Conversion]:
    """Yield the rules that make the scales of what became ``element``."""
    for work in dict.fromkeys((Element.F32, source, Element.BF16)):
        for multiply in (False, True):
            for limit in LIMITS[element]:
                yield Conversion(
                    rule=Rule.SCALES, source=source, columns=columns, work=work, multiply=multiply, group=group,
                    limit=limit,
                )  # fmt: skip


def cost(hint: Conversion, windows: Sequence[Window], element: Element) -> float:
    """Return about how many bits a number costs beside its prediction; infinite if there is none."""
    bits, count = 0.0, 0
    for window in windows:
        inside = replace(hint, head=0, columns=window.columns, group=(0, 0), scales=window.scale)
        try:
            found = convert.prediction(
                Context([memoryview(window.source)], element), inside, len(window.target)
            )
        except AirliftError:
            return float("inf")
        bits += _residual(np.frombuffer(found, np.uint8), np.frombuffer(window.target, np.uint8), element)
        count += len(window.target) // element.size * numbers(element)
    return bits / count if count else float("inf")


def cheapest(
    hints: Iterable[tuple[Conversion, Sequence[Window]]], element: Element
) -> tuple[float, Conversion] | None:
    """Return the rule that costs least, and what; one that costs nothing ends the search."""
    best: tuple[float, Conversion] | None = None
    for hint, windows in hints:
        bits = cost(hint, windows, element)
        if best is None or bits < best[0]:
            best = bits, hint
        if not bits:
            break
    return best


def _residual(found: NDArray[np.uint8], wanted: NDArray[np.uint8], element: Element) -> float:
    """Return about how many bits all differences take."""
    unit = unit_of(element)
    gaps = difference(wanted.view(unit.dtype), found.view(unit.dtype), unit)
    gaps = np.abs(gaps[gaps != 0].astype(np.float64))
    return float((2 + np.log2(gaps)).sum())
