"""The codec ``grid``: against what tools and quantisers make, and what a payload may not say."""

import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.grid import grid
from airlift.codec.grid.grid import GRID, HEADER
from airlift.codec.plain.planes import PLANES
from airlift.codec.predict.convert import MAX_GROUPS
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Grid, LowRank, ScalesFrom
from tests.support import quantisers
from tests.support.quantisers import as_element, floats, model

BF16, F16, F32, I8, I16 = Element.BF16, Element.F16, Element.F32, Element.I8, Element.I16
E4M3, E5M2, Q8_0, Q4_0 = Element.F8_E4M3, Element.F8_E5M2, Element.Q8_0, Element.Q4_0
FLOATS = (F32, F16, BF16)
GROUPS = [(1, 0), (0, 0), (0, 1), (128, 128), (1, 32)]
MODEL = model(150, 216)
VALUES = floats(MODEL)
LARGEST, PAYLOAD, SOURCE = ScalesFrom.LARGEST, ScalesFrom.PAYLOAD, ScalesFrom.SOURCE
RANGE = ScalesFrom.RANGE


def hinted(columns: int = 216, **more: Any) -> Grid:
    fields: dict[str, Any] = {"columns": columns, "group": (1, 0)}
    return Grid(**fields | more)


def payload_of(hint: Grid, target: bytes, element: Element, *sources: bytes) -> bytes | None:
    """Return what the codec makes of a block, after decoding it again."""
    context = Context([memoryview(source) for source in sources], element, hint=hint)
    payload = GRID.encode(memoryview(target), context, Effort.NORMAL)
    if payload is None:
        return None
    assert payload == GRID.encode(memoryview(target), context, Effort.NORMAL)
    assert len(payload) > len(target) or decoded(payload, target, element, *sources) == target
    return payload


def decoded(payload: bytes, target: bytes, element: Element, *sources: bytes) -> memoryview:
    return codec.decode(GRID.id, payload, sources, len(target), element)


def said(payload: bytes | None) -> dict[str, Any]:
    """Return the fields of a header."""
    assert payload is not None
    return dict(zip(FIELDS, HEADER.unpack_from(payload), strict=True))


def followed(payload: bytes | None) -> None:
    """Check that everything followed from the source: the payload is a header."""
    assert payload is not None
    assert (len(payload), payload[0]) == (HEADER.size, 1)


def as_steps(target: bytes, element: Element, hint: Grid, scales: Any) -> bytes:
    """Return the numbers that stored steps make, by the rules and one by one."""
    codes = np.frombuffer(target, f"<u{hint.steps.size}").reshape(-1, hint.columns)
    by = quantisers.spread(scales, hint.group, (codes.shape[0], codes.shape[1]))
    return b"".join(
        quantisers.number(quantisers.step_value(int(code), hint.steps, signed=False), float(scale), element)
        for code, scale in zip(codes.reshape(-1), by.reshape(-1), strict=True)
    )


# -- known answers -------------------------------------------------------------------------------------------------

# gguf 0.19 (gguf.quants.dequantize, then NumPy's astype) made these of two records each, and ml_dtypes 0.6 of
# eight-bit floats, times float32(0.0123); the records are those of the tests of ``convert``.
Q8_RECORDS = (
    "6f1b017d30077ffcf4f10802ca02f516ee07ffef7a01feffc4fac2ff0202ffe802f66d1add2ae9fb7ffbea28220b02e601020201bffa3cfffe01"
    "8af001faef1309fed1fe"
)
Q4_RECORDS = "60ab889005888088c989c7888b8889a7899860aaca8549888088f9958687987a7888b888"
Q8_AS_F32 = (
    "00e06d3bc04ce83e0068323e0024d03c4004ec3e00e06dbc006832bd00025fbd00e0ed3c00e0ed3b00b548be00e0ed3b008a23bd008aa33d00ce"
    "85bd0024d03c00e06dbb00be7cbd80b9e23e00e06d3b00e0edbb00e06dbb00025fbe0068b2bc007166be00e06dbb00e0ed3b00e0ed3b00e06dbb"
    "0068b2bd00e0ed3b00ac14bd00e7e0bd00f1063e00cb93bd008480bcc004cc3e008480bc005e8dbd0084003e007ada3d005e0d3d00a0cd3b0012"
    "a7bd00a04d3b00a0cd3b00a0cd3b00a04d3b80d650be00389abc00c6403e00a04dbb00a0cdbb00a04d3b808fbdbe00a04dbd00a04d3b00389abc"
    "007a5abd002e743d0054e73c00a0cdbb800117be00a0cdbb"
)
Q8_AS_BF16 = (
    "6e3be83e323ed03cec3e6ebc32bd5fbdee3cee3b49beee3b24bda43d86bdd03c6ebb7dbde33e6e3beebb6ebb5fbeb2bc66be6ebbee3bee3b6ebb"
    "b2bdee3b15bde1bd073e94bd81bccc3e81bc8dbd013eda3d0d3dce3ba7bd4e3bce3bce3b4e3b51be9abc413e4ebbcebb4e3bbebe4ebd4e3b9abc"
    "5abd743de73ccebb17becebb"
)
Q4_AS_F16 = (
    "00806037883100806037008060ab60ab602b008088b1008060ab602b60ab0080008060ab603700800080008060b3008060b3008000800080"
    "008060af008060ab60aec83060aa00806036008060aac830602e602a008060ae008000800080008060b20080603200800080008094b560aa"
    "0080008060aa602a602a0080c8b00080"
)
CODES = (
    "052a4f7499bee3082d52779cc1e60b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186abd0f51a3f6489aed3f81d42"
    "678cb1d6fb20"
)
E4M3_AS_BF16 = (
    "fc387c3bbd3d174063bab0bc0bbf4a39a43bfc3d3d4097bae3bc30bf8b39ca3b243e7c40bdba17bd63bfb0390b3c4a3ea440fcba3dbd97bfe339"
    "303c8b3e008024bb7cbdbdbf173a633cb03e97b84abba4bdfcbf3d3a973ce33e17b98bbbcabd24c07c3abd3c173f63b9b0bb0bbe4ac0a43afc3c"
    "3d3f97b9e3bb30be8bc0ca3a"
)
E5M2_AS_F16 = (  # without 0x7D, which is a NaN
    "1000b91083354c5af881b9a483c91900df13b938835d2683dfa7b9cc2c004c16df3bb96083854caadfcf4c0083194c3eb98883ad4cd27e00b91c"
    "83410080df8bb9b083d5ca00df1fb94409804c8edfb3b9d861014c22df47138083914cb6dfdb5d0283254c4a1f80b99483b94cdef003b928834d"
    "3280df97b9bc83e14c06"
)


