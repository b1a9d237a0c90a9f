"""GGUF headers: what is read, and every way to be malformed."""

import struct
from pathlib import Path

import numpy as np
import pytest

from airlift import codec
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import gguf as parser
from airlift.tensors.formats.gguf import parse_header, read_header, read_spans
from airlift.tensors.formats.tiling import spans
from airlift.tensors.span import TensorSpan, opaque
from tests.support.gguf_files import (
    F16,
    F32,
    Q4_K,
    Q8_0,
    STRING,
    Tensor,
    array,
    gguf,
    number,
    pair,
    q4_0,
    q8_0,
    string,
)

PAIRS = (
    pair("general.architecture", STRING, string("llama")),
    pair("general.flag", 7, b"\1"),
    pair("general.share", 12, bytes(8)),
    array("tokenizer.ggml.tokens", STRING, 3, string("<s>") + string("") + string(b"\xff")),
    array("tokenizer.ggml.scores", 6, 3, bytes(12)),
)
TENSORS = (
    Tensor("norm", (5,), F32, bytes(20)),
    Tensor("blk.0.weight", (64, 3), Q8_0, bytes(6 * 34)),
    Tensor("blk.1.weight", (256, 2, 2), Q4_K, bytes(4 * 144)),
    Tensor("scalar", (), F16, bytes(2)),
)
VALID = gguf(TENSORS, PAIRS)
BODY = len(VALID) - 32 - 224 - 576 - 32


def parse(data: bytes) -> tuple[TensorSpan, ...]:
    return parse_header(data, len(data))


def test_tensors_become_spans_with_their_rows_first() -> None:
    assert parse(VALID) == (
        TensorSpan("norm", Element.F32, (5,), BODY, BODY + 20),
        TensorSpan("blk.0.weight", Element.Q8_0, (3, 2), BODY + 32, BODY + 236),
        TensorSpan("blk.1.weight", Element.Q4_K, (2, 2, 1), BODY + 256, BODY + 832),
        TensorSpan("scalar", Element.F16, (1,), BODY + 832, BODY + 834),
    )


def test_version_2_is_read_the_same_way() -> None:
    assert parse(gguf(TENSORS, PAIRS, version=2)) == parse(VALID)


def test_the_last_padding_may_be_missing() -> None:
    assert parse(VALID[:-30]) == parse(VALID)


@pytest.mark.parametrize("alignment", [1, 8, 4096])
def test_the_alignment_is_followed(alignment: int) -> None:
    data = gguf(TENSORS, [number("general.alignment", alignment)], alignment=alignment)
    found = parse(data)
    assert [span.length for span in found] == [20, 204, 576, 2]
    assert all(span.start % alignment == 0 for span in found)


def test_a_file_without_tensors_has_no_spans() -> None:
    assert parse(gguf((), PAIRS)) == ()


@pytest.mark.parametrize("kind", [4, 9, 99, 2**32 - 1])
def test_a_tensor_of_an_unknown_type_is_opaque_up_to_the_next(kind: int) -> None:
    data = gguf([Tensor("odd", (3, 5), kind, bytes(70)), Tensor("t", (8,), F32, bytes(32))])
    start = len(data) - 128
    assert parse(data) == (
        TensorSpan("odd", Element.BYTES, (5, 3), start, start + 96),
        TensorSpan("t", Element.F32, (8,), start + 96, start + 128),
    )
    last = gguf([Tensor("odd", (3, 5), kind, bytes(70))])
    assert [(span.start, span.end) for span in parse(last)] == [(len(last) - 96, len(last))]


@pytest.mark.parametrize("kind", [31, 32, 33, 36, 37, 38])
def test_a_tensor_of_a_removed_type_is_bytes_of_known_size(kind: int) -> None:
    data = gguf([Tensor("odd", (64, 3), kind, bytes(108)), Tensor("t", (8,), F32, bytes(32))])
    start = len(data) - 160
    assert parse(data) == (
        TensorSpan("odd", Element.BYTES, (3, 64), start, start + 108),
        TensorSpan("t", Element.F32, (8,), start + 128, start + 160),
    )


