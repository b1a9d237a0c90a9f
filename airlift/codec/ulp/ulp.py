"""The codec ``ulp``: differences in units in the last place, coded by what their size must be about (SPEC U1 to U8).

A float's bits, read as an integer in numeric order, change by a few units when training nudges it; by how many, the
scale of its row and the exponent of its base tell. Each context has a static table, and rANS codes to it::

    from airlift.codec import ulp
    plan = ulp.plan(new, base, Element.BF16, rows=[(384, 147456)])
    plan.bits                     # what it would cost
    payload = ulp.write(plan)

Any numbers of these forms can be the base: what another module predicts as well as what a file holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.plain import record_fields
from airlift.codec.ulp import group, kernel, payload
from airlift.codec.ulp.group import PLAIN, SCALED, SYMBOL, Groups, Model, Run
from airlift.codec.ulp.kernel import Kernel
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.table import Tables
from airlift.codec.ulp.unit import NIBBLE, Array, Unit, join, split, unit_of
from airlift.errors import MalformedError
from airlift.tensors.element import Element

MAX_LANES = 2048
WORDS_A_LANE = 64
"""A lane costs about 24 bits; with this many words each that is about 2 %."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a block could be coded, and for about how many ``bits``."""

    model: Model
    runs: list[Run]
    groups: Groups
    index: Array
    raw: bytes | memoryview
    tables: Tables
    bits: float


def plan(
    new: memoryview,
    base: memoryview | None,
    element: Element,
    rows: Sequence[Run] = (),
    *,
    using: Kernel | None = None,
) -> Plan | None:
    """Return the cheapest way to code ``new``, None if it is no whole number of elements.

    ``base`` has the length of ``new``; ``rows`` says how many elements a row has, and for how many elements. Of
    records the fields are coded apart, each byte a unit. ``using``, here and below, is another implementation than
    that of the process.
    """
    using = using or kernel.default()
    unit = unit_of(element)
    if not new or len(new) % (element.size if element.record else unit.size):
        return None
    if element.record:
        rows = [(0, len(new) // element.size * width) for width in element.fields]
        new, base = (
            record_fields.to_planes(new, element),
            None if base is None else record_fields.to_planes(base, element),
        )
    plans = (_plan(new, base, model, rows, using) for model in _models(unit, base is not None))
    return min(plans, key=lambda plan: plan.bits)


def _models(unit: Unit, based: bool) -> Iterator[Model]:
    shift = group.SHIFT if unit.floating else 0
    if based:
        yield Model(unit, True, SCALED, shift)
        if unit.bits == 8:
            yield Model(unit, True, SYMBOL)
            if not unit.floating:
                yield Model(NIBBLE, True, SYMBOL)
    elif unit.floating:
        yield Model(unit, False, SCALED)
    else:
        yield Model(unit, False, PLAIN)


def _plan(new: memoryview, base: memoryview | None, model: Model, rows: Sequence[Run], using: Kernel) -> Plan:
    unit = model.unit
    target, source = split(new, unit), None if base is None else split(base, unit)
    runs, groups = [(len(target), 1)], Groups(np.array([len(target)], np.uint32), np.ones(1, np.uint8))
    if model.context == SCALED:
        scaling = unit.bits // 8 and len(new) // len(target)
        runs = group.runs_of(rows if scaling else (), len(target))
        sizes = group.sizes_of(np.array(runs, np.uint32))
        sums, tops, moved = using.survey(target, source, sizes, unit)
        scales, level = group.quantise(sums, tops, moved, sizes)
        model = Model(unit, model.delta, SCALED, model.shift, group.offset_for(scales, level, model))
        groups = Groups(sizes, scales)
    index, counts, raw = using.analyse(target, source, groups, model)
    tables = using.fit(counts)
    bits = tables.cost(counts) + 8 * len(raw) + 4 * len(groups.scales)
    return Plan(model, runs, groups, index, raw, tables, bits)


def write(plan: Plan, *, using: Kernel | None = None) -> bytes:
    """Return the payload of a plan."""
    using = using or kernel.default()
    states, words = using.write(plan.index, plan.tables, _lanes(plan.bits))
    parts = (memoryview(part) for part in (states, words, plan.raw))
    return payload.format(Payload(plan.model, plan.groups, plan.tables, *parts), plan.runs)


def _lanes(bits: float) -> int:
    wanted = int(bits) // 16 // WORDS_A_LANE
    return min(MAX_LANES, 1 << max(0, wanted.bit_length() - 1))


def read(
    data: memoryview,
    base: memoryview | None,
    element: Element,
    length: int,
    *,
    out: memoryview | None = None,
    using: Kernel | None = None,
) -> memoryview:
    """Return the ``length`` target bytes of a payload; ``base`` and ``out``, if any, have the same length.

    The result is a view of ``out`` unless units or fields have to be put together.

    Raises:
        MalformedError: the payload is not of this codec, base and length.
    """
    parsed = payload.parse(data, element, length)
    model = parsed.model
    if model.delta and base is None:
        raise MalformedError("an ulp block needs a source of its own length")
    source = (
        split(record_fields.to_planes(base, element), model.unit)
        if model.delta and base is not None
        else None
    )
    apart = element.record or model.unit == NIBBLE
    if out is None or apart:
        out = np.empty(8 * length // model.unit.bits, model.unit.dtype).data.cast("B")
    units = np.frombuffer(out, model.unit.dtype)
    (using or kernel.default()).read(parsed, source, units)
    return record_fields.from_planes(join(units, model.unit), element)


# -- as a codec ----------------------------------------------------------------------------------------------------


def _encode(target: memoryview, context: Context, _effort: Effort) -> bytes | None:
    found = plan(target, context.parallel(len(target)), context.element, context.rows)
    return None if found is None else write(found)


def _decode(data: memoryview, context: Context, length: int) -> memoryview:
    return read(data, context.parallel(length), context.element, length, out=context.output(length))


ULP = Codec(4, "ulp", _encode, _decode)
