"""The codec ``grid``: numbers that were dequantised are coded as the integers that they were (SPEC G1 to G5).

A model that was quantised and saved as floats again has few different numbers a group: a scale times an integer, or
an eight-bit float. The payload names the scales and codes the steps, against what the source makes of them::

    u8 inner codec   u8 element of the steps   u8 element of the source, 0 without one   u8 where the scales are
    (8 more: narrow)   u8 element of the scales   u8 flags: 1 signed zeros   u16 zero
    u32 columns   u32, u32 rows and columns of a group   f32 limit   u32 length of the scales
    scales, as planes   payload of the inner codec

The source is the numbers that were quantised, an earlier version of the same, or the quantised form itself, whose
scales may be a second one.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import copysign

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.grid import steps
from airlift.codec.grid.fit import NARROWER, Groups, fit, narrowest, ranged
from airlift.codec.grid.steps import INTEGERS, PACKED, RECORDS, STEPS, Scales, gathered
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import same
from airlift.codec.predict import inner, quantised, rounding
from airlift.codec.predict.convert import MAX_GROUPS, SINGLE
from airlift.codec.predict.exact import Bits
from airlift.codec.predict.quantised import Matrix
from airlift.errors import AirliftError, FormatTooNewError, MalformedError
from airlift.tensors.element import Element, from_code
from airlift.tensors.matching.hint import Conversion, Grid, Rule, ScalesFrom, held

HEADER = struct.Struct("<6BH3IfI")
SIGNED = 1
NARROW = 8
MOST_STEPS = 65535
KINDS = (Element.I8, Element.I16)
STORED = STEPS | RECORDS | PACKED
"""Sources that hold the steps themselves."""
ORIGINS = frozenset({ScalesFrom.PAYLOAD, ScalesFrom.SOURCE, ScalesFrom.LARGEST, ScalesFrom.RANGE})


def possible(hint: Grid) -> bool:
    """Return whether steps of such a kind follow from such a source, by the types alone."""
    if hint.steps not in STEPS or hint.scale not in SINGLE or hint.scales_from not in ORIGINS:
        return False
    if hint.source in SINGLE:
        ranged = hint.scales_from is ScalesFrom.RANGE and hint.steps not in INTEGERS
        wide = hint.narrow and hint.scale is Element.F32
        return hint.scales_from is not ScalesFrom.SOURCE and not ranged and not wide
    if hint.narrow:
        return False
    if hint.source is Element.BYTES:
        return hint.scales_from is ScalesFrom.PAYLOAD
    fits = hint.steps is Element.I8 if hint.source in RECORDS | PACKED else hint.source is hint.steps
    return fits and not hint.computed


def shape(hint: Grid, element: Element, length: int) -> tuple[int, int]:
    """Return the rows and columns of a matrix of ``length`` bytes.

    Raises:
        MalformedError: they are not whole, or there are too many groups.
    """
    rows, rest = divmod(length, max(hint.columns, 1) * element.size)
    if not rows or rest or not hint.columns or hint.columns % held(hint.source):
        raise MalformedError("a grid block is not whole rows", found=f"{hint.columns} columns")
    if hint.scale_count(rows) > MAX_GROUPS:
        raise MalformedError("a grid block has too many groups", expected=f"at most {MAX_GROUPS}")
    return rows, hint.columns


def scales(stored: bytes | memoryview, context: Context, hint: Grid, size: tuple[int, int]) -> Scales:
    """Return the scales of a block: those given, the source's, or computed from its numbers.

    Raises:
        MalformedError: there are not as many as groups.
    """
    down, across = -(-size[0] // (hint.group[0] or size[0])), hint.groups_across
    if hint.scales_from is ScalesFrom.RANGE:
        return steps.ranged(_matrix(context.sources[0], hint), hint, size)
    if hint.scales_from is ScalesFrom.LARGEST:
        rule = Conversion(
            rule=Rule.SCALES, source=hint.source, columns=hint.columns, work=hint.scale, group=hint.group,
            limit=hint.limit,
        )  # fmt: skip
        found = quantised.scales(_matrix(context.sources[0], hint), rule)
        return Scales(steps.usable(found), hint.group, size)
    if hint.scales_from is ScalesFrom.SOURCE and hint.source in RECORDS:
        bits = steps.unpacked(_records(context.sources[0], hint.source), hint.source)[1]
    else:
        if hint.scales_from is ScalesFrom.SOURCE:
            stored = context.sources[1] if len(context.sources) > 1 else b""
        whole = len(stored) // hint.scale.size if not len(stored) % hint.scale.size else 0
        bits = np.frombuffer(stored, f"<u{hint.scale.size}", whole)
    if bits.size != down * across:
        raise MalformedError(
            "a grid block has the wrong number of scales", expected=str(down * across), found=str(bits.size)
        )
    values = rounding.singles(bits, hint.scale).view(np.float32).reshape(down, across)
    return Scales(steps.usable(values), hint.group, size)


def predicted(context: Context, hint: Grid, by: Scales, *, signed: bool) -> memoryview | None:
    """Return the steps that the source leads to, None without a source."""
    if hint.source is Element.BYTES:
        return None
    source = context.sources[0]
    if hint.source in STORED:
        return _source_steps(source, hint)
    narrow = hint.scale if hint.narrow else None
    return _flat(steps.nearest(_matrix(source, hint), hint.steps, by, signed=signed, narrow=narrow))


def _source_steps(source: memoryview, hint: Grid) -> memoryview:
    if hint.source in RECORDS:
        return _flat(steps.unpacked(_records(source, hint.source), hint.source)[0])
    return _flat(steps.unpacked_words(source)) if hint.source in PACKED else source


def _matrix(source: memoryview, hint: Grid) -> Matrix:
    return Matrix(np.frombuffer(source, f"<u{hint.source.size}").reshape(-1, hint.columns), hint.source)


def _records(source: memoryview, element: Element) -> Bits:
    return np.frombuffer(source, np.uint8).reshape(-1, element.size)


def _flat(bits: Bits) -> memoryview:
    found: memoryview = np.ascontiguousarray(bits).reshape(-1).view(np.uint8).data
    return found


def _check(hint: Grid, context: Context, length: int) -> tuple[int, int]:
    """Check a header against the block; return the rows and columns.

    Raises:
        FormatTooNewError: steps do not follow from such a source in any known way.
        MalformedError: a field is set that is not used, or the source has another length.
    """
    if not possible(hint):
        raise FormatTooNewError(
            "a grid block has unknown steps", found=f"{hint.source.name} to {hint.steps.name}"
        )
    recorded = hint.scales_from is ScalesFrom.SOURCE and hint.source in RECORDS
    if not _limited(hint) or (recorded and (hint.scale is not Element.F16 or hint.group != (1, 32))):
        raise MalformedError("a grid block has no valid header")
    rows, columns = shape(hint, context.element, length)
    expected = hint.source_bytes(rows)
    found = len(context.sources[0]) if expected and context.sources else 0
    if expected != found:
        raise MalformedError(
            "a grid block's source has the wrong length", expected=str(expected), found=str(found)
        )
    return rows, columns


def _limited(hint: Grid) -> bool:
    """Return whether the limit is one that the scales may have."""
    if hint.scales_from is ScalesFrom.RANGE:
        return 1 <= hint.limit <= MOST_STEPS and hint.limit.is_integer()
    if hint.scales_from is ScalesFrom.LARGEST:
        return 2.0**-126 <= hint.limit < 2.0**128
    return not hint.limit and copysign(1, hint.limit) > 0


# -- as a codec ----------------------------------------------------------------------------------------------------


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    hint = context.hint
    if not isinstance(hint, Grid) or context.element not in SINGLE or not target:
        return None
    sources = [] if hint.source is Element.BYTES else context.sources[:2]
    try:
        block = _Block(target, replace(context, sources=sources), shape(hint, context.element, len(target)))
        return block.coded(hint, effort)
    except AirliftError:
        return None


def reproduces(target: memoryview, context: Context) -> bool:
    """Return whether the scales of the source, or computed from it, make exactly the numbers of a block.

    Raises:
        MalformedError: source and target do not fit each other.
    """
    hint = context.hint
    if not isinstance(hint, Grid):
        return False
    size = _check(hint, context, len(target))
    return _Block(target, context, size).steps(hint, b"") is not None


@dataclass(frozen=True, slots=True)
class _Block:
    """What is coded: a matrix of floats."""

    target: memoryview
    context: Context
    size: tuple[int, int]

    def coded(self, hint: Grid, effort: Effort) -> bytes | None:
        """Return the payload, with computed scales if they fit, else with scales of its own; None if none fit."""
        _check(hint, self.context, len(self.target))
        if hint.scales_from is not ScalesFrom.PAYLOAD:
            payload = self._written(hint, b"", effort)
            if payload is not None:
                return payload
        found = self._fitted(hint)
        if found is None:
            return None
        scale, bits = found
        narrow = hint.narrow and scale is hint.scale
        own = replace(hint, scales_from=ScalesFrom.PAYLOAD, scale=scale, limit=0.0, narrow=narrow)
        return self._written(own, bits.tobytes(), effort)

    def _fitted(self, hint: Grid) -> tuple[Element, Bits] | None:
        """Return the type of the scales that make the numbers, and the scales; None if none do."""
        known = likely = None
        if hint.source in STORED:
            known = np.abs(steps.values(hint.steps, signed=self._signed)[self._source_codes(hint)])
        elif hint.steps not in INTEGERS:
            return None
        elif hint.computed:
            likely = scales(b"", self.context, hint, self.size).values.reshape(-1)
        element, bits = self.context.element, gathered(self._bits, hint.group)
        groups = Groups(
            bits & bits.dtype.type((1 << (8 * element.size - 1)) - 1),
            element,
            None if known is None else gathered(known, hint.group),
            ranged(bits, element),
        )
        found = fit(groups, likely)
        if found is None:
            return None
        some = Groups(groups.bits, element) if hint.steps in INTEGERS else groups
        return narrowest(found, some, (hint.scale,) if hint.narrow else NARROWER)

    def _written(self, hint: Grid, stored: bytes, effort: Effort) -> bytes | None:
        """Return the payload, None if the numbers are not quite what the scales and the steps make."""
        found = self.steps(hint, stored)
        if found is None:
            return None
        kind, by, made = found
        return self._payload(replace(hint, steps=kind), by, made, stored, effort)

    def steps(self, hint: Grid, stored: bytes) -> tuple[Element, Scales, Bits] | None:
        """Return the kind of the steps, the scales and the steps; None if they are not quite the numbers."""
        element, signed = self.context.element, self._signed
        if signed and hint.scales_from is ScalesFrom.RANGE:
            return None
        by = scales(stored, self.context, hint, self.size)
        for kind, made in self._tried(hint, by, signed=signed):
            found = steps.multiplied(made, kind, by, element, signed=signed)
            if same(_flat(found), self.target):
                return kind, by, made
            better = steps.corrected(made, kind, by, found=found, wanted=self._bits, element=element)
            if better is not None:
                found = steps.multiplied(better, kind, by, element, signed=signed)
                if same(_flat(found), self.target):
                    return kind, by, better
        return None

    def _tried(self, hint: Grid, by: Scales, *, signed: bool) -> Iterator[tuple[Element, Bits]]:
        """Yield what the steps may be: those of the source, which scales of 0 hide, and the nearest ones."""
        if hint.source in STORED:
            yield hint.steps, self._source_codes(hint)
        for kind in KINDS if hint.steps in INTEGERS and hint.source not in STORED else (hint.steps,):
            yield kind, steps.nearest(Matrix(self._bits, self.context.element), kind, by, signed=signed)

    def _source_codes(self, hint: Grid) -> Bits:
        codes = np.frombuffer(_source_steps(self.context.sources[0], hint), f"<u{hint.steps.size}")
        return codes.reshape(self.size)

    def _payload(self, hint: Grid, by: Scales, made: Bits, stored: bytes, effort: Effort) -> bytes:
        inside = Context([], hint.steps, ((hint.columns, made.size),))
        prediction = predicted(self.context, hint, by, signed=self._signed)
        if prediction is not None and hint.source in SINGLE:
            made = self._likelier(made, prediction, hint, by)
        codec, rest = inner.encode(_flat(made), prediction, inside, effort)
        body = b""
        if stored:
            body = PLANES.encode(memoryview(stored), Context([], hint.scale), effort) or b""
        header = HEADER.pack(
            codec, hint.steps, hint.source, hint.scales_from + NARROW * hint.narrow, hint.scale,
            SIGNED * self._signed, 0,
            hint.columns, *hint.group, hint.limit, len(body),
        )  # fmt: skip
        return header + body + rest

    def _likelier(self, made: Bits, prediction: memoryview, hint: Grid, by: Scales) -> Bits:
        """Return the steps that are predicted, where they make the same numbers: two steps may make one."""
        likely = np.frombuffer(prediction, made.dtype).reshape(self.size)
        if np.array_equal(likely, made):
            return made
        found = steps.multiplied(likely, hint.steps, by, self.context.element, signed=self._signed)
        return np.where(found == self._bits, likely, made)

    @property
    def _bits(self) -> Bits:
        return np.frombuffer(self.target, f"<u{self.context.element.size}").reshape(self.size)

    @property
    def _signed(self) -> bool:
        """Whether there is a -0."""
        return bool((self._bits == 1 << (8 * self.context.element.size - 1)).any())


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    if len(payload) < HEADER.size or not length:
        raise MalformedError("a grid block has no header, or nothing to code")
    codec, hint, flags, stored = _parse(payload)
    end = HEADER.size + stored
    if end > len(payload):
        raise MalformedError("a grid block's scales are cut")
    size = _check(hint, context, length)
    body = memoryview(b"")
    if hint.scales_from is ScalesFrom.PAYLOAD:
        count = hint.scale_count(size[0]) * hint.scale.size
        body = PLANES.decode(payload[HEADER.size : end], Context([], hint.scale), count)
    elif stored:
        raise MalformedError("a grid block has scales without need")
    by = scales(body, context, hint, size)
    prediction = predicted(context, hint, by, signed=bool(flags & SIGNED))
    inside = Context([], hint.steps)
    coded = inner.decode(codec, payload[end:], prediction, inside, size[0] * size[1] * hint.steps.size)
    made = np.frombuffer(coded, f"<u{hint.steps.size}").reshape(size)
    return _flat(steps.multiplied(made, hint.steps, by, context.element, signed=bool(flags & SIGNED)))


def _parse(payload: memoryview) -> tuple[int, Grid, int, int]:
    """Return the inner codec, the hint, the flags, and the length of the scales.

    Raises:
        FormatTooNewError: the code of an element, or of where scales are, is unknown.
        MalformedError: a reserved field is set.
    """
    codec, kind, source, origin, scale, flags, zero, columns, down, across, limit, stored = (
        HEADER.unpack_from(payload)
    )
    if origin & ~NARROW not in iter(ScalesFrom):
        raise FormatTooNewError("a grid block has scales from elsewhere", found=str(origin))
    if flags > SIGNED or zero or (flags and origin & ~NARROW == ScalesFrom.RANGE):
        raise MalformedError("a grid block has a flag or a reserved field set", found=str(flags))
    hint = Grid(
        columns=columns, group=(down, across), steps=from_code(kind), source=from_code(source),
        scales_from=ScalesFrom(origin & ~NARROW), scale=from_code(scale), limit=limit,
        narrow=bool(origin & NARROW),
    )  # fmt: skip
    return codec, hint, flags, stored


GRID = Codec(9, "grid", _encode, _decode, sources=2, elements=SINGLE)