def test_a_tensor_without_numbers_has_no_bytes() -> None:
    empty = (Tensor("e", (0,), F32, b""), Tensor("f", (32, 0), Q8_0, b""), Tensor("g", (0, 4), 99, b""))
    assert [span.name for span in parse(gguf([*empty, *TENSORS]))] == [tensor.name for tensor in TENSORS]
    assert parse(gguf(empty)) == ()


def test_tensors_may_lie_in_any_order_and_leave_holes() -> None:
    """As they are placed by offset, so they are read; what lies between them is for nobody."""
    data = gguf(
        [
            Tensor("b", (8,), F32, bytes(32), offset=96),
            Tensor("u", (3,), 99, bytes(32), offset=32),
            Tensor("a", (4,), F32, bytes(32), offset=0),
            Tensor("padding", (8,), F32, bytes(64), offset=160),
        ]
    )
    body = len(data) - 160
    padded = data + bytes(64)
    assert [(span.name, span.start - body, span.end - body) for span in parse(padded)] == [
        ("a", 0, 16),
        ("u", 32, 96),
        ("b", 96, 128),
        ("padding", 160, 192),
    ]


@pytest.mark.parametrize("length", [64, 255, 256, 65_535])
def test_long_names_are_read(length: int) -> None:
    """Broke: names of more than 255 bytes; ggml takes as many as it is built for."""
    (span,) = parse(gguf([Tensor("n" * length, (1,), F32, bytes(4))], [number("k" * length, 1)]))
    assert len(span.name) == length


def nested(depth: int) -> bytes:
    """Return a pair whose value is an array in ``depth`` arrays."""
    return array(
        "nested", 9, 1, struct.pack("<IQ", 9, 1) * (depth - 1) + struct.pack("<IQ", 6, 3) + bytes(12)
    )


def test_arrays_of_arrays_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: refused at release, though ggml's own writer writes them."""
    inner = struct.pack("<IQ", STRING, 2) + string("x") * 2 + struct.pack("<IQ", 4, 0)
    pairs = [array("a", 9, 2, inner), array("b", 9, 0, b""), *PAIRS, nested(parser.MAX_NESTING - 1)]
    assert [span.name for span in parse(gguf(TENSORS, pairs))] == [span.name for span in parse(VALID)]
    monkeypatch.setattr(parser, "MAX_STRINGS", 3)
    with pytest.raises(FormatTooNewError, match="too many strings"):
        parse(gguf((), [array("a", 9, 2, inner)]))


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 10, 11])
def test_a_part_of_a_split_model(kind: int, tmp_path: Path) -> None:
    width = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 10: 8, 11: 8}[kind]
    pairs = [
        pair("split.count", kind, b"\3".ljust(width, b"\0")),
        pair("split.no", kind, b"\1".ljust(width, b"\0")),
    ]
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(TENSORS, pairs))
    assert read_header(path).split == (1, 3)
    assert read_header(path).spans == read_spans(path)


@pytest.mark.parametrize(
    "pairs",
    [(), [number("split.count", 1), number("split.no", 0)], [pair("split.count", STRING, string("3"))]],
)
def test_a_model_in_one_file(pairs: list[bytes]) -> None:
    data = gguf(TENSORS, pairs)
    assert parser.parse(data, len(data)).split is None


