"""The codec adapter, how factors become integers, and how a scale is found."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.predict import exact
from airlift.codec.predict.adapter import ADAPTER, HEADER, load, quantise
from airlift.codec.predict.adapter_search import candidate_scales, explain, fit_scale
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter
from tests.support.merges import Merge, merge


def hint(made: Merge, **more: object) -> Adapter:
    plain = Adapter(left=Element.F32, right=Element.F32, columns=made.columns, rank=made.rank, scale=2.0)
    return replace(plain, **more)  # type: ignore[arg-type]


def roundtrip(made: Merge, how: Adapter, element: Element = Element.BF16) -> int:
    """Return the length of the payload."""
    sources = [made.base, made.a, made.b] if how.left_transposed else [made.base, made.b, made.a]
    coded = codec.encode(made.target, sources, element, made.layout, hint=how)
    assert coded.codec == ADAPTER.id
    assert codec.sources(coded.codec) == 3
    assert bytes(codec.decode(coded.codec, coded.payload, sources, len(made.target), element)) == made.target
    return len(coded.payload)


@pytest.mark.parametrize("element", [Element.BF16, Element.F16])
@pytest.mark.parametrize("factors", exact.FLOATS)
@pytest.mark.parametrize("scale", [2.0, float(np.float32(16 / 3**0.5))])
def test_a_merge_costs_nothing(element: Element, factors: Element, scale: float) -> None:
    made = merge(element=element, factors=factors, scale=scale)
    size = roundtrip(made, hint(made, left=factors, right=factors, scale=scale), element)
    assert size <= HEADER.size + 300


def test_a_product_that_was_rounded_first_costs_nothing() -> None:
    made = merge(per_product=True)
    assert roundtrip(made, hint(made, per_product=True)) == HEADER.size
    assert roundtrip(made, hint(made)) > HEADER.size + 300


def test_a_merge_in_float32_costs_little() -> None:
    made = merge(element=Element.F32)
    assert roundtrip(made, hint(made), Element.F32) < len(made.target) // 4


def test_transposed_factors_are_those_of_the_transpose() -> None:
    made = merge(transposed=True)
    assert roundtrip(made, hint(made, left_transposed=True, right_transposed=True)) == HEADER.size


@pytest.mark.parametrize("first", [0, 40])
def test_a_block_is_some_rows(first: int) -> None:
    made = merge(96, 128, transposed=True)
    step = made.columns * 2
    part = replace(
        made, base=made.base[first * step :][: 56 * step], target=made.target[first * step :][: 56 * step]
    )
    assert (
        roundtrip(part, hint(part, left_transposed=True, right_transposed=True, first=first))
        <= HEADER.size + 100
    )


def test_a_hint_that_does_not_fit_is_passed_over() -> None:
    made = merge()
    for wrong in (hint(made, rank=5), hint(made, columns=100), hint(made, scale=float("inf"))):
        context = Context(
            [memoryview(data) for data in (made.base, made.b, made.a)], Element.BF16, hint=wrong
        )
        assert ADAPTER.encode(memoryview(made.target), context, Effort.NORMAL) is None
    assert ADAPTER.encode(memoryview(made.target), Context([], Element.BF16), Effort.NORMAL) is None


# -- bytes ---------------------------------------------------------------------------------------------------------

SMALL = merge(6, 4, 2)


def header(**more: float) -> bytes:
    fields: dict[str, float] = {
        "inner": 1, "flags": 0, "left": Element.F32, "right": Element.F32, "columns": 4, "rank": 2, "zero": 0,
        "first": 0, "scale": 2.0,
    }  # fmt: skip
    return HEADER.pack(*(fields | more).values())


def decode(payload: bytes, sources: list[bytes] | None = None, element: Element = Element.BF16) -> bytes:
    given = [memoryview(data) for data in sources or [SMALL.base, SMALL.b, SMALL.a]]
    return bytes(ADAPTER.decode(memoryview(payload), Context(given, element), 48))


def test_the_layout_is_that_of_the_specification() -> None:
    written = b"\1\0\15\15\4\0\0\0\2\0\0\0\0\0\0\0\0\0\0\x40"
    assert header() == written
    assert decode(written) == SMALL.target


@pytest.mark.parametrize(
    "bad",
    [
        b"", header()[:-1], header() + b"!", header(flags=8), header(zero=1), header(columns=0),
        header(columns=5),
        header(rank=0), header(rank=1025), header(rank=3), header(first=1), header(scale=0.0),
        header(first=2**32 - 1),
        header(scale=float("inf")), header(scale=float("nan")), header(flags=2, first=1), header(left=Element.F16),
    ],
)  # fmt: skip
def test_any_other_payload_is_refused(bad: bytes) -> None:
    """Threat: deltas that read or write outside."""
    assert len(decode(header())) == 48
    with pytest.raises(MalformedError):
        decode(bad)


@pytest.mark.parametrize(
    "bad", [header(inner=6), header(left=Element.F64), header(right=Element.BYTES), header(left=99)]
)
def test_what_is_not_known_is_too_new(bad: bytes) -> None:
    with pytest.raises(FormatTooNewError):
        decode(bad)


NAN = SMALL.a[:4] + b"\0\0\xc0\x7f" + SMALL.a[8:]


@pytest.mark.parametrize(
    "sources",
    [
        [SMALL.base], [SMALL.base, SMALL.b], [SMALL.base[:-2], SMALL.b, SMALL.a],
        [SMALL.base, SMALL.b + b"\0", SMALL.a],
        [SMALL.base, SMALL.b, SMALL.a[:-4]], [SMALL.base, SMALL.b, NAN], [SMALL.base, SMALL.b, b""],
    ],
)  # fmt: skip
def test_sources_of_another_form_are_refused(sources: list[bytes]) -> None:
    """Threat: a base of the wrong length."""
    with pytest.raises(MalformedError):
        decode(header(), sources)


def test_more_numbers_than_the_limit_are_refused() -> None:
    how = Adapter(left=Element.F32, right=Element.F32, columns=8192, rank=1024, scale=1.0)
    base = memoryview(bytes(2 * 8192))
    with pytest.raises(MalformedError, match="too large"):
        ADAPTER.decode(
            memoryview(HEADER.pack(1, 0, how.left, how.right, how.columns, how.rank, 0, 0, 1.0)),
            Context([base, base, base], Element.BF16),
            2 * 8192,
        )


# -- integers ------------------------------------------------------------------------------------------------------


def test_integers_stand_for_the_factors() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((20, 7)), rng.standard_normal((7, 30)) * 2.0 ** np.arange(7)[:, None]
    found = quantise(left, right)
    exact.check(found)
    product = found.left @ found.right * 2.0**found.exponent
    assert np.abs(product - left @ right).max() < 2.0**-20 * np.abs(left @ right).max()
    assert exact.bound(found.left, found.right) > exact.MAX_BOUND >> 9


@pytest.mark.parametrize("rank", [1, 2, 3, 1024])
def test_integers_at_their_largest_stay_in_bounds(rank: int) -> None:
    largest = float(np.finfo(np.float32).max)
    for value in (largest, 1.0, float(np.nextafter(np.float32(1), np.float32(0))), 2.0**-149):
        found = quantise(np.full((2, rank), value), np.full((rank, 2), value * value))
        exact.check(found)
        whole = Fraction(int(found.left[0, 0])) * int(found.right[0, 0]) * Fraction(2) ** found.exponent
        assert abs(whole / Fraction(value) ** 3 - 1) < Fraction(1, 2**18)


def test_zeros_and_ranks_that_hardly_count_are_zero() -> None:
    nothing = quantise(np.zeros((3, 2)), np.ones((2, 3)))
    assert not nothing.left.any()
    assert nothing.exponent == 0
    found = quantise(np.array([[1.0, 2.0**-60, 0.0]]), np.array([[1.0], [1.0], [1.0]]))
    assert found.left[0, 0]
    assert not found.left[0, 1:].any()
    assert not found.right[1:].any()


def test_factors_are_loaded_as_they_are_stored() -> None:
    data = memoryview(np.arange(6, dtype="<f4").tobytes())
    assert load(data, Element.F32, (2, 3), transposed=False).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load(data, Element.F32, (2, 3), transposed=True).tolist() == [[0, 2, 4], [1, 3, 5]]


# -- the scale -----------------------------------------------------------------------------------------------------


def explained(made: Merge, factor: float = 1.0) -> tuple[float, bool, float] | None:
    new, old = (
        np.frombuffer(data, "<u2").reshape(made.rows, made.columns) for data in (made.target, made.base)
    )
    left = load(memoryview(made.b), Element.F32, (made.rows, made.rank), transposed=False)
    right = load(memoryview(made.a), Element.F32, (made.rank, made.columns), transposed=False)
    found = explain(new, old, Element.BF16, left * factor, right)
    return None if found is None else (found.scale, found.per_product, found.wrong)


@pytest.mark.parametrize("scale", [2.0, 16 / 3, 8 / 3**0.5, 0.7, -1.0])
@pytest.mark.parametrize("per_product", [False, True])
def test_the_scale_is_found(scale: float, per_product: bool) -> None:
    found = explained(merge(scale=scale, per_product=per_product))
    assert found is not None
    assert found[:2] == (float(np.float32(scale)), per_product)
    assert found[2] < 0.001


def test_an_adapter_of_something_else_explains_nothing() -> None:
    made = merge()
    assert explained(replace(made, b=merge(seed=9).b)) is None
    assert explained(replace(made, target=made.base)) is None
    assert explained(made, float("inf")) is None
    assert explained(made, 0.0) is None


def test_scales_that_trainers_use_come_first() -> None:
    assert candidate_scales(1.9999, 8)[0] == 2
    assert candidate_scales(0.35356, 8)[0] == 0.375
    assert float(np.float32(1 / 8**0.5)) in candidate_scales(0.35356, 8)
    assert candidate_scales(1e-9, 8) == [float(np.float32(1e-9))]


def test_a_fit_needs_a_product() -> None:
    zero = np.zeros((4, 4), "<u2")
    assert fit_scale(zero, zero, Element.BF16, np.zeros((4, 1)), np.ones((1, 4))) is None
