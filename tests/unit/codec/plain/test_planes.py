"""The planes codec: byte layout, modes, and what is refused."""

import struct

import pytest

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.plain.planes import ALONE, DIFFERENCE, FRAME, PLANES, RAW, XOR, ZERO
from airlift.errors import MalformedError
from airlift.tensors.element import Element

NOISE = bytes((n * n * 31 + n) % 256 for n in range(64))


def payload(predictor: int, *planes: tuple[int, bytes], lengths: tuple[int, ...] | None = None) -> bytes:
    sizes = lengths or tuple(len(body) for _, body in planes)
    table = b"".join(struct.pack("<BI", mode, size) for (mode, _), size in zip(planes, sizes, strict=True))
    return bytes([predictor]) + table + b"".join(body for _, body in planes)


def decode(data: bytes, sources: list[bytes], length: int, element: Element = Element.BF16) -> bytes:
    return bytes(codec.decode(PLANES.id, data, sources, length, element))


def encode(
    target: bytes, sources: list[bytes], element: Element, effort: Effort = Effort.NORMAL
) -> bytes | None:
    context = Context([memoryview(source) for source in sources], element)
    return PLANES.encode(memoryview(target), context, effort)


def test_the_layout_is_that_of_the_specification() -> None:
    data = b"\0\1\3\0\0\0\1\3\0\0\0acebdf"
    assert data == payload(ALONE, (RAW, b"ace"), (RAW, b"bdf"))
    assert bytes(PLANES.decode(memoryview(data), Context([], Element.BF16), 6)) == b"abcdef"


def test_planes_are_put_together_again() -> None:
    long = bytes(range(40))
    data = payload(ALONE, (ZERO, b""), (RAW, long))
    assert decode(data, [], 80) == bytes(n for value in long for n in (0, value))


