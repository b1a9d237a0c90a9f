"""Whatever a GGUF file holds, it is read as it was written or refused, and its spans tile it."""

import struct
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.formats.ggml import TYPES
from airlift.tensors.formats.gguf import parse_header
from airlift.tensors.span import tile
from tests.support.gguf_files import STRING, Tensor, array, gguf, number, pair, string

VALUES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


@st.composite
def pairs(draw: st.DrawFn) -> list[bytes]:
    """Draw metadata of every type."""
    drawn = []
    for key in draw(st.lists(st.text(min_size=1, max_size=5), max_size=5, unique=True)):
        texts = draw(st.lists(st.binary(max_size=4), min_size=1, max_size=4))
        kind = draw(st.sampled_from(sorted(VALUES)))
        drawn.append(
            draw(
                st.sampled_from(
                    [
                        pair(key, STRING, string(texts[0])),
                        array(key, STRING, len(texts), b"".join(map(string, texts))),
                        pair(key, kind, bytes(VALUES[kind])),
                        array(key, kind, 3, bytes(3 * VALUES[kind])),
                        array(key, 9, 2, 2 * (struct.pack("<IQ", kind, 3) + bytes(3 * VALUES[kind]))),
                    ]
                )
            )
        )
    return drawn


@st.composite
def tensors(draw: st.DrawFn) -> list[Tensor]:
    """Draw tensors of every known type."""
    drawn = []
    for name in draw(st.lists(st.text(min_size=1, max_size=5), max_size=4, unique=True)):
        number_of, kind = draw(st.sampled_from(sorted(TYPES.items())))
        dimensions = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
        length = kind.size
        for dimension in dimensions:
            length *= dimension
        dimensions[0] *= kind.numbers
        drawn.append(Tensor(name, tuple(dimensions), number_of, bytes(length)))
    return drawn


@given(tensors(), pairs(), st.sampled_from([1, 8, 32, 64]))
def test_what_is_written_is_read(written: list[Tensor], metadata: list[bytes], alignment: int) -> None:
    data = gguf(written, [*metadata, number("general.alignment", alignment)], alignment=alignment)
    spans = parse_header(data, len(data))
    assert [span.name for span in spans] == [tensor.name for tensor in written]
    assert [span.length for span in spans] == [len(tensor.data) for tensor in written]
    tiled = tile(spans, len(data))
    assert sum(span.length for span in tiled) == len(data)


@given(tensors(), pairs(), st.data())
def test_a_changed_or_cut_file_is_refused_or_tiled(
    written: list[Tensor], metadata: list[bytes], data: st.DataObject
) -> None:
    """Threat: any flipped, cut or swapped byte raises an AirliftError, nothing else."""
    whole = bytearray(gguf(written, metadata))
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[place] = data.draw(st.integers(0, 255))
    else:
        del whole[place:]
    try:
        spans = parse_header(bytes(whole), len(whole))
    except (MalformedError, FormatTooNewError):
        return
    assert sum(span.length for span in tile(spans, len(whole))) == len(whole)


@given(st.binary(max_size=80), st.integers(2, 3), st.integers(0, 3), st.integers(0, 3))
def test_garbage_raises_nothing_but_an_airlift_error(
    rest: bytes, version: int, count: int, keys: int
) -> None:
    data = b"GGUF" + struct.pack("<IQQ", version, count, keys) + rest
    with suppress(MalformedError):
        tile(parse_header(data, len(data)), len(data))
