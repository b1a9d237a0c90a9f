"""Lines that a person types from paper: symbols of five bits, with what finds a wrong one (SPEC 9.15).

A line is its number, up to 30 symbols of payload, and a check symbol; only the last is shorter than 32. The symbols
are Crockford's base32, in groups of four. The line, read as a polynomial over GF(32), has the root 2: so every single
wrong symbol and every swap of neighbours is found. The last six symbols of the payload are of a SHA-512 over those
before: so lines of two codes do not pass for one.
"""

import hashlib
from collections.abc import Sequence

from airlift.errors import MalformedError, MistypedError

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS = 5
LINE = 32
GROUP = 4
MAX_LINES = 31
MAX_TEXT = 8 << 10
PAYLOAD = LINE - 2
DIGEST = 6

_DOMAIN = b"airlift typed lines\n"
_UPPER = {symbol: value for value, symbol in enumerate(SYMBOLS)} | {"O": 0, "I": 1, "L": 1}
_VALUES = _UPPER | {symbol.lower(): value for symbol, value in _UPPER.items()}
_SEPARATORS = " \t-"
_OVERFLOW, _REDUCE = 32, 0b100101


def count(symbols: int) -> int:
    """Return how many lines so many symbols take, digest included."""
    return -(-(symbols + DIGEST) // PAYLOAD)


def format(symbols: Sequence[int]) -> tuple[str, ...]:  # noqa: A001 - the pair of parse, as everywhere
    """Return the lines of these values of 0 to 31: filled with zeros to whole groups, and a digest."""
    payload = [*(full := filled(symbols)), *_digest(full)]
    cut = [payload[start : start + PAYLOAD] for start in range(0, len(payload), PAYLOAD)]
    return tuple(_grouped(_checked([number, *line])) for number, line in enumerate(cut, 1))


def filled(symbols: Sequence[int]) -> tuple[int, ...]:
    """Return the symbols and as many zeros as make the last line, digest included, whole groups."""
    last = (len(symbols) + DIGEST - 1) % PAYLOAD + 1
    return (*symbols, *[0] * ((2 - last) % GROUP))


def parse(text: str) -> tuple[int, ...]:
    """Return the symbols of typed lines, without the digest; the text may break anywhere between lines, or nowhere.

    The first symbol but one says how many lines there are.

    Raises:
        MistypedError: a line is not as it was printed, or missing; ``data`` has its number as ``line``.
        MalformedError: the lines are each right, and do not belong together.
    """
    lines = _lines(text)
    payload = [symbol for number, line in enumerate(lines, 1) for symbol in _payload(number, line)]
    if len(payload) < 2 + DIGEST:
        raise _mistyped(1, "is too short to be all of a code", found=f"{len(payload) + 2} characters")
    if (stated := payload[1]) > len(lines):
        raise _mistyped(len(lines) + 1, "is missing", expected=f"{stated} lines", found=f"{len(lines)}")
    if stated != len(lines) or payload[-DIGEST:] != _digest(payload[:-DIGEST]):
        raise MalformedError(
            "these lines are not one code, though each is right by itself",
            expected=f"{stated} lines of one sheet",
            found=f"{len(lines)} lines",
            hint="type all lines from one and the same sheet",
        )
    return tuple(payload[:-DIGEST])


def _lines(text: str) -> list[str]:
    """Return the lines of a text without separators: as it breaks, or, in one line, cut where lines end."""
    if len(text) > MAX_TEXT:
        raise MalformedError("a code is too long", expected=f"at most {MAX_TEXT} characters")
    table = str.maketrans("", "", _SEPARATORS)
    whole = text.replace("\r\n", "\n").translate(table)
    broken = [line for line in whole.split("\n") if line]
    if len(broken) == 1:
        broken = [broken[0][start : start + LINE] for start in range(0, len(broken[0]), LINE)]
    if not 1 <= len(broken) <= MAX_LINES:
        raise MalformedError("no code", expected=f"1 to {MAX_LINES} lines", found=f"{len(broken)}")
    for number, line in enumerate(broken, 1):
        _check_length(number, line, last=number == len(broken))
    return broken


def _check_length(number: int, line: str, *, last: bool) -> None:
    if len(line) > LINE or (len(line) % GROUP if last else len(line) < LINE):
        wanted = f"groups of {GROUP}, at most {LINE} characters" if last else f"{LINE} characters"
        raise _mistyped(number, "has too few or too many characters", wanted, f"{len(line)} characters")


def _payload(number: int, line: str) -> list[int]:
    """Return the payload of a line that passes its check."""
    odd = next((c for c in line if c not in _VALUES), None)
    if odd is not None:
        raise _mistyped(number, "has a character that no code has", "digits, and letters but U", ascii(odd))
    symbols = [_VALUES[c] for c in line]
    if _sum(symbols):
        raise _mistyped(
            number, "is not as it was printed", "the check character to fit", SYMBOLS[symbols[-1]]
        )
    if symbols[0] != number:
        raise _mistyped(
            number, "is another line", f"line {number}", f"line {symbols[0]}, as its first character says"
        )
    return symbols[1:-1]


def _mistyped(number: int, what: str, expected: str | None = None, found: str | None = None) -> MistypedError:
    return MistypedError(
        f"line {number} of the code {what}", expected=expected, found=found, data={"line": number}
    )


def _grouped(symbols: Sequence[int]) -> str:
    text = "".join(SYMBOLS[symbol] for symbol in symbols)
    return " ".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _checked(symbols: list[int]) -> list[int]:
    """Return the symbols and the one that makes their sum zero."""
    return [*symbols, _sum([*symbols, 0])]


def _sum(symbols: Sequence[int]) -> int:
    """Return the value of the polynomial with these coefficients at 2, over GF(32) = GF(2)[x] / (x^5 + x^2 + 1)."""
    value = 0
    for symbol in symbols:
        value <<= 1
        value = (value ^ _REDUCE if value & _OVERFLOW else value) ^ symbol
    return value


def _digest(symbols: Sequence[int]) -> list[int]:
    """Return the first 30 bits of SHA-512 over the symbols as text, as six symbols."""
    text = "".join(SYMBOLS[symbol] for symbol in symbols).encode()
    number = int.from_bytes(hashlib.sha512(_DOMAIN + text).digest()[:4]) >> 2
    return [number >> BITS * (DIGEST - 1 - place) & 31 for place in range(DIGEST)]
