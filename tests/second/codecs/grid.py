"""Codec 9: floats that are steps of a grid (G1 to G4)."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.second.codecs import floats, groups
from tests.second.codecs.convert import whole
from tests.second.codecs.elements import (
    BF16,
    F8_E4M3,
    F8_E5M2,
    F16,
    F32,
    I8,
    I16,
    I32,
    Q4_0,
    Q8_0,
    Element,
    element,
)
from tests.second.codecs.groups import Groups
from tests.second.codecs.inner import EQUAL, INNER, decode_inner
from tests.second.errors import Refused, demand

PAYLOAD, SOURCE, LARGEST, RANGE = 1, 2, 3, 4
NARROW = 8
RECORD = 32

_FLOATS = (F32, F16, BF16)
_STEPS = (I8, I16, F8_E4M3, F8_E5M2)
_RECORDS = (Q8_0, Q4_0)
_WORDS = 8
_LEAST = {I8: -128, I16: -32_768}
_HEADER = struct.Struct("<BBBBBBHIII4sI")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a payload (G1), after it was checked."""

    inner: int
    step: int
    source: int
    scales_from: int
    scale: int
    signed_zeros: bool
    columns: int
    group_rows: int
    group_columns: int
    limit: float
    scales: int
    narrow: bool

    @property
    def work(self) -> int:
        """What quotients are rounded to."""
        return self.scale if self.narrow else F32


