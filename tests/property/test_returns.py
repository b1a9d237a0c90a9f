"""What goes back from high to low: round trips, and every slip of who types a code (SPEC 9.14, 9.15)."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlift.bundle.manifest import MAX_CHUNKS
from airlift.bundle.returns import code, request, typed_bits
from airlift.bundle.returns.code import Code, ReceiptCode, RequestCode
from airlift.bundle.returns.request import MAX_MISSING, Request
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.bundle.returns.typed_bits import BitReader
from airlift.bundle.returns.typed_lines import SYMBOLS
from airlift.errors import AirliftError, MalformedError, MistypedError
from tests.property.test_bundle import digests, enclaves, markings, times

starts = st.integers(0, 2**40 - 1).map(lambda number: f"{number:010x}")
numbers = st.integers(0, 2**31 - 1) | st.integers(0, 1000)
asked = (
    st.sets(st.integers(0, MAX_CHUNKS - 1), min_size=1, max_size=64)
    | st.sets(st.integers(0, 300), min_size=1, max_size=64)
    | st.builds(lambda first, many: {first + place for place in range(many)}, numbers, st.integers(1, 5000))
).map(lambda some: tuple(sorted(index % MAX_CHUNKS for index in some)))
missing = asked.map(lambda some: tuple(sorted(set(some))))
receipt_codes = st.builds(ReceiptCode, starts, numbers, starts, numbers, starts | st.just(""))
request_codes = st.builds(RequestCode, starts, numbers, starts, missing)
codes = receipt_codes | request_codes


@given(codes, st.sampled_from(["\n", " ", "-\n", "\r\n"]), st.booleans())
def test_codes_come_back(said: Code, between: str, lower: bool) -> None:
    typed = between.join(code.format(said))
    assert code.parse(typed.lower() if lower else typed) == said


def refused_line(lines: list[str]) -> object:
    with pytest.raises(MistypedError) as caught:
        code.parse("\n".join(lines))
    return caught.value.data["line"]


@settings(max_examples=8)
@given(codes)
def test_every_single_wrong_symbol_is_found_and_its_line_named(said: Code) -> None:
    lines = [line.replace(" ", "") for line in code.format(said)]
    for number, line in enumerate(lines):
        for place, right in enumerate(line):
            for wrong in SYMBOLS.replace(right, "") + "U":
                typed = [*lines]
                typed[number] = line[:place] + wrong + line[place + 1 :]
                assert refused_line(typed) == number + 1
                if number == 0:
                    with pytest.raises(MistypedError):
                        code.parse("".join(typed))


@given(codes)
def test_every_swap_of_neighbours_is_found_and_its_line_named(said: Code) -> None:
    lines = [line.replace(" ", "") for line in code.format(said)]
    for number, line in enumerate(lines):
        for place, (a, b) in enumerate(pairwise(line)):
            if a != b:
                typed = [*lines]
                typed[number] = line[:place] + b + a + line[place + 2 :]
                assert refused_line(typed) == number + 1


@given(codes)
def test_every_symbol_left_out_or_typed_twice_is_found_and_its_line_named(said: Code) -> None:
    lines = [line.replace(" ", "") for line in code.format(said)]
    for number, line in enumerate(lines):
        for place in range(len(line)):
            for wrong in (line[:place] + line[place + 1 :], line[: place + 1] + line[place:]):
                found = refused_line([*lines[:number], wrong, *lines[number + 1 :]])
                assert found == number + 1 or (
                    found == 2 and len(lines) == 1
                )  # what is too much is a second line


@given(st.lists(codes, min_size=2, max_size=2, unique_by=code.format), st.randoms())
def test_lines_of_two_codes_are_never_one(said: list[Code], chance: random.Random) -> None:
    first, second = (code.format(one) for one in said)
    longest = first if len(first) >= len(second) else second
    mixed = tuple(
        chance.choice([lines[place] for lines in (first, second) if place < len(lines)])
        for place in range(len(longest))
    )
    if mixed in (first, second):
        assert code.parse("\n".join(mixed)) in said
    else:
        with pytest.raises(MalformedError):
            code.parse("\n".join(mixed))


@given(codes, st.permutations(range(31)))
def test_lines_out_of_order_are_refused(said: Code, order: list[int]) -> None:
    lines = code.format(said)
    shuffled = [lines[place] for place in order if place < len(lines)]
    if shuffled != list(lines):
        with pytest.raises(MistypedError):
            code.parse("\n".join(shuffled))


@given(st.text(max_size=200) | st.text(SYMBOLS + " -\nolu", max_size=400))
def test_whatever_is_typed_is_refused_or_a_code(text: str) -> None:
    try:
        said = code.parse(text)
    except AirliftError:
        return
    assert code.parse("\n".join(code.format(said))) == said


@given(st.integers(0, 2**31 - 1), st.integers(1, 2**20), st.integers(0, 20))
def test_bits_come_back(value: int, positive: int, parameter: int) -> None:
    few = value % 1000 << parameter | value & (1 << parameter) - 1
    bits = BitReader(
        typed_bits.number(value)
        + typed_bits.rice(few, parameter)
        + typed_bits.gamma(positive)
        + typed_bits.fixed(1, 2)
    )
    assert (bits.number(), bits.rice(parameter), bits.gamma(), bits.fixed(2), bits.left) == (
        value,
        few,
        positive,
        1,
        0,
    )


requests = st.builds(
    Request,
    enclaves,
    times,
    st.integers(1, 2**31 - 1),
    digests,
    missing.map(lambda some: some[:MAX_MISSING]),
    markings,
    st.builds(
        StatedLedger,
        st.text(min_size=1, max_size=30),
        numbers,
        st.integers(0, 2**64).map(lambda n: f"{n:096x}"),
    ),
)


@given(requests)
def test_requests_come_back(stated: Request) -> None:
    assert request.parse(request.format(stated)) == stated


@given(requests, st.data())
def test_damaged_requests_are_refused_or_say_something_else(stated: Request, data: st.DataObject) -> None:
    whole = request.format(stated)
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:place] + bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    try:
        found = request.parse(broken)
    except AirliftError:
        return
    assert request.format(found) == broken