@pytest.mark.parametrize(
    ("kind", "records", "element", "expected"),
    [
        (Q8_0, Q8_RECORDS, F32, Q8_AS_F32),
        (Q8_0, Q8_RECORDS, BF16, Q8_AS_BF16),
        (Q4_0, Q4_RECORDS, F16, Q4_AS_F16),
    ],
)
def test_records_as_the_packages_of_gguf_dequantise_them(
    kind: Element, records: str, element: Element, expected: str
) -> None:
    source, target = bytes.fromhex(records), bytes.fromhex(expected)
    made = header(source=kind, origin=2, scale=F16, columns=32, down=1, across=32)
    assert codec.decode(GRID.id, made, [source], len(target), element) == target


@pytest.mark.parametrize(
    ("kind", "element", "codes", "expected"),
    [(E4M3, BF16, CODES, E4M3_AS_BF16), (E5M2, F16, CODES.replace("587da2", "58a2"), E5M2_AS_F16)],
)
def test_eight_bit_floats_as_ml_dtypes_has_them(
    kind: Element, element: Element, codes: str, expected: str
) -> None:
    source, target = bytes.fromhex(codes), bytes.fromhex(expected)
    body = stored(np.array([[0.0123]], np.float32))
    made = header(kind=kind, source=kind, columns=1, down=0, size=len(body)) + body
    assert codec.decode(GRID.id, made, [source], len(target), element) == target


# -- without a source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("scale", FLOATS)
def test_integers_alone(element: Element, scale: Element, group: tuple[int, int]) -> None:
    """By row, tensor, column, block and a few numbers of a row, with edges that are cut."""
    codes, scales = quantisers.integers(VALUES, group, scale=scale)
    target = quantisers.dequantised(codes, scales, group, element)
    payload = payload_of(hinted(group=group), target, element)
    told = said(payload)
    assert (told["kind"], told["source"], told["origin"], told["flags"]) == (I8, 0, PAYLOAD, 0)
    assert payload is not None
    assert len(payload) < HEADER.size + codes.size + 16 + scales.size * 4 + 600
    if element is F32:
        assert (told["scale"] == F32) == (scale is F32)


def test_what_is_coded_is_shorter_than_the_numbers() -> None:
    codes, scales = quantisers.integers(floats(model(512, 768)), (1, 0))
    target = quantisers.dequantised(codes, scales, (1, 0), BF16)
    coded = codec.encode(target, [], BF16, [(768, codes.size)], hint=hinted(768))
    alone = codec.encode(target, [], BF16, [(768, codes.size)])
    assert codec.names()[coded.codec] == "grid"
    assert 8 * len(coded.payload) / codes.size < 7.5
    assert len(coded.payload) < 0.75 * len(alone.payload)


@pytest.mark.parametrize("element", [F32, F16])
def test_larger_steps_than_eight_bits_hold(element: Element) -> None:
    """A zero point makes integers of up to 255."""
    codes = np.random.default_rng(1).integers(-100, 156, (40, 216)).astype(np.float32)
    codes[:, :3] = 1, 2, 155
    target = as_element(codes * np.linspace(0.01, 0.02, 40, dtype=np.float32)[:, None], element)
    assert said(payload_of(hinted(), target, element))["kind"] == I16