def decode(payload: bytes, kind: Element, length: int, sources: Sequence[bytes]) -> bytes:
    """Decode a payload of codec 9.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    header = _header(payload, kind)
    row = header.columns * kind.size
    demand(length > 0 and length % row == 0, "no whole rows")
    shape = groups.make(length // row, header.columns, header.group_rows, header.group_columns)
    given = _source(header, sources[0] if sources else None, shape)
    numbers = floats.values(given, header.source) if header.source in _FLOATS else ()
    if header.scales_from == SOURCE and header.source not in _RECORDS:
        scales = groups.read_scales(sources[1] if len(sources) > 1 else b"", header.scale, shape)
        scales = [_usable(scale) for scale in scales]
    else:
        scales = _scales(header, payload, given, numbers, shape)
    prediction = _prediction(header, given, numbers, scales, shape)
    demand(prediction is not None or header.inner != EQUAL, "equal to nothing")
    count = shape.rows * shape.columns
    rest = payload[_HEADER.size + header.scales :]
    step = element(header.step)
    steps = decode_inner(header.inner, rest, step, count * step.size, prediction)
    return floats.pack(_numbers(header, steps, scales, shape.of_numbers()), kind.code)


def _header(payload: bytes, kind: Element) -> Header:
    demand(kind.code in _FLOATS, "an element that is not on a grid")
    demand(len(payload) >= _HEADER.size, "shorter than its header")
    fields = _HEADER.unpack_from(payload)
    inner, step, source, said, scale, flags, zero, columns, high, wide, limit, scales = fields
    scales_from, narrow = said & ~NARROW, bool(said & NARROW)
    _known(inner in INNER and step in _STEPS and scales_from in (PAYLOAD, SOURCE, LARGEST, RANGE))
    _known(source in (0, step, *_FLOATS) or (step == I8 and source in (*_RECORDS, I32)))
    _known(scales_from != SOURCE or source not in (0, *_FLOATS))
    _known((scales_from not in (LARGEST, RANGE) and not narrow) or source in _FLOATS)
    _known(scales_from != RANGE or step in _LEAST)
    _known(scale in _FLOATS and not (narrow and scale == F32))
    demand(zero == 0 and flags <= 1 and columns >= 1, "a header")
    of_records = (scale, high, wide) == (F16, 1, RECORD)
    demand(
        scales_from != SOURCE or source not in _RECORDS or of_records,
        "other scales, or other groups, than records have",
    )
    demand(flags == 0 or scales_from != RANGE, "signed zeros of what has none")
    demand(scales == 0 or scales_from == PAYLOAD, "scales that say nothing")
    demand(_HEADER.size + scales <= len(payload), "scales that are not there")
    value = groups.limit_of(limit, computed=scales_from in (LARGEST, RANGE))
    whole_limit = value in range(1, 65_536)
    demand(scales_from != RANGE or whole_limit, "a limit that is no whole number")
    return Header(
        inner, step, source, scales_from, scale, bool(flags), columns, high, wide, value, scales, narrow
    )


def _known(condition: object) -> None:
    if not condition:
        raise Refused("format-too-new", "a codec or element that is not known")


def _source(header: Header, source: bytes | None, shape: Groups) -> bytes:
    """Return the source that is read (G2); nothing if none is."""
    if header.source == 0:
        return b""
    demand(source is not None, "too few sources")
    assert source is not None
    records = header.source in _RECORDS
    held = RECORD if records else _WORDS if header.source == I32 else 1
    demand(header.columns % held == 0, "no whole records")
    count = shape.rows * shape.columns // held
    demand(len(source) == count * element(header.source).size, "a source of another number of elements")
    return source


def _scales(
    header: Header, payload: bytes, source: bytes, numbers: Sequence[float], shape: Groups
) -> list[float]:
    """Return the scale of each group (G3-1)."""
    if header.scales_from == RANGE:
        scales = [_ranged(header, most) for most in _extremes(numbers, shape)]
    elif header.scales_from == LARGEST:
        quotients = (floats.divided(most, header.limit) for most in groups.largest(numbers, shape))
        scales = [floats.rounded(floats.normalised(quotient), header.scale) for quotient in quotients]
    elif header.scales_from == PAYLOAD:
        body = payload[_HEADER.size : _HEADER.size + header.scales]
        scales = groups.unpack_scales(body, header.scale, shape)
    else:
        size = element(header.source).size
        joined = b"".join(source[at : at + 2] for at in range(0, len(source), size))
        scales = groups.read_scales(joined, F16, shape)
    return [_usable(scale) for scale in scales]


def _usable(scale: float) -> float:
    return floats.normalised(scale) if math.isfinite(scale) else 0.0


def _extremes(numbers: Sequence[float], shape: Groups) -> list[tuple[float, float]]:
    """Return the largest magnitude of each group, of numbers without a sign and of those with one, normalised."""
    members: list[tuple[list[float], list[float]]] = [([], []) for _ in range(shape.count)]
    for number, group in zip(numbers, shape.of_numbers(), strict=True):
        members[group][math.copysign(1.0, number) < 0].append(number)
    return [
        (floats.normalised(floats.largest(top)), floats.normalised(floats.largest(bottom)))
        for top, bottom in members
    ]


def _ranged(header: Header, most: tuple[float, float]) -> float:
    """Return the scale of integers with a zero point (G3-1, from 4)."""
    apart = floats.normalised(floats.rounded(floats.single(most[0] + most[1]), header.work))
    quotient = floats.normalised(floats.divided(apart, header.limit))
    return floats.rounded(quotient, header.scale)


def _least(header: Header, bottom: float, scale: float) -> float:
    """Return the least step of a group of integers with a zero point (G3-2)."""
    quotient = floats.rounded(floats.divided(bottom, scale), header.work) if scale else 0.0
    return -(float(round(quotient)) if math.isfinite(quotient) else quotient)


def _clipped(value: float, least: float, limit: float) -> float:
    """Return a quotient as one of the steps that a group has; a NaN is the least."""
    if math.isnan(value):
        return least
    number = float(round(value)) if math.isfinite(value) else value
    return min(max(number, least), floats.single(least + limit))


def _prediction(
    header: Header, source: bytes, numbers: Sequence[float], scales: list[float], shape: Groups
) -> bytes | None:
    """Return the steps that the source makes (G3-2), as bytes of the step element."""
    if header.source == 0:
        return None
    if header.source == header.step:
        return source
    if header.source in _RECORDS:
        return _steps_of_records(source, header.source)
    if header.source == I32:
        words = struct.unpack(f"<{len(source) // 4}I", source)
        return bytes(((word >> 4 * n & 15) - 8) & 255 for word in words for n in range(_WORDS))
    steps = [
        floats.rounded(_divided(number, scales[group]), header.work)
        for number, group in zip(numbers, shape.of_numbers(), strict=True)
    ]
    if header.scales_from == RANGE:
        bottoms = [bottom for _, bottom in _extremes(numbers, shape)]
        leasts = [_least(header, *of) for of in zip(bottoms, scales, strict=True)]
        steps = [
            _clipped(value, leasts[group], header.limit)
            for value, group in zip(steps, shape.of_numbers(), strict=True)
        ]
    if header.step not in _LEAST:
        return floats.pack(steps, header.step)
    least = _LEAST[header.step]
    code = "b" if header.step == I8 else "h"
    count = shape.rows * shape.columns
    return struct.pack(
        f"<{count}{code}", *(_step(value, least, zeros=header.signed_zeros) for value in steps)
    )


def _steps_of_records(source: bytes, code: int) -> bytes:
    parts = []
    for at in range(0, len(source), element(code).size):
        body = source[at + 2 : at + element(code).size]
        if code == Q4_0:
            body = bytes((half - 8) & 255 for half in [b & 15 for b in body] + [b >> 4 for b in body])
        parts.append(body)
    return b"".join(parts)


def _divided(number: float, scale: float) -> float:
    return floats.divided(floats.normalised(number), scale) if scale else 0.0


def _step(value: float, least: int, *, zeros: bool) -> int:
    """Return an integer step; with signed zeros the least one stands for -0, and is left out for all others."""
    step = whole(value, least + zeros, -least - 1)
    return least if zeros and step == 0 and math.copysign(1.0, value) < 0 else step


def _numbers(header: Header, steps: bytes, scales: list[float], group_of: list[int]) -> list[float]:
    """Return the numbers that steps and scales make (G4), before they are rounded to the block's element."""
    values: Sequence[float]
    if header.step in _LEAST:
        least = _LEAST[header.step]
        whole_steps = struct.unpack(f"<{len(group_of)}{'b' if header.step == I8 else 'h'}", steps)
        values = [-0.0 if header.signed_zeros and step == least else float(step) for step in whole_steps]
    else:
        values = [value if math.isfinite(value) else 0.0 for value in floats.values(steps, header.step)]
    return [
        floats.normalised(floats.single(value * scales[group]))
        for value, group in zip(values, group_of, strict=True)
    ]
