"""The compiled kernel of the parity code: like NumPy, checked before its first use, left alone when it is wrong."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from airlift import erasure
from airlift.erasure import field, kernel, matrix, reference
from airlift.erasure.field import Array
from airlift.erasure.kernel import selftest
from airlift.errors import UsageError
from airlift.kernels import Choice
from tests.support.compiled import counted_meanwhile, needing

FOLDER = Path(__file__).resolve().parents[3]
KERNELS = kernel.names()
ORIGINAL = kernel.KERNELS.module
needs_kernel = needing(KERNELS)


def compiled() -> ModuleType:
    assert ORIGINAL is not None
    return ORIGINAL


def noise(length: int, seed: int = 1) -> memoryview:
    return memoryview(np.random.default_rng(seed).bytes(length))


def summed(weights: Array, members: list[memoryview], length: int) -> list[bytes]:
    """Return sums of products as their definition says: each member filled up, looked up and added."""
    filled = np.zeros((len(members), length), np.uint8)
    for row, member in zip(filled, members, strict=True):
        row[: len(member)] = np.frombuffer(member, np.uint8)
    products = field.products()[weights[:, :, None], filled[None]]
    return [row.tobytes() for row in np.bitwise_xor.reduce(products, axis=1)]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 200, 8191, 8192, 8193, 65537])
def test_every_kernel_sums_up_the_same(name: str, length: int) -> None:
    weights = np.array([[1, 1, 1, 1], [0, 1, 2, 255], [0x8E, 0, 0x1D, 3], [0, 0, 0, 0]], np.uint8)
    members = [noise(length), noise(length // 2), noise(max(length - 1, 0)), noise(length, 2)]
    assert kernel.get(name).combine(weights, members, length) == summed(weights, members, length)


@pytest.mark.parametrize("name", KERNELS)
def test_every_weight_in_every_kernel(name: str) -> None:
    weights, every = np.arange(255, -1, -1, dtype=np.uint8)[:, None], memoryview(bytes(range(256)))
    found = [kernel.get(name).combine(part, [every], 256) for part in np.split(weights, 2)]
    assert [list(row) for row in found[0] + found[1]] == field.products()[::-1].tolist()


@pytest.mark.parametrize("name", KERNELS)
def test_members_may_lie_anywhere(name: str) -> None:
    weights = matrix.coefficients(3, 2)
    members = [noise(1000 + place, place) for place in range(3)]
    moved = [memoryview(bytes(place + 1) + member)[place + 1 :] for place, member in enumerate(members)]
    assert kernel.get(name).combine(weights, moved, 1002) == summed(weights, members, 1002)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_takes_no_result_and_the_most(name: str) -> None:
    using, members = kernel.get(name), [noise(40, seed) for seed in range(255)]
    assert using.combine(np.zeros((0, 255), np.uint8), members, 40) == []
    weights = np.random.default_rng(3).integers(0, 256, (255, 255), np.uint8)
    assert using.combine(weights, members, 40) == summed(weights, members, 40)


@needs_kernel
def test_the_compiled_kernel_checks_what_it_is_given() -> None:
    one = (b"ab",)
    for wrong, message in (
        (("abacus", b"\1", one, 2), "no such path"),
        (("scalar", b"\1", one, 1), "longer"),
        (("scalar", b"\1", one, -1), "below zero"),
        (("scalar", b"\1\1\1", one * 2, 2), "do not fit"),
        (("scalar", b"\1" * 256, one, 2), "do not fit"),
        (("scalar", b"", (), 2), "too few or too many"),
        (("scalar", b"\1" * 256, one * 256, 2), "too few or too many"),
    ):
        with pytest.raises(ValueError, match=message):
            compiled().combine(*wrong)
    for kind in (("scalar", b"\1", ["ab"], 2), ("scalar", b"\1", ("ab",), 2), ("scalar", "1", one, 2)):
        with pytest.raises(TypeError):
            compiled().combine(*kind)
    with pytest.raises((MemoryError, OverflowError)):
        compiled().combine("scalar", b"\1", one, sys.maxsize)
    strided = np.zeros(8, np.uint8)[::2]
    with pytest.raises((BufferError, ValueError)):
        compiled().combine("scalar", b"\1", (b"abcd", strided), 4)


@needs_kernel
def test_members_are_let_go_whatever_happens() -> None:
    """A buffer that is not released can never be resized or closed again."""
    held = bytearray(10)
    compiled().combine("scalar", b"\1", (held,), 10)
    for wrong in (
        ("scalar", b"\1", (held,), 9),
        ("abacus", b"\1", (held,), 10),
        ("scalar", held, (held, held), 10),
    ):
        held.append(0)
        del held[-1]
        try:
            compiled().combine(*wrong)
        except ValueError:
            held.append(0)
            del held[-1]
    held.clear()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.timeout(20)
def test_no_result_takes_no_time_however_long_it_is(name: str) -> None:
    """The kernel went through 2^63 bytes of nothing."""
    assert kernel.get(name).combine(np.zeros((0, 1), np.uint8), [noise(2)], sys.maxsize) == []


# -- the known answer ----------------------------------------------------------------------------------------------


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Return what puts a spoilt module in place, as if the process had just started; it returns its calls."""

    def put(**functions: Callable[..., Any]) -> list[int]:
        calls: list[int] = []

        class Spoilt:
            def __getattr__(self, name: str) -> Any:
                if name == "combine":
                    calls.append(1)
                return functions.get(name) or getattr(compiled(), name)

        monkeypatch.setattr(kernel.KERNELS, "module", cast("ModuleType", Spoilt()))
        monkeypatch.setattr(kernel.KERNELS, "_choice", None)
        return calls

    return put


