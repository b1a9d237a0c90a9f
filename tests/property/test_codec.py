"""Whatever is encoded decodes; whatever is damaged raises an AirliftError or has the right length."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from airlift import codec
from airlift.codec import Effort
from airlift.codec.block import Context
from airlift.codec.decoding import CODECS
from airlift.errors import AirliftError, FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint, LowRank, Rule, ScalesFrom
from tests.support.merges import merge
from tests.support.quantisers import brains, compressed_tensors, floats, model, q8_0

RUNS = st.tuples(st.binary(min_size=1, max_size=8), st.integers(1, 60)).map(lambda pair: pair[0] * pair[1])
RANGES = st.binary(max_size=300) | st.lists(RUNS, max_size=5).map(b"".join)
ELEMENTS = st.sampled_from(Element)
ROWS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 300)), max_size=4)
EFFORTS = st.sampled_from(Effort)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a target and sources: related or not, of the same length or not."""
    target = draw(RANGES)
    sources = draw(st.lists(RANGES, max_size=3))
    if draw(st.booleans()):
        near = bytearray(target)
        for place in draw(st.lists(st.integers(0, max(0, len(near) - 1)), max_size=5)):
            near[place : place + 1] = draw(st.binary(max_size=2))
        sources.insert(
            0, bytes(near[: len(target)].ljust(len(target), b"\0")) if draw(st.booleans()) else bytes(near)
        )
    return target, sources


@given(blocks(), ELEMENTS, ROWS, EFFORTS)
def test_every_block_comes_back(
    drawn: tuple[bytes, list[bytes]], element: Element, rows: list[tuple[int, int]], effort: Effort
) -> None:
    target, sources = drawn
    coded = codec.encode(target, sources, element, rows, effort=effort)
    assert len(coded.payload) <= len(target)
    assert coded == codec.encode(target, sources, element, rows, effort=effort)
    assert codec.decode(coded.codec, coded.payload, sources, len(target), element) == target


@given(blocks(), ELEMENTS, EFFORTS, st.data())
def test_every_codec_brings_back_what_it_codes(
    drawn: tuple[bytes, list[bytes]], element: Element, effort: Effort, data: st.DataObject
) -> None:
    target, sources = drawn
    payload = payload_of(data.draw(st.sampled_from(sorted(CODECS))), target, sources, element, effort)
    if payload is not None and len(payload[1]) <= len(target):
        assert codec.decode(*payload, sources, len(target), element) == target


def payload_of(
    number: int, target: bytes, sources: list[bytes], element: Element, effort: Effort
) -> tuple[int, bytes] | None:
    context = Context([memoryview(source) for source in sources], element)
    payload = CODECS[number].encode(memoryview(target), context, effort)
    return None if payload is None else (number, payload)


@given(blocks(), ELEMENTS, st.data())
def test_a_damaged_block_raises_an_airlift_error_or_keeps_its_length(
    drawn: tuple[bytes, list[bytes]], element: Element, data: st.DataObject
) -> None:
    """Threat: truncated, grown, bit-flipped and swapped bytes; a base of the wrong length, dtype or content."""
    target, sources = drawn
    coded = codec.encode(target, sources, element)
    number, payload, length = coded.codec, damaged(coded.payload, data), len(target)
    match data.draw(st.sampled_from(["payload", "codec", "length", "element", "sources"])):
        case "codec":
            number = data.draw(st.integers(0, 9))
        case "length":
            length = data.draw(st.integers(0, 2 * length + 1))
        case "element":
            element = data.draw(ELEMENTS)
        case "sources":
            sources = data.draw(st.lists(RANGES, max_size=2))
    check(number, payload, sources, length, element)


def damaged(payload: bytes, data: st.DataObject) -> bytes:
    """Return the payload with bytes flipped, cut out, swapped or added."""
    changed = bytearray(payload)
    for place in data.draw(st.lists(st.integers(0, max(0, len(changed) - 1)), max_size=3)):
        changed[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    return bytes(changed)


@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=100), st.lists(RANGES, max_size=4), ELEMENTS)
def test_garbage_raises_an_airlift_error_or_has_the_right_length(
    number: int, payload: bytes, sources: list[bytes], element: Element
) -> None:
    for length in (0, 1, len(payload), 8 * len(payload), codec.MAX_LENGTH):
        check(number, payload, sources, length, element)


def check(number: int, payload: bytes, sources: list[bytes], length: int, element: Element) -> None:
    try:
        decoded = codec.decode(number, payload, sources, length, element)
    except AirliftError as error:
        assert type(error) in {MalformedError, FormatTooNewError}  # noqa: PT017 - either is right
    else:
        assert len(decoded) == length


QUANTISED = model(24, 64)
FP8, SCALES = compressed_tensors(QUANTISED)
SCALED = Conversion(
    rule=Rule.SCALE, source=Element.BF16, columns=64, scales_from=ScalesFrom.LARGEST, work=Element.BF16, group=(1, 0),
    limit=448.0,
)  # fmt: skip
STORED = replace(SCALED, scales_from=ScalesFrom.PAYLOAD, scale=Element.BF16, limit=0.0, scales=SCALES)
CONVERTED = (
    (Element.F8_E4M3, FP8, [QUANTISED.tobytes()], SCALED),
    (Element.F8_E4M3, FP8, [QUANTISED.tobytes()], STORED),
    (Element.F8_E4M3, FP8, [QUANTISED.tobytes(), SCALES], replace(STORED, scales_from=ScalesFrom.SOURCE, scales=b"")),
    (
        Element.Q8_0, q8_0(floats(QUANTISED)), [QUANTISED.tobytes()],
        Conversion(rule=Rule.GGML, source=Element.BF16, columns=64),
    ),
)  # fmt: skip


