"""The parity code's kernel for aarch64, under an emulator: the same bytes as in NumPy (SPEC 6.9)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from airlift.erasure import kernel, reference
from airlift.erasure.kernel import Compiled, selftest
from tests.support.emulated import EmulatedParity, parity_kernel_of

TOOLS = ("aarch64-linux-gnu-gcc", "qemu-aarch64")


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedParity]:
    with parity_kernel_of(*TOOLS, tmp_path_factory.mktemp("aarch64")) as running:
        yield running


@pytest.fixture(params=["neon", "scalar"])
def using(emulated: EmulatedParity, request: pytest.FixtureRequest) -> kernel.Kernel:
    return Compiled(emulated.as_module(), request.param)


def test_the_known_answer(using: kernel.Kernel) -> None:
    assert selftest.digest(using) == selftest.DIGEST


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 100, 8191, 8192, 8193, 20000])
def test_any_length(length: int, using: kernel.Kernel) -> None:
    random = np.random.default_rng(length)
    members = [memoryview(random.bytes(max(length - 5 * place, 0))) for place in range(12)]
    weights = random.integers(0, 256, (5, 12), np.uint8)
    weights[0], weights[1, ::2] = 1, 0
    assert using.combine(weights, members, length) == reference.combine(weights, members, length)


def test_the_most_members(using: kernel.Kernel) -> None:
    random = np.random.default_rng(1)
    members = [memoryview(random.bytes(33)) for _ in range(255)]
    weights = random.integers(0, 256, (255, 255), np.uint8)
    assert using.combine(weights, members, 33) == reference.combine(weights, members, 33)


def test_a_path_of_another_machine_is_not_there(tmp_path: Path) -> None:
    with parity_kernel_of(*TOOLS, tmp_path, ends=2) as running:
        results = running.combine("avx2", memoryview(b"\1"), (memoryview(b"ab"),), 2)
    assert results == [b""]
