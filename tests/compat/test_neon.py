"""The kernel's path for aarch64, under an emulator: the same bytes as in NumPy, and the same refusals (SPEC U8)."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from airlift.codec.ulp import kernel, payload, reference, ulp
from airlift.codec.ulp.kernel import Compiled, Kernel
from airlift.codec.ulp.unit import NIBBLE
from airlift.errors import MalformedError
from airlift.tensors.element import Element
from tests.fuzz.kernel_driver import damaged
from tests.support.emulated import Emulated, kernel_of
from tests.support.tensors import COLUMNS, weights

ROWS = 64
CODED = [
    Element.BF16, Element.F16, Element.F32, Element.F64, Element.F8_E4M3, Element.F8_E5M2, Element.I8,
    Element.I16, Element.I64, Element.Q8_0,
]  # fmt: skip
STEPS = (0.001, 0.02, 3.0)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    folder = tmp_path_factory.mktemp("aarch64")
    with kernel_of("aarch64-linux-gnu-gcc", "qemu-aarch64", folder) as running:
        yield running


@pytest.fixture(params=["neon", "scalar"])
def using(emulated: Emulated, request: pytest.FixtureRequest) -> Kernel:
    return Compiled(emulated.as_module(), request.param)


def written(new: bytes, base: bytes | None, element: Element, using: Kernel) -> bytes:
    view, shape = None if base is None else memoryview(base), [(COLUMNS, len(new))]
    plan = ulp.plan(memoryview(new), view, element, shape, using=using)
    assert plan is not None
    return ulp.write(plan, using=using)


def read(data: bytes, base: bytes | None, element: Element, length: int, using: Kernel) -> bytes:
    view = None if base is None else memoryview(base)
    return bytes(ulp.read(memoryview(data), view, element, length, using=using))


def check(new: bytes, base: bytes | None, element: Element, using: Kernel) -> bytes:
    """Check that a block is coded to the same bytes as elsewhere, and comes back; return these bytes."""
    data = written(new, base, element, using)
    assert data == written(new, base, element, kernel.default())
    assert read(data, base, element, len(new), using) == new
    return data


@pytest.mark.parametrize("element", CODED)
def test_blocks_are_the_same_and_come_back(element: Element, using: Kernel) -> None:
    base = weights(element, rows=ROWS)
    for step in STEPS:
        check(weights(element, step=step, rows=ROWS), base, element, using)
    check(base, None, element, using)


def test_nibbles(using: Kernel) -> None:
    generator = np.random.default_rng(1)
    base = generator.integers(0, 256, 20_000, np.uint8)
    low, high = generator.binomial(2, 0.1, (2, 20_000)).astype(np.uint8)
    new = ((base + low) & 15) | (((base >> 4) + high) << 4)
    data = check(new.tobytes(), base.tobytes(), Element.U8, using)
    assert payload.parse(memoryview(data), Element.U8, len(new)).model.unit.bits == 4


def test_still_groups(using: Kernel) -> None:
    base = weights(Element.BF16, rows=200)
    moved = weights(Element.BF16, step=0.02, rows=200)
    row = 2 * COLUMNS
    new = b"".join((moved if n % 17 < 9 else base)[n * row : n * row + row] for n in range(200))
    data = check(new, base, Element.BF16, using)
    scales = payload.parse(memoryview(data), Element.BF16, len(new)).groups.scales
    assert (scales == 0).any()
    assert scales.any()


@pytest.mark.parametrize("lanes", [1 << n for n in range(12)])
@pytest.mark.parametrize("units", [1, 2048, 7001])
def test_any_number_of_lanes(lanes: int, units: int, using: Kernel) -> None:
    new, base = (weights(Element.F16, step=step, rows=80)[: 2 * units] for step in (0.02, 0.0))
    plan = ulp.plan(memoryview(new), memoryview(base), Element.F16, using=reference)
    assert plan is not None
    states, words = (memoryview(part) for part in using.write(plan.index, plan.tables, lanes))
    assert (bytes(states), bytes(words)) == reference.write(plan.index, plan.tables, lanes)
    coded = payload.Payload(plan.model, plan.groups, plan.tables, states, words, memoryview(plan.raw))
    out = np.empty(units, np.uint16)
    using.read(coded, np.frombuffer(base, np.uint16), out)
    assert out.tobytes() == new


def test_a_large_block_has_all_lanes_and_is_counted_in_part(using: Kernel) -> None:
    new, base = (weights(Element.BF16, step=step, rows=22_000) for step in (0.02, 0.0))
    data = check(new, base, Element.BF16, using)
    assert len(payload.parse(memoryview(data), Element.BF16, len(new)).states) == 4 * ulp.MAX_LANES


def outcome(data: bytes, base: bytes, element: Element, using: Kernel) -> bytes | str:
    try:
        return read(data, base, element, len(base), using)
    except MalformedError as error:
        return str(error)


def test_damaged_blocks_end_alike(emulated: Emulated) -> None:
    """Threat: a decoder that trusts what it decodes."""
    using, elsewhere = (Compiled(emulated.as_module(), name) for name in ("neon", "scalar"))
    random_, refused = random.Random(1), 0
    for element in (Element.BF16, Element.F32, Element.U8, Element.F8_E4M3):
        new, base = (weights(element, step=step, rows=40) for step in (0.1, 0.0))
        data = written(new, base, element, kernel.default())
        for _ in range(50):
            changed = damaged(data, random_)
            found = outcome(changed, base, element, using)
            assert found == outcome(changed, base, element, elsewhere)
            refused += isinstance(found, str)
    assert 50 < refused < 200


def test_a_path_of_another_machine_is_not_there(emulated: Emulated) -> None:
    with pytest.raises(ValueError, match="no such path"):
        Compiled(emulated.as_module(), "avx2").survey(np.zeros(1, np.uint16), None, np.ones(1), NIBBLE)
