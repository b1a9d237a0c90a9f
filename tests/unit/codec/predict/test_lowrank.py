"""The codec lowrank, the estimate behind it, and the bytes of its factors."""

import os
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from airlift import codec
from airlift.codec import Effort
from airlift.codec.block import Context
from airlift.codec.predict import exact, factors, inner, least_squares, lowrank_search
from airlift.codec.predict.factors import CodedFactors
from airlift.codec.predict.lowrank import HEADER, LOWRANK
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import LowRank
from tests.support.merges import Merge, merge

MERGE = merge(256, 320, 4)


def encode(made: Merge, element: Element = Element.BF16, effort: Effort = Effort.NORMAL) -> codec.Coded:
    hint = LowRank(made.columns)
    return codec.encode(made.target, [made.base], element, made.layout, effort=effort, hint=hint)


def decode(payload: bytes, made: Merge = MERGE, element: Element = Element.BF16) -> bytes:
    return bytes(codec.decode(LOWRANK.id, payload, [made.base], len(made.target), element))


@pytest.mark.parametrize("element", exact.FLOATS)
def test_a_merge_is_coded_by_its_factors(element: Element) -> None:
    made = merge(256, 320, 4, element=element)
    coded, plain = encode(made, element), codec.encode(made.target, [made.base], element, made.layout)
    assert coded.codec == LOWRANK.id
    assert len(coded.payload) < len(plain.payload) * (0.75 if element is Element.F32 else 0.35)
    assert decode(coded.payload, made, element) == made.target


def test_more_effort_leaves_less() -> None:
    sizes = [len(encode(MERGE, effort=effort).payload) for effort in Effort]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 0.8 * sizes[0]


