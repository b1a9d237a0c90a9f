"""Random blocks: mutations of the golden vectors, and blocks of the codecs that predict, made from the specification.

Nothing here knows what the outcome must be: two decoders are asked, and have to agree.
"""

import base64
import json
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.second.codecs.elements import (
    BF16,
    F8_E4M3,
    F8_E5M2,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    Q4_0,
    Q8_0,
    element,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "codec"
CODES = (*range(20), 20, 31, 32, 33, 36, 40, 45, 54, 56, 57)
LARGEST = 20_000
ODD = (
    0.0,
    -0.0,
    float("inf"),
    float("-inf"),
    float("nan"),
    2.0**-126,
    1.5 * 2.0**-126,
    1e-45,
    3e38,
    -448.0,
    65504.0,
)


@dataclass(frozen=True, slots=True)
class Made:
    """A block as a decoder is given it."""

    codec: int
    element: int
    length: int
    sources: tuple[bytes, ...]
    payload: bytes


def golden() -> list[Made]:
    """Return the blocks of the golden vectors, good and bad."""
    blocks = []
    for name in ("good", "bad"):
        for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]:
            sources = tuple(base64.b64decode(source) for source in case["sources"])
            payload = base64.b64decode(case["payload"])
            blocks.append(Made(case["codec"], case["element"], case["length"], sources, payload))
    return [block for block in blocks if len(block.payload) < LARGEST]


def mutated(block: Made, choose: random.Random) -> Made:
    """Return a block with one to three things changed."""
    changes = (_byte, _byte, _byte, _cut, _grown, _element, _codec, _length, _source, _numbers, _more_sources)
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        block = choose.choice(changes)(block, choose)
    return block


def _byte(block: Made, choose: random.Random) -> Made:
    if not block.payload:
        return block
    data = bytearray(block.payload)
    at = choose.randrange(min(len(data), choose.choice((8, 32, 64, len(data)))))
    data[at] = choose.choice((data[at] ^ 1 << choose.randrange(8), 0, 1, 2, 3, 255, choose.randrange(256)))
    return replace(block, payload=bytes(data))


def _cut(block: Made, choose: random.Random) -> Made:
    return replace(block, payload=block.payload[: choose.randrange(len(block.payload) + 1)])


def _grown(block: Made, choose: random.Random) -> Made:
    return replace(block, payload=block.payload + choose.randbytes(choose.randrange(1, 5)))


def _element(block: Made, choose: random.Random) -> Made:
    return replace(block, element=choose.choice(CODES))


def _codec(block: Made, choose: random.Random) -> Made:
    return replace(block, codec=choose.randrange(11))


def _length(block: Made, choose: random.Random) -> Made:
    return replace(block, length=max(0, block.length + choose.choice((-64, -4, -2, -1, 1, 2, 4, 64))))


def _source(block: Made, choose: random.Random) -> Made:
    if not block.sources:
        return block
    sources = list(block.sources)
    at = choose.randrange(len(sources))
    less = choose.choice((-4, -2, -1, 1, 2, 4, 64))
    sources[at] = sources[at][: max(0, len(sources[at]) - less)] if less > 0 else sources[at] + bytes(-less)
    return replace(block, sources=tuple(sources))


def _numbers(block: Made, choose: random.Random) -> Made:
    """Put odd numbers into a source: NaN, infinities, subnormal ones."""
    if not block.sources or not block.sources[0]:
        return block
    data = bytearray(block.sources[0])
    for _ in range(choose.choice((1, 1, 5))):
        at = choose.randrange(len(data))
        odd = choose.choice((b"\x80\x7f", b"\xff\xff", b"\x01\x00", b"\x00\x7c", b"\x00\x80"))
        data[at : at + 2] = odd[: len(data) - at]
    return replace(block, sources=(bytes(data), *block.sources[1:]))


def _more_sources(block: Made, choose: random.Random) -> Made:
    if choose.random() < 0.5:
        return replace(block, sources=block.sources[:-1])
    return replace(block, sources=(*block.sources, choose.randbytes(min(block.length, 4096))))


# -- blocks of the codecs that predict -----------------------------------------------------------------------------


def predicted(choose: random.Random) -> Made:
    """Return a block of one of the codecs 5 to 9 that is valid, or nearly so."""
    return choose.choice((_lowrank, _adapter, _narrow, _convert, _convert, _grid, _grid))(choose)


