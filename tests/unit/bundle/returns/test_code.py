"""Typed codes: what comes back of them, what they forgive, and which line they say is wrong (SPEC 9.15)."""

import random

import pytest

from airlift.bundle.manifest import MAX_CHUNKS
from airlift.bundle.returns import code, typed_bits, typed_lines
from airlift.bundle.returns.code import Code, ReceiptCode, RequestCode
from airlift.bundle.returns.typed_lines import SYMBOLS
from airlift.errors import FormatTooNewError, MalformedError, MistypedError, UsageError

RECEIPT = ReceiptCode("0123456789", 412, "fedcba9876", 17, "00ff00ff00")
REQUEST = RequestCode("0123456789", 17, "a1b2c3d4e5", (0, 3, 4, 5, 900))
LINES = code.format(REQUEST)


@pytest.mark.parametrize(
    "said",
    [
        RECEIPT,
        ReceiptCode("0000000000", 1, "0000000000", 0, ""),
        ReceiptCode("ffffffffff", 2**31 - 1, "ffffffffff", 2**31 - 1, "ffffffffff"),
        REQUEST,
        RequestCode("0123456789", 1, "a1b2c3d4e5", (0,)),
        RequestCode("0123456789", 2**31 - 1, "a1b2c3d4e5", (MAX_CHUNKS - 1,)),
        RequestCode("0123456789", 3, "a1b2c3d4e5", tuple(range(MAX_CHUNKS))),
    ],
)
def test_what_is_printed_is_read_again(said: Code) -> None:
    lines = code.format(said)
    assert code.parse("\n".join(lines)) == said
    assert code.parse(" ".join(lines)) == said
    assert all(len(line.replace(" ", "")) == 32 for line in lines[:-1])
    assert {len(group) for line in lines for group in line.split()} == {4}


def test_known_codes() -> None:
    assert code.format(RECEIPT) == ("1R20 4HMA SW99 SSZP WQAC 7CB3 03ZG 1ZR5", "2000 0RS9 K15H")
    assert LINES == ("1Q20 4HMA SW95 HM6S C7N7 572R 0G2Z XYRF", "2GVA ZA4K")