def test_what_did_not_move_by_a_low_rank_is_coded_otherwise() -> None:
    rng = np.random.default_rng(2)
    noise = np.frombuffer(MERGE.base, "<u2") + rng.integers(0, 9, len(MERGE.base) // 2).astype("<u2")
    assert encode(replace(MERGE, target=noise.astype("<u2").tobytes())).codec != LOWRANK.id


@pytest.mark.parametrize("element", [Element.F32, Element.BF16])
def test_a_row_that_the_probe_does_not_see_may_hold_anything(element: Element) -> None:
    """What broke: numbers whose squares are none ended in an error of linear algebra, and with it the bundle."""
    made = merge(512, 1024, 2, element=element)
    hidden = min(set(range(512)) - set(map(int, lowrank_search.sample_rows(512))))
    step = made.columns * element.size
    target, base = bytearray(made.target), bytearray(made.base)
    huge = np.full(made.columns, 3e38, "<f4").tobytes()
    row = slice(hidden * step, (hidden + 1) * step)
    target[row] = huge if element is Element.F32 else np.frombuffer(huge, "<u2")[1::2].tobytes()
    base[row] = bytes(step)
    odd = replace(made, target=bytes(target), base=bytes(base))
    coded = encode(odd, element)
    back = codec.decode(coded.codec, coded.payload, [odd.base], len(odd.target), element)
    assert bytes(back) == odd.target


@pytest.mark.parametrize("rows", [1, 31])
def test_a_matrix_of_few_rows_is_left_alone(rows: int) -> None:
    cut = rows * MERGE.columns * 2
    few = replace(MERGE, base=MERGE.base[:cut], target=MERGE.target[:cut])
    assert LOWRANK.encode(memoryview(few.target), context(few), Effort.NORMAL) is None


def context(made: Merge, columns: int | None = None) -> Context:
    return Context([memoryview(made.base)], Element.BF16, hint=LowRank(columns or made.columns))


def test_without_a_hint_or_a_base_or_whole_rows_it_is_not_tried() -> None:
    target = memoryview(MERGE.target)
    assert LOWRANK.encode(target, replace(context(MERGE), hint=None), Effort.NORMAL) is None
    assert LOWRANK.encode(target, replace(context(MERGE), sources=[]), Effort.NORMAL) is None
    assert LOWRANK.encode(target, context(MERGE, 321), Effort.NORMAL) is None
    assert LOWRANK.encode(target, replace(context(MERGE), element=Element.I16), Effort.NORMAL) is None


def test_rows_that_did_not_move_do_not_make_a_low_rank() -> None:
    old = np.frombuffer(MERGE.base, "<u2").reshape(256, 320)
    new = old.copy()
    new[:40] += np.random.default_rng(3).integers(1, 9, (40, 320)).astype("<u2")
    assert not lowrank_search.probe(new, old, Element.BF16)
    new[:] = old
    new[::9, ::11] ^= 1
    assert not lowrank_search.probe(new, old, Element.BF16)


ENTRY = """
import hashlib, os, sys
from airlift.cli import main

def encode(_):
    from airlift.codec.block import Context, Effort
    from airlift.codec.predict.lowrank import LOWRANK
    from airlift.tensors.element import Element
    from airlift.tensors.matching.hint import LowRank
    from tests.support.merges import merge
    made = merge(1024, 1536, 4)
    context = Context([memoryview(made.base)], Element.BF16, made.layout, LowRank(made.columns))
    payload = LOWRANK.encode(memoryview(made.target), context, Effort.NORMAL)
    print(hashlib.sha512(payload).hexdigest(), len(os.listdir("/proc/self/task")))
    return 0

main.main = encode
main.run()
"""


def test_factors_do_not_depend_on_the_threads_of_a_library() -> None:
    """SPEC 6.5-2: the command multiplies on the threads that ask for it, whatever the environment says."""
    found = [
        subprocess.run(
            [sys.executable, "-c", ENTRY],
            env={**os.environ, "OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
        for count in ("1", "2")
    ]
    assert found[0] == found[1]
    assert found[0][1] == "1"


def test_rows_that_moved_far_do_not_make_a_low_rank() -> None:
    """The few rows of an embedding that training met stand out, one by one; there are more where they come from."""
    rng = np.random.default_rng(5)
    old = np.full((256, 320), 0x3C00, np.uint16) + rng.integers(0, 128, (256, 320)).astype(np.uint16)
    reach = np.where(rng.random(256) < 0.1, 4, 0.3)[:, None]
    new = (old + np.rint(rng.standard_normal((256, 320)) * reach).astype(np.int64)).astype(np.uint16)
    assert not lowrank_search.probe(new, old, Element.BF16, 30_000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lowrank_search, "MOST_ALIKE", 2.0)
        assert lowrank_search.probe(new, old, Element.BF16, 30_000)


def test_a_rank_that_does_not_pay_is_left_alone() -> None:
    made = merge(64, 64, 14, scale=0.05)
    old, new = (np.frombuffer(data, "<u2").reshape(64, 64) for data in (made.base, made.target))
    assert not lowrank_search.probe(new, old, Element.BF16)
    assert lowrank_search.probe(new, old, Element.BF16, height=1 << 20)


def test_numbers_that_are_not_finite_do_not_spoil_the_fit() -> None:
    target, base = (np.frombuffer(data, "<u2").copy() for data in (MERGE.target, MERGE.base))
    target[1000], base[5001] = 0x7F80, 0xFFC1
    made = replace(MERGE, target=target.tobytes(), base=base.tobytes())
    coded = encode(made)
    assert coded.codec == LOWRANK.id
    assert decode(coded.payload, made) == made.target


def test_a_high_rank_is_fitted_without_weights() -> None:
    made = merge(1024, 1024, 40)
    coded = encode(made)
    assert coded.codec == LOWRANK.id
    assert decode(coded.payload, made) == made.target


def test_nothing_but_numbers_that_are_not_finite_has_a_unit() -> None:
    empty = least_squares.difference(np.full((2, 2), 0x7F80, "<u2"), np.zeros((2, 2), "<u2"), Element.BF16)
    assert [float(empty.typical_unit()), empty.noise()] == [1, 0]


def test_factors_that_cannot_be_rounded_are_not_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowrank_search, "rounded", lambda *_: None)
    assert LOWRANK.encode(memoryview(MERGE.target), context(MERGE), Effort.NORMAL) is None


def test_a_gap_in_a_sample_only_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowrank_search, "probe", lambda *_: 3)
    rng = np.random.default_rng(5)
    noise = np.frombuffer(MERGE.base, "<u2") ^ rng.integers(0, 2, len(MERGE.base) // 2).astype("<u2")
    made = replace(MERGE, target=noise.tobytes())
    assert LOWRANK.encode(memoryview(made.target), context(made), Effort.NORMAL) is None


def test_ranks_too_far_apart_are_not_rounded() -> None:
    left = np.array([[1, 2.0**-40], [1, -(2.0**-40)]], np.float32)
    assert lowrank_search.rounded(left, np.ascontiguousarray(left.T), 2.0**-12) is None
    assert lowrank_search.rounded(left[:, :1], np.ascontiguousarray(left[:, :1].T), 2.0**-12) is not None


def test_a_hint_never_makes_a_block_longer() -> None:
    rng = np.random.default_rng(4)
    target, base = (rng.integers(0, 1 << 16, (64, 64)).astype("<u2").tobytes() for _ in range(2))
    assert len(
        codec.encode(target, [base], Element.BF16, [(64, len(target) // 2)], hint=LowRank(64)).payload
    ) <= len(target)


# -- bytes ---------------------------------------------------------------------------------------------------------


CODED = CodedFactors(
    np.arange(-6, 6, dtype=np.int16).reshape(6, 2), np.arange(8, dtype=np.int16).reshape(2, 4), (0, 3), -20
)
BASE = bytes(range(48))


def test_factors_are_what_they_were() -> None:
    data = factors.format(CODED, Effort.NORMAL)
    found, rest = factors.parse(memoryview(data + b"rest"), 6, 4)
    assert bytes(rest) == b"rest"
    assert (found.shifts, found.exponent) == (CODED.shifts, CODED.exponent)
    assert np.array_equal(found.left, CODED.left)
    assert np.array_equal(found.right, CODED.right)
    assert np.array_equal(found.factors().left, CODED.left * [1.0, 8.0])


def payload(header: bytes = HEADER.pack(1, 0, 0, 4), coded: CodedFactors = CODED, rest: bytes = b"") -> bytes:
    return header + factors.format(coded, Effort.NORMAL) + rest


def small(data: bytes, length: int = 48, element: Element = Element.BF16) -> bytes:
    return bytes(LOWRANK.decode(memoryview(data), Context([memoryview(BASE[:length])], element), length))


def test_the_layout_is_that_of_the_specification() -> None:
    body = b"\0" + struct.pack("<BIBI", 1, 20, 1, 20)
    numbers = struct.pack("<20h", *CODED.left.T.reshape(-1), *CODED.right.reshape(-1))
    body += numbers[::2] + numbers[1::2]
    raw = bytes([1, 0, 0, 0]) + struct.pack("<IhHI", 4, -20, 2, len(body)) + bytes([0, 3]) + body
    assert small(raw) == bytes(exact.predict(memoryview(BASE), Element.BF16, CODED.factors()))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        payload()[:7],
        payload()[:15],
        payload()[:18],
        payload()[:-1],
        payload(rest=b"!"),
        payload(HEADER.pack(1, 2, 0, 4)),
        payload(HEADER.pack(1, 0, 1, 4)),
        payload(HEADER.pack(1, 0, 0, 0)),
        payload(HEADER.pack(1, 0, 0, 5)),
        payload(HEADER.pack(1, 0, 0, 24)),
        payload(coded=replace(CODED, shifts=(0, 21))),
        payload(coded=replace(CODED, exponent=600)),
        HEADER.pack(1, 0, 0, 4) + factors.HEADER.pack(0, 0, 0),
        HEADER.pack(1, 0, 0, 4) + factors.HEADER.pack(0, 257, 0) + bytes(257),
        HEADER.pack(1, 0, 0, 4) + factors.HEADER.pack(0, 1, 2**32 - 1) + bytes(20),
    ],
)
def test_any_other_payload_is_refused(bad: bytes) -> None:
    """Threat: a chunk that claims more output than declared; deltas that read or write outside."""
    assert len(small(payload())) == 48
    with pytest.raises(MalformedError):
        small(bad)


def test_factors_whose_product_is_not_exact_are_refused() -> None:
    large = CodedFactors(np.full((6, 9), 32767, np.int16), np.full((9, 4), -32768, np.int16), (20,) * 9, 0)
    with pytest.raises(MalformedError, match="too large"):
        small(payload(coded=large))


def test_more_numbers_than_the_limit_are_refused_before_anything_is_allocated() -> None:
    """Threat: a small chunk that makes the importer allocate without bound."""
    data = memoryview(factors.HEADER.pack(0, 256, 10) + bytes(266))
    with pytest.raises(MalformedError, match="rank"):
        factors.parse(data, 1 << 14, 1)


def test_another_element_or_source_is_refused() -> None:
    with pytest.raises(MalformedError):
        small(payload(), element=Element.U16)
    with pytest.raises(MalformedError):
        LOWRANK.decode(memoryview(payload()), Context([], Element.BF16), 48)


@pytest.mark.parametrize("number", [0, 2, 4 if 4 not in [item.id for item in inner.INNER] else 2, 5, 6, 255])
def test_an_inner_codec_that_is_not_known_is_too_new(number: int) -> None:
    """Threat: blocks inside blocks without end."""
    with pytest.raises(FormatTooNewError):
        small(payload(HEADER.pack(number, 0, 0, 4)))


def test_the_product_may_be_rounded_first() -> None:
    found = small(payload(HEADER.pack(1, 1, 0, 4)))
    expected = exact.predict(memoryview(BASE), Element.BF16, CODED.factors(per_product=True))
    assert found == bytes(expected)
