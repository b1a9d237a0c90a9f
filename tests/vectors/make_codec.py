"""Writes codec/good.json and codec/bad.json: coded blocks and what must become of them.

A case has a codec id, an element code, sources, a length and a payload (bytes in base64), and its outcome: ``ok``
with the target, or the code of the error. In a case with ``encode`` the encoder, left to choose, must give this very
codec and payload; with another zstd library than the one named in ``zstd`` its frames may differ, the targets never.
Run it with ``python -m tests.vectors.make_codec``.
"""

import base64
import json
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from airlift import codec
from airlift.codec import Coded, Effort
from airlift.codec.block import Context
from airlift.codec.decoding import CODECS
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Rule, ScalesFrom
from tests.support import zstd_frames as made
from tests.support.tensors import weights

FOLDER = Path(__file__).parent / "codec"
RAW, EQUAL, ZSTD, PLANES, ULP, LOWRANK, ADAPTER, NARROW, CONVERT, GRID = range(10)
MALFORMED, TOO_NEW = "malformed", "format-too-new"

NOISE = bytes((n * n * 31 + n * 7 + n // 17) % 256 for n in range(96))
TEXT = b"".join(b"weights.%d.bias %d\n" % (n, n * n % 101) for n in range(60))
BASE = b"".join(bytes([n * n * 37 % 256, 0x3C + n % 3]) for n in range(600))
NEW = bytes(byte ^ (n % 7 == 0) for n, byte in enumerate(BASE))
_SOURCES: list[list[bytes]] = [[], [BASE], [BASE, TEXT]]
SPECIAL = bytes.fromhex("00000080010001808000ff7f807f80ffc17f803f81bf7f7f00007b00ff7bff03003c01fc") * 8
HALVES = bytes.fromhex("00000080010001800002ff0300040084007c003c00bcf87b00fcff3500355555")
SINGLES = struct.pack(
    "<16f", 0, 2.0**-126, -(2.0**-126) * 1.25, 2.0**-125, -0.0, -0.1, 1, -1.25, float("inf"), 2, -3e38, 1e-30,
    float("-inf"), 7, -1e9, 0.5,
)  # fmt: skip
LEFT = b"".join(
    struct.pack("<f", value) for n in range(12) for value in (n / 3 - 2, 2.0 ** (-5 * n))
)  # (12, 2)
RIGHT = b"".join(
    struct.pack("<f", value) for value in (0.25, 1, -1, 3, 1e30, 1e-30, 0, -5, 1e-3, 7, 2, 1)
)  # (2, 6)
HEADER = struct.Struct("<8B4IfI")
GRID_HEADER = struct.Struct("<6BH3IfI")
CURVE = b"".join(struct.pack("<f", (n - 31) * 2.0 ** (n % 5 - 4))[2:] for n in range(64))
ZEROS = made.block(made.RLE, 96, b"\0")
UNITS = 201
_RAW = b"\x40\x00\x3f\x80\x10"  # the symbol of 64 to 79


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def case(
    name: str, coded: Coded, sources: Sequence[bytes], length: int, element: int, **more: Any
) -> dict[str, Any]:
    """Return one case."""
    return {
        "name": name,
        "codec": coded.codec,
        "element": element,
        "sources": [text(source) for source in sources],
        "length": length,
        "payload": text(coded.payload),
    } | more


# -- good ----------------------------------------------------------------------------------------------------------


def good() -> Iterator[dict[str, Any]]:
    """Yield the cases that decode."""
    yield from _chosen()
    yield from _given()
    yield from _by_hand()
    yield from _predicted()
    yield from _narrow()
    yield from _convert()
    yield from _grid()


def _chosen() -> Iterator[dict[str, Any]]:
    """Yield what the encoder makes when it may choose."""
    chosen: list[tuple[str, bytes, list[bytes], Element]] = [
        ("nothing", b"", [], Element.BYTES),
        ("noise", NOISE, [], Element.BYTES),
        ("noise, odd length", NOISE[:95], [NOISE], Element.BF16),
        ("the base again", NEW, [NEW], Element.BF16),
        ("text", TEXT, [], Element.BYTES),
        ("text that grew", b"{}\n" + TEXT + b"more", [TEXT], Element.BYTES),
        ("weights", BASE, [], Element.BF16),
        ("weights that changed", NEW, [BASE], Element.BF16),
    ]
    for name, target, sources, element in chosen:
        coded = codec.encode(target, sources, element)
        yield _ok(f"chosen: {name}", coded, sources, target, element, encode=True)


def _given() -> Iterator[dict[str, Any]]:
    """Yield what each codec makes, chosen or not."""
    both = [(number, element) for number in (PLANES, ULP) for element in Element]
    for number, element in ((ZSTD, Element.BYTES), *both):
        for sources in _SOURCES:
            context = Context([memoryview(source) for source in sources], element)
            payload = CODECS[number].encode(memoryview(NEW), context, Effort.NORMAL)
            if payload is not None and len(payload) <= len(NEW):
                name = f"{CODECS[number].name}: {element.name}, {len(sources)} sources"
                yield _ok(name, Coded(number, payload), sources, NEW, element)
    wide = (Element.BF16, Element.F16, Element.F32, Element.F64, Element.I32)
    narrow = (Element.F8_E4M3, Element.I8, Element.Q4_0, Element.Q8_0, Element.Q4_K, Element.Q6_K)
    for element in (*wide, *narrow):
        new, old = weights(element, step=0.02, rows=6), weights(element, rows=6)
        new = new[: len(new) // 2] + old[len(old) // 2 :]
        context = Context([memoryview(old)], element, [(96, 576)])
        payload = CODECS[ULP].encode(memoryview(new), context, Effort.NORMAL) or b""
        name = f"ulp: rows of {element.name}, half of them still"
        yield _ok(name, Coded(ULP, payload), [old], new, element)


def _by_hand() -> Iterator[dict[str, Any]]:
    """Yield what no encoder here makes, and every decoder must read."""
    yield _ok("equal: the first of two", Coded(EQUAL, b""), [NOISE, TEXT], NOISE, Element.F32)
    yield _ok("zstd: a block of one byte repeated", Coded(ZSTD, made.frame(96, ZEROS)), [], bytes(96), 0)
    windowed = made.frame(96, ZEROS, flags=0, window=made.window(24))
    yield _ok("zstd: the largest window", Coded(ZSTD, windowed), [], bytes(96), 0)
    raw = _planes(0, (1, NOISE), (0, b""))
    yield _ok("planes: raw and zero", Coded(PLANES, raw), [], _spread(NOISE), Element.I16)
    xored = _planes(1, (1, bytes(96)), (0, b""))
    for name, payload, target in _ulp_by_hand():
        yield _ok(f"ulp: {name}", Coded(ULP, payload), [bytes(2 * UNITS)], target, Element.BF16)
    yield _ok("planes: XOR with zero", Coded(PLANES, xored), [_spread(NOISE)], _spread(NOISE), Element.F16)
    difference = _planes(2, (1, NOISE[:48]), (0, b""))
    target = bytes((a + b) % 256 for a, b in zip(_spread(NOISE[:48]), NOISE, strict=True))
    yield _ok("planes: the difference", Coded(PLANES, difference), [NOISE], target, Element.BF16)
    numbers = made.frame(96, made.block(made.RLE, 96, b"\x11"))
    fields = _planes(0, (1, b"abc"), (1, b"ABC"), (2, numbers))
    target = b"".join(scale + b"\x11" * 32 for scale in (b"aA", b"bB", b"cC"))
    yield _ok("planes: the fields of records", Coded(PLANES, fields), [], target, Element.Q8_0)


def _predicted() -> Iterator[dict[str, Any]]:
    """Yield predictions from special numbers: where the inner codec is equal, the target is the prediction itself."""
    for element in (Element.BF16, Element.F16, Element.F32):
        base = SPECIAL[: 72 * element.size]
        for flags in (0, 1):
            yield _prediction(LOWRANK, lowrank(flags=flags), [base], element, f"flags {flags}")
            yield _prediction(ADAPTER, adapter(flags=flags), [base, LEFT, RIGHT], element, f"flags {flags}")
        turned = adapter(flags=6, first=2, columns=8)
        yield _prediction(ADAPTER, turned, [base, LEFT, LEFT[:64]], element, "transposed")
    rest = _planes(1, (1, NOISE[:72]), *[(0, b"")] * 3)
    yield _prediction(LOWRANK, lowrank(inner=PLANES) + rest, [SPECIAL[:288]], Element.F32, "planes inside")
    yield _prediction(
        ADAPTER, adapter(inner=PLANES) + rest, [SPECIAL[:288], LEFT, RIGHT], Element.F32, "planes inside"
    )


def _narrow() -> Iterator[dict[str, Any]]:
    """Yield numbers of one type in another, XORed with 0, 1, 2, 3, 0 ..., and equal."""
    for kind, wide, base in (
        (Element.BF16, Element.F32, _brains_as_singles(SPECIAL[:32])),
        (Element.F16, Element.F32, struct.pack("<16f", *struct.unpack("<16e", HALVES))),
        (Element.F32, Element.F64, struct.pack("<16d", *struct.unpack("<16f", SINGLES))),
    ):
        rest = _planes(1, (1, bytes(n & 3 for n in range(16))), *[(0, b"")] * (kind.size - 1))
        title = f"{kind.name} in {wide.name}"
        yield _prediction(NARROW, narrow(kind, PLANES) + rest, [base], wide, title)
        yield _prediction(NARROW, narrow(kind, EQUAL), [base], wide, f"{title}, equal")


def _brains_as_singles(data: bytes) -> bytes:
    return b"".join(b"\0\0" + data[n : n + 2] for n in range(0, len(data), 2))


def narrow(kind: int, inner: int, *, zero: int = 0) -> bytes:
    """Return the header of a narrow block."""
    return struct.pack("<BBH", kind, inner, zero)


def _convert() -> Iterator[dict[str, Any]]:
    """Yield numbers as those of another element, and quantised: special ones, and some of ordinary sizes."""
    brains, singles = SPECIAL[:128] + CURVE, struct.pack("<64f", *(n * n * 0.01 - 3 * n for n in range(64)))
    doubles = struct.pack("<16d", *struct.unpack("<16f", SINGLES)) * 4
    sources = {
        Element.BF16: brains,
        Element.F16: HALVES * 4,
        Element.F32: SINGLES + singles,
        Element.F64: doubles,
    }
    for element in (Element.F64, Element.F32, Element.F16, Element.BF16, Element.F8_E4M3, Element.F8_E5M2):
        for kind, source in sources.items():
            yield _conversion(convert(Rule.CAST, kind), [source], element, f"of {kind.name}")
    yield _conversion(convert(Rule.TRUNCATE, Element.F32), [singles], Element.BF16, "cut off")
    for element in (Element.Q8_0, Element.Q4_0):
        for kind in (Element.BF16, Element.F16, Element.F32):
            payload = convert(Rule.GGML, kind, columns=32)
            yield _conversion(payload, [sources[kind][: 64 * kind.size]], element, f"of {kind.name}")
    fused = convert(Rule.GGML, Element.BF16, columns=32, flags=2)
    yield _conversion(fused, [brains], Element.Q4_0, "fused")
    yield _conversion(convert(Rule.GGML, Element.BF16, columns=32, head=4), [brains], Element.Q8_0, "turned")
    for element in (Element.F8_E4M3, Element.F8_E5M2, Element.I8):
        yield from _scaled(element, brains)


def _scaled(element: Element, source: bytes) -> Iterator[dict[str, Any]]:
    """Yield the ways to scale, of eight rows of sixteen numbers, and the scales themselves."""
    stored = struct.pack("<4H", 0x3C00, 0x3E80, 0, 0x7F80)
    most: dict[str, Any] = {"work": Element.BF16, "down": 3, "across": 7, "limit": 448.0}
    given = {"work": Element.F32, "down": 4, "across": 8, "scale": Element.BF16}
    for flags in (0, 1):
        name = f"flags {flags}"
        scale = convert(Rule.SCALE, Element.BF16, origin=ScalesFrom.LARGEST, flags=flags, **most)
        yield _conversion(scale, [source], element, f"by the largest, {name}")
        scale = convert(Rule.SCALE, Element.BF16, origin=ScalesFrom.SOURCE, flags=flags, **given)
        yield _conversion(scale, [source, stored], element, f"by a source, {name}")
        body = _planes(0, (1, stored[::2]), (1, stored[1::2]))
        scale = convert(
            Rule.SCALE, Element.BF16, origin=ScalesFrom.PAYLOAD, flags=flags, size=len(body), **given
        )
        yield _conversion(scale + body, [source], element, f"by the payload, {name}")
        if element is Element.I8:
            for kind in (Element.F32, Element.F16, Element.BF16):
                scales = convert(
                    Rule.SCALES, Element.BF16, flags=flags, **most | {"work": Element.F32, "down": 1}
                )
                yield _conversion(scales, [source], kind, f"scales, {name}", groups=24)


def _conversion(
    payload: bytes, sources: list[bytes], element: Element, name: str, *, groups: int = 0
) -> dict[str, Any]:
    """Return a case whose inner codec is equal."""
    head = HEADER.unpack_from(payload)
    count = groups or len(sources[0]) // Element(head[2]).size // (32 if element.record else 1)
    length = count * element.size
    target = bytes(codec.decode(CONVERT, payload, sources, length, element))
    return _ok(f"convert: {element.name}, {name}", Coded(CONVERT, payload), sources, target, element)


def convert(
    rule: int, source: int, *, inner: int = EQUAL, origin: int = 0, scale: int = 0, work: int = 0, flags: int = 0,
    zero: int = 0, columns: int = 16, head: int = 0, down: int = 0, across: int = 0, limit: float = 0.0,
    size: int = 0,
) -> bytes:  # fmt: skip
    """Return the header of a convert block."""
    return HEADER.pack(
        inner, rule, source, origin, scale, work, flags, zero, columns, head, down, across, limit, size
    )


def _grid() -> Iterator[dict[str, Any]]:
    """Yield numbers that are a scale times a step: every kind of step, source and scale, with special numbers."""
    integers = bytes(n * n * 7 % 256 for n in range(256))
    sources = {
        Element.F32: SINGLES + struct.pack("<240f", *(n * n * 0.01 - 3 * n for n in range(240))),
        Element.F16: HALVES * 16,
        Element.BF16: (SPECIAL + CURVE * 4)[:512],
        Element.I8: integers,
        Element.I16: bytes(n * n * 7 // 3 % 256 for n in range(512)),
        Element.F8_E4M3: bytes(range(256)),
        Element.F8_E5M2: bytes(range(256)),
    }
    for element in (Element.F32, Element.F16, Element.BF16):
        for kind in (Element.I8, Element.I16, Element.F8_E4M3, Element.F8_E5M2):
            yield _steps(grid(kind, kind), sources[kind], element, f"{kind.name} as they are")
            for source in (Element.F32, Element.F16, Element.BF16):
                title = f"{kind.name} of {source.name}"
                for flags in (0, 1):
                    payload = grid(kind, source, flags=flags, scale=element)
                    yield _steps(payload, sources[source], element, f"{title}, flags {flags}")
                limit = 127.0 if kind in {Element.I8, Element.I16} else 448.0
                payload = grid(kind, source, origin=ScalesFrom.LARGEST, limit=limit, flags=1, scale=source)
                yield _steps(payload, sources[source], element, f"{title}, by the largest")
                if element is not Element.F32:
                    narrow = grid(kind, source, origin=ScalesFrom.LARGEST + THIN, limit=limit, scale=element)
                    yield _steps(narrow, sources[source], element, f"{title}, by the largest, narrow")
        for kind in (Element.Q8_0, Element.Q4_0):
            records = b"".join(
                struct.pack("<H", bits) + bytes((n * n + bits) % 256 for n in range(kind.size - 2))
                for bits in (0x3C00, 0xB000, 0x0001, 0, 0x7C00, 0x7E00, 0x7BFF, 0x8000)
            )
            payload = grid(
                Element.I8, kind, origin=ScalesFrom.SOURCE, scale=Element.F16, columns=64, group=(1, 32)
            )
            yield _steps(payload, records, element, f"{kind.name}")
            yield _steps(grid(Element.I8, kind, columns=32), records, element, f"{kind.name}, other scales")
        yield from _ranges(element, sources)
        yield from _scaled_apart(element, sources)
        for group in ((1, 0), (0, 0), (0, 1), (128, 128), (5, 7)):
            payload = grid(Element.I8, Element.I8, group=group)
            yield _steps(payload, integers, element, f"groups of {group[0]} x {group[1]}")
        alone = grid(Element.I8, Element.BYTES, inner=PLANES) + _planes(0, (1, integers))
        yield _steps(alone, b"", element, "without a source")
        rest = _planes(1, (1, NOISE + bytes(160)))
        payload = grid(Element.I8, Element.I8, inner=PLANES) + rest
        yield _steps(payload, integers, element, "planes inside")


def _ranges(element: Element, sources: dict[Element, bytes]) -> Iterator[dict[str, Any]]:
    """Yield integers with a zero point."""
    for kind in (Element.I8, Element.I16):
        for source in (Element.F32, Element.F16, Element.BF16):
            for limit, scale, narrow in (
                (255.0, Element.F32, 0),
                (15.0, Element.F16, NARROW),
                (3.0, Element.BF16, NARROW),
            ):
                payload = grid(kind, source, origin=ScalesFrom.RANGE + narrow, limit=limit, scale=scale)
                name = f"{kind.name} of {source.name}, by a range of {limit:.0f}"
                yield _steps(payload, sources[source], element, name)


def _scaled_apart(element: Element, sources: dict[Element, bytes]) -> Iterator[dict[str, Any]]:
    """Yield steps whose scales are a source of their own, and packed ones."""
    origin = ScalesFrom.SOURCE
    for scale in (Element.F32, Element.F16, Element.BF16):
        for kind, group in ((Element.I8, (1, 0)), (Element.I16, (0, 0)), (Element.F8_E4M3, (5, 7))):
            payload = grid(kind, kind, origin=origin, scale=scale, group=group)
            given = _scales_of(scale, _count(group))
            yield _steps(payload, sources[kind], element, f"{kind.name} and {scale.name} scales", given)
        payload = grid(Element.I8, Element.I32, origin=origin, scale=scale, flags=1, group=(1, 8))
        name = f"packed numbers and {scale.name} scales"
        yield _steps(payload, sources[Element.I8][:128], element, name, _scales_of(scale, _count((1, 8))))
        payload = grid(Element.I8, Element.I32, scale=scale)
        yield _steps(
            payload, sources[Element.I8][128:], element, f"packed numbers, {scale.name} in the payload"
        )


def _steps(payload: bytes, source: bytes, element: Element, name: str, *more: bytes) -> dict[str, Any]:
    """Return a case of 256 numbers."""
    sources, length = [source, *more] if source else [], 256 * element.size
    target = bytes(codec.decode(GRID, payload, sources, length, element))
    return _ok(f"grid: {element.name}, {name}", Coded(GRID, payload), sources, target, element)


THIN = 8
"""Added to where scales are from: quotients are rounded to their element (narrow)."""
SCALES = (1.0, 0.0123, -2.0, 2.0**-126, 3e38, float("inf"), 0.0, float("nan"))
"""Those of groups, in turn."""


def grid(
    steps: int, source: int, *, inner: int = EQUAL, origin: int = ScalesFrom.PAYLOAD, scale: int = Element.F32,
    flags: int = 0, zero: int = 0, columns: int = 16, group: tuple[int, int] = (1, 0), limit: float = 0.0,
    size: int | None = None, rows: int = 0,
) -> bytes:  # fmt: skip
    """Return the header of a grid block of 256 numbers, and scales where they are in the payload."""
    body = b""
    if origin in {ScalesFrom.PAYLOAD, ScalesFrom.PAYLOAD + THIN} and columns:
        some = _scales_of(scale, _count(group, rows or 256 // columns, columns))
        width = Element(scale).size
        body = _planes(0, *((1, some[place::width]) for place in range(width)))
    length = len(body) if size is None else size
    return (
        GRID_HEADER.pack(inner, steps, source, origin, scale, flags, zero, columns, *group, limit, length)
        + body
    )


def _count(group: tuple[int, int], rows: int = 16, columns: int = 16) -> int:
    """Return how many groups there are."""
    return -(-rows // (group[0] or rows)) * -(-columns // (group[1] or columns))


def _scales_of(element: int, count: int) -> bytes:
    """Return so many scales."""
    return b"".join(_scale(SCALES[n % len(SCALES)], element) for n in range(count))


def _scale(value: float, element: int) -> bytes:
    if element == Element.BF16:
        return struct.pack("<f", value)[2:]
    return struct.pack("<e", min(value, 65504.0)) if element == Element.F16 else struct.pack("<f", value)


def _prediction(
    number: int, payload: bytes, sources: list[bytes], element: Element, name: str
) -> dict[str, Any]:
    """Return a case that pins what the decoder says; unit tests hold the arithmetic against fractions."""
    target = bytes(codec.decode(number, payload, sources, len(sources[0]), element))
    title = f"{CODECS[number].name}: {element.name}, {name}"
    return _ok(title, Coded(number, payload), sources, target, element)


def lowrank(
    *, inner: int = EQUAL, flags: int = 0, zero: int = 0, columns: int = 6, rank: int = 1, exponent: int = -20,
    shift: int = 4, more: int = 0,
) -> bytes:  # fmt: skip
    """Return header and factors of a matrix of twelve rows and six columns."""
    body = _planes(0, (1, bytes(range(0, 250, 14))), (1, bytes([0, 255, 64, 1, 2, 127, 128, 0, 254] * 2)))
    header = struct.pack("<BBHIhHI", inner, flags, zero, columns, exponent, rank, len(body) + more)
    return header + bytes([shift]) * rank + body


def adapter(
    *, inner: int = EQUAL, flags: int = 0, element: int = Element.F32, columns: int = 6, rank: int = 2, zero: int = 0,
    first: int = 0, scale: float = 0.75,
) -> bytes:  # fmt: skip
    """Return the header for the factors LEFT and RIGHT."""
    return struct.pack("<BBBBIHHIf", inner, flags, element, element, columns, rank, zero, first, scale)


def _ok(
    name: str, coded: Coded, sources: Sequence[bytes], target: bytes, element: int, **more: Any
) -> dict[str, Any]:
    return case(name, coded, sources, len(target), element, outcome="ok", target=text(target)) | more


def _ulp_by_hand() -> Iterator[tuple[str, bytes, bytes]]:
    """Yield payloads of 201 bf16 units against +0."""
    yield "one symbol takes no words", _ulp(), b"\x01\0" * UNITS
    four = b"\x20\0\x20\x80\x21\0\x21\x80"  # z = 64, 65, 66, 67
    yield "raw bits", _ulp(table=_RAW, raw=b"\x10\x32" * 50 + b"\0"), four * 50 + b"\x20\0"
    yield "a map to a second table", _ulp(tables=2, map_=b"\x01", table=b"\0\x80\x10" * 2), bytes(2 * UNITS)
    yield "64 lanes", _ulp(lanes=6, states=b"\0\0\1\0" * 64), b"\x01\0" * UNITS
    run = UNITS.to_bytes(4, "little") + b"\x01\0\0\0"
    yield "still units", _ulp(context=1, runs=run, scales=b"\0", map_=bytes(64)), bytes(2 * UNITS)


def _ulp(
    *,
    flags: int = 1,
    context: int = 0,
    lanes: int = 0,
    tables: int = 1,
    shift: int = 0,
    offset: int = 0,
    runs: bytes = b"",
    scales: bytes = b"",
    map_: bytes = b"\0",
    table: bytes = b"\x02\x00\x01\x80\x10",
    states: bytes = b"\0\0\1\0",
    words: bytes = b"",
    raw: bytes = b"",
) -> bytes:
    """Return a payload of the codec ulp; by default of units that all have the symbol 2."""
    header = bytes([flags, context, lanes, tables, shift, 0]) + offset.to_bytes(2, "little", signed=True)
    counts = (len(runs) // 8, len(scales), len(words) // 2, len(raw))
    header += b"".join(count.to_bytes(4, "little") for count in counts)
    return b"".join([header, runs, scales, map_, table, states, words, raw])


def _planes(predictor: int, *planes: tuple[int, bytes]) -> bytes:
    table = b"".join(bytes([mode]) + len(body).to_bytes(4, "little") for mode, body in planes)
    return bytes([predictor]) + table + b"".join(body for _, body in planes)


def _spread(data: bytes) -> bytes:
    return bytes(value for byte in data for value in (byte, 0))


# -- bad -----------------------------------------------------------------------------------------------------------


def bad() -> Iterator[dict[str, Any]]:
    """Yield the cases that must be refused."""
    for name, number, code in (
        ("codec: unknown", 10, 0),
        ("codec: the last", 255, 0),
        ("element: unknown", RAW, 20),
    ):
        yield case(name, Coded(number, b""), [], 0, code, outcome=TOO_NEW)
    for inner in (RAW, ZSTD, LOWRANK, ADAPTER, 255):
        for number, payload in ((LOWRANK, lowrank(inner=inner)), (ADAPTER, adapter(inner=inner))):
            name = f"{CODECS[number].name}: {inner} inside"
            yield case(
                name, Coded(number, payload), [bytes(144), LEFT, RIGHT], 144, Element.BF16, outcome=TOO_NEW
            )
    for kind, element in ((Element.F32, Element.F32), (Element.F16, Element.BF16), (255, Element.F32)):
        name = f"narrow: {kind} in {element.name}"
        coded = Coded(NARROW, narrow(kind, EQUAL))
        yield case(name, coded, [bytes(144)], 144, element, outcome=TOO_NEW)
    coded = Coded(NARROW, narrow(Element.BF16, NARROW))
    yield case("narrow: 7 inside", coded, [bytes(144)], 144, Element.F32, outcome=TOO_NEW)
    for name, payload in {
        "another rule": convert(5, Element.BF16),
        "scales from elsewhere": convert(Rule.SCALE, Element.BF16, origin=4),
        "a rule that makes no BF16": convert(Rule.GGML, Element.BF16, columns=32),
        "integers": convert(Rule.CAST, Element.I8),
        "an unknown element": convert(Rule.CAST, 31),
        "8 inside": convert(Rule.CAST, Element.BF16, inner=CONVERT),
    }.items():
        coded = Coded(CONVERT, payload)
        yield case(f"convert: {name}", coded, [bytes(192)], 192, Element.BF16, outcome=TOO_NEW)
    for name, payload in {
        "scales from nowhere": grid(Element.I8, Element.BF16, origin=0),
        "scales from elsewhere": grid(Element.I8, Element.BF16, origin=5),
        "narrow scales from nowhere": grid(Element.I8, Element.BF16, origin=8),
        "narrow scales of no floats": grid(
            Element.I8, Element.I8, origin=1 + THIN, scale=Element.F16, limit=0.0
        ),
        "narrow scales of 32 bits": grid(
            Element.I8, Element.BF16, origin=ScalesFrom.LARGEST + THIN, limit=127.0
        ),
        "scales of a range of steps": grid(Element.I8, Element.I8, origin=ScalesFrom.RANGE, limit=255.0),
        "a range of eight-bit floats": grid(
            Element.F8_E4M3, Element.BF16, origin=ScalesFrom.RANGE, limit=255.0
        ),
        "steps of 32 bits": grid(Element.I32, Element.BF16),
        "steps of no known element": grid(31, Element.BF16),
        "a source of integers of another size": grid(Element.I8, Element.I16),
        "a source of doubles": grid(Element.I8, Element.F64),
        "records of larger steps": grid(Element.I16, Element.Q8_0, columns=32),
        "scales of a source of floats": grid(
            Element.I8, Element.BF16, origin=ScalesFrom.SOURCE, scale=Element.F16
        ),
        "scales of no source": grid(Element.I8, Element.BYTES, origin=ScalesFrom.SOURCE),
        "packed numbers of larger steps": grid(Element.I16, Element.I32),
        "packed eight-bit floats": grid(Element.F8_E4M3, Element.I32),
        "scales computed from packed numbers": grid(
            Element.I8, Element.I32, origin=ScalesFrom.LARGEST, limit=7.0
        ),
        "scales computed from steps": grid(Element.I8, Element.I8, origin=ScalesFrom.LARGEST, limit=127.0),
        "scales computed from nothing": grid(
            Element.I8, Element.BYTES, origin=ScalesFrom.LARGEST, limit=127.0
        ),
        "scales of 64 bits": grid(
            Element.I8, Element.BF16, scale=Element.F64, origin=ScalesFrom.LARGEST, limit=127.0
        ),
        "9 inside": grid(Element.I8, Element.BF16, inner=GRID),
    }.items():
        yield case(f"grid: {name}", Coded(GRID, payload), [bytes(512)], 512, Element.BF16, outcome=TOO_NEW)
    for name, number, payload, sources, length in (
        *_bad_plain(), *_bad_frames(), *_bad_planes(), *_bad_ulp(), *_bad_lowrank(), *_bad_adapter(), *_bad_narrow(),
        *_bad_convert(), *_bad_grid(),
    ):  # fmt: skip
        element = Element.F32 if number == NARROW else Element.BF16 if number >= PLANES else Element.BYTES
        yield case(name, Coded(number, payload), sources, length, element, outcome=MALFORMED)


Bad = tuple[str, int, bytes, Sequence[bytes], int]


def _bad_plain() -> Iterator[Bad]:
    yield "raw: too short", RAW, b"ab", [], 3
    yield "raw: too long", RAW, b"abc", [], 2
    yield "equal: no source", EQUAL, b"", [], 3
    yield "equal: a short source", EQUAL, b"", [b"ab"], 3
    yield "equal: a long source", EQUAL, b"", [b"abcd"], 3
    yield "equal: a payload", EQUAL, b"a", [b"abc"], 3
    yield "equal: a short source before a long one", EQUAL, b"", [b"ab", b"abc"], 3
    yield "any: five sources", EQUAL, b"", [b""] * 5, 0
    yield (
        "any: a block over the limit",
        ZSTD,
        made.frame(codec.MAX_LENGTH + 1, ZEROS),
        [],
        codec.MAX_LENGTH + 1,
    )


def _bad_frames() -> Iterator[Bad]:
    frame = made.frame(96, ZEROS)
    for name, payload in {
        "nothing": b"",
        "another magic number": b"\x29" + frame[1:],
        "truncated": frame[:-1],
        "a byte after the end": frame + b"\0",
        "two frames": frame + frame,
        "a skippable frame before": made.skippable(b"") + frame,
        "a skippable frame after": frame + made.skippable(b""),
        "no declared length": made.unsized(ZEROS),
        "declares less": made.frame(95, made.block(made.RLE, 95, b"\0")),
        "declares more": made.frame(97, made.block(made.RLE, 97, b"\0")),
        "holds less": made.frame(96, made.block(made.RLE, 95, b"\0")),
        "holds more": made.frame(96, made.block(made.RLE, 97, b"\0")),
        "a bomb": made.frame(96, *[made.block(made.RLE, 1 << 17, b"\0", last=False)] * 3, ZEROS),
        "declares 2^62": made.frame(1 << 62, ZEROS),
        "a dictionary id": made.frame(96, ZEROS, dictionary=b"\x07"),
        "a dictionary id of 0": made.frame(96, ZEROS, dictionary=b"\x00"),
        "a digest of its own": made.frame(96, ZEROS + bytes(4), flags=made.SINGLE | made.DIGEST),
        "a reserved bit": made.frame(96, ZEROS, flags=made.SINGLE | made.RESERVED),
        "the unused bit": made.frame(96, ZEROS, flags=made.SINGLE | made.UNUSED),
        "a window over the limit": made.frame(96, ZEROS, flags=0, window=made.window(25)),
        "a reserved block": made.frame(96, made.block(3, 96, b"\0")),
    }.items():
        yield f"zstd: {name}", ZSTD, payload, [], 96
    yield "zstd: an empty frame", ZSTD, b"", [], 0


def _bad_planes() -> Iterator[Bad]:
    half = NOISE[:48]
    for name, payload in {
        "nothing": b"",
        "a truncated table": b"\0\0\0\0\0\0\0\0\0\0",
        "an unknown predictor": _planes(3, (1, half), (0, b"")),
        "an unknown mode": _planes(0, (3, half), (0, b"")),
        "a zero plane with a body": _planes(0, (1, half), (0, b"\0")),
        "a short raw plane": _planes(0, (1, half[:47]), (0, b"")),
        "a long raw plane": _planes(0, (1, half + b"\0"), (0, b"")),
        "an empty frame": _planes(0, (2, b""), (0, b"")),
        "no frame": _planes(0, (2, half[:47]), (0, b"")),
        "a frame of another length": _planes(0, (2, made.frame(96, ZEROS)), (0, b"")),
        "a byte after the bodies": _planes(0, (1, half), (0, b"")) + b"\0",
        "a truncated body": _planes(0, (1, half), (0, b""))[:-1],
    }.items():
        yield f"planes: {name}", PLANES, payload, [bytes(96)], 96
    delta = _planes(1, (1, half), (0, b""))
    yield "planes: XOR with nothing", PLANES, delta, [], 96
    yield "planes: XOR with a short source", PLANES, delta, [bytes(95)], 96
    yield "planes: an odd length", PLANES, delta, [bytes(95)], 95
    difference = _planes(2, (1, half), (0, b""))
    yield "planes: a difference from nothing", PLANES, difference, [], 96
    yield "planes: a difference from a long source", PLANES, difference, [bytes(97)], 96


def _bad_ulp() -> Iterator[Bad]:
    run, three = b"\xc9\0\0\0\x01\0\0\0", b"\x43\0\0\0\x03\0\0\0"
    scaled: dict[str, Any] = {"context": 1, "runs": run, "scales": b"\x01", "map_": bytes(64)}
    for name, payload in {
        "nothing": b"",
        "a byte after the end": _ulp() + b"\0",
        "cut": _ulp()[:-1],
        "unknown flags": _ulp(flags=5),
        "floats of four bits": _ulp(flags=3),
        "an unknown context": _ulp(context=3),
        "contexts from wide units": _ulp(context=2, map_=bytes(256)),
        "4096 lanes": _ulp(lanes=12),
        "states cut": _ulp(lanes=1),
        "no tables": _ulp(tables=0, table=b""),
        "33 tables": _ulp(tables=33, table=b"\x00\x80\x10" * 33),
        "a shift without a use": _ulp(shift=1),
        "an offset without a use": _ulp(offset=1),
        "scales without a use": _ulp(scales=b"\x01"),
        "runs without a use": _ulp(runs=run),
        "no scales": _ulp(context=1, runs=run, map_=bytes(64)),
        "a shift of four": _ulp(**scaled, shift=4),
        "groups that cover less": _ulp(**scaled | {"runs": b"\xc8" + run[1:]}),
        "groups that cover more": _ulp(**scaled | {"runs": b"\xca" + run[1:]}),
        "a group of nothing": _ulp(**scaled | {"runs": run + bytes(8)}),
        "more scales than groups": _ulp(**scaled | {"scales": b"\x01\x01"}),
        "fewer scales than groups": _ulp(**scaled | {"runs": three}),
        "a map beyond the tables": _ulp(map_=b"\x01"),
        "a table that sums to 4095": _ulp(table=b"\x00\xff\x1f"),
        "a table that sums to 2049": _ulp(table=b"\x01\x01\x80\x10"),
        "a table that ends with nothing": _ulp(table=b"\x01\x80\x10\x00\x00"),
        "two runs of nothing": _ulp(table=b"\x02\x00\x00\x00\x00\x80\x10"),
        "a run beyond the last symbol": _ulp(table=b"\x02\x00\x02\x80\x10"),
        "a frequency written in two bytes": _ulp(table=b"\x01\x80\x00\x80\x10"),
        "a symbol beyond bf16": _ulp(table=b"\x68\x00\x67\x80\x10"),
        "a state too low": _ulp(states=b"\xff\xff\0\0"),
        "a state that does not end": _ulp(states=b"\1\0\1\0"),
        "a word too many": _ulp(words=b"\0\0"),
        "a word too few": _ulp(states=b"\0\0\1\0", table=b"\x01\x80\x08\x80\x08"),
        "raw bits without a use": _ulp(raw=b"\0"),
        "raw bits cut": _ulp(table=_RAW, raw=bytes(100)),
        "unused bits that are set": _ulp(table=_RAW, raw=bytes(100) + b"\x10"),
        "still units without a source": _ulp(**scaled | {"flags": 0, "scales": b"\0"}),
    }.items():
        yield f"ulp: {name}", ULP, payload, [bytes(2 * UNITS)], 2 * UNITS
    yield "ulp: no source", ULP, _ulp(), [], 2 * UNITS
    yield "ulp: a short source", ULP, _ulp(), [bytes(2 * UNITS - 1)], 2 * UNITS
    yield "ulp: an odd length", ULP, _ulp(), [bytes(2 * UNITS - 1)], 2 * UNITS - 1


def _bad_lowrank() -> Iterator[Bad]:
    for name, payload in {
        "a truncated header": lowrank()[:7],
        "truncated factors": lowrank()[:-1],
        "a byte after the end": lowrank() + b"\0",
        "a flag too many": lowrank(flags=2),
        "a reserved field": lowrank(zero=1),
        "no columns": lowrank(columns=0),
        "no whole rows": lowrank(columns=7),
        "another shape": lowrank(columns=9),
        "no rank": lowrank(rank=0),
        "another rank": lowrank(rank=2),
        "a rank over the limit": lowrank(rank=257),
        "a shift over the limit": lowrank(shift=21),
        "an exponent over the limit": lowrank(exponent=513),
        "a longer body": lowrank(more=1),
    }.items():
        yield f"lowrank: {name}", LOWRANK, payload, [bytes(144)], 144
    yield "lowrank: no source", LOWRANK, lowrank(), [], 144
    yield "lowrank: a short source", LOWRANK, lowrank(), [bytes(142)], 144


def _bad_adapter() -> Iterator[Bad]:
    for name, payload in {
        "a truncated header": adapter()[:-1],
        "a byte after the end": adapter() + b"\0",
        "a flag too many": adapter(flags=8),
        "a reserved field": adapter(zero=1),
        "no columns": adapter(columns=0),
        "another shape": adapter(columns=12),
        "no rank": adapter(rank=0),
        "another rank": adapter(rank=3),
        "a rank over the limit": adapter(rank=1025),
        "a first row without need": adapter(first=1),
        "rows beyond the end": adapter(flags=2, first=1),
        "no scale": adapter(scale=0),
        "an infinite scale": adapter(scale=float("inf")),
    }.items():
        yield f"adapter: {name}", ADAPTER, payload, [bytes(144), LEFT, RIGHT], 144
    infinite = struct.pack("<f", float("-inf")) + RIGHT[4:]
    yield "adapter: an infinite factor", ADAPTER, adapter(), [bytes(144), LEFT, infinite], 144
    yield "adapter: two sources", ADAPTER, adapter(), [bytes(144), LEFT], 144
    yield "adapter: a long factor", ADAPTER, adapter(), [bytes(144), LEFT + bytes(8), RIGHT], 144


def _bad_narrow() -> Iterator[Bad]:
    base = bytes(144)
    nan = _planes(1, (0, b""), (1, b"\x7e" * 36))
    for name, payload, sources in (
        ("a truncated header", narrow(Element.BF16, EQUAL)[:3], [base]),
        ("a reserved field", narrow(Element.BF16, EQUAL, zero=1), [base]),
        ("no source", narrow(Element.BF16, EQUAL), []),
        ("a short source", narrow(Element.BF16, EQUAL), [base[:140]]),
        ("a byte after the end", narrow(Element.BF16, EQUAL) + b"\0", [base]),
        ("a source that is not narrow", narrow(Element.BF16, EQUAL), [base[:140] + b"\1\0\0\0"]),
        ("a source with a NaN", narrow(Element.F16, EQUAL), [base[:140] + b"\0\0\xc0\x7f"]),
        ("a target with a NaN", narrow(Element.F16, PLANES) + nan, [base]),
    ):
        yield f"narrow: {name}", NARROW, payload, sources, 144


def _bad_convert() -> Iterator[Bad]:
    """Yield what is no block of BF16 that was made of 96 numbers of float32, or of scales."""
    base, cast = bytes(384), partial(convert, Rule.CAST, Element.F32)
    scales = partial(
        convert, Rule.SCALES, Element.F32, work=Element.F32, columns=1, down=1, across=1, limit=448.0
    )
    yield from (
        (f"convert: {name}", CONVERT, payload, sources, 192)
        for name, payload, sources in (
            ("a truncated header", cast()[:-1], [base]),
            ("a byte after the end", cast() + b"\0", [base]),
            ("a reserved field", cast(zero=1), [base]),
            ("a flag too many", cast(flags=4), [base]),
            ("fused without a need", cast(flags=2), [base]),
            ("multiplied without scales", cast(flags=1), [base]),
            ("a limit without scales", cast(limit=1.0), [base]),
            ("groups without scales", cast(down=1), [base]),
            ("scales without a use", cast(origin=ScalesFrom.LARGEST), [base]),
            ("a type of quotients without a use", cast(work=Element.F32), [base]),
            ("a type of scales without a use", cast(scale=Element.F32), [base]),
            ("a body of scales without a use", cast(size=1) + b"\0", [base]),
            ("scales that are cut", cast(size=1), [base]),
            ("no columns", cast(columns=0), [base]),
            ("no whole rows", cast(columns=7), [base]),
            ("an odd head", cast(head=3), [base]),
            ("no whole heads", cast(head=4), [base]),
            ("no source", cast(), []),
            ("an empty source", cast(), [b""]),
            ("a short source", cast(), [base[:-64]]),
            ("a long source", cast(), [base + bytes(64)]),
            ("no limit", scales(limit=0.0), [base]),
            ("a limit that is not finite", scales(limit=float("inf")), [base]),
            ("a limit too small", scales(limit=2.0**-127), [base]),
            ("no type of quotients", scales(work=0), [base]),
            ("fewer groups", scales(down=2), [base]),
        )
    )


def _bad_grid() -> Iterator[Bad]:
    """Yield what is no block of 256 numbers of BF16 that was predicted from as many."""
    base, of = bytes(512), partial(grid, Element.I8, Element.BF16)
    largest = partial(of, origin=ScalesFrom.LARGEST, limit=127.0)
    ranged = partial(of, origin=ScalesFrom.RANGE, limit=15.0)
    records = partial(
        grid, Element.I8, Element.Q8_0, origin=ScalesFrom.SOURCE, scale=Element.F16, columns=32, group=(1, 32)
    )
    given = partial(grid, Element.I8, Element.I8, origin=ScalesFrom.SOURCE)
    words = partial(grid, Element.I8, Element.I32)
    packed, alone = bytes(8 * 34), grid(Element.I8, Element.BYTES)
    yield from (
        (f"grid: {name}", GRID, payload, sources, 512)
        for name, payload, sources in (
            ("nothing", b"", [base]),
            ("a truncated header", largest()[:-1], [base]),
            ("a byte after the end", largest() + b"\0", [base]),
            ("scales that are cut", of()[:-1], [base]),
            ("a reserved field", largest(zero=1), [base]),
            ("a flag too many", largest(flags=2), [base]),
            ("no columns", largest(columns=0), [base]),
            ("no whole rows", largest(columns=15), [base]),
            ("columns over everything", largest(columns=0xFFFFFFFF), [base]),
            ("no source", largest(), []),
            ("an empty source", largest(), [b""]),
            ("a short source", largest(), [base[:-2]]),
            ("a long source", largest(), [base + bytes(2)]),
            ("no limit", largest(limit=0.0), [base]),
            ("a limit that is not finite", largest(limit=float("inf")), [base]),
            ("a limit too small", largest(limit=2.0**-127), [base]),
            ("a limit without a use", of(limit=1.0), [base]),
            ("a range of no whole number", ranged(limit=15.5), [base]),
            ("a range of nothing", ranged(limit=0.0), [base]),
            ("a range too large", ranged(limit=65536.0), [base]),
            ("a range that is not finite", ranged(limit=float("nan")), [base]),
            ("a range with signed zeros", ranged(flags=1), [base]),
            ("a range with scales of its own", ranged(size=1) + b"\0", [base]),
            ("a limit of -0", of(limit=-0.0), [base]),
            ("scales without a use", largest(size=1) + b"\0", [base]),
            ("fewer scales than groups", of(rows=15), [base]),
            ("more scales than groups", of(rows=17), [base]),
            ("scales over everything", of(size=0xFFFFFFFF), [base]),
            ("scales that differ from nothing", of()[:28] + b"\1" + of()[29:], [base]),
            ("steps without their scales", given(), [bytes(256)]),
            ("steps with too few scales", given(), [bytes(256), bytes(60)]),
            ("steps with too many scales", given(), [bytes(256), bytes(68)]),
            ("steps with parts of scales", given(), [bytes(256), bytes(66)]),
            ("steps with scales twice", given(size=4) + bytes(4), [bytes(256), bytes(64)]),
            ("packed numbers that are cut", words(), [bytes(124)]),
            ("packed numbers too many", words(), [bytes(132)]),
            ("packed numbers that are not whole in a row", words(columns=4), [bytes(128)]),
            ("records with wide scales", records(scale=Element.F32), [packed]),
            ("records in other groups", records(group=(1, 16)), [packed]),
            ("records that are not whole in a row", records(columns=16), [packed]),
            ("records that are cut", records(), [packed[:-1]]),
            ("equal to nothing", alone, []),
            (
                "planes of bytes that differ from nothing",
                bytes([PLANES]) + alone[1:] + _planes(1, (0, b"")),
                [],
            ),
        )
    )


def documents() -> dict[str, dict[str, Any]]:
    """Return the two documents by file name."""
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    return {
        "good.json": {"zstd": version, "cases": list(good())},
        "bad.json": {"zstd": version, "cases": list(bad())},
    }


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, document in documents().items():
        (FOLDER / name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
