"""The codec ulp: whatever numbers there are come back, and every kernel writes and refuses the same bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from airlift.codec.block import Rows
from airlift.codec.ulp import kernel, ulp
from airlift.errors import MalformedError
from airlift.tensors.element import Element

KERNELS = [kernel.get(name) for name in kernel.names()]
ROWS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3000)), max_size=4)
ELEMENTS = st.sampled_from(Element)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Element, bytes, bytes]:
    """Draw numbers and their bases: nudged by ulps here, replaced by any bits there, equal elsewhere."""
    element = draw(ELEMENTS)
    size = 1 if element.record else element.size
    count, seed = draw(st.integers(1, 6000)), draw(st.integers(0, 2**32 - 1))
    if element.record:
        count = -(-count // element.size) * element.size
    generator = np.random.default_rng(seed)
    dtype = np.dtype(f"<u{size}")
    base = generator.integers(0, 2 ** (8 * size), count, dtype=dtype, endpoint=False)
    if draw(st.booleans()):
        base = (generator.standard_normal(count) * 2 ** draw(st.integers(-9, 9))).astype("<f8").view(
            "<u8"
        ) >> (64 - 8 * size)
        base = base.astype(dtype)
    new = base.copy()
    width = draw(st.integers(0, 8 * size - 1))
    moved = generator.random(count) < draw(st.sampled_from([0.001, 0.1, 1.0]))
    new[moved] += generator.integers(0, 2**width, int(moved.sum()), dtype=dtype, endpoint=True)
    still = slice(*sorted(draw(st.tuples(st.integers(0, count), st.integers(0, count)))))
    new[still] = base[still]
    return element, new.tobytes(), base.tobytes()


@given(pairs(), ROWS, st.booleans())
def test_every_kernel_writes_the_same_bytes_and_reads_them(
    drawn: tuple[Element, bytes, bytes], rows: list[Rows], based: bool
) -> None:
    element, new, base = drawn[0], memoryview(drawn[1]), memoryview(drawn[2]) if based else None
    first: bytes | None = None
    for using in KERNELS:
        plan = ulp.plan(new, base, element, rows, using=using)
        assert plan is not None
        data = ulp.write(plan, using=using)
        assert first in {None, data}
        first = data
        assert ulp.read(memoryview(data), base, element, len(new), using=using) == new


@given(pairs(), st.booleans(), st.data())
def test_every_kernel_refuses_the_same_damage(
    drawn: tuple[Element, bytes, bytes], based: bool, data: st.DataObject
) -> None:
    """Threat: bit-flipped, cut and swapped bytes in a signed chunk's making."""
    element, new, base = drawn[0], memoryview(drawn[1]), memoryview(drawn[2]) if based else None
    plan = ulp.plan(new, base, element)
    assert plan is not None
    damaged = bytearray(ulp.write(plan))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=3)):
        damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    outcomes = {outcome(bytes(damaged), base, element, len(new), using) for using in KERNELS}
    assert len(outcomes) == 1


def outcome(
    data: bytes, base: memoryview | None, element: Element, length: int, using: kernel.Kernel
) -> bytes | None:
    try:
        return bytes(ulp.read(memoryview(data), base, element, length, using=using))
    except MalformedError:
        return None
