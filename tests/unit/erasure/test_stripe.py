"""The parity code (SPEC 6.9): what is lost comes back from any members that are enough, and nothing else is made."""

from itertools import combinations

import numpy as np
import pytest

from airlift import erasure
from airlift.errors import IncompleteError, MalformedError
from tests.support import slow_parity


def stripe(data: int, length: int, seed: int = 1) -> list[bytes]:
    """Return members of random bytes, no two of one length."""
    random = np.random.default_rng(seed)
    return [random.bytes(max(length - 7 * place, 0)) for place in range(data)]


@pytest.mark.parametrize(("data", "parity"), [(1, 1), (1, 3), (2, 1), (3, 2), (4, 3), (6, 2), (5, 4)])
def test_any_members_that_are_enough_give_back_all(data: int, parity: int) -> None:
    members = stripe(data, 100)
    every = [bytes(m).ljust(100, b"\0") for m in [*members, *erasure.encode(members, parity)]]
    for used in combinations(range(data + parity), data):
        present = {number: (members[number] if number < data else every[number]) for number in used}
        length = max(map(len, present.values()))
        assert length == 100
        found = erasure.reconstruct(present, data, parity, range(data + parity), length)
        assert [bytes(found[number]) for number in range(data + parity)] == every


@pytest.mark.parametrize(("data", "parity"), [(1, 1), (3, 2), (4, 4), (10, 2)])
def test_the_parity_is_that_of_another_implementation(data: int, parity: int) -> None:
    members = stripe(data, 80)
    assert erasure.encode(members, parity) == slow_parity.encode(members, parity)


def test_the_first_parity_is_the_xor() -> None:
    for parity in (1, 2, 64):
        members = stripe(9, 64)
        filled = np.array([np.frombuffer(member.ljust(64, b"\0"), np.uint8) for member in members])
        assert erasure.encode(members, parity)[0] == np.bitwise_xor.reduce(filled).tobytes()


@pytest.mark.parametrize(("data", "parity"), [(191, 64), (254, 1), (1, 64), (250, 5)])
def test_the_largest_shapes(data: int, parity: int) -> None:
    members = stripe(data, 2000)
    code = erasure.encode(members, parity)
    every: list[erasure.Buffer] = [*members, *code]
    lost = sorted(np.random.default_rng(2).choice(data + parity, parity, replace=False).tolist())
    present = {number: member for number, member in enumerate(every) if number not in lost}
    found = erasure.reconstruct(present, data, parity, lost, 2000)
    assert [found[number] for number in lost] == [bytes(every[number]).ljust(2000, b"\0") for number in lost]


def test_what_is_wanted_and_there_is_given_too() -> None:
    members = stripe(3, 50)
    code = erasure.encode(members, 2)
    present: dict[int, erasure.Buffer] = {0: members[0], 1: members[1], 2: members[2], 4: code[1]}
    found = erasure.reconstruct(present, 3, 2, [4, 1, 3], 50)
    assert list(found) == [4, 1, 3]
    assert list(found.values()) == [code[1], members[1].ljust(50, b"\0"), code[0]]
    assert erasure.reconstruct(present, 3, 2, [], 50) == {}
    assert erasure.reconstruct(present, 3, 2, [3, 1] * 200, 50) == {3: found[3], 1: found[1]}


def test_a_stripe_may_be_coded_in_pieces() -> None:
    members = stripe(5, 3000)
    whole = erasure.encode(members, 3)
    pieces = [
        erasure.encode([member[start : start + 700] for member in members], 3)
        for start in range(0, 3000, 700)
    ]
    assert [b"".join(parts) for parts in zip(*pieces, strict=True)] == whole


def test_members_may_be_any_bytes() -> None:
    members = stripe(2, 40)
    numbers = np.frombuffer(members[0], "<u4")
    mixed: list[erasure.Buffer] = [numbers.data, memoryview(bytearray(b"?" + members[1]))[1:]]
    assert erasure.encode(mixed, 2) == erasure.encode(members, 2)


def test_a_stripe_of_nothing_has_parity_of_nothing() -> None:
    assert erasure.encode([b"", b""], 2) == [b"", b""]
    assert erasure.reconstruct({0: b"", 2: b""}, 2, 1, [1], 0) == {1: b""}


@pytest.mark.parametrize(("data", "parity"), [(0, 1), (1, 0), (1, 65), (254, 2), (192, 64), (-1, 1), (3, -1)])
def test_a_shape_that_there_is_not_is_refused(data: int, parity: int) -> None:
    with pytest.raises(MalformedError, match="no such number of members"):
        erasure.encode([b"a"] * data, parity) if data >= 0 else erasure.reconstruct({}, data, parity, [], 1)
    with pytest.raises(MalformedError, match="no such number of members"):
        erasure.reconstruct(dict.fromkeys(range(max(data, 0)), b"a"), data, parity, [0], 1)


def test_fewer_members_than_data_are_not_enough() -> None:
    with pytest.raises(IncompleteError, match="missing") as caught:
        erasure.reconstruct({0: b"ab", 3: b"cd"}, 3, 2, [1], 2)
    assert (caught.value.expected, caught.value.found) == ("3 of 5", "2")


@pytest.mark.parametrize(
    ("present", "wanted"), [({0: b"a", 5: b"a"}, 1), ({-1: b"a", 0: b"a"}, 1), ({0: b"a", 1: b"a"}, 5)]
)
def test_a_member_that_there_is_not_is_refused(present: dict[int, bytes], wanted: int) -> None:
    with pytest.raises(MalformedError, match="no such member"):
        erasure.reconstruct(present, 2, 3, [wanted], 1)


@pytest.mark.parametrize("length", [0, 3, 5, 1 << 50])
def test_a_length_that_no_member_has_is_refused_before_it_is_allocated(length: int) -> None:
    with pytest.raises(MalformedError, match="as long as their stripe"):
        erasure.reconstruct({0: b"abcd", 2: b"abc"}, 2, 1, [1], length)


def test_a_member_beyond_the_length_is_refused_though_it_is_not_used() -> None:
    with pytest.raises(MalformedError, match="as long as their stripe"):
        erasure.reconstruct({0: b"ab", 1: b"ab", 2: b"abc"}, 2, 1, [0], 2)