def raw_planes(data: bytes, code: int) -> bytes:
    """Return a planes payload (C7) with predictor 0 and raw bodies."""
    kind = element(code)
    count = len(data) // kind.size
    table, bodies, at = b"", b"", 0
    for field in kind.fields:
        body = b"".join(data[i * kind.size + at : i * kind.size + at + field] for i in range(count))
        table += struct.pack("<BI", 1, len(body))
        bodies += body
        at += field
    return b"\0" + table + bodies


def numbers(count: int, code: int, choose: random.Random) -> bytes:
    """Return floats: ordinary ones, and a few odd ones."""
    spread = choose.choice((1e-40, 1e-3, 1.0, 300.0, 1e36))
    values = [choose.gauss(0, spread) for _ in range(count)]
    for _ in range(choose.choice((0, 0, 1, 4))):
        values[choose.randrange(count)] = choose.choice(ODD)
    return pack(values, code)


def pack(values: Sequence[float], code: int) -> bytes:
    """Return values as numbers of an element; what is too large becomes infinite, BF16 is cut."""
    if code == F64:
        return struct.pack(f"<{len(values)}d", *values)
    if code == F16:
        return b"".join(b"\0\x7c" if abs(value) > 65_504 else struct.pack("<e", value) for value in values)
    wide = [struct.pack("<f", value) for value in values]
    return b"".join(item if code == F32 else item[2:] for item in wide)


