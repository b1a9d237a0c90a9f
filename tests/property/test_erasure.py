"""The parity code: any members that are enough give back all, in every kernel, and everything else is an error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import erasure
from airlift.erasure import kernel
from airlift.errors import AirliftError, IncompleteError, MalformedError
from tests.support import slow_parity

KERNELS = [kernel.get(name) for name in kernel.names()]


@st.composite
def stripes(draw: st.DrawFn, most: int = 255) -> tuple[list[bytes], int]:
    """Draw data members of any lengths, and a number of parity members."""
    parity = draw(st.integers(1, min(64, most - 1)) | st.integers(1, 3))
    data = draw(st.integers(1, most - parity) | st.integers(1, min(12, most - parity)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    longest = draw(st.integers(0, 300) | st.sampled_from([8191, 8192, 8193, 20000]))
    lengths = random.integers(0, longest, data, endpoint=True)
    lengths[random.integers(0, data)] = longest
    return [random.bytes(length) for length in lengths], parity


@given(stripes(), st.randoms(use_true_random=False))
def test_any_members_that_are_enough_give_back_all(drawn: tuple[list[bytes], int], random: object) -> None:
    members, parity = drawn
    data, length = len(members), max(map(len, members))
    every: list[erasure.Buffer] = [*members, *erasure.encode(members, parity)]
    expected = {number: bytes(member).ljust(length, b"\0") for number, member in enumerate(every)}
    lost = random.sample(range(data + parity), parity)  # type: ignore[attr-defined]
    present = {number: member for number, member in enumerate(every) if number not in lost}
    assert erasure.reconstruct(present, data, parity, range(data + parity), length) == expected
    assert list(erasure.reconstruct(present, data, parity, lost, length)) == lost


@given(stripes(most=12))
def test_every_choice_is_solved_like_by_another_implementation(drawn: tuple[list[bytes], int]) -> None:
    members, parity = [member[:5] for member in drawn[0]], drawn[1]
    data, length = len(members), max(map(len, members))
    code = slow_parity.encode(members, parity)
    assert erasure.encode(members, parity) == code
    every = [*members, *code]
    present = dict(list(enumerate(every))[-data:])
    if max(map(len, present.values())) == length:
        found = erasure.reconstruct(present, data, parity, range(data + parity), length)
        assert list(found.values()) == slow_parity.decode(present, data, parity, length)


@given(stripes())
def test_every_kernel_gives_the_same_bytes(drawn: tuple[list[bytes], int]) -> None:
    members, rows = [memoryview(member) for member in drawn[0]], drawn[1]
    weights = np.random.default_rng(rows).integers(0, 256, (rows, len(members)), np.uint8)
    length = max(map(len, members))
    first, *others = (using.combine(weights, members, length) for using in KERNELS)
    assert all(other == first for other in others)


@given(stripes(), st.data())
def test_a_member_that_changed_changes_what_comes_out(
    drawn: tuple[list[bytes], int], data: st.DataObject
) -> None:
    """Every member that is used has a say at its place, and only there: nothing wrong could pass for right."""
    members, parity = drawn
    count, length = len(members), max(map(len, members))
    if not length:
        return
    every = [*members, *erasure.encode(members, parity)]
    lost = data.draw(st.integers(0, count - 1))
    used = [number for number in range(count + 1) if number != lost]
    present = {number: bytearray(every[number]) for number in used}
    before = erasure.reconstruct(present, count, parity, [lost], length)[lost]
    spoilt = data.draw(st.sampled_from([number for number in used if present[number]]))
    place = data.draw(st.integers(0, len(present[spoilt]) - 1))
    present[spoilt][place] ^= data.draw(st.integers(1, 255))
    after = erasure.reconstruct(present, count, parity, [lost], length)[lost]
    assert [n for n in range(length) if before[n] != after[n]] == [place]


@given(
    st.dictionaries(st.integers(-1, 8), st.binary(max_size=3), max_size=8),
    st.integers(-1, 300),
    st.integers(-1, 70),
    st.lists(st.integers(-1, 8), max_size=3),
    st.integers(-1, 2**62),
)
def test_whatever_is_asked_ends_in_an_answer_or_an_error(
    present: dict[int, bytes], data: int, parity: int, wanted: list[int], length: int
) -> None:
    try:
        found = erasure.reconstruct(present, data, parity, wanted, length)
    except (IncompleteError, MalformedError):
        return
    assert set(found) == set(wanted)
    assert all(len(member) == length for member in found.values())


SHAPES = [(0, 1), (1, 0), (1, 65), (255, 1), (254, 2), (192, 64), (10**9, 10**9), (-5, 6)]


@pytest.mark.parametrize(("data", "parity"), SHAPES)
def test_errors_name_the_bounds(data: int, parity: int) -> None:
    with pytest.raises(AirliftError) as caught:
        erasure.reconstruct({0: b"a"}, data, parity, [0], 1)
    assert isinstance(caught.value, MalformedError)
    assert caught.value.found == f"{data} data and {parity} parity"
