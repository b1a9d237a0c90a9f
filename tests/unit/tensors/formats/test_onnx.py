"""ONNX models: which fields are numbers, and every way to be malformed."""

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import onnx as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import external, field, golden, onnx, onnx_tensor, varint

F32, U8, F16, C64 = 1, 2, 10, 14


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_raw_data_is_what_its_type_says() -> None:
    data = onnx(onnx_tensor("w", F32, (2, 3), bytes(24)), onnx_tensor("half", F16, (4,), b"\1" * 8))
    first, second = read(data)
    assert (first.name, first.element, first.shape, first.length) == ("w", Element.F32, (2, 3), 24)
    assert (second.element, data[second.start : second.end]) == (Element.F16, b"\1" * 8)


@pytest.mark.parametrize(
    ("number", "kind", "element", "size"),
    [(4, F32, Element.F32, 4), (4, C64, Element.C64, 8), (10, 11, Element.F64, 8)],
)
def test_typed_fields_of_fixed_width_are_numbers(number: int, kind: int, element: Element, size: int) -> None:
    (found,) = read(onnx(onnx_tensor("w", kind, (5,), bytes(5 * size), number)))
    assert (found.element, found.shape) == (element, (5,))


@pytest.mark.parametrize("number", [5, 6, 7, 11])
def test_numbers_in_varints_and_strings_are_not(number: int) -> None:
    assert read(onnx(onnx_tensor("w", 6, (5,), bytes(5), number))) == ()


def test_a_tensor_in_several_pieces_is_not_one() -> None:
    twice = onnx_tensor("w", F32, (5,), bytes(20)) + field(9, bytes(20))
    assert read(onnx(twice)) == ()


@pytest.mark.parametrize(("kind", "shape"), [(99, (6,)), (8, (6,)), (22, (12,))])
def test_what_does_not_fit_its_type_is_bytes(kind: int, shape: tuple[int, ...]) -> None:
    (found,) = read(onnx(onnx_tensor("w", kind, shape, bytes(24))))
    assert (found.element, found.shape, found.name) == (Element.BYTES, (24,), "w")


@pytest.mark.parametrize("shape", [(7,), (2**63,), ()])
def test_numbers_of_another_shape_are_one_row(shape: tuple[int, ...]) -> None:
    (found,) = read(onnx(onnx_tensor("w", F32, shape, bytes(24))))
    assert (found.element, found.shape) == (Element.F32, (6,))


def test_packed_dimensions_are_dimensions() -> None:
    packed = field(1, varint(2) + varint(3)) + field(2, F32) + field(8, b"w") + field(9, bytes(24))
    assert read(onnx(packed))[0].shape == (2, 3)


def test_a_tensor_in_a_node_is_called_as_its_output() -> None:
    attribute = field(1, b"value") + field(5, onnx_tensor("", F32, (4,), bytes(16)))
    node = field(2, b"out") + field(2, b"second") + field(4, b"Constant") + field(5, attribute)
    assert [span.name for span in read(onnx(more=field(1, node)))] == ["out"]
    alone = read(onnx(onnx_tensor("", F32, (4,), bytes(16))))[0]
    assert alone.name == f"@{alone.start}"


def test_graphs_in_attributes_and_functions_are_walked() -> None:
    inner = field(5, onnx_tensor("inner", F32, (4,), bytes(16)))
    node = field(5, field(6, inner) + field(11, inner)) + field(
        5, field(10, onnx_tensor("t", F32, (1,), bytes(4)))
    )
    function = field(25, field(7, node))
    assert [s.name for s in read(onnx(more=field(1, node)) + function)] == ["inner", "inner", "t"] * 2


def test_sparse_tensors_and_the_rest_are_passed_over() -> None:
    sparse = field(15, field(1, onnx_tensor("s", F32, (4,), bytes(16))))
    fixed = bytes([13 << 3 | 5]) + bytes(4) + bytes([14 << 3 | 1]) + bytes(8)
    assert read(onnx(more=sparse + fixed)) == ()


def test_numbers_may_lie_in_another_file() -> None:
    data = onnx(
        external("w", F32, (2, 3), location="sub/w.bin", offset="8", length="24"),
        external("start", F32, (6,), location="w.bin", length="24", checksum="x"),
        external("no length", F32, (6,), location="w.bin"),
        external("no location", F32, (6,), length="24"),
        external("odd", F32, (6,), location="w.bin", offset="-8", length="2x"),
    )
    found = parser.read(of_bytes(data))
    assert found.tensors == ()
    assert found.elsewhere == (
        ("sub/w.bin", TensorSpan("w", Element.F32, (2, 3), 8, 32)),
        ("w.bin", TensorSpan("start", Element.F32, (6,), 0, 24)),
    )


def deep(levels: int) -> bytes:
    inner = field(5, onnx_tensor("w", F32, (4,), bytes(16)))
    for _ in range(levels):
        inner = field(1, field(5, field(6, inner)))
    return onnx(more=inner)


def test_graphs_are_nested_so_deep_and_no_deeper() -> None:
    assert len(read(deep(20))) == 1
    with pytest.raises(MalformedError, match="deeply"):
        read(deep(22))


VALID = onnx(onnx_tensor("w", F32, (2, 3), bytes(24)))
BAD = {
    "nothing": b"",
    "no graph": field(1, 10),
    "cut": VALID[:-1],
    "something after it": VALID + b"\xff",
    "an unknown wire type": VALID + b"\x0b",
    "a field of number 0": VALID + b"\0\0",
    "a varint of eleven bytes": VALID + b"\x08" + b"\x80" * 10 + b"\0",
    "a length of 2^63": VALID + b"\x3a" + varint(2**63),
    "a fixed number that is cut": VALID + b"\x0d\0\0",
    "a field that leaves its message": field(1, 10) + field(7, b"\x2a\x10" + bytes(4)) + bytes(32),
    "a number that leaves its message": field(1, 10) + field(7, field(5, b"\x10\x81")) + b"\1",
    "a name that is not UTF-8": onnx(field(8, b"\xff")),
    "a long name": onnx(field(8, b"n" * (parser.MAX_NAME_BYTES + 1))),
    "too many dimensions": onnx(field(1, b"\1" * 65) + field(9, b"1")),
    "33 dimensions": onnx(field(1, b"\1" * 33) + field(2, U8) + field(9, b"1")),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_models_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_too_many_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_TENSORS", 1)
    assert len(read(VALID)) == 1
    with pytest.raises(MalformedError, match="too many"):
        read(onnx(*[onnx_tensor("w", F32, (2, 3), bytes(24))] * 2))


def test_a_model_is_known_by_its_start_or_its_name() -> None:
    assert parser.fits("x", golden("model.onnx")[:16])
    assert parser.fits("x.onnx", b"")
    assert not parser.fits("x", b"\x08\x02\x12")
    assert not parser.fits("x", b"\x08")