def _inner(length: int, code: int, choose: random.Random) -> tuple[int, bytes]:
    """Return an inner codec and its payload: equal, or a small difference in planes."""
    if choose.random() < 0.6:
        return 1, b""
    kind = element(code)
    zeros = b"".join(struct.pack("<BI", 0, 0) for _ in kind.fields[1:])
    body = bytes(choose.choice((0, 0, 0, 1, 255)) for _ in range(length // kind.size * kind.fields[0]))
    return 3, struct.pack("<BBI", choose.choice((1, 2)), 1, len(body)) + zeros + body


def _matrix(choose: random.Random) -> tuple[int, int]:
    return choose.randrange(1, 9), choose.choice((3, 6, 32, 64))


def _lowrank(choose: random.Random) -> Made:
    code = choose.choice((BF16, F16, F32))
    (rows, columns), rank = _matrix(choose), choose.randrange(1, 4)
    length = rows * columns * element(code).size
    limit = choose.choice((3, 300, 32_767))
    factors = [choose.randint(-limit, limit) for _ in range(rank * (rows + columns))]
    body = raw_planes(struct.pack(f"<{len(factors)}h", *factors), I16)
    shifts = bytes(choose.choice((0, 0, 3, 20)) for _ in range(rank))
    inner, rest = _inner(length, code, choose)
    exponent = choose.choice((-150, -40, -20, -10, 0, 100))
    header = struct.pack("<BBHIhHI", inner, choose.randrange(2), 0, columns, exponent, rank, len(body))
    payload = header + shifts + body + rest
    return Made(5, code, length, (numbers(rows * columns, code, choose),), payload)


def _adapter(choose: random.Random) -> Made:
    code = choose.choice((BF16, F16, F32))
    (rows, columns), rank = _matrix(choose), choose.randrange(1, 5)
    length = rows * columns * element(code).size
    flags, left, right = choose.randrange(8), choose.choice((BF16, F16, F32)), choose.choice((BF16, F16, F32))
    total = rows + choose.randrange(3) if flags & 2 else rows
    first = choose.randrange(total - rows + 1)
    inner, rest = _inner(length, code, choose)
    scale = choose.choice((1.0, -0.5, 3.14159, 1e-30, 1e20))
    header = struct.pack("<BBBBIHHIf", inner, flags, left, right, columns, rank, 0, first, scale)
    sources = (
        numbers(rows * columns, code, choose),
        numbers(total * rank, left, choose),
        numbers(rank * columns, right, choose),
    )
    return Made(6, code, length, sources, header + rest)


def _narrow(choose: random.Random) -> Made:
    code, less = choose.choice(((F32, BF16), (F32, F16), (F64, F32)))
    count = choose.randrange(1, 60)
    small = numbers(count, less, choose)
    if less == BF16:
        wide = b"".join(b"\0\0" + small[at : at + 2] for at in range(0, len(small), 2))
    else:
        values = struct.unpack(f"<{count}{'e' if less == F16 else 'f'}", small)
        wide = struct.pack(f"<{count}{'f' if less == F16 else 'd'}", *values)
    inner, rest = _inner(len(small), less, choose)
    return Made(7, code, len(wide), (wide,), struct.pack("<BBH", less, inner, 0) + rest)


_RULES = (
    (0, (F64, F32, F16, BF16), (F64, F32, F16, BF16, F8_E4M3, F8_E5M2)),
    (1, (F32,), (BF16,)),
    (2, (F32, F16, BF16), (F8_E4M3, F8_E5M2, I8)),
    (3, (F32, F16, BF16), (Q8_0, Q4_0)),
    (4, (F32, F16, BF16), (F32, F16, BF16)),
)


def _convert(choose: random.Random) -> Made:
    rule, origins, kinds = choose.choice(_RULES)
    origin, code = choose.choice(origins), choose.choice(kinds)
    rows, columns = _matrix(choose)
    if rule == 3:
        columns = choose.choice((32, 64))
    high, wide = (choose.choice((0, 1, 2, 3)), choose.choice((0, 2, 32))) if rule in (2, 4) else (0, 0)
    groups = -(-rows // (high or rows)) * -(-columns // (wide or columns))
    scales_from = choose.choice((1, 2, 3)) if rule == 2 else 0
    scale = choose.choice((F32, F16, BF16)) if scales_from in (1, 2) else 0
    work = choose.choice((F32, F16, BF16)) if rule in (2, 4) else 0
    flags = choose.randrange(2) if rule in (2, 4) else 2 * choose.randrange(2) if code == Q4_0 else 0
    head = choose.choice((0, 0, 2, rows - rows % 2)) if rows % 2 == 0 else 0
    limit = choose.choice((448.0, 127.5, 1e-30)) if rule == 4 or scales_from == 3 else 0.0
    given = numbers(groups, scale, choose) if scale else b""
    body = raw_planes(given, scale) if scales_from == 1 else b""
    count = {3: rows * columns // 32, 4: groups}.get(rule, rows * columns)
    length = count * element(code).size
    inner, rest = _inner(length, code, choose)
    header = struct.pack(
        "<BBBBBBBBIIIIfI",
        *(inner, rule, origin, scales_from, scale, work, flags, 0),
        *(columns, head, high, wide, limit, len(body)),
    )
    sources = (numbers(rows * columns, origin, choose), *([given] if scales_from == 2 else []))
    return Made(8, code, length, sources, header + body + rest)


def _grid(choose: random.Random) -> Made:
    code, step = choose.choice((F32, F16, BF16)), choose.choice((I8, I8, I16, F8_E4M3, F8_E5M2))
    records = (Q8_0, Q4_0, I32) if step == I8 else ()
    origin = choose.choice((0, F32, F16, BF16, step, *records))
    floating = origin in (F32, F16, BF16)
    stored = origin in (*records, step)
    options = [1] + [2] * stored + [3] * floating + [4] * (floating and step in (I8, I16))
    scales_from = choose.choice(options)
    inside = scales_from == 2 and origin in (Q8_0, Q4_0)
    scale = F16 if inside else choose.choice((F32, F16, BF16))
    rows, columns = _matrix(choose)
    columns = choose.choice((32, 64)) if origin in records else columns
    high, wide = (1, 32) if inside else (choose.choice((0, 1, 2, 3)), choose.choice((0, 2, 32)))
    groups = -(-rows // (high or rows)) * -(-columns // (wide or columns))
    given = numbers(groups, scale, choose)
    body = raw_planes(given, scale) if scales_from == 1 else b""
    limit = {3: choose.choice((127.0, 7.5, 1e-30)), 4: choose.choice((255.0, 15.0, 1.0))}.get(
        scales_from, 0.0
    )
    narrow = 8 * (floating and scale != F32 and choose.randrange(2))
    count = rows * columns
    source = _grid_source(count, origin, choose)
    inner, rest = _inner(count * element(step).size, step, choose)
    if origin == 0:
        inner, rest = 3, raw_planes(choose.randbytes(count * element(step).size), step)
    header = struct.pack(
        "<BBBBBBHIIIfI",
        *(
            inner,
            step,
            origin,
            scales_from + narrow,
            scale,
            choose.randrange(2) * (scales_from != 4),
            0,
            columns,
            high,
            wide,
            limit,
            len(body),
        ),
    )
    sources = ((source,) if origin else ()) + ((given,) if scales_from == 2 and not inside else ())
    return Made(9, code, count * element(code).size, sources, header + body + rest)


def _grid_source(count: int, origin: int, choose: random.Random) -> bytes:
    if origin in (F32, F16, BF16):
        return numbers(count, origin, choose)
    if origin in (Q8_0, Q4_0):
        body = element(origin).size - 2
        return b"".join(numbers(1, F16, choose) + choose.randbytes(body) for _ in range(count // 32))
    return choose.randbytes(count * element(origin).size // (8 if origin == I32 else 1))