def test_steps_of_minus_128() -> None:
    codes = np.full((8, 216), -128, np.int8)
    codes[:, ::3] = 1
    target = quantisers.dequantised(codes, np.full((8, 1), 0.01, np.float32), (1, 0), BF16)
    assert said(payload_of(hinted(), target, BF16))["kind"] == I8


@pytest.mark.parametrize("element", FLOATS)
def test_signed_zeros(element: Element) -> None:
    """The least integer stands for -0; where it is a step too, integers of sixteen bits take its place."""
    codes = np.random.default_rng(2).integers(-127, 128, (8, 216)).astype(np.float32)
    codes[:, 0], codes[:, 5], codes[:, 7] = 1, 0, -0.0
    told = said(payload_of(hinted(), as_element(codes / np.float32(64), element), element))
    assert (told["kind"], told["flags"]) == (I8, 1)
    codes[:, 9] = -128
    told = said(payload_of(hinted(), as_element(codes / np.float32(64), element), element))
    assert (told["kind"], told["flags"]) == (I16, 1)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_nothing_but_zeros(zero: float) -> None:
    for element in FLOATS:
        payload = payload_of(hinted(), as_element(np.full((4, 216), zero, np.float32), element), element)
        assert payload is not None
        assert len(payload) < 200


def test_small_numbers() -> None:
    """Subnormal numbers of float16 are steps as others are; those below the normal ones of float32 are none."""
    codes = np.random.default_rng(3).integers(-127, 128, (8, 216)).astype(np.float32)
    codes[:, :2] = 1, 127
    assert payload_of(hinted(), as_element(codes * np.float32(2.0**-24), F16), F16) is not None
    for element in (F32, BF16):
        assert payload_of(hinted(), as_element(codes * np.float32(2.0**-120), element), element) is not None
        assert payload_of(hinted(), as_element(codes * np.float32(2.0**-130), element), element) is None


# -- what was quantised, and an earlier version ----------------------------------------------------------------------


@pytest.mark.parametrize("group", [group for group in GROUPS if group[0]] + [(0, 0)])
@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize(
    ("source", "scale", "limit"), [(BF16, BF16, 127.5), (F16, F32, 127.0), (F32, F16, 7.0)]
)
def test_what_was_quantised_leaves_nothing(
    element: Element, source: Element, scale: Element, limit: float, group: tuple[int, int]
) -> None:
    given = as_element(VALUES, source)
    values = VALUES if source is not F16 else np.frombuffer(given, "<f2").reshape(150, 216).astype(np.float32)
    codes, scales = quantisers.integers(values, group, limit, scale)
    target = quantisers.dequantised(codes, scales, group, element)
    hint = hinted(group=group, source=source, scales_from=LARGEST, scale=scale, limit=limit)
    if limit != 127.5:  # with -0, -128 is no step
        target = with_signs(target, element, given, source)
    followed(payload_of(hint, target, element, given))
    context = Context([memoryview(given)], element, hint=hint)
    assert grid.reproduces(memoryview(target), context)


@pytest.mark.parametrize("group", [group for group in GROUPS if group[0]])
@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize(("work", "limit"), [(F32, 255), (F32, 15), (F16, 255), (BF16, 255), (BF16, 15)])
def test_what_was_quantised_with_a_zero_point_leaves_nothing(
    element: Element, work: Element, limit: int, group: tuple[int, int]
) -> None:
    """In float32, or in the type of the model."""
    kind = BF16 if work is F32 else work
    given = as_element(VALUES, kind)
    codes, scales = quantisers.shifted(quantisers.kept(VALUES, kind), group, limit, work)
    target = quantisers.dequantised(codes, scales, group, element)
    hint = hinted(
        group=group, source=kind, scales_from=RANGE, scale=work, limit=float(limit), narrow=work is not F32
    )
    payload = payload_of(hint, target, element, given)
    followed(payload)
    assert said(payload)["origin"] == RANGE + 8 * (work is not F32)
    assert grid.reproduces(memoryview(target), Context([memoryview(given)], element, hint=hint))


@pytest.mark.parametrize("work", [F16, BF16])
@pytest.mark.parametrize("limit", [127, 7])
def test_what_was_quantised_in_a_narrow_type_leaves_nothing(work: Element, limit: int) -> None:
    given = as_element(VALUES, work)
    codes, scales = quantisers.narrowed(quantisers.kept(VALUES, work), (1, 0), limit, work)
    target = quantisers.dequantised(codes, scales, (1, 0), work)
    hint = hinted(source=work, scales_from=LARGEST, scale=work, limit=float(limit), narrow=True)
    followed(payload_of(hint, target, work, given))
    wide = payload_of(replace(hint, narrow=False), target, work, given)
    assert wide is not None
    assert len(wide) > HEADER.size + 50


