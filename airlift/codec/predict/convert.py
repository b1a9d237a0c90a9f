"""The codec ``convert``: the numbers that the target was made from, in another element, predict it (SPEC V1 to V8).

A model is published as float32 and as bfloat16, with eight-bit floats, and as GGUF: the same weights, and one file of
them is enough. What made the others is a closed rule, and the payload names it::

    u8 inner codec   u8 rule   u8 element of the source   u8 where the scales are   u8 element of the scales
    u8 element of quotients   u8 flags: 1 multiplied by the reciprocal, 2 fused   u8 zero
    u32 columns   u32 rows of a head   u32, u32 rows and columns of a group   f32 limit   u32 length of the scales
    scales, as planes   payload of the inner codec, coded against the prediction

Sources: the numbers; the scales, where a file has them. Where the rule is not quite the one that was used, what is
left is small, and coded as differences.
"""

import struct
from dataclasses import replace
from math import copysign

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.plain.planes import PLANES
from airlift.codec.predict import inner, quantised, rounding
from airlift.codec.predict.quantised import Matrix, Singles
from airlift.errors import AirliftError, FormatTooNewError, MalformedError
from airlift.tensors.element import Element, from_code
from airlift.tensors.matching.hint import NUMBERS, Conversion, Rule, ScalesFrom

HEADER = struct.Struct("<8B4IfI")
MULTIPLY, FUSED = 1, 2

MAX_TURNED = 1 << 20
MAX_GROUPS = 1 << 20
SINGLE = frozenset({Element.F32, Element.F16, Element.BF16})
_SCALED = rounding.EIGHTS | {Element.I8}
_TARGETS = {
    Rule.CAST: rounding.FLOATS | rounding.EIGHTS,
    Rule.TRUNCATE: frozenset({Element.BF16}),
    Rule.SCALE: _SCALED,
    Rule.GGML: frozenset(NUMBERS),
    Rule.SCALES: SINGLE,
}
_SOURCES = {Rule.CAST: rounding.FLOATS, Rule.TRUNCATE: frozenset({Element.F32})}
TARGETS = frozenset[Element]().union(*_TARGETS.values())


def possible(hint: Conversion, element: Element) -> bool:
    """Return whether a rule makes ``element`` of the hint's source, by the types alone."""
    return element in _TARGETS[hint.rule] and hint.source in _SOURCES.get(hint.rule, SINGLE)


def prediction(context: Context, hint: Conversion, length: int) -> memoryview:
    """Return the ``length`` bytes that the sources predict.

    Raises:
        FormatTooNewError: the rule is not for these elements.
        MalformedError: sizes do not fit each other, or a field is set that the rule does not use.
    """
    _check(hint, context.element)
    rows = _rows(context, hint, length)
    bits = np.frombuffer(context.sources[0], f"<u{hint.source.size}").reshape(rows, hint.columns)
    order = quantised.turned(rows, hint.head) if hint.head else None
    return _predicted(Matrix(bits, hint.source, order), context, hint, length)