DAMAGED = {
    "nothing": b"",
    "half a header": VALID[:12],
    "another magic": gguf(TENSORS, magic=b"GGML"),
    "more tensors than it has room for": gguf(TENSORS, counts=(parser.MAX_TENSORS + 1, 0)),
    "more pairs than it has room for": gguf(TENSORS, counts=(0, parser.MAX_PAIRS + 1)),
    "fewer tensors than it says": gguf(TENSORS, counts=(len(TENSORS) + 30, 0)),
    "fewer pairs than it says": gguf((), counts=(0, 1)),
    "a key of 2^63 bytes": gguf((), [struct.pack("<Q", 1 << 63)]),
    "an array of 2^64 - 1 numbers": gguf((), [array("a", 12, 2**64 - 1, bytes(8))]),
    "an array of 2^64 - 1 strings": gguf((), [array("a", STRING, 2**64 - 1, bytes(8))]),
    "an array of 2^64 - 1 arrays": gguf((), [array("a", 9, 2**64 - 1, bytes(8))]),
    "a string of 2^64 - 1 bytes": gguf((), [pair("a", STRING, b"\xff" * 8)]),
    "2^32 - 1 dimensions": gguf((), counts=(1, 0))[:24] + string("n") + b"\xff" * 4 + bytes(64),
    "2^63 numbers": gguf([Tensor("n", (1 << 32, 1 << 31), F32, bytes(4))]),
    "2^63 numbers of an unknown type": gguf([Tensor("n", (1 << 32, 1 << 31), 99, bytes(4))]),
    "a tensor beyond the end": gguf([Tensor("n", (64,), F32, bytes(192))]),
    "a tensor of a removed type beyond the end": gguf([Tensor("n", (512,), 31, bytes(256))]),
    "a tensor of an unknown type at the end": gguf([TENSORS[0], Tensor("n", (5,), 99, b"")]),
    "an offset that overlaps": gguf([*TENSORS[:1], Tensor("n", (8,), F32, bytes(64), offset=0)]),
    "an offset inside another tensor": gguf([*TENSORS[1:2], Tensor("n", (8,), F32, bytes(64), offset=32)]),
    "an offset of 2^64 - 32": gguf([*TENSORS[:1], Tensor("n", (8,), 99, bytes(64), offset=2**64 - 32)]),
    "an unknown type before an offset that goes back": gguf(
        [TENSORS[0], Tensor("u", (1,), 99, bytes(32)), Tensor("n", (8,), F32, bytes(32), offset=0)]
    ),
    "two of unknown types at one place": gguf(
        [Tensor("u", (1,), 99, bytes(32)), Tensor("v", (1,), 99, bytes(32), offset=0)]
    ),
    "a name twice, and an offset that overlaps": gguf(
        [*TENSORS[:1], Tensor("norm", (8,), F32, bytes(64), offset=0)]
    ),
    "a key twice, and a tensor beyond the end": gguf(
        [Tensor("n", (64,), F32, bytes(192))], [number("a", 1), number("a", 1)]
    ),
}

UNPLACED = {
    "too many tensors": gguf((), counts=(parser.MAX_TENSORS + 1, 0)) + bytes(25 * (parser.MAX_TENSORS + 1)),
    "too many pairs": gguf((), counts=(0, parser.MAX_PAIRS + 1)) + bytes(14 * (parser.MAX_PAIRS + 1)),
    "an empty key": gguf((), [pair("", 0, b"xx")]),
    "a long key": gguf((), [number("k" * 65_536, 1)]),
    "a key that is not UTF-8": gguf((), [pair(b"\xff", 0, b"x")]),
    "a key twice": gguf((), [pair("a", 0, b"x"), pair("a", 1, b"y")]),
    "an unknown value type": gguf((), [pair("a", 13, bytes(8))]),
    "an array of an unknown type": gguf((), [array("a", 13, 1, bytes(12))]),
    "too many arrays in arrays": gguf((), [nested(parser.MAX_NESTING)]),
    "an alignment of another type": gguf((), [pair("general.alignment", 10, struct.pack("<Q", 32))]),
    "an alignment of 0": gguf((), [number("general.alignment", 0)]),
    "an alignment of 24": gguf((), [number("general.alignment", 24)]),
    "an empty name": gguf([Tensor("", (1,), F32, bytes(4))]),
    "a name of 65536 bytes": gguf([Tensor("n" * 65_536, (1,), F32, bytes(4))]),
    "a name that is not UTF-8": gguf([Tensor(b"\xff", (1,), F32, bytes(4))]),
    "a name twice": gguf([Tensor("n", (1,), F32, bytes(4))] * 2),
    "five dimensions": gguf([Tensor("n", (1,) * 5, F32, bytes(4))]),
    "a row that is no whole number of blocks": gguf([Tensor("n", (48, 2), Q8_0, bytes(102))]),
    "a scalar of a type with blocks": gguf([Tensor("n", (), Q8_0, bytes(34))]),
    "an unaligned offset": gguf([Tensor("n", (1,), F32, bytes(32), offset=7)]),
    "an unknown type before an unaligned offset": gguf(
        [Tensor("u", (1,), 99, bytes(32)), Tensor("n", (1,), F32, bytes(32), offset=7)]
    ),
    "part 3, from 0, of 3": gguf(TENSORS, [number("split.no", 3), number("split.count", 3)]),
}


