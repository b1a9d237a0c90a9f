"""The compiled kernel of predictions: like NumPy, checked before its first use, left alone when it is wrong."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from airlift.codec.predict import exact, kernel
from airlift.codec.predict.exact import Bits, Factors
from airlift.codec.predict.kernel import Nothing, selftest
from airlift.errors import UsageError
from airlift.kernels import Choice
from airlift.tensors.element import Element
from tests.support.compiled import needing

KERNELS = kernel.names()
ORIGINAL = kernel.KERNELS.module
COMPILED = [name for name in KERNELS if name != "numpy"]
needs_kernel = needing(KERNELS)

STRANGE = {
    Element.BF16: (0x7F80, 0xFF80, 0x7FC1, 0xFF81, 0x0001, 0x8001, 0x007F),
    Element.F16: (0x7C00, 0xFC00, 0x7E01, 0xFC01),
    Element.F32: (0x7F800000, 0xFF800000, 0x7FC00001, 0xFF800001, 1, 0x80000001, 0x007FFFFF),
}
"""What is left out: infinities, NaN, and subnormal numbers but for those of float16."""

ORDINARY = {
    Element.BF16: (0, 0x8000, 0x0080, 0x3F80, 0xBF80, 0x7F7F),
    Element.F16: (0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF),
    Element.F32: (0, 0x80000000, 0x00800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF),
}


def compiled() -> ModuleType:
    assert ORIGINAL is not None
    return ORIGINAL


def matrix(element: Element, rows: int, columns: int, seed: int = 1) -> Bits:
    """Return numbers of a model, with all that is ordinary among them."""
    rng = np.random.default_rng(seed)
    bits = exact.narrow(rng.standard_normal(rows * columns) / 20, element)
    some = rng.random(bits.shape) < 0.05
    bits[some] = rng.choice(ORDINARY[element], int(some.sum()))
    return bits.reshape(rows, columns)


def factors(rows: int, columns: int, rank: int, exponent: int = -40) -> Factors:
    rng = np.random.default_rng(rank)
    left, right = (
        rng.integers(-4096, 4097, shape).astype(float) for shape in ((rows, rank), (rank, columns))
    )
    left[rows // 2] = 0
    return Factors(left, right, exponent)


def predicted(base: Bits, element: Element, given: Factors, name: str) -> bytes:
    data = base.reshape(-1).view(np.uint8).data
    return bytes(exact.predict(data, element, given, using=kernel.get(name)))


@pytest.mark.parametrize("element", exact.FLOATS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 7, 2), (5, 255, 3), (4, 256, 4), (3, 257, 5), (9, 1000, 8), (33, 600, 17)]
)
@pytest.mark.parametrize("exponent", [-160, -40, -30, 90])
def test_every_kernel_predicts_the_same(element: Element, shape: tuple[int, int, int], exponent: int) -> None:
    rows, columns, rank = shape
    base, given = matrix(element, rows, columns), factors(rows, columns, rank, exponent)
    found = {predicted(base, element, given, name) for name in KERNELS}
    assert len(found) == 1
    rounded = Factors(given.left, given.right, exponent, per_product=True)
    assert len({predicted(base, element, rounded, name) for name in KERNELS}) == 1


@needs_kernel
@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("element", exact.FLOATS)
def test_what_is_not_ordinary_is_left_out(name: str, element: Element) -> None:
    strange = STRANGE[element]
    base = matrix(element, 2 * len(strange), 300)
    base[::2, 217] = strange
    given = factors(len(base), 300, 6)
    given.left[len(base) // 2] = 1
    out = np.zeros_like(base)
    right = given.right * 2.0**given.exponent
    left_out = kernel.get(name).add(base, element, given.left, right, out)
    assert left_out.tolist() == [True, False] * len(strange)
    expected = np.frombuffer(predicted(base, element, given, "numpy"), base.dtype).reshape(base.shape)
    assert np.array_equal(out[1::2], expected[1::2])
    assert predicted(base, element, given, name) == expected.tobytes()


@needs_kernel
@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("element", [Element.BF16, Element.F32])
def test_sums_that_may_be_flushed_are_left_out(name: str, element: Element) -> None:
    """Threat: a processor that flushes subnormal numbers to zero rebuilds another file."""
    base = np.full((2, 40), 0x0080 if element is Element.BF16 else 0x00800000, f"<u{element.size}")
    left, right = np.array([[1.0], [0.0]]), np.full((1, 40), -(2.0**-127))
    left_out = kernel.get(name).add(base, element, left, right, np.zeros_like(base))
    assert left_out.tolist() == [True, True]
    base[1] = 0x3F80 if element is Element.BF16 else 0x3F800000
    assert kernel.get(name).add(base, element, left, right, np.zeros_like(base)).tolist() == [True, False]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("element", exact.FLOATS)
def test_bases_may_lie_anywhere(name: str, element: Element) -> None:
    base, given = matrix(element, 7, 99), factors(7, 99, 3)
    moved = memoryview(b"x" + base.tobytes())[1:]
    assert bytes(exact.predict(moved, element, given, using=kernel.get(name))) == predicted(
        base, element, given, "numpy"
    )


@needs_kernel
def test_the_compiled_kernel_checks_the_shapes_it_is_given() -> None:
    base, left, right, out, rows = (np.zeros(count, np.uint8) for count in (24, 32, 48, 24, 4))
    good = ("scalar", 0, 1, base, left.view(float), right[:24].view(float), out, rows)
    compiled().add(*good)
    for place, wrong, message in (
        (0, "abacus", "no such path"),
        (1, 3, "no such element"),
        (1, -1, "no such element"),
        (1, 2, "shape"),
        (2, 0, "no such element or rank"),
        (2, 1 << 13, "no such element or rank"),
        (2, 2, "rank"),
        (3, base[:-2], "shape"),
        (4, left[:24].view(float), "rows"),
        (5, right[:32].view(float), "shape"),
        (5, right[:20], "rank"),
        (6, out[:-1], "shape"),
        (7, rows[:3], "rows"),
    ):
        with pytest.raises(ValueError, match=message):
            compiled().add(*good[:place], wrong, *good[place + 1 :])
    moved = np.zeros(40, np.uint8)[1:33]
    with pytest.raises(ValueError, match="aligned"):
        compiled().add(*good[:4], moved, *good[5:])
    with pytest.raises((BufferError, TypeError, ValueError)):
        compiled().add(*good[:6], bytes(24), rows)


def test_an_unknown_kernel_of_predictions_is_refused() -> None:
    with pytest.raises(UsageError, match="no path 'abacus'"):
        kernel.get("abacus")


# -- the known answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPILED)
def test_every_compiled_kernel_gives_the_known_answer_of_predictions(name: str) -> None:
    assert selftest.digest(kernel.get(name)) == selftest.DIGEST


def test_the_known_answer_is_that_of_numpy() -> None:
    """NumPy in the place of the compiled path, with the rows left out that hold what is not ordinary."""

    class Slow:
        name = "slow"

        def add(self, base: Bits, element: Element, left: Any, right: Any, out: Bits) -> Any:
            given = Factors(left, right, 0)
            data = predicted(base, element, given, "numpy")
            out[:] = np.frombuffer(data, base.dtype).reshape(base.shape)
            magnitude = base & base.dtype.type((1 << 8 * element.size - 1) - 1)
            odd = magnitude >= STRANGE[element][0]
            if element is not Element.F16:
                odd |= (magnitude > 0) & (magnitude < ORDINARY[element][2])
            return odd.any(axis=1)

    assert selftest.digest(Slow()) == selftest.DIGEST


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what puts a spoilt module in place, as if the process had just started."""

    def put(**functions: Callable[..., Any]) -> None:
        class Spoilt:
            def __getattr__(self, name: str) -> Any:
                return functions.get(name) or getattr(compiled(), name)

        monkeypatch.setattr(kernel.KERNELS, "module", cast("ModuleType", Spoilt()))
        monkeypatch.setattr(kernel.KERNELS, "_choice", None)

    return put


