"""Codes for paper: what a receipt or a request says, in a few lines that a person can type (SPEC 9.15).

A code has no signature: it is the word of whoever types it. ``typed_lines`` finds what was typed wrongly; here is
what the symbols mean. Digests are said by their first 40 bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from airlift.bundle.manifest import MAX_CHUNKS
from airlift.bundle.returns import typed_bits, typed_lines
from airlift.bundle.returns.stated_ledger import START_DIGITS
from airlift.bundle.returns.typed_bits import BitReader
from airlift.bundle.returns.typed_lines import BITS, MAX_LINES, PAYLOAD, SYMBOLS
from airlift.errors import FormatTooNewError, MalformedError, UsageError

_START_BITS = 4 * START_DIGITS
_RECEIPT, _REQUEST = SYMBOLS.index("R"), SYMBOLS.index("Q")
_HEAD = 2
_CHUNK_BITS = MAX_CHUNKS.bit_length() - 1


@dataclass(frozen=True, slots=True)
class ReceiptCode:
    """What a receipt says: the ledger's key, size and root, the newest bundle's sequence, the newest release held.

    ``key``, ``root`` and ``release`` are the first :data:`START_DIGITS` hex digits of fingerprint, root and digest;
    ``release`` is "" if none is held, ``sequence`` 0 before the first bundle.
    """

    key: str
    size: int
    root: str
    sequence: int
    release: str


@dataclass(frozen=True, slots=True)
class RequestCode:
    """What a request says: the ledger's key, the bundle, and which of its chunks are missing.

    ``key`` and ``manifest`` are the first :data:`START_DIGITS` hex digits of fingerprint and digest; ``missing`` are
    indices into the manifest's ``chunks``, ascending, at least one.
    """

    key: str
    sequence: int
    manifest: str
    missing: tuple[int, ...]


Code = ReceiptCode | RequestCode


def format(code: Code) -> tuple[str, ...]:  # noqa: A001 - the pair of parse, as everywhere
    """Return the lines of a code.

    Raises:
        UsageError: it would have more than 31 lines.
        MalformedError: a request for no chunk, or for one that no bundle has.
    """
    return typed_lines.format(_symbols(code))


def parse(text: str) -> Code:
    """Return what a typed code says; case, spaces, hyphens, and O, I, L for 0 and 1 do not matter.

    Raises:
        MistypedError: a line is not as it was printed, or missing; ``data`` has its number as ``line``.
        MalformedError: the lines are not of one code, or say what none says.
        FormatTooNewError: a newer airlift made it.
    """
    symbols = typed_lines.parse(text)
    kind = symbols[0]
    if kind not in (_RECEIPT, _REQUEST):
        raise FormatTooNewError(
            "a code of a kind that this airlift does not know", expected="R or Q", found=SYMBOLS[kind]
        )
    bits = BitReader("".join(typed_bits.fixed(symbol, BITS) for symbol in symbols[_HEAD:]))
    code: Code = _to_receipt(bits) if kind == _RECEIPT else _to_request(bits)
    if typed_lines.filled(_symbols(code)) != symbols:
        raise MalformedError("a code is not written in the one way that it can be (SPEC 9.15)")
    return code


def _symbols(code: Code) -> tuple[int, ...]:
    """Return what a code says as symbols: kind, number of lines, and the bits of the rest."""
    receipt = isinstance(code, ReceiptCode)
    body = _of_receipt(code) if isinstance(code, ReceiptCode) else _of_request(code)
    said = [int(body[start : start + BITS].ljust(BITS, "0"), 2) for start in range(0, len(body), BITS)]
    lines = typed_lines.count(_HEAD + len(said))
    if lines > MAX_LINES:
        raise _too_long()
    return (_RECEIPT if receipt else _REQUEST, lines, *said)


def _too_long() -> UsageError:
    return UsageError(
        "this is too much for a code that is typed",
        expected=f"at most {MAX_LINES} lines",
        hint="carry the signed file instead: leave --code out",
    )


# -- what the bits mean --------------------------------------------------------------------------------------------


def _start(digest: str) -> str:
    return typed_bits.fixed(int(digest, 16), _START_BITS)


def _to_start(bits: BitReader) -> str:
    return f"{bits.fixed(_START_BITS):0{START_DIGITS}x}"


def _of_receipt(code: ReceiptCode) -> str:
    return (
        _start(code.key)
        + typed_bits.number(code.size)
        + _start(code.root)
        + typed_bits.number(code.sequence)
        + _held(code.release)
    )


def _held(release: str) -> str:
    return "1" + _start(release) if release else "0"


def _to_receipt(bits: BitReader) -> ReceiptCode:
    return ReceiptCode(
        key=_to_start(bits),
        size=bits.number(),
        root=_to_start(bits),
        sequence=bits.number(),
        release=_to_start(bits) if bits.fixed(1) else "",
    )


def _of_request(code: RequestCode) -> str:
    return (
        _start(code.key) + typed_bits.number(code.sequence) + _start(code.manifest) + _missing(code.missing)
    )


def _to_request(bits: BitReader) -> RequestCode:
    return RequestCode(_to_start(bits), bits.number(), _to_start(bits), _to_missing(bits))


def _runs(missing: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the runs of ascending indices: how many are between, and how many follow one another."""
    if not missing or list(missing) != sorted(set(missing)) or missing[0] < 0 or missing[-1] >= MAX_CHUNKS:
        raise MalformedError("a request names chunks by ascending indices, at least one")
    breaks = [0, *(place for place, (a, b) in enumerate(pairwise(missing), 1) if b != a + 1), len(missing)]
    runs = [(missing[start], end - start) for start, end in pairwise(breaks)]
    ends = [-1, *(first + length for first, length in runs)]
    return [(first - end - 1, length) for (first, length), end in zip(runs, ends, strict=False)]


def _missing(missing: tuple[int, ...]) -> str:
    """Return the bits of indices: gaps in Rice's code with the parameter that is best, runs in Elias' gamma."""
    runs = _runs(missing)
    if len(runs) > MAX_LINES * PAYLOAD * BITS:
        raise _too_long()
    costs = [sum(gap >> k for gap, _ in runs) + k * len(runs) for k in range(_CHUNK_BITS + 1)]
    k = costs.index(min(costs))
    return (
        typed_bits.fixed(k, BITS)
        + typed_bits.number(len(runs))
        + "".join(typed_bits.rice(gap, k) + typed_bits.gamma(run) for gap, run in runs)
    )


def _to_missing(bits: BitReader) -> tuple[int, ...]:
    k = bits.fixed(BITS)
    count = bits.number()
    if k > _CHUNK_BITS or count > bits.left:
        raise MalformedError("a code names chunks that no bundle has")
    return tuple(_indices(bits, k, count))


def _indices(bits: BitReader, k: int, count: int) -> Iterator[int]:
    end = -1
    for _ in range(count):
        first = end + 1 + bits.rice(k)
        end = first + bits.gamma()
        if end > MAX_CHUNKS:
            raise MalformedError("a code names chunks that no bundle has")
        yield from range(first, end)
