"""What a GGUF header says beside its tensors (SPEC 8.7.4), read as far as it takes."""

import struct

import pytest

from airlift.errors import MalformedError
from airlift.tensors.formats.gguf import MAX_TEXT_BYTES, header_of, parse
from tests.support.gguf_files import F32, Q8_0, STRING, Tensor, array, gguf, pair, string

KINDS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number(kind: int) -> None:
    value = kind == 7 or 5
    data = gguf([], [pair("general.x", kind, struct.pack(KINDS[kind], value))])
    assert parse(data, len(data), values=True).values == {"general.x": value}
    assert parse(data, len(data)).values == {}


def test_texts_but_no_arrays_nor_what_nobody_can_read() -> None:
    pairs = [
        pair("text", STRING, string("ä")),
        pair("none", STRING, string("")),
        pair("bytes", STRING, string(b"\xff")),
        pair("long", STRING, string(b"x" * MAX_TEXT_BYTES)),
        array("tokens", STRING, 1, string("x")),
        pair("general.alignment", 4, struct.pack("<I", 64)),
    ]
    data = gguf([], pairs, alignment=64)
    assert parse(data, len(data), values=True).values == {"text": "ä", "none": "", "general.alignment": 64}


def test_numbers_of_all_tensors() -> None:
    tensors = [
        Tensor("a", (32, 3), Q8_0, bytes(102)),
        Tensor("b", (5,), F32, bytes(20)),
        Tensor("c", (2, 3), 42, b"x"),
    ]
    data = gguf(tensors, [])
    assert parse(data, len(data)).numbers == 96 + 5 + 6


def test_no_more_is_read_than_it_takes() -> None:
    asked = []

    def head(length: int) -> bytes:
        asked.append(length)
        return data[:length]

    data = gguf([Tensor("a", (1 << 20,), F32, bytes(1 << 22))], [pair("x", STRING, string(b"y" * (1 << 20)))])
    assert header_of(head, len(data)).numbers == 1 << 20
    assert asked == [1 << 20, len(data)]
    with pytest.raises(MalformedError):
        header_of(lambda length: data[: min(length, 1 << 20)], 1 << 20)