def _predicted(matrix: Matrix, context: Context, hint: Conversion, length: int) -> memoryview:
    element = context.element
    out = np.empty(length // element.size, f"<u{1 if element.record else element.size}")
    match hint.rule:
        case Rule.CAST:
            quantised.cast(matrix, element, out.reshape(matrix.shape))
        case Rule.TRUNCATE:
            quantised.truncate(matrix, out.reshape(matrix.shape))
        case Rule.SCALE:
            by = _factors(matrix, context, hint)
            quantised.scale(matrix, hint, by, element, out.reshape(matrix.shape))
        case Rule.GGML:
            out = np.empty((matrix.shape[0], matrix.shape[1] // quantised.RECORD, element.size), np.uint8)
            quantised.ggml(matrix, hint, element, out)
        case Rule.SCALES:
            out = rounding.rounded(quantised.scales(matrix, hint).view(np.uint32), element)
    found: memoryview = out.reshape(-1).view(np.uint8).data
    return found


def _factors(matrix: Matrix, context: Context, hint: Conversion) -> Singles:
    """Return what the numbers of each group are divided or multiplied by.

    Raises:
        MalformedError: scales are lacking, or too many.
    """
    if hint.scales_from is ScalesFrom.LARGEST:
        return quantised.factors(matrix, hint)
    if hint.scales_from is ScalesFrom.SOURCE:
        data = context.sources[1] if len(context.sources) > 1 else memoryview(b"")
    else:
        data = memoryview(hint.scales)
    count = hint.scale_count(matrix.shape[0])
    if len(data) != count * hint.scale.size:
        raise MalformedError(
            "a convert block has the wrong number of scales",
            expected=f"{count * hint.scale.size} bytes",
            found=f"{len(data)} bytes",
        )
    bits = np.frombuffer(data, f"<u{hint.scale.size}")
    values = rounding.singles(bits, hint.scale).view(np.float32)
    return quantised.reciprocals(values.reshape(-1, hint.groups_across), hint)


# -- what a header may say -----------------------------------------------------------------------------------------


def _check(hint: Conversion, element: Element) -> None:
    """Check that the rule is for these elements, and that what it does not use is not set."""
    if not possible(hint, element):
        raise FormatTooNewError(
            "a convert block has an unknown conversion",
            found=f"{hint.rule.name}, {hint.source.name} to {element.name}",
        )
    scaled, grouped = hint.rule is Rule.SCALE, hint.rule in {Rule.SCALE, Rule.SCALES}
    computed = hint.rule is Rule.SCALES or hint.scales_from is ScalesFrom.LARGEST
    stored = scaled and not computed
    valid = (
        (hint.scales_from is not ScalesFrom.NOWHERE) == scaled
        and (hint.scale in SINGLE if stored else hint.scale is Element.BYTES)
        and (hint.work in SINGLE if grouped else hint.work is Element.BYTES)
        and (grouped or not hint.multiply)
        and (grouped or hint.group == (0, 0))
        and (not hint.fused or element is Element.Q4_0)
        and (_normal(hint.limit) if computed else not hint.limit and copysign(1, hint.limit) > 0)
    )
    if not valid:
        raise MalformedError("a convert block has no valid header", found=hint.rule.name)


def _normal(limit: float) -> bool:
    return 2.0**-126 <= limit < 2.0**128


def _rows(context: Context, hint: Conversion, length: int) -> int:
    """Return how many rows the source has.

    Raises:
        MalformedError: source and target are not as long as the rule makes them, or there are too many groups.
    """
    rows, rest = divmod(len(context.sources[0]), max(hint.columns, 1) * hint.source.size)
    if not rows or rest or not hint.columns or hint.columns % NUMBERS.get(context.element, 1):
        raise MalformedError("a convert block's source is not whole rows", found=f"{hint.columns} columns")
    if hint.head and (hint.head % 2 or rows % hint.head or rows > MAX_TURNED):
        raise MalformedError("a convert block has no whole heads", found=f"{rows} rows of {hint.head}")
    if hint.scale_count(rows) > MAX_GROUPS:
        raise MalformedError("a convert block has too many groups", expected=f"at most {MAX_GROUPS}")
    if hint.target_bytes(rows, context.element) != length:
        raise MalformedError("a convert block's source has the wrong length", found=f"{rows} rows")
    return rows


# -- as a codec ----------------------------------------------------------------------------------------------------


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    hint = context.hint
    if not isinstance(hint, Conversion) or not context.sources or not target:
        return None
    try:
        predicted = prediction(context, hint, len(target))
    except AirliftError:
        return None
    codec, rest = inner.encode(target, predicted, context, effort)
    scales = _format_scales(hint, effort)
    flags = MULTIPLY * hint.multiply + FUSED * hint.fused
    header = HEADER.pack(
        codec, hint.rule, hint.source, hint.scales_from, hint.scale, hint.work, flags, 0,
        hint.columns, hint.head, *hint.group, hint.limit, len(scales),
    )  # fmt: skip
    return header + scales + rest


def _format_scales(hint: Conversion, effort: Effort) -> bytes:
    if hint.scales_from is not ScalesFrom.PAYLOAD:
        return b""
    return PLANES.encode(memoryview(hint.scales), Context([], hint.scale), effort) or b""


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    if len(payload) < HEADER.size or not length or not context.sources[0]:
        raise MalformedError("a convert block has no header, or nothing to convert")
    codec, hint, size = _parse(payload)
    start = HEADER.size + size
    if size > len(payload) - HEADER.size:
        raise MalformedError("a convert block's scales are cut")
    _check(hint, context.element)
    rows = _rows(context, hint, length)
    if hint.scales_from is ScalesFrom.PAYLOAD:
        body, count = payload[HEADER.size : start], hint.scale_count(rows)
        scales = PLANES.decode(body, Context([], hint.scale), count * hint.scale.size)
        hint = replace(hint, scales=bytes(scales))
    elif size:
        raise MalformedError("a convert block has scales without need")
    return inner.decode(codec, payload[start:], prediction(context, hint, length), context, length)


def _parse(payload: memoryview) -> tuple[int, Conversion, int]:
    """Return the inner codec, the rule, and the length of the scales.

    Raises:
        FormatTooNewError: a rule, or the code of an element, is unknown.
        MalformedError: a reserved field is set.
    """
    codec, rule, source, origin, scale, work, flags, zero, columns, head, down, across, limit, size = (
        HEADER.unpack_from(payload)
    )
    if rule not in iter(Rule) or origin not in iter(ScalesFrom) or origin == ScalesFrom.RANGE:
        raise FormatTooNewError("a convert block has an unknown rule", found=f"{rule}, {origin}")
    if flags > MULTIPLY + FUSED or zero:
        raise MalformedError("a convert block has a reserved field set", found=str(flags))
    hint = Conversion(
        rule=Rule(rule), source=from_code(source), columns=columns, head=head, scales_from=ScalesFrom(origin),
        scale=from_code(scale), work=from_code(work), multiply=bool(flags & MULTIPLY), fused=bool(flags & FUSED),
        group=(down, across), limit=limit,
    )  # fmt: skip
    return codec, hint, size


CONVERT = Codec(8, "convert", _encode, _decode, sources=2, least=1, elements=TARGETS)
