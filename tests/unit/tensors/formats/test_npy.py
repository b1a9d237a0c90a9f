"""NumPy arrays: what NumPy writes is read; everything else is refused, and nothing is evaluated."""

from typing import Any

import numpy as np
import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import npy as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import npy


def read(data: bytes) -> TensorSpan:
    return parser.read(of_bytes(data)).tensors[0]


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("<f4", Element.F32), ("<f2", Element.F16), ("<f8", Element.F64), ("i1", Element.I8), ("<i2", Element.I16),
        ("<i4", Element.I32), ("<i8", Element.I64), ("u1", Element.U8), ("<u2", Element.U16), ("<u4", Element.U32),
        ("<u8", Element.U64), ("?", Element.BOOL), ("<c8", Element.C64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 3), (6,), (), (1, 2, 3, 1)])
def test_numbers_are_typed(kind: str, element: Element, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, kind)
    data = npy(array)
    found = read(data)
    assert (found.element, found.shape) == (element, shape)
    assert data[found.start : found.end] == array.tobytes()


def test_an_array_in_fortran_order_has_its_dimensions_turned_round() -> None:
    assert read(npy(np.asfortranarray(np.ones((2, 3, 4), "f4")))).shape == (4, 3, 2)


@pytest.mark.parametrize("kind", ["<c16", "V2", "S4"])
def test_other_types_are_bytes_or_refused(kind: str) -> None:
    data = npy(np.zeros(4, kind))
    try:
        assert read(data).element is Element.BYTES
    except MalformedError:
        assert kind != "<c16"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_is_read(version: tuple[int, int]) -> None:
    data = npy(np.ones(4, "f4"))
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")]
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    assert read(parser.MAGIC + bytes(version) + length + header + bytes(16)).shape == (4,)


def with_header(text: str, version: int = 1) -> bytes:
    return (
        parser.MAGIC
        + bytes([version, 0])
        + (len(text) + 1).to_bytes(2, "little")
        + text.encode()
        + b"\n"
        + bytes(16)
    )


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
BAD: dict[str, Any] = {
    "nothing": b"",
    "no header": parser.MAGIC + b"\1\0",
    "version 4": with_header(GOOD, 4),
    "big-endian": with_header(GOOD.replace("<", ">")),
    "objects": with_header(GOOD.replace("<f4", "|O")),
    "a structure": with_header(GOOD.replace("'<f4'", "[('a', '<f4')]")),
    "a call": with_header(GOOD.replace("(4,)", "__import__('os')")),
    "a negative dimension": with_header(GOOD.replace("4,)", "-4,)")),
    "33 dimensions": with_header(GOOD.replace("4,)", "1, " * 33 + ")")),
    "another key": with_header(GOOD.replace("}", "'x': 1, }")),
    "a long header": parser.MAGIC + b"\1\0\xff\xff" + b" " * 0x10000,
    "a header outside": parser.MAGIC + b"\1\0\x76\0" + b"{",
}


def test_the_header_alone_is_good() -> None:
    assert read(with_header(GOOD)).shape == (4,)


@pytest.mark.parametrize("why", BAD)
def test_malformed_arrays_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])