def other_bit(*given: Any) -> None:
    compiled().add(*given)
    given[-2][0, 0] ^= 1


def all_done(*given: Any) -> None:
    compiled().add(*given)
    given[-1][:] = False


def refuses(*given: Any) -> None:
    raise ValueError("this machine has no such path")


@needs_kernel
@pytest.mark.parametrize("function", [other_bit, all_done, refuses])
def test_a_kernel_that_predicts_wrong_is_not_used(function: Callable[..., Any], spoil: Any) -> None:
    base, given = matrix(Element.BF16, 5, 300), factors(5, 300, 4)
    expected = predicted(base, Element.BF16, given, "numpy")
    spoil(add=function)
    assert kernel.chosen() == Choice(Nothing(), refused=KERNELS[0])
    data = base.reshape(-1).view(np.uint8).data
    assert bytes(exact.predict(data, Element.BF16, given)) == expected


@needs_kernel
def test_the_path_that_was_asked_for_predicts(spoil: Any) -> None:
    spoil(wanted=lambda: "scalar")
    assert kernel.chosen() == Choice(kernel.get("scalar"))
    spoil(wanted=lambda: "numpy")
    assert kernel.chosen() == Choice(Nothing())


def test_threads_predict_the_same_bits() -> None:
    base, given = matrix(Element.BF16, 200, 500), factors(200, 500, 8)
    data = base.reshape(-1).view(np.uint8).data
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: bytes(exact.predict(data, Element.BF16, given)), range(16)))
    assert len(found) == 1