def other_byte(*given: Any) -> list[bytearray]:
    results: list[bytearray] = compiled().combine(*given)
    results[-1][-1] ^= 1
    return results


def nothing(*given: Any) -> list[bytearray]:
    return []


def old_arguments(path: str) -> None:
    raise AssertionError


def refuses(*given: Any) -> None:
    raise ValueError("this machine has no such path")


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_gives_the_known_answer(name: str) -> None:
    assert selftest.digest(kernel.get(name)) == selftest.DIGEST


@needs_kernel
@pytest.mark.parametrize("function", [other_byte, nothing, old_arguments, refuses])
def test_a_kernel_that_is_wrong_is_not_used(function: Callable[..., Any], spoil: Any) -> None:
    spoil(combine=function)
    assert kernel.chosen() == Choice(reference, refused=KERNELS[0])
    assert erasure.encode([b"ab", b"c"], 1) == [bytes([ord("a") ^ ord("c"), ord("b")])]


@needs_kernel
def test_the_path_that_was_asked_for_is_the_one_that_is_checked(spoil: Any) -> None:
    checked = spoil(wanted=lambda: "scalar")
    assert kernel.chosen() == Choice(kernel.get("scalar"))
    assert len(checked) == 1
    unchecked = spoil(wanted=lambda: "numpy")
    assert kernel.chosen() == Choice(reference)
    assert len(unchecked) == 0
    spoil(wanted=lambda: "of another kernel")
    assert kernel.chosen() == Choice(kernel.get(KERNELS[0]))


@needs_kernel
def test_threads_that_come_first_together_get_one_answer(spoil: Any) -> None:
    def slow(*given: Any) -> Any:
        time.sleep(0.001)
        return compiled().combine(*given)

    calls = spoil(combine=slow)
    with ThreadPoolExecutor(8) as pool:
        choices = list(pool.map(lambda _: kernel.chosen(), range(16)))
    assert set(map(id, choices)) == {id(choices[0])}
    assert len(calls) == 1


def test_a_process_that_codes_nothing_checks_nothing() -> None:
    code = "import airlift.erasure; from airlift.erasure import kernel; print(kernel.KERNELS._choice)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_without_the_compiled_part_numpy_works(monkeypatch: pytest.MonkeyPatch) -> None:
    members, expected = [noise(3000), noise(2000, 2)], erasure.encode([noise(3000), noise(2000, 2)], 3)
    monkeypatch.setattr(kernel.KERNELS, "module", None)
    monkeypatch.setattr(kernel.KERNELS, "_choice", None)
    assert kernel.names() == ["numpy"]
    assert kernel.chosen() == Choice(reference)
    assert erasure.encode(members, 3) == expected


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(UsageError, match="no path 'abacus'"):
        kernel.get("abacus")


# -- threads -------------------------------------------------------------------------------------------------------


def test_threads_give_the_same_bytes() -> None:
    members = [noise(200_000, seed) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: erasure.encode(members, 3), range(16)))
    assert all(result == results[0] for result in results)


@needs_kernel
def test_the_interpreter_goes_on_meanwhile() -> None:
    """Many rows of the slowest path take a while; a thread that holds the lock all the time would count nothing."""
    members, weights = tuple(noise(1 << 20, seed) for seed in range(8)), bytes(range(2, 250))
    assert counted_meanwhile(compiled().combine, "scalar", weights, members, 1 << 20) > 10
