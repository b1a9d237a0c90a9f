"""The codec ``convert``: every rule against what writers of files do, and what a payload may not say."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.predict import convert
from airlift.codec.predict.convert import CONVERT, HEADER
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom
from tests.support import quantisers
from tests.support.quantisers import brains, compressed_tensors, floats, model

BF16, F16, F32 = Element.BF16, Element.F16, Element.F32
MODEL = model(256, 384)
VALUES = floats(MODEL)


def converted(
    hint: Conversion, source: bytes, target: bytes, element: Element, *more: bytes
) -> tuple[str, bytes]:
    """Return the codec and the payload that a block gets, after decoding it again."""
    sources = [source, *more]
    coded = codec.encode(target, sources, element, hint=hint)
    assert codec.decode(coded.codec, coded.payload, sources, len(target), element) == target
    return codec.names()[coded.codec], coded.payload


def exact(hint: Conversion, source: bytes, target: bytes, element: Element, *more: bytes) -> None:
    """Check that a rule predicts every byte: the payload is a header, and scales."""
    context = Context([memoryview(part) for part in (source, *more)], element)
    assert convert.prediction(context, hint, len(target)) == target
    if len(target) < 1000:
        return
    name, payload = converted(hint, source, target, element, *more)
    *_, scales = HEADER.unpack_from(payload)
    assert (name, len(payload)) == ("convert", HEADER.size + scales)


def scaled(**more: Any) -> Conversion:
    return Conversion(rule=Rule.SCALE, source=BF16, columns=384, **more)


# -- known answers -------------------------------------------------------------------------------------------------

NUMBERS = np.arange(64, dtype=np.int64)
_BITS = (NUMBERS * NUMBERS * 2654435761 + NUMBERS * 40503) % 65536
BITS = ((_BITS & 0x807F) | ((((_BITS >> 7) & 7) + 118) << 7)).astype(np.uint16)
# gguf 0.19 (gguf.quants.quantize) and ml_dtypes 0.6 (numpy's astype) made these of the 64 numbers.
OF_Q8_0 = (
    "6f1b017d30077ffcf4f10802ca02f516ee07ffef7a01feffc4fac2ff0202ffe802f66d1add2ae9fb7ffbea28220b02e601020201bffa3cfffe01"
    "8af001faef1309fed1fe"
)
OF_Q4_0 = "60ab889005888088c989c7888b8889a7899860aaca8549888088f9958687987a7888b888"
OF_E4M3 = (
    "012e230e2f8793961004a504921a980d82982e038382a68ba6820403819b03929e2099882d8899201e11039a01030402a58a24828302ac95028a"
    "96170f83a183"
)
OF_E5M2 = (
    "1837322737a3a9ab2820b220a92dac269cac371d9f9bb3a6b39c201f99ae1ea9af30ada436a4ac302f281dad181e1f1bb2a5329a9e1cb6ab1aa5"
    "ab2c289fb19e"
)
SCALED = (  # both as compressed-tensors and as DeepGEMM scale them
    "3f7e735d7ed5e2e55f4ef450e26ae85cc6e77d4acdc6f5dbf6c74f4dc1eb4be1ef71ead97ed9ea716f624ceb414d5048f6da75c6cd4afde646db"
    "e76860cff2cd"
)
BY_ROW: dict[str, Any] = {"group": (1, 0), "limit": 448.0}
SCALE = BY_ROW | {"rule": Rule.SCALE, "scales_from": ScalesFrom.LARGEST}
SCALES = BY_ROW | {"rule": Rule.SCALES}
KNOWN = [
    (Element.Q8_0, {"rule": Rule.GGML}, OF_Q8_0),
    (Element.Q4_0, {"rule": Rule.GGML}, OF_Q4_0),
    (Element.F8_E4M3, {"rule": Rule.CAST}, OF_E4M3),
    (Element.F8_E5M2, {"rule": Rule.CAST}, OF_E5M2),
    (Element.F8_E4M3, SCALE | {"work": BF16}, SCALED),
    (Element.F8_E4M3, SCALE | {"work": F32, "multiply": True}, SCALED),
    (BF16, SCALES | {"work": BF16}, struct.pack("<2H", 14983, 14953).hex()),
    (F32, SCALES | {"work": F32, "multiply": True}, struct.pack("<2I", 981916526, 979969170).hex()),
]


@pytest.mark.parametrize(("element", "rule", "expected"), KNOWN)
def test_known_answers(element: Element, rule: dict[str, Any], expected: str) -> None:
    """What the packages that write such files make of 64 numbers (versions as cited)."""
    hint, target = Conversion(source=BF16, columns=32, **rule), bytes.fromhex(expected)
    context = Context([memoryview(BITS.tobytes())], element)
    assert convert.prediction(context, hint, len(target)) == target


# -- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("element", [Element.F8_E4M3, Element.F8_E5M2, Element.I8])
def test_scales_in_the_payload_or_in_the_second_source(element: Element, by_row: bool) -> None:
    target, scales = compressed_tensors(MODEL, element, by_row=by_row)
    group = (1, 0) if by_row else (0, 0)
    stored = scaled(scales_from=ScalesFrom.PAYLOAD, scale=BF16, work=BF16, group=group, scales=scales)
    exact(stored, MODEL.tobytes(), target, element)
    given = replace(stored, scales_from=ScalesFrom.SOURCE, scales=b"")
    exact(given, MODEL.tobytes(), target, element, scales)


@pytest.mark.parametrize(("element", "limit"), [(Element.F8_E4M3, 448.0), (Element.I8, 127.5)])
def test_scales_that_follow_from_the_numbers(element: Element, limit: float) -> None:
    target, scales = compressed_tensors(MODEL, element)
    computed = scaled(scales_from=ScalesFrom.LARGEST, work=BF16, group=(1, 0), limit=limit)
    exact(computed, MODEL.tobytes(), target, element)
    rule = Conversion(rule=Rule.SCALES, source=BF16, columns=384, work=BF16, group=(1, 0), limit=limit)
    exact(rule, MODEL.tobytes(), scales, BF16)


def test_blocks_whose_edges_are_cut() -> None:
    target, scales = quantisers.blocks(MODEL)
    hint = scaled(scales_from=ScalesFrom.LARGEST, work=F32, multiply=True, group=(128, 128), limit=448.0)
    exact(hint, MODEL.tobytes(), target, Element.F8_E4M3)
    rule = replace(hint, rule=Rule.SCALES, scales_from=ScalesFrom.NOWHERE)
    exact(rule, MODEL.tobytes(), scales, F32)
    padded = np.zeros((384, 512), np.uint16)
    padded[:300, :400] = model(300, 400)
    target, scales = quantisers.blocks(padded)
    part = np.frombuffer(target, np.uint8).reshape(384, 512)[:300, :400].tobytes()
    exact(replace(hint, columns=400), padded[:300, :400].tobytes(), part, Element.F8_E4M3)


@pytest.mark.parametrize("source", [BF16, F16, F32])
def test_records_of_ggml(source: Element) -> None:
    values = (
        VALUES[:40] if source is BF16 else (VALUES[:40] * np.float32(1.0009)).astype("<f2").astype(np.float32)
    )
    data = {BF16: MODEL[:40].tobytes(), F16: values.astype("<f2").tobytes(), F32: values.tobytes()}[source]
    for element, made in ((Element.Q8_0, quantisers.q8_0), (Element.Q4_0, quantisers.q4_0)):
        exact(Conversion(rule=Rule.GGML, source=source, columns=384), data, made(values), element)


def test_fused_records_differ_in_few_numbers() -> None:
    hint, target = Conversion(rule=Rule.GGML, source=BF16, columns=384), quantisers.q4_0(VALUES)
    context = Context([memoryview(MODEL.tobytes())], Element.Q4_0)
    fused = convert.prediction(context, replace(hint, fused=True), len(target))
    wrong = np.count_nonzero(np.frombuffer(fused, np.uint8) != np.frombuffer(target, np.uint8))
    assert 0 < wrong < len(target) / 1000


def test_ties_of_ggml_go_away_from_zero() -> None:
    values = np.zeros((2, 32), np.float32)
    values[0, :4] = 127, 0.5, -0.5, 2.5
    values[1, :6] = -127, 1.5, -63.5, np.nextafter(np.float32(0.5), np.float32(0)), 126.5, 0.49999994
    hint = Conversion(rule=Rule.GGML, source=F32, columns=32)
    exact(hint, values.tobytes(), quantisers.q8_0(values), Element.Q8_0)


@pytest.mark.parametrize(
    ("source", "element"),
    [
        (F32, BF16),
        (F32, F16),
        (F32, Element.F64),
        (Element.F64, F32),
        (BF16, F32),
        (F16, F32),
        (BF16, F16),
        (F16, BF16),
    ],
)
def test_casts(source: Element, element: Element) -> None:
    values = VALUES * np.float32(1.01)
    made = {
        Element.F64: values.astype("<f8").tobytes(), F32: values.tobytes(), F16: values.astype("<f2").tobytes(),
        BF16: brains(values).tobytes(),
    }  # fmt: skip
    rounded = {F16: values.astype("<f2").astype(np.float32), BF16: floats(brains(values))}.get(source, values)
    target = {F32: rounded.tobytes(), F16: rounded.astype("<f2").tobytes(), BF16: brains(rounded).tobytes()}
    expected = made[Element.F64] if element is Element.F64 else target[element]
    exact(Conversion(rule=Rule.CAST, source=source, columns=1), made[source], expected, element)


def test_truncation() -> None:
    values = (VALUES * np.float32(1.01)).view(np.uint32)
    hint = Conversion(rule=Rule.TRUNCATE, source=F32, columns=384)
    exact(hint, values.tobytes(), (values >> 16).astype("<u2").tobytes(), BF16)


@pytest.mark.parametrize("head", [64, 128])
def test_rows_that_took_turns(head: int) -> None:
    values = floats(quantisers.turned(MODEL, head))[:, :32]
    source = np.ascontiguousarray(MODEL[:, :32]).tobytes()
    hint = Conversion(rule=Rule.GGML, source=BF16, columns=32, head=head)
    exact(hint, source, quantisers.q8_0(values), Element.Q8_0)


def test_what_a_rule_gets_wrong_is_coded_as_differences() -> None:
    target = bytearray(compressed_tensors(MODEL)[0])
    for place in range(0, len(target), 1000):
        target[place] ^= 1
    hint = scaled(scales_from=ScalesFrom.LARGEST, work=BF16, group=(1, 0), limit=448.0)
    name, payload = converted(hint, MODEL.tobytes(), bytes(target), Element.F8_E4M3)
    assert name == "convert"
    assert len(payload) < len(target) / 50


def test_a_wrong_hint_does_no_harm() -> None:
    target = compressed_tensors(MODEL)[0]
    for hint in (
        Conversion(rule=Rule.CAST, source=F32, columns=384),  # the source is no float32
        Conversion(rule=Rule.GGML, source=BF16, columns=384),  # the target is no record
        scaled(scales_from=ScalesFrom.PAYLOAD, scale=BF16, work=BF16, group=(1, 0)),  # no scales
    ):
        assert converted(hint, MODEL.tobytes(), target, Element.F8_E4M3)[0] != "convert"
    assert CONVERT.encode(memoryview(target), Context([], Element.F8_E4M3, hint=hint), Effort.LOW) is None


# -- special numbers -----------------------------------------------------------------------------------------------

SPECIAL = np.array(
    [0, 0x8000, 1, 0x8001, 0x7F, 0x80, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x3F80, 0x100, 0x0200, 0x4000],
    np.uint16,
)  # fmt: skip


@pytest.mark.parametrize("element", [Element.F8_E4M3, Element.I8, Element.Q8_0, Element.Q4_0])
def test_special_numbers_make_no_warning(element: Element) -> None:
    """Threat: infinities, NaN and subnormal numbers that end differently from machine to machine."""
    rng = np.random.default_rng(3)
    bits = rng.choice(SPECIAL, (64, 32))
    bits[:16] = rng.choice(SPECIAL[:6], (16, 32))
    context = Context([memoryview(bits.tobytes())], element)
    hints = [Conversion(rule=Rule.GGML, source=BF16, columns=32)]
    if not element.record:
        hints = [
            replace(
                scaled(
                    scales_from=ScalesFrom.LARGEST, group=(1, 0), limit=limit, work=work, multiply=multiply
                ),
                columns=32,
            )
            for limit in (448.0, 2.0**-126, 1e38)
            for work in (F32, BF16, F16)
            for multiply in (False, True)
        ]
    for hint in hints:
        size = hint.target_bytes(64, element)
        with np.errstate(all="raise", under="ignore"):
            found = bytes(convert.prediction(context, hint, size))
        beyond = 0x80 if element is Element.Q4_0 else 0x81  # of Q4_0 the sign of the largest number counts
        flushed = np.where((bits & 0x7FFF) < beyond, bits & 0x8000, bits)
        again = Context([memoryview(flushed.tobytes())], element)
        assert convert.prediction(again, hint, size) == found, "subnormal numbers count as zero"


@pytest.mark.parametrize("multiply", [False, True])
def test_what_is_rounded_to_the_least_normal_number_is_zero(multiply: bool) -> None:
    """A processor that flushes makes zero of it, since it is less before it is rounded."""
    largest, limit = np.float32(1) - np.float32(2**-24), 2.0**126
    if multiply:
        largest, limit = np.float32(2**126), float(largest)
    assert (largest / np.float32(limit) if not multiply else np.float32(limit) / largest) == np.float32(
        2**-126
    )
    rule = Conversion(
        rule=Rule.SCALES, source=F32, columns=1, work=F32, group=(1, 0), limit=limit, multiply=multiply
    )
    assert convert.prediction(Context([memoryview(largest.tobytes())], F32), rule, 4) == bytes(4)


@pytest.mark.parametrize("element", [Element.Q8_0, Element.Q4_0])
def test_flags_of_the_processor_say_nothing(element: Element) -> None:
    """A program around may have asked NumPy to raise on every underflow."""
    bits = np.full((1, 32), 0x0003, np.uint16)
    context = Context([memoryview(bits.tobytes())], element)
    with np.errstate(all="raise"):
        found = convert.prediction(context, Conversion(rule=Rule.GGML, source=BF16, columns=32), element.size)
    assert bytes(found[:2]) in {b"\0\0", b"\0\x80"}


def test_a_record_that_is_not_finite_has_no_scale() -> None:
    bits = np.full((1, 32), 0x3F80, np.uint16)
    bits[0, 5] = 0x7F80
    context = Context([memoryview(bits.tobytes())], Element.Q8_0)
    hint = Conversion(rule=Rule.GGML, source=BF16, columns=32)
    assert convert.prediction(context, hint, 34) == bytes(34)
    context = replace(context, element=Element.Q4_0)
    assert convert.prediction(context, hint, 18) == b"\0\x80" + b"\x88" * 16


# -- payloads ------------------------------------------------------------------------------------------------------

SOURCE = MODEL[:4].tobytes()
FIELDS = {
    "inner": 1, "rule": Rule.SCALE, "source": BF16, "origin": ScalesFrom.LARGEST, "scale": 0, "work": BF16,
    "flags": 0, "zero": 0, "columns": 384, "head": 0, "down": 1, "across": 0, "limit": 448.0, "size": 0,
}  # fmt: skip


def header(**more: Any) -> bytes:
    return HEADER.pack(*(FIELDS | more).values())


def decode(
    payload: bytes, *more: bytes, length: int = 4 * 384, element: Element = Element.F8_E4M3
) -> memoryview:
    return codec.decode(CONVERT.id, payload, [SOURCE, *more], length, element)


def test_a_header_as_it_should_be() -> None:
    assert len(decode(header())) == 4 * 384


@pytest.mark.parametrize(
    "more",
    [
        {"flags": 2}, {"flags": 4}, {"zero": 1}, {"columns": 0}, {"columns": 385}, {"head": 3}, {"head": 8},
        {"limit": 0.0}, {"limit": float("inf")}, {"limit": float("nan")}, {"limit": 1e-39}, {"limit": -1.0},
        {"size": 1}, {"size": 1 << 31}, {"work": 0}, {"work": Element.F64}, {"scale": BF16}, {"origin": 0},
        {"origin": 1, "scale": BF16}, {"origin": 1, "scale": BF16, "limit": 0.0},
        {"origin": 2, "scale": BF16, "limit": 0.0},
        {"origin": 1, "limit": 0.0}, {"rule": Rule.CAST}, {"rule": Rule.CAST, "origin": 0, "limit": 0.0},
        {"rule": Rule.CAST, "origin": 0, "limit": 0.0, "work": 0}, {"columns": 0xFFFFFFFF},
        {"rule": Rule.CAST, "origin": 0, "limit": 0.0, "work": 0, "down": 0, "flags": 1},
        {"rule": Rule.CAST, "origin": 0, "limit": -0.0, "work": 0, "down": 0},
    ],
)  # fmt: skip
def test_a_header_that_says_too_much_or_too_little(more: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        decode(header(**more))


@pytest.mark.parametrize(
    "more",
    [{"rule": 5}, {"rule": 255}, {"origin": 4}, {"source": 31}, {"source": Element.F64}, {"source": Element.I8},
     {"scale": 57}, {"inner": 0}, {"inner": 8}, {"rule": Rule.GGML}, {"rule": Rule.TRUNCATE}],
)  # fmt: skip
def test_what_another_airlift_may_say(more: dict[str, Any]) -> None:
    with pytest.raises(FormatTooNewError):
        decode(header(**more))


def test_scales_of_another_length() -> None:
    given = header(origin=ScalesFrom.SOURCE, scale=BF16, limit=0.0)
    assert len(decode(given, b"\x80\x3f" * 4)) == 4 * 384
    for scales in (b"", b"\x80\x3f" * 3, b"\x80\x3f" * 5):
        with pytest.raises(MalformedError):
            decode(given, scales)
    with pytest.raises(MalformedError):
        decode(given)


def test_cut_payloads_and_other_lengths() -> None:
    for payload in (b"", header()[:-1], header() + b"\0"):
        with pytest.raises(MalformedError):
            decode(payload)
    for length in (0, 1, 4 * 384 - 1, 4 * 384 + 384):
        with pytest.raises(MalformedError):
            decode(header(), length=length)
    with pytest.raises(MalformedError):
        decode(header(), element=Element.U8)
    with pytest.raises(MalformedError):
        codec.decode(CONVERT.id, header(), [b""], 4 * 384, Element.F8_E4M3)
    with pytest.raises(MalformedError):
        codec.decode(CONVERT.id, header(), [], 4 * 384, Element.F8_E4M3)


def test_many_rows_take_no_turns() -> None:
    """Bound before allocate: an order of all rows is kept in memory."""
    rows = convert.MAX_TURNED + 2
    hint = Conversion(rule=Rule.CAST, source=BF16, columns=1, head=2)
    with pytest.raises(MalformedError):
        convert.prediction(Context([memoryview(bytes(2 * rows))], F32), hint, 4 * rows)


@pytest.mark.parametrize("columns", [1, convert.MAX_GROUPS + 32])
def test_many_groups_have_no_scales(columns: int) -> None:
    """Bound before allocate: scales take several times their bytes while they are worked with."""
    count = convert.MAX_GROUPS + 32
    hint = scaled(scales_from=ScalesFrom.LARGEST, group=(1, 1), limit=448.0, work=F32)
    with pytest.raises(MalformedError, match="too many groups"):
        convert.prediction(
            Context([memoryview(bytes(2 * count))], Element.I8), replace(hint, columns=columns), count
        )
