"""TFLite models: tensors of a flatbuffer, and every way to be malformed."""

import struct

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import tflite as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import golden

GOLDEN = golden("model.tflite")


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


U32 = "<I"
MODEL, GRAPHS, GRAPH, TENSORS, TENSOR, BUFFERS, BUFFER = range(7)


def outside(offset: int, size: int, kind: int = 0) -> bytes:
    """Return a model with one tensor whose buffer lies after the flatbuffer; each part refers to a later one."""
    data, places = bytearray(b"\0\0\0\0TFL3"), dict[int, int]()
    waiting = [(0, MODEL)]

    def table(part: int, *fields: tuple[str, int] | None) -> None:
        start, body = 4 + 2 * len(fields), bytearray()
        offsets = []
        for field in fields:
            offsets.append(4 + len(body) if field else 0)
            body += struct.pack(*field) if field else b""
        places[part] = len(data) + start
        data.extend(struct.pack(f"<HH{len(fields)}HI", start, 4 + len(body), *offsets, start) + body)

    def refer(part: int, place: int) -> None:
        waiting.append((place, part))

    def vector(part: int, to: int) -> None:
        places[part] = len(data)
        data.extend(struct.pack("<II", 1, 0))
        refer(to, len(data) - 4)

    table(MODEL, None, None, (U32, 0), None, (U32, 0))
    refer(GRAPHS, places[MODEL] + 4)
    refer(BUFFERS, places[MODEL] + 8)
    vector(GRAPHS, GRAPH)
    table(GRAPH, (U32, 0))
    refer(TENSORS, places[GRAPH] + 4)
    vector(TENSORS, TENSOR)
    table(TENSOR, None, ("<B", kind), (U32, 0))
    vector(BUFFERS, BUFFER)
    table(BUFFER, None, ("<Q", offset), ("<Q", size))
    for place, part in waiting:
        struct.pack_into(U32, data, place, places[part] - place)
    return bytes(data)


def test_a_buffer_may_lie_after_the_flatbuffer() -> None:
    start = len(outside(0, 0))
    (found,) = read(outside(start, 4) + bytes(4))
    assert (found.name, found.start, found.length, found.element) == (f"@{start}", start, 4, Element.F32)
    assert read(outside(0, 0)) == read(outside(1, 1)) == ()


@pytest.mark.parametrize(("offset", "size"), [(2, 2**63), (2**63, 2), (10_000, 4)])
def test_a_buffer_outside_the_file_is_malformed(offset: int, size: int) -> None:
    with pytest.raises(MalformedError):
        read(outside(offset, size))


@pytest.mark.parametrize("kind", [5, 17, 200])
def test_an_unknown_type_is_bytes(kind: int) -> None:
    (found,) = read(outside(len(outside(0, 0)), 4, kind) + bytes(4))
    assert found.element is Element.BYTES


def test_tensors_with_numbers_are_found() -> None:
    found = {span.name: span for span in read(GOLDEN)}
    assert {name: (s.element, s.shape) for name, s in found.items()} == {
        "w1": (Element.F32, (16, 8, 3, 3)),
        "int8": (Element.I8, (10, 12)),
        "half": (Element.F16, (24, 16)),
        "tied": (Element.F16, (24, 16)),
    }
    assert (found["half"].start, found["half"].end) == (found["tied"].start, found["tied"].end)


def changed(place: int, value: bytes) -> bytes:
    return GOLDEN[:place] + value + GOLDEN[place + len(value) :]


ROOT = int.from_bytes(GOLDEN[:4], "little")
BAD = {
    "nothing": b"",
    "cut": GOLDEN[: len(GOLDEN) // 2],
    "a root outside": changed(0, b"\xff\xff\xff\x7f"),
    "a list of fields outside": changed(ROOT, b"\xff\xff\xff\x7f"),
    "a list of fields before the file": changed(ROOT, struct.pack("<i", ROOT + 1)),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_models_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_every_number_of_the_tables_may_be_anything() -> None:
    """Threat: a flatbuffer is all offsets; one that leads astray must not be followed, nor cost much."""
    for place in (*range(0, 400, 2), *range(len(GOLDEN) - 40, len(GOLDEN) - 3, 2)):
        for value in (b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\0\0"):
            try:
                found = read(changed(place, value))
            except MalformedError:
                continue
            assert all(0 <= span.start <= span.end <= len(GOLDEN) for span in found)


def test_tensors_are_bounded_by_the_size_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "LEAST_TENSOR_BYTES", len(GOLDEN))
    with pytest.raises(MalformedError, match="too many"):
        read(GOLDEN)


def test_a_model_is_known_by_its_start() -> None:
    assert parser.fits("x", GOLDEN[:16])
    assert not parser.fits("x.tflite", b"\0" * 16)