def test_the_xor_is_with_the_first_source() -> None:
    data = payload(XOR, (RAW, NOISE[:40]), (ZERO, b""))
    source = bytes(range(80))
    assert decode(data, [source, b"ignored"], 80) == bytes(
        value ^ (NOISE[n // 2] if n % 2 == 0 else 0) for n, value in enumerate(source)
    )


def test_without_a_delta_the_source_is_ignored() -> None:
    data = payload(ALONE, (ZERO, b""), (RAW, NOISE))
    assert decode(data, [b"of any length"], 128) == decode(data, [], 128)


def test_the_difference_is_from_the_first_source_modulo_256() -> None:
    data = payload(DIFFERENCE, (RAW, NOISE[:40]), (ZERO, b""))
    source = bytes(range(200, 240)) + bytes(40)
    assert decode(data, [source], 80) == bytes(
        (value + (0 if n % 2 else NOISE[n // 2])) % 256 for n, value in enumerate(source)
    )


def test_the_planes_of_a_record_are_its_fields() -> None:
    records = [bytes([n, 100 + n]) + bytes(NOISE[n : n + 32]) for n in range(3)]
    fields = [bytes(range(3)), bytes(range(100, 103)), b"".join(record[2:] for record in records)]
    data = payload(ALONE, *((RAW, field) for field in fields))
    assert PLANES.decode(memoryview(data), Context([], Element.Q8_0), 3 * 34) == b"".join(records)


def test_numbers_that_crossed_zero_are_coded_by_their_difference() -> None:
    source = b"".join(bytes([n % 7, 0x20]) + bytes(NOISE[:32]) for n in range(300))
    steps = [0 if n % 34 < 2 else (0, 0, 1, 0, 255, 0)[n * n % 97 % 6] for n in range(len(source))]
    target = bytes((value + step) % 256 for value, step in zip(source, steps, strict=True))
    data = encode(target, [source], Element.Q8_0)
    assert data is not None
    assert data[0] == DIFFERENCE
    assert decode(data, [source], len(target), Element.Q8_0) == target


@pytest.mark.parametrize("element", [element for element in Element if element.record])
@pytest.mark.parametrize("effort", Effort)
def test_records_come_back(element: Element, effort: Effort) -> None:
    source = bytes(n * n * 7 % 251 for n in range(element.size * 40))
    target = bytes(value ^ (n % 11 == 0) for n, value in enumerate(source))
    for sources in ([], [source], [source[1:]]):
        data = encode(target, sources, element, effort)
        assert data is not None
        context = Context([memoryview(source) for source in sources], element)
        assert PLANES.decode(memoryview(data), context, len(target)) == target


def test_modes_are_chosen_by_what_they_cost() -> None:
    target = b"".join(bytes([NOISE[n % 64] ^ n // 64, 0, n // 512 % 256, 7]) for n in range(4096))
    noise, zero, steps, same = (target[n::4] for n in range(4))
    data = encode(target, [], Element.F32)
    assert data is not None
    modes = [mode for mode, _ in struct.iter_unpack("<BI", data[1:21])]
    assert (modes[1], modes[2], modes[3]) == (ZERO, FRAME, FRAME)
    assert len(zero) == len(noise) == len(steps) == len(same)
    assert decode(data, [], len(target), Element.F32) == target


def test_noise_is_stored_raw() -> None:
    data = encode(NOISE, [], Element.U16)
    assert data == payload(ALONE, (RAW, NOISE[0::2]), (RAW, NOISE[1::2]))


def test_a_source_that_does_not_help_is_left_out() -> None:
    target, source = bytes(4096), bytes((n * n * 7 + n * 13) % 256 for n in range(4096))
    data = encode(target, [source], Element.BF16)
    assert data == payload(ALONE, (ZERO, b""), (ZERO, b""))


def test_a_long_block_is_judged_by_a_sample() -> None:
    source = NOISE * 16384  # 1 MiB
    target = bytearray(source)
    target[5::1000] = bytes(len(target[5::1000]))
    data = encode(bytes(target), [source], Element.F32)
    assert data is not None
    assert data[0] == XOR
    assert decode(data, [source], len(target), Element.F32) == target


@pytest.mark.parametrize(
    ("target", "sources", "element"),
    [
        (b"", [], Element.BF16),
        (b"abc", [], Element.BF16),
        (b"abcd", [], Element.U8),
        (b"abcd", [b"abc"], Element.BYTES),
    ],
)
def test_what_has_no_planes_is_for_another_codec(
    target: bytes, sources: list[bytes], element: Element
) -> None:
    assert encode(target, sources, element) is None


@pytest.mark.parametrize("effort", Effort)
def test_more_effort_never_costs_more(effort: Effort) -> None:
    target = b"".join(bytes([NOISE[n % 64], NOISE[n % 61] & n // 97 & 3]) for n in range(20_000))
    data, quick = encode(target, [], Element.F16, effort), encode(target, [], Element.F16, Effort.LOW)
    assert data is not None
    assert quick is not None
    assert len(data) <= len(quick)
    assert decode(data, [], len(target), Element.F16) == target


GOOD = payload(XOR, (RAW, NOISE[:40]), (ZERO, b""))
BAD = {
    "nothing": b"",
    "a truncated table": GOOD[:10],
    "an unknown predictor": b"\3" + GOOD[1:],
    "a truncated body": GOOD[:-1],
    "bytes after the bodies": GOOD + b"!",
    "an unknown mode": payload(ALONE, (3, NOISE[:40]), (ZERO, b"")),
    "a zero plane with a body": payload(ALONE, (RAW, NOISE[:40]), (ZERO, b"!")),
    "a short raw plane": payload(ALONE, (RAW, NOISE[:39]), (ZERO, b"")),
    "a long raw plane": payload(ALONE, (RAW, NOISE[:41]), (ZERO, b"")),
    "an empty frame": payload(ALONE, (FRAME, b""), (ZERO, b"")),
    "a frame as long as its plane": payload(ALONE, (FRAME, NOISE[:40]), (ZERO, b"")),
    "no frame at all": payload(ALONE, (FRAME, NOISE[:20]), (ZERO, b"")),
    "a length beyond the payload": payload(ALONE, (FRAME, NOISE[:20]), (ZERO, b""), lengths=(39, 0)),
    "a length of 4 GiB": payload(ALONE, (FRAME, NOISE[:20]), (ZERO, b""), lengths=(2**32 - 1, 0)),
    "overlapping bodies": payload(ALONE, (RAW, NOISE[:20]), (RAW, NOISE[:20]), lengths=(40, 40)),
}


@pytest.mark.parametrize("why", BAD)
def test_any_other_payload_is_refused(why: str) -> None:
    """Threat: a chunk that claims more output than declared; deltas that read or write outside."""
    assert len(decode(GOOD, [bytes(80)], 80)) == 80
    with pytest.raises(MalformedError):
        decode(BAD[why], [bytes(80)], 80)


@pytest.mark.parametrize("sources", [[], [bytes(79)], [bytes(81)], [b"", bytes(80)]])
def test_a_base_of_the_wrong_length_is_refused(sources: list[bytes]) -> None:
    """Threat: a base of the wrong length."""
    with pytest.raises(MalformedError, match="source of its own length"):
        decode(GOOD, sources, 80)


@pytest.mark.parametrize(
    ("length", "element"),
    [(81, Element.BF16), (78, Element.BF16), (80, Element.F32), (80, Element.Q4_1), (0, 2)],
)
def test_another_length_or_element_is_refused(length: int, element: Element) -> None:
    """Threat: a base of the wrong dtype."""
    with pytest.raises(MalformedError):
        decode(GOOD, [bytes(length)], length, element)
