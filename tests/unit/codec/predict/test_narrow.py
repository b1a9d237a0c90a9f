"""Numbers in too wide a type: all of them back to the bit, and those that are no narrow numbers left alone."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.plain.planes import PLANES
from airlift.codec.predict.narrow import NARROW, PROBE_BYTES, narrowed, widened
from airlift.errors import MalformedError
from airlift.tensors.element import Element

ALL16 = np.arange(1 << 16, dtype="<u2")
HALVES = ALL16[(ALL16 & 0x7FFF) <= 0x7C00]
EDGES32 = np.array(
    [0, 1 << 31, 0x00800000, 0x80800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000], "<u4"
)


def wide(bits: NDArray[Any], kind: Element) -> bytes:
    """Return numbers in the next wider type, as IEEE 754 has it."""
    if kind is Element.BF16:
        return (bits.astype("<u4") << 16).tobytes()
    if kind is Element.F16:
        return b"".join(struct.pack("<f", value) for (value,) in struct.iter_unpack("<e", bits.tobytes()))
    return b"".join(struct.pack("<d", value) for (value,) in struct.iter_unpack("<f", bits.tobytes()))


def singles() -> NDArray[Any]:
    """Return normal float32 of every exponent, and the edges."""
    power = np.arange(1, 255, dtype="<u4").repeat(40) << 23
    rest = np.random.default_rng(1).integers(0, 1 << 24, power.size).astype("<u4")
    return np.concatenate([EDGES32, power | (rest & 0x7FFFFF) | rest >> 23 << 31])


NUMBERS = [
    (Element.BF16, Element.F32, ALL16),
    (Element.F16, Element.F32, HALVES),
    (Element.F32, Element.F64, singles()),
]


@pytest.mark.parametrize(("kind", "element", "bits"), NUMBERS, ids=lambda value: getattr(value, "name", ""))
def test_every_number_comes_back(kind: Element, element: Element, bits: NDArray[Any]) -> None:
    data = memoryview(wide(bits, kind))
    found = narrowed(data, kind)
    assert found is not None
    assert np.array_equal(found, bits)
    assert widened(found, kind, memoryview(bytearray(len(data)))) == data


@pytest.mark.parametrize(("kind", "element", "bits"), NUMBERS, ids=lambda value: getattr(value, "name", ""))
def test_it_is_chosen_and_smaller(kind: Element, element: Element, bits: NDArray[Any]) -> None:
    rng = np.random.default_rng(2)
    old = rng.choice(bits[bits != 0], 20_000)
    moved = rng.random(old.size) < 0.2
    new = np.where(moved, np.sort(bits)[np.searchsorted(np.sort(bits), old) - 1], old)
    target, source = wide(new, kind), wide(old, kind)
    coded = codec.encode(target, [source], element)
    assert codec.names()[coded.codec] == "narrow"
    planes = PLANES.encode(memoryview(target), Context([memoryview(source)], element), Effort.NORMAL)
    assert planes is not None
    assert len(coded.payload) < len(planes)
    assert codec.decode(coded.codec, coded.payload, [source], len(target), element) == target
    out = bytearray(len(target) + 5)
    assert codec.decode(coded.codec, coded.payload, [source], len(target), element, out=out) == target
    assert out[: len(target)] == target


def encoded(target: bytes, source: bytes | None, element: Element) -> bytes | None:
    context = Context([] if source is None else [memoryview(source)], element)
    return NARROW.encode(memoryview(target), context, Effort.NORMAL)


ONE = struct.pack("<f", 1.0)


@pytest.mark.parametrize(
    ("number", "element"),
    [
        (struct.pack("<f", 0.1), Element.F32),
        (b"\1\0\xc0\x7f", Element.F32),  # a NaN that is none of bf16
        (b"\0\x20\x80\x7f", Element.F32),  # a NaN that would be one of float16
        (struct.pack("<f", 2.0**-25 * 1.001), Element.F32),
        (struct.pack("<d", 0.1), Element.F64),
        (struct.pack("<d", 2.0**-127), Element.F64),  # subnormal in float32
        (struct.pack("<d", 2.0**128), Element.F64),
        (struct.pack("<d", float("nan")), Element.F64),
        (b"\1" + bytes(7), Element.F64),
    ],
)
@pytest.mark.parametrize("place", [0, PROBE_BYTES])
def test_what_is_no_narrow_number_is_left_alone(number: bytes, element: Element, place: int) -> None:
    """Be it in the target or in the source, at once or beyond the probe."""
    good = bytes(place + 64)
    bad = good[:place] + number + good[place + len(number) :]
    assert encoded(good, good, element) is not None
    assert encoded(bad, good, element) is None
    assert encoded(good, bad, element) is None


def test_other_blocks_are_left_alone() -> None:
    assert encoded(ONE, None, Element.F32) is None
    assert encoded(ONE, ONE * 2, Element.F32) is None
    assert encoded(ONE + b"\0", ONE + b"\0", Element.F32) is None
    assert encoded(b"", b"", Element.F32) is None
    assert encoded(ONE, ONE, Element.U32) is None


@pytest.mark.parametrize("bits", [1, 0x807FFFFF, 0x7F800001, 0xFFC00000])
def test_a_double_is_no_subnormal_single_or_nan(bits: int) -> None:
    """Threat: a conversion that another machine does in another way."""
    with pytest.raises(MalformedError):
        widened(np.array([bits], "<u4"), Element.F32, memoryview(bytearray(8)))