def test_a_range_has_no_signed_zeros() -> None:
    """Numbers with a -0 have scales of their own, and so has what follows from no range."""
    given, (codes, scales) = MODEL.tobytes(), quantisers.shifted(VALUES, (1, 0), 255)
    hint = hinted(source=BF16, scales_from=RANGE, limit=255.0)
    codes[:, 7] = -0.0
    told = said(payload_of(hint, quantisers.dequantised(codes, scales, (1, 0), F32), F32, given))
    assert (told["origin"], told["flags"]) == (PAYLOAD, 1)
    codes[:, 7] = 9
    told = said(payload_of(hint, quantisers.dequantised(codes, scales * 3, (1, 0), F32), F32, given))
    assert (told["origin"], told["flags"]) == (PAYLOAD, 0)


def with_signs(target: bytes, element: Element, given: bytes, source: Element) -> bytes:
    """Return numbers whose zeros have the signs of what they were before, as those have that never were integers."""
    bits = np.frombuffer(target, f"<u{element.size}").copy()
    below = np.frombuffer(given, f"<i{source.size}") < 0
    bits[(bits == 0) & below] = 1 << (8 * element.size - 1)
    return bits.tobytes()


@pytest.mark.parametrize("element", FLOATS)
def test_what_was_quantised_by_another_rule_predicts_the_steps(element: Element) -> None:
    """Scales that do not follow are in the payload; so is what rounds otherwise."""
    codes, scales = quantisers.integers(VALUES, (1, 0), 120.0)
    codes[3, :5] += 1
    target = quantisers.dequantised(codes, scales, (1, 0), element)
    hint = hinted(source=BF16, scales_from=LARGEST, scale=F32, limit=127.0)
    payload = payload_of(hint, target, element, MODEL.tobytes())
    told = said(payload)
    assert (told["origin"], told["source"], told["limit"]) == (PAYLOAD, BF16, 0)
    assert payload is not None
    assert len(payload) < HEADER.size + 150 * 4 + 1500
    assert not grid.reproduces(memoryview(target), Context([memoryview(MODEL.tobytes())], element, hint=hint))