@pytest.mark.parametrize("total", [64, 100, 1000, 1 << 14, MAX_CHUNKS])
def test_any_64_chunks_take_under_ten_lines(total: int) -> None:
    chance = random.Random(total)
    for spread in [range(0, total, total // 64), *(chance.sample(range(total), 64) for _ in range(20))]:
        missing = tuple(sorted(spread)[:64])
        assert len(code.format(RequestCode("f" * 10, 2**31 - 1, "f" * 10, missing))) < 10


@pytest.mark.parametrize(
    "typed",
    [
        "\n".join(LINES).lower(),
        "\r\n".join(LINES),
        "\n\n  ".join(LINES).replace(" ", "-"),
        "\n".join(LINES).replace(" ", "\t"),
        "".join(LINES).replace(" ", ""),
        "\n".join(LINES).replace("0", "O").replace("1", "l"),
        "\n".join(LINES).replace("0", "o").replace("1", "I"),
    ],
)
def test_what_is_forgiven(typed: str) -> None:
    assert code.parse(typed) == REQUEST


def line_of(error: MistypedError) -> object:
    return error.data["line"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("\n".join([LINES[0][:-1], LINES[1]]), 1),
        ("\n".join([LINES[0], LINES[1][:-1]]), 2),
        ("\n".join([LINES[0] + "0", LINES[1]]), 1),
        ("\n".join([LINES[0][:-1] + "U", LINES[1]]), 1),
        ("\n".join([LINES[0][:-1] + "\u0130", LINES[1]]), 1),
        ("\n".join(LINES).replace("1", "\u0131"), 1),
        ("\u2028".join(LINES), 2),
        ("\n".join([LINES[0], LINES[1].replace(" ", "\u00a0")]), 2),
        (LINES[0], 2),
        (LINES[1], 1),
        ("\n".join([LINES[1], LINES[0]]), 1),
        ("\n".join([LINES[0], LINES[0]]), 2),
        ("0000", 1),
    ],
)
def test_the_line_that_is_wrong_is_named(typed: str, line: int) -> None:
    with pytest.raises(MistypedError) as caught:
        code.parse(typed)
    assert line_of(caught.value) == line
    assert f"line {line}" in caught.value.message
    assert (caught.value.exit_code, caught.value.code) == (3, "mistyped")


@pytest.mark.parametrize("text", ["", " - \n", "0" * 9000, "\n".join(["0000"] * 32)])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(MalformedError):
        code.parse(text)


def test_lines_of_two_codes_are_not_one() -> None:
    other = code.format(RequestCode("0123456789", 18, "a1b2c3d4e5", (0, 3, 4, 5, 900)))
    for mixed in ([LINES[0], other[1]], [other[0], LINES[1]]):
        with pytest.raises(MalformedError, match="not one code"):
            code.parse("\n".join(mixed))


def test_more_lines_than_are_stated() -> None:
    long = code.format(RequestCode("f" * 10, 1, "f" * 10, tuple(range(0, 3000, 50))))
    with pytest.raises(MalformedError, match="not one code"):
        code.parse("\n".join([LINES[0], *long[1:]]))


def as_typed(*symbols: int) -> str:
    return "\n".join(typed_lines.format(symbols))


def test_a_kind_that_is_not_known() -> None:
    with pytest.raises(FormatTooNewError):
        code.parse(as_typed(SYMBOLS.index("Z"), 1, 0, 0))


def body(kind: str, bits: str) -> str:
    values = [int(bits[start : start + 5].ljust(5, "0"), 2) for start in range(0, len(bits), 5)]
    return as_typed(SYMBOLS.index(kind), typed_lines.count(2 + len(values)), *values)


HEAD = "1" * 40 + typed_bits.number(5) + "1" * 40


@pytest.mark.parametrize(
    "typed",
    [
        body("R", "1" * 40),
        body("Q", "1" * 40 + "00100" + "0101" + "1" * 40),
        body("Q", HEAD + typed_bits.fixed(21, 5) + typed_bits.number(1) + "0" + "1"),
        body("Q", HEAD + typed_bits.fixed(0, 5) + typed_bits.number(1000) + "0101"),
        body("Q", HEAD + typed_bits.fixed(0, 5) + typed_bits.number(0)),
        body("Q", HEAD + typed_bits.fixed(0, 5) + typed_bits.number(1) + "1" * 70),
        body("Q", HEAD + typed_bits.fixed(0, 5) + typed_bits.number(1) + "0" * 70),
        body("Q", HEAD + typed_bits.fixed(20, 5) + typed_bits.number(1) + typed_bits.rice(1 << 20, 20) + "1"),
        body("Q", HEAD + typed_bits.fixed(3, 5) + typed_bits.number(1) + typed_bits.rice(0, 3) + "1"),
        body(
            "Q",
            HEAD + typed_bits.fixed(0, 5) + typed_bits.number(1) + typed_bits.rice(0, 0) + "1" + "0" * 200,
        ),
        body(
            "Q",
            HEAD
            + typed_bits.fixed(0, 5)
            + typed_bits.number(1)
            + typed_bits.rice(0, 0)
            + "1"
            + "0" * 30
            + "1",
        ),
    ],
)
def test_right_lines_that_say_what_no_code_says(typed: str) -> None:
    with pytest.raises(MalformedError) as caught:
        code.parse(typed)
    assert caught.value.code == "malformed"


@pytest.mark.parametrize("missing", [(), (2, 1), (1, 1), (-1,), (MAX_CHUNKS,)])
def test_what_no_code_is_made_of(missing: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError):
        code.format(RequestCode("f" * 10, 1, "f" * 10, missing))


@pytest.mark.parametrize("every", [2, 300])
def test_too_much_to_be_typed(every: int) -> None:
    with pytest.raises(UsageError, match="too much"):
        code.format(RequestCode("f" * 10, 1, "f" * 10, tuple(range(0, MAX_CHUNKS, every))))