@pytest.mark.parametrize("why", [*DAMAGED, *UNPLACED])
def test_damage_is_told_from_what_cannot_be_placed(why: str, tmp_path: Path) -> None:
    """Threat: a header that claims more than its file holds; nothing is allocated for what it claims.

    Broke: whatever a strict reader could not place was refused at release.
    """
    data = DAMAGED[why] if why in DAMAGED else UNPLACED[why]
    with pytest.raises(MalformedError if why in DAMAGED else FormatTooNewError):
        parse(data)
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    assert spans(path) == ((opaque(0, len(data)),) if data else ())


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_another_version_is_no_damage(version: int, tmp_path: Path) -> None:
    """Version 1, one that is still to come, and big-endian files: carried as they are."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(TENSORS, version=version))
    with pytest.raises(FormatTooNewError):
        read_spans(path)
    assert spans(path) == (opaque(0, path.stat().st_size),)


def test_too_many_strings_are_refused_before_they_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_STRINGS", 4)
    assert parse(gguf((), [array("a", STRING, 3, string("x") * 3)])) == ()
    twice = [array("a", STRING, 2, string("x") * 2), array("b", STRING, 2, string("x") * 2)]
    with pytest.raises(FormatTooNewError, match="too many strings"):
        parse(gguf((), twice))


def test_a_header_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_HEADER_BYTES", len(VALID) - 900)
    path = tmp_path / "m.gguf"
    path.write_bytes(VALID)
    with pytest.raises(FormatTooNewError, match="too long"):
        read_spans(path)


def test_a_long_header_is_read_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "_FIRST_BYTES", 7)
    path = tmp_path / "m.gguf"
    path.write_bytes(VALID)
    assert read_spans(path) == parse(VALID)
    path.write_bytes(VALID[: BODY - 100])
    with pytest.raises(MalformedError):
        read_spans(path)


@pytest.mark.parametrize("name", ["m.gguf", "M.GGUF"])
def test_spans_tile_a_gguf_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(VALID)
    found = spans(path)
    assert [span.name for span in found if not span.opaque] == [tensor.name for tensor in TENSORS]
    assert [span.start for span in found[1:]] == [span.end for span in found[:-1]]
    assert (found[0].start, found[-1].end) == (0, len(VALID))
    assert spans(path, "weights.bin") == found


@pytest.mark.parametrize(("quantise", "element"), [(q8_0, Element.Q8_0), (q4_0, Element.Q4_0)])
def test_fields_apart_cost_less_than_opaque_bytes(quantise: object, element: Element) -> None:
    """A further training of quantised weights: scales and numbers change in different ways."""
    assert callable(quantise)
    noise = np.random.default_rng(3)
    base = noise.normal(0, 0.02, 1 << 17).astype(np.float32)
    new = base + noise.normal(0, 4e-5, base.size).astype(np.float32)
    before, after = quantise(base), quantise(new)
    apart = codec.encode(after, [before], element)
    together = codec.encode(after, [before], Element.BYTES)
    assert len(apart.payload) < 0.93 * len(together.payload)
    assert codec.decode(apart.codec, apart.payload, [before], len(after), element) == after