@given(st.sampled_from(CONVERTED), st.data())
def test_converted_numbers_come_back_whatever_was_changed_in_them(
    case: tuple[Element, bytes, list[bytes], Conversion], data: st.DataObject
) -> None:
    element, made, sources, hint = case
    target = bytearray(made)
    for place in data.draw(st.lists(st.integers(0, len(made) - 1), max_size=9)):
        target[place] = data.draw(st.integers(0, 255))
    coded = codec.encode(target, sources, element, hint=hint)
    assert codec.names()[coded.codec] == "convert"
    assert codec.decode(coded.codec, coded.payload, sources, len(target), element) == target


STEPS = np.random.default_rng(3).integers(-126, 127, (24, 64))
STEPS[:, 9] = 126  # the largest of each row is known
NUMBERS = (STEPS * np.linspace(0.001, 0.002, 24)[:, None]).astype("<f4")
SMALL = (STEPS * np.linspace(0.001, 0.002, 24).astype("<f4")[:, None]).astype("<f4")
BY_ROW = Grid(columns=64, group=(1, 0), steps=Element.I8)
DEQUANTISED: tuple[tuple[Element, bytes, list[bytes], Grid], ...] = (
    (Element.F32, SMALL.tobytes(), [], BY_ROW),
    (Element.BF16, brains(SMALL).tobytes(), [], BY_ROW),
    (Element.F32, SMALL.tobytes(), [NUMBERS.tobytes()], replace(BY_ROW, source=Element.F32)),
    (Element.F16, SMALL.astype("<f2").tobytes(), [STEPS.astype("i1").tobytes()], replace(BY_ROW, source=Element.I8)),
    (
        Element.F32, SMALL.tobytes(), [NUMBERS.tobytes()],
        replace(BY_ROW, source=Element.F32, scales_from=ScalesFrom.LARGEST, limit=126.0),
    ),
    (
        Element.BF16, brains(SMALL).tobytes(), [NUMBERS.tobytes()],
        replace(
            BY_ROW, source=Element.F32, scales_from=ScalesFrom.RANGE, limit=255.0, scale=Element.BF16, narrow=True
        ),
    ),
)  # fmt: skip


@given(st.sampled_from(DEQUANTISED), st.data())
def test_dequantised_numbers_come_back_whatever_was_changed_in_them(
    case: tuple[Element, bytes, list[bytes], Grid], data: st.DataObject
) -> None:
    element, made, sources, hint = case
    target = bytearray(made)
    for place in data.draw(st.lists(st.integers(0, len(made) - 1), max_size=3)):
        target[place] = data.draw(st.integers(0, 255))
    coded = codec.encode(target, sources, element, hint=hint)
    assert target != made or codec.names()[coded.codec] == "grid"
    assert codec.decode(coded.codec, coded.payload, sources, len(target), element) == target


HINTED = [(8, *case) for case in CONVERTED] + [(9, *case) for case in DEQUANTISED]


@given(st.sampled_from(HINTED), st.data())
def test_a_damaged_conversion_raises_or_has_the_right_length(
    case: tuple[int, Element, bytes, list[bytes], Conversion | Grid], data: st.DataObject
) -> None:
    """Threat: any byte of payload or sources flipped, or some cut out."""
    number, element, target, sources, hint = case
    payload = codec.encode(target, sources, element, hint=hint).payload
    parts = [bytearray(part) for part in (payload, *sources)]
    part = parts[data.draw(st.integers(0, len(parts) - 1))]
    place = data.draw(st.integers(0, len(part) - 1))
    if data.draw(st.booleans()):
        part[place] ^= data.draw(st.integers(1, 255))
    else:
        del part[place : place + data.draw(st.integers(1, 9))]
    changed, *rest = map(bytes, parts)
    check(number, changed, rest, len(target), element)


MATRIX = merge(40, 48, 2)
PREDICTED = (
    ("lowrank", [MATRIX.base], LowRank(48)),
    (
        "adapter",
        [MATRIX.base, MATRIX.b, MATRIX.a],
        Adapter(left=Element.F32, right=Element.F32, columns=48, rank=2, scale=2.0),
    ),
)


@given(st.sampled_from(PREDICTED), st.data())
def test_a_damaged_prediction_raises_or_has_the_right_length(
    case: tuple[str, list[bytes], Hint], data: st.DataObject
) -> None:
    name, sources, hint = case
    coded = codec.encode(MATRIX.target, sources, Element.BF16, hint=hint)
    assert codec.names()[coded.codec] == name
    damaged = [bytearray(part) for part in (coded.payload, *sources)]
    for _ in range(data.draw(st.integers(1, 3))):
        part = damaged[data.draw(st.integers(0, len(sources)))]
        place = data.draw(st.integers(0, len(part) - 1))
        if data.draw(st.booleans()):
            part[place] ^= data.draw(st.integers(1, 255))
        else:
            del part[place : place + data.draw(st.integers(1, 9))]
    payload, *rest = damaged
    try:
        found = codec.decode(coded.codec, payload, rest, len(MATRIX.target), Element.BF16)
    except AirliftError:
        return
    assert len(found) == len(MATRIX.target)