@pytest.mark.parametrize("group", GROUPS)
def test_an_earlier_version_predicts_the_steps(group: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    moved = VALUES * (1 + rng.normal(0, 0.02, VALUES.shape)).astype(np.float32)
    old, new = (
        quantisers.dequantised(*quantisers.integers(values, group), group, BF16) for values in (VALUES, moved)
    )
    payload, alone = (
        payload_of(hinted(group=group, source=BF16), new, BF16, old), payload_of(hinted(group=group), new, BF16)
    )  # fmt: skip
    assert payload is not None
    assert alone is not None
    assert len(payload) < 0.6 * len(alone)


# -- the quantised form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("element", FLOATS)
def test_the_integers_themselves(element: Element, group: tuple[int, int]) -> None:
    codes, scales = quantisers.integers(VALUES, group)
    target = quantisers.dequantised(codes, scales, group, element)
    payload = payload_of(hinted(group=group, source=I8), target, element, codes.tobytes())
    told = said(payload)
    assert payload is not None
    assert (payload[0], told["source"], len(payload)) == (1, I8, HEADER.size + told["size"])
    body = PLANES.decode(
        memoryview(payload)[HEADER.size :],
        Context([], Element(told["scale"])),
        scales.size * Element(told["scale"]).size,
    )
    values = np.frombuffer(body, {F32: "<f4", F16: "<f2", BF16: "<u2"}[Element(told["scale"])])
    found = floats(values) if told["scale"] == BF16 else values.astype(np.float32)
    assert quantisers.dequantised(codes, found.reshape(scales.shape), group, element) == target


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("scale", FLOATS)
def test_the_integers_themselves_and_their_scales(
    element: Element, scale: Element, group: tuple[int, int]
) -> None:
    """As they are, and eight packed in a word: nothing is left."""
    codes, scales = quantisers.integers(VALUES, group, 7.0, scale)
    target, given = quantisers.dequantised(codes, scales, group, element), as_element(scales, scale)
    hint = hinted(group=group, source=I8, scales_from=SOURCE, scale=scale)
    followed(payload_of(hint, target, element, codes.tobytes(), given))
    words = replace(hint, source=Element.I32)
    followed(payload_of(words, target, element, quantisers.packed(codes), given))
    assert grid.reproduces(memoryview(target), context(words, element, quantisers.packed(codes), given))
    wrong = as_element(scales * np.float32(1.5), scale)
    assert not grid.reproduces(memoryview(target), context(hint, element, codes.tobytes(), wrong))


def context(hint: Grid, element: Element, *sources: bytes) -> Context:
    return Context([memoryview(source) for source in sources], element, hint=hint)


@pytest.mark.parametrize("scale", [math.nan, math.inf, 0.0])
def test_scales_that_are_none_make_zeros(scale: float) -> None:
    """Where they belong to other numbers, the payload has scales of its own."""
    codes, scales = quantisers.integers(VALUES, (1, 0))
    target = quantisers.dequantised(codes, scales, (1, 0), BF16)
    wrong = scales.copy()
    wrong[7] = scale
    hint = hinted(source=I8, scales_from=SOURCE)
    told = said(payload_of(hint, target, BF16, codes.tobytes(), wrong.tobytes()))
    assert told["origin"] == PAYLOAD
    zeros = np.array(np.frombuffer(target, "<u2").reshape(150, 216))
    zeros[7] = 0
    made = payload_of(hint, zeros.tobytes(), BF16, np.maximum(codes, 0).tobytes(), wrong.tobytes())
    assert made is None or said(made)["origin"] in {SOURCE, PAYLOAD}


def test_integers_of_sixteen_bits() -> None:
    codes = np.random.default_rng(6).integers(-3000, 3001, (20, 216)).astype("<i2")
    codes[0, 0] = -32768
    for element in FLOATS:
        target = as_element(codes.astype(np.float32) * np.float32(0.00123), element)
        payload = payload_of(hinted(steps=I16, source=I16), target, element, codes.tobytes())
        told = said(payload)
        assert payload is not None
        assert (payload[0], told["kind"], len(payload)) == (1, I16, HEADER.size + told["size"])


@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("kind", [E4M3, E5M2])
@pytest.mark.parametrize("group", GROUPS)
def test_eight_bit_floats_from_their_own_form(
    element: Element, kind: Element, group: tuple[int, int]
) -> None:
    most = np.float32(quantisers.LARGEST[kind])
    scales = quantisers.largest(VALUES, group) / most
    by = quantisers.spread(scales, group, VALUES.shape)
    codes = quantisers.eights(np.clip(VALUES / by, -most, most), kind)
    table = np.array([quantisers.step_value(code, kind, signed=False) for code in range(256)], np.float32)
    target = as_element(table[codes] * by, element)
    payload = payload_of(hinted(group=group, steps=kind, source=kind), target, element, codes.tobytes())
    told = said(payload)
    assert payload is not None
    assert (payload[0], told["kind"], len(payload)) == (1, kind, HEADER.size + told["size"])


@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("kind", [E4M3, E5M2])
@pytest.mark.parametrize("group", [(1, 0), (128, 128)])
def test_eight_bit_floats_of_what_was_quantised(
    element: Element, kind: Element, group: tuple[int, int]
) -> None:
    most = np.float32(quantisers.LARGEST[kind])
    scales = quantisers.largest(VALUES, group) / most
    by = quantisers.spread(scales, group, VALUES.shape)
    codes = quantisers.eights(VALUES / by, kind)
    table = np.array([quantisers.step_value(code, kind, signed=False) for code in range(256)], np.float32)
    target = as_element(table[codes] * by, element)
    hint = hinted(group=group, steps=kind, source=BF16, scales_from=LARGEST, scale=F32, limit=float(most))
    followed(payload_of(hint, target, element, MODEL.tobytes()))
    assert payload_of(replace(hint, limit=float(most) / 1.5), target, element, MODEL.tobytes()) is None


@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("kind", [Q8_0, Q4_0])
def test_records(element: Element, kind: Element) -> None:
    """Zeros of Q4_0 are -0 where the scale is below zero."""
    values = floats(model(40, 192))
    data = quantisers.q8_0(values) if kind is Q8_0 else quantisers.q4_0(values)
    target = from_records(data, kind, element)
    recorded = hinted(192, group=(1, 32), source=kind, scales_from=SOURCE, scale=F16)
    followed(payload_of(recorded, target, element, data))
    assert grid.reproduces(memoryview(target), Context([memoryview(data)], element, hint=recorded))
    own = payload_of(hinted(192, group=(1, 32), source=kind), target, element, data)
    assert own is not None
    assert len(own) > HEADER.size + 240


def from_records(data: bytes, kind: Element, element: Element) -> bytes:
    """Return the numbers of records, one after the other."""
    made = list[bytes]()
    for start in range(0, len(data), kind.size):
        (scale,) = struct.unpack_from("<e", data, start)
        packed = data[start + 2 : start + kind.size]
        if kind is Q8_0:
            codes = struct.unpack("<32b", packed)
        else:
            codes = (*(byte % 16 - 8 for byte in packed), *(byte // 16 - 8 for byte in packed))
        made.extend(quantisers.number(float(code), quantisers.usable(scale), element) for code in codes)
    return b"".join(made)


def test_records_with_scales_that_are_not_finite() -> None:
    """They count as zero; and a product may be infinite."""
    data = bytearray(quantisers.q8_0(floats(model(4, 64))))
    for number, bits in enumerate((0x7C00, 0xFC00, 0x7E00, 0x7BFF, 0xFBFF, 0x0001, 0x8001)):
        struct.pack_into("<H", data, 34 * number, bits)
    for element in FLOATS:
        made = header(source=Q8_0, origin=2, scale=F16, columns=64, down=1, across=32)
        target = codec.decode(GRID.id, made, [bytes(data)], 256 * element.size, element)
        assert target == from_records(bytes(data), Q8_0, element)
        hint = hinted(64, group=(1, 32), source=Q8_0, scales_from=SOURCE, scale=F16)
        assert payload_of(hint, bytes(target), element, bytes(data)) is not None


def test_records_of_another_version_have_scales_in_the_payload() -> None:
    values = floats(model(40, 192))
    old = quantisers.q8_0(values)
    target = from_records(quantisers.q8_0(values * np.float32(1.01)), Q8_0, F16)
    hint = hinted(192, group=(1, 32), source=Q8_0, scales_from=SOURCE, scale=F16)
    payload = payload_of(hint, target, F16, old)
    assert said(payload)["origin"] == PAYLOAD
    assert payload is not None
    assert len(payload) < len(target) / 4
    assert not grid.reproduces(memoryview(target), Context([memoryview(old)], F16, hint=hint))


# -- what cannot be coded ------------------------------------------------------------------------------------------

CODED, SCALES = quantisers.integers(VALUES, (1, 0))
TARGET = quantisers.dequantised(CODED, SCALES, (1, 0), BF16)


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0, 0x3DCD])
def test_one_number_that_is_no_step(bits: int) -> None:
    target = bytearray(TARGET)
    struct.pack_into("<H", target, 1000, bits)
    assert payload_of(hinted(), bytes(target), BF16) is None
    coded = codec.encode(target, [], BF16, [(216, 150)], hint=hinted())
    assert codec.names()[coded.codec] != "grid"
    assert codec.decode(coded.codec, coded.payload, [], len(target), BF16) == target


@pytest.mark.parametrize(
    "hint",
    [
        hinted(0), hinted(217), hinted(60_000), hinted(steps=Element.BYTES), hinted(steps=E4M3), hinted(steps=F32),
        hinted(source=BF16), hinted(source=I8), hinted(source=Q8_0), hinted(source=Element.F64),
        hinted(source=BF16, scales_from=LARGEST), hinted(scales_from=ScalesFrom.NOWHERE),
        hinted(source=BF16, scales_from=SOURCE), hinted(scales_from=LARGEST, limit=127.0), hinted(scale=Element.F64),
        hinted(limit=1.0), hinted(steps=E4M3, source=I8), hinted(source=I16), hinted(steps=E4M3, source=E4M3),
    ],
)  # fmt: skip
def test_a_wrong_hint_makes_nothing(hint: Grid) -> None:
    """Sources are lacking, of another length, or of an element that steps do not follow from."""
    for sources in ((), (TARGET[:-2],), (bytes(7),), (b"",)):
        assert payload_of(hint, TARGET, BF16, *sources) is None or sources
        context = Context([memoryview(source) for source in sources], BF16, hint=hint)
        assert GRID.encode(memoryview(TARGET), context, Effort.LOW) is None


def test_only_floats_with_a_hint_are_coded() -> None:
    for element, hint, target in (
        (I8, hinted(), TARGET), (Element.F64, hinted(27), TARGET), (BF16, None, TARGET), (BF16, LowRank(216), TARGET),
        (BF16, hinted(), b""),
    ):  # fmt: skip
        context = Context([], element, hint=hint)
        assert GRID.encode(memoryview(target), context, Effort.LOW) is None
        assert not grid.reproduces(memoryview(target), replace(context, hint=None))


def test_too_many_groups_are_not_coded() -> None:
    numbers = np.zeros(MAX_GROUPS + 32, "<u2")
    assert payload_of(hinted(32, group=(1, 1)), numbers.tobytes(), BF16) is None


def test_warnings_of_numpy_say_nothing() -> None:
    """Threat: a program around that has asked NumPy to raise."""
    edges = np.array([0, 1, 0x8001, 0x7F, 0x80, 0x7F7F, 0xFF7F, 0x3F80, 0x100, 0x4000], "<u2")
    block = np.random.default_rng(4).choice(edges, (6, 32))
    source = np.random.default_rng(5).choice(np.append(edges, [0x7F80, 0xFFC0]), (6, 32)).astype("<u2")
    with np.errstate(all="raise"):
        for hint in (
            hinted(32), hinted(32, source=BF16), hinted(32, source=BF16, scales_from=LARGEST, limit=127.0),
            hinted(32, source=BF16, scales_from=LARGEST, limit=2.0**-126, scale=F16),
            hinted(32, steps=E5M2, source=BF16, scales_from=LARGEST, limit=1e38, scale=BF16),
        ):  # fmt: skip
            for target in (block, block[:, :1].repeat(32, 1)):
                payload_of(hint, target.tobytes(), BF16, source.tobytes())


# -- rules of decoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("kind", [I8, I16, E4M3, E5M2])
def test_steps_and_numbers_are_those_of_the_rules(kind: Element, element: Element, signed: bool) -> None:
    """Of a float source with every kind of number, with scales that are computed: by fractions (SPEC G3, G4)."""
    rng = np.random.default_rng(8)
    edges = np.array([0, 1, 0x8001, 0x80, 0x7F7F, 0x3F80, 0xBF80, 0x8000, 0x4000, 0x3DCD, 0xBE00], "<u2")
    bits = rng.choice(edges, (12, 10)).astype("<u2")
    bits[:6] = model(6, 10)
    bits[11, 3], bits[10, 3] = 0x7FC0, 0xFF80
    limit, group = (127.0 if kind in (I8, I16) else 448.0), (2, 4)
    made = header(
        kind=kind,
        source=BF16,
        origin=3,
        scale=F16,
        columns=10,
        down=2,
        across=4,
        limit=limit,
        flags=int(signed),
    )
    found = codec.decode(GRID.id, made, [bits.tobytes()], 120 * element.size, element)
    values, expected = floats(bits), []
    for row in range(12):
        for column in range(10):
            top, left = row // 2 * 2, column // 4 * 4
            some = values[top : top + group[0], left : left + group[1]].reshape(-1).tolist()
            scale = quantisers.computed(some, limit, F16)
            step = quantisers.step(float(values[row, column]), scale, kind, signed=signed)
            value = quantisers.step_value(step, kind, signed=signed)
            expected.append(quantisers.number(value, scale, element))
    assert bytes(found) == b"".join(expected)


@pytest.mark.parametrize("element", FLOATS)
def test_scales_in_the_payload_that_are_not_normal_count_as_zero(element: Element) -> None:
    scales = np.array(
        [[math.inf], [-math.inf], [math.nan], [2.0**-126], [2.0**-140], [3e38], [-2.0]], np.float32
    )
    codes = np.tile(np.array([0, 1, 127, -128, -1], np.int8), (7, 10))
    body = stored(scales)
    made = header(source=I8, columns=50, size=len(body)) + body
    found = codec.decode(GRID.id, made, [codes.tobytes()], 350 * element.size, element)
    usable = np.array([[quantisers.usable(float(scale))] for (scale,) in scales], np.float32)
    assert bytes(found) == as_steps(codes.tobytes(), element, hinted(50), usable)


def test_a_source_that_is_not_named_is_not_read() -> None:
    payload = payload_of(hinted(), TARGET, BF16)
    assert payload is not None
    for source in (b"", b"x", TARGET, bytes(codec.MAX_SOURCE_LENGTH)):
        assert codec.decode(GRID.id, payload, [source], len(TARGET), BF16) == TARGET


# -- payloads ------------------------------------------------------------------------------------------------------

FIELDS = {
    "inner": 1, "kind": I8, "source": BF16, "origin": PAYLOAD, "scale": F32, "flags": 0, "zero": 0, "columns": 216,
    "down": 1, "across": 0, "limit": 0.0, "size": 0,
}  # fmt: skip
COMPUTED = {"origin": LARGEST, "limit": 127.0}
ROWS = MODEL[:4].tobytes()


def header(**more: Any) -> bytes:
    return HEADER.pack(*(FIELDS | more).values())


def stored(scales: NDArray[np.float32]) -> bytes:
    """Return scales as a body."""
    return PLANES.encode(memoryview(scales.tobytes()), Context([], F32), Effort.LOW) or b""


def decode(payload: bytes, *sources: bytes, length: int = 4 * 432, element: Element = BF16) -> memoryview:
    return codec.decode(GRID.id, payload, sources or [ROWS], length, element)


BODY = stored(np.ones(4, np.float32))
Q8_ROWS = quantisers.q8_0(floats(model(4, 192)))
RECORDED: dict[str, Any] = {
    "source": Q8_0, "origin": SOURCE, "scale": F16, "columns": 192, "down": 1, "across": 32
}  # fmt: skip


def test_headers_as_they_should_be() -> None:
    assert HEADER.size == 28
    assert len(decode(header(**COMPUTED))) == 4 * 432
    assert len(decode(header(size=len(BODY)) + BODY)) == 4 * 432
    assert len(decode(header(**RECORDED), Q8_ROWS, length=4 * 384)) == 4 * 384
    assert len(decode(header(**COMPUTED, flags=1, kind=E4M3))) == 4 * 432
    huge = {"down": 0xFFFFFFFF, "across": 0xFFFFFFFF}
    assert len(decode(header(**COMPUTED | huge))) == 4 * 432


@pytest.mark.parametrize(
    "more",
    [
        {"flags": 2}, {"flags": 255}, {"zero": 1}, {"columns": 0}, {"columns": 217}, {"columns": 865},
        {"columns": 0xFFFFFFFF}, {"limit": 0.0}, {"limit": math.inf}, {"limit": math.nan}, {"limit": 1e-39},
        {"limit": -1.0}, {"size": 1}, {"size": 0xFFFFFFFF}, {"source": F32}, {"source": I8}, {"source": 0},
        {"source": Q8_0}, {"origin": PAYLOAD}, {"origin": PAYLOAD, "limit": -0.0},
    ],
)  # fmt: skip
def test_a_header_that_says_too_much_or_too_little(more: dict[str, Any]) -> None:
    origin = more.get("origin") or (PAYLOAD if more.get("source", BF16) in {0, I8, Q8_0} else LARGEST)
    limit = {"limit": 127.0 if origin is LARGEST else 0.0}
    with pytest.raises(MalformedError):
        decode(header(**{"origin": origin} | limit | more))


@pytest.mark.parametrize(
    "more",
    [
        {"scale": BF16}, {"scale": F32}, {"down": 0}, {"down": 2}, {"across": 0}, {"across": 64}, {"limit": 1.0},
        {"limit": -0.0}, {"columns": 96}, {"columns": 200}, {"columns": 16}, {"source": Q4_0}, {"size": 1},
    ],
)  # fmt: skip
def test_scales_of_records_have_one_form(more: dict[str, Any]) -> None:
    if more != {"columns": 96}:
        with pytest.raises(MalformedError):
            decode(header(**RECORDED | more), Q8_ROWS, length=4 * 384)
    else:
        assert len(decode(header(**RECORDED | more), Q8_ROWS, length=4 * 384)) == 4 * 384


@pytest.mark.parametrize(
    "more",
    [
        {"origin": 0}, {"origin": 5}, {"origin": 255}, {"kind": 0}, {"kind": F32}, {"kind": Element.U8},
        {"kind": Q8_0}, {"kind": 31}, {"kind": 255}, {"kind": Element.F8_E4M3FNUZ}, {"source": 31},
        {"source": Element.F64}, {"source": Element.U8}, {"source": I16}, {"source": E4M3}, {"source": Element.Q4_K},
        {"scale": 0}, {"scale": Element.F64}, {"scale": 99}, {"scale": I8}, {"inner": 0}, {"inner": 2}, {"inner": 5},
        {"inner": 8}, {"inner": 9}, {"origin": SOURCE}, {"source": 0}, {"source": Q8_0}, {"source": I8},
        {"source": Q8_0, "kind": I16, "origin": PAYLOAD}, {"source": I8, "kind": I16, "origin": PAYLOAD},
        {"origin": 8}, {"origin": 9, "scale": F32}, {"origin": 12, "kind": E4M3},
        {"source": E4M3, "kind": E5M2, "origin": PAYLOAD},
        {"source": 0, "origin": SOURCE, "scale": F16}, {"source": Q4_0, "kind": E4M3, "origin": SOURCE, "scale": F16},
    ],
)  # fmt: skip
def test_what_another_airlift_may_say(more: dict[str, Any]) -> None:
    with pytest.raises(FormatTooNewError):
        decode(header(**COMPUTED | more))


def test_an_inner_codec_that_needs_a_prediction() -> None:
    """Without a source there is none: nothing is equal to it, and planes of bytes have nothing to differ from."""
    alone = header(source=0, size=len(BODY)) + BODY
    with pytest.raises(MalformedError):
        decode(alone)
    with pytest.raises(MalformedError):
        decode(header(inner=3, source=0, size=len(BODY)) + BODY + b"\1\0\0\0\0\0")
    zeros = header(inner=3, source=0, size=len(BODY)) + BODY + b"\0\0\0\0\0\0"
    assert decode(zeros) == bytes(4 * 432)


@pytest.mark.parametrize("count", [0, 1, 3, 5, 8])
def test_scales_are_as_many_as_groups(count: int) -> None:
    body = stored(np.ones(count, np.float32)) if count else b""
    with pytest.raises(MalformedError):
        decode(header(size=len(body)) + body)


@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_scales_have_nothing_to_differ_from(predictor: int) -> None:
    with pytest.raises(MalformedError):
        decode(header(size=len(BODY)) + bytes([predictor]) + BODY[1:])


def test_cut_payloads_and_other_lengths() -> None:
    good = header(**COMPUTED)
    for payload in (
        b"",
        good[:-1],
        good + b"\0",
        header(size=len(BODY)) + BODY[:-1],
        header(size=len(BODY)) + BODY + b"x",
    ):
        with pytest.raises(MalformedError):
            decode(payload)
    for length in (0, 1, 4 * 432 - 1, 3 * 432, 5 * 432):
        with pytest.raises(MalformedError):
            decode(good, length=length)
    for sources in ([], [b""], [ROWS[:-1]], [ROWS + b"\0"], [ROWS[:-432]]):
        with pytest.raises(MalformedError):
            codec.decode(GRID.id, good, sources, 4 * 432, BF16)


@pytest.mark.parametrize("element", [item for item in Element if item not in FLOATS])
def test_blocks_of_other_elements_are_refused(element: Element) -> None:
    with pytest.raises(MalformedError):
        decode(header(**COMPUTED), element=element)


@pytest.mark.parametrize("columns", [1, 32, MAX_GROUPS + 32])
def test_many_groups_have_no_scales(columns: int) -> None:
    """Bound before allocate: scales take several times their bytes while they are worked with."""
    length = 2 * (MAX_GROUPS + 32)
    for more in (COMPUTED, {"size": len(BODY)}, RECORDED):
        payload = header(**dict(more) | {"columns": columns, "down": 1, "across": 1}) + BODY
        with pytest.raises((MalformedError, FormatTooNewError)) as caught:
            codec.decode(GRID.id, payload, [bytes(length)], length, BF16)
        assert more is RECORDED or "too many groups" in str(caught.value)
