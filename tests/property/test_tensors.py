"""Whatever safetensors file is accepted means the same to the library; whatever matches can be followed."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from safetensors import SafetensorError

from airlift.errors import MalformedError
from airlift.tensors.element import SAFETENSORS_BITS, Element
from airlift.tensors.formats.safetensors import parse_header
from airlift.tensors.matching.match import FileSpans, Segment, blocks, match
from airlift.tensors.span import TensorSpan, tile
from tests.support.tensor_files import load, with_header

DTYPES = sorted(SAFETENSORS_BITS)
NAMES = st.text(max_size=4) | st.sampled_from(["a", "b", "__metadata__", "../x"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """Draw a header, mostly valid, and the length of the body."""
    document: dict[str, Any] = {}
    if draw(st.booleans()):
        document["__metadata__"] = draw(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
    position = 0
    for name in draw(st.lists(NAMES, max_size=5, unique=True)):
        dtype, shape = draw(st.sampled_from(DTYPES)), draw(st.lists(st.integers(0, 5), max_size=3))
        bits = SAFETENSORS_BITS[dtype]
        for factor in shape:
            bits *= factor
        end = position + bits // 8 + draw(st.sampled_from([0] * 30 + [1, -1]))
        document[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = max(0, end + draw(st.sampled_from([0] * 30 + [1, -1])))
    return document, position


EDITS: list[Callable[[bytes], bytes]] = [
    lambda text: text,
    lambda text: text + b"  \n",
    lambda text: text.replace(b"0", b"00", 1),
    lambda text: text.replace(b", ", b" ,\t\r\n"),
    lambda text: text.replace(b"[", b"[-", 1),
    lambda text: text.replace(b"]", b".0]", 1),
    lambda text: text.replace(b"]", b"e0]", 1),
    lambda text: text.replace(b"{", b'{"a": 1, ', 1),
    lambda text: text.replace(b"shape", b"sh\\u0061pe", 1),
    lambda text: text.replace(b"dtype", b"type", 1),
]


def ours(data: bytes) -> tuple[TensorSpan, ...] | None:
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        return None
    try:
        return parse_header(data[8 : 8 + length], len(data))
    except MalformedError:
        return None


def check(data: bytes) -> bool:
    """Check that the library reads what we accept in the same way; say whether we accept it."""
    spans = ours(data)
    if spans is None:
        return False
    theirs = {
        name: (tensor["dtype"], tuple(tensor["shape"]), bytes(tensor["data"])) for name, tensor in load(data)
    }
    assert {s.name: (s.shape, data[s.start : s.end]) for s in spans} == {
        name: (shape, content) for name, (_, shape, content) in theirs.items()
    }
    for span in spans:
        known = theirs[span.name][0] in Element.__members__
        assert span.element is (Element[theirs[span.name][0]] if known else Element.BYTES)
    return True


@given(documents(), st.sampled_from(EDITS), st.integers(-1, 1) | st.just(0))
@example(({}, 0), EDITS[0], 0)
def test_what_is_accepted_the_library_reads_in_the_same_way(
    drawn: tuple[dict[str, Any], int], edit: Callable[[bytes], bytes], more: int
) -> None:
    document, length = drawn
    body = bytes(n % 251 for n in range(max(0, length + more)))
    check(with_header(edit(json.dumps(document).encode()), body))


@given(documents())
def test_what_the_library_accepts_is_mostly_accepted(drawn: tuple[dict[str, Any], int]) -> None:
    document, length = drawn
    data = with_header(json.dumps(document).encode(), bytes(length))
    try:
        load(data)
    except SafetensorError:
        assert not check(data)
    else:
        assert check(data) == ("" not in document)


@given(documents(), st.data())
def test_a_changed_byte_is_refused_or_read_in_the_same_way(
    drawn: tuple[dict[str, Any], int], data: st.DataObject
) -> None:
    document, length = drawn
    whole = bytearray(with_header(json.dumps(document).encode(), bytes(length)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    try:
        check(bytes(whole))
    except SafetensorError:
        # The one thing accepted here and refused there: a dtype that the library does not know.
        text = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
        assert any(e["dtype"] not in SAFETENSORS_BITS for n, e in text.items() if n != "__metadata__")


# -- matching ------------------------------------------------------------------------------------------------------

SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def files(draw: st.DrawFn) -> FileSpans:
    """Draw a file of tensors, with or without a header and gaps."""
    spans, position = [], draw(st.integers(0, 30))
    for name in draw(st.lists(st.sampled_from("abcd"), max_size=4, unique=True)):
        element, shape = draw(st.sampled_from([Element.U8, Element.BF16, Element.F32])), draw(SHAPES)
        length = element.size
        for factor in shape:
            length *= factor
        spans.append(TensorSpan(name, element, shape, position, position + length))
        position += length + draw(st.sampled_from([0, 0, 3]))
    path, component = draw(st.sampled_from(["x", "y"])), draw(st.sampled_from(["p", "q"]))
    return FileSpans(path, component, position, tile(spans, position))


@given(st.lists(files(), max_size=3), st.lists(files(), max_size=3), st.integers(1, 40))
def test_segments_and_blocks_tile_the_target_and_stay_inside_the_base(
    target: list[FileSpans], base: list[FileSpans], limit: int
) -> None:
    everything = [*base, *target]

    def read(_file: int, start: int, end: int) -> bytes:
        return bytes(end - start)

    for number, segments in enumerate(match(everything, len(base), read), len(base)):
        file = everything[number]
        assert_tiles(segments, 0, file.size)
        for segment in segments:
            cut = list(blocks(segment, limit))
            assert_tiles(cut, segment.start, segment.end)
            for block in [segment, *cut]:
                assert block.length % block.element.size == 0
                assert block.length <= max(limit, block.element.size) or block is segment
                if block.source is not None:
                    assert 0 <= block.source.start < block.source.end <= everything[block.source.file].size
                    assert block.source.file < number
            assert not segment.parallel or all(block.parallel for block in cut)


def assert_tiles(segments: list[Segment], start: int, end: int) -> None:
    for segment in segments:
        assert segment.start == start < segment.end
        start = segment.end
    assert start == end


@given(st.binary(max_size=60))
def test_garbage_raises_nothing_but_an_airlift_error(header: bytes) -> None:
    with suppress(MalformedError):
        parse_header(header, len(header) + 8)
