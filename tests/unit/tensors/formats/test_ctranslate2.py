"""CTranslate2 models: variables one after the other, and every way to be malformed."""

import struct

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import ctranslate2 as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import ctranslate2_file, golden

VALID = ctranslate2_file(
    {"a/weight": (0, (2, 3), bytes(24)), "scalar": (1, (), b"\1"), "odd": (9, (2,), b"abc")}
)


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_variables_are_found() -> None:
    weight, scalar, odd = read(VALID)
    assert (weight.name, weight.element, weight.shape, weight.length) == ("a/weight", Element.F32, (2, 3), 24)
    assert (scalar.name, scalar.element, scalar.shape, scalar.length) == ("scalar", Element.I8, (), 1)
    assert (odd.element, VALID[odd.start : odd.end]) == (Element.BYTES, b"abc")


@pytest.mark.parametrize("version", parser.VERSIONS)
@pytest.mark.parametrize("kind", range(6))
def test_every_version_and_type_is_read(version: int, kind: int) -> None:
    element = parser.TYPES[kind]
    (found,) = read(ctranslate2_file({"w": (kind, (5,), bytes(5 * element.size))}, version))
    assert found.element is element


BAD = {
    "nothing": b"",
    "another version": ctranslate2_file({}, 4),
    "cut": VALID[:-1],
    "something after it": VALID + b"\0",
    "fewer variables than it says": VALID.replace(struct.pack("<II", 1, 3), struct.pack("<II", 1, 4)),
    "too many variables": VALID.replace(struct.pack("<II", 1, 3), struct.pack("<II", 1, 2**32 - 1)),
    "a name without end": VALID.replace(b"scalar\0", b"scalars"),
    "a name with an end in it": VALID.replace(b"scalar\0", b"sca\0ar\0"),
    "a name that is not UTF-8": VALID.replace(b"scalar\0", b"\xffcalar\0"),
    "nine dimensions": ctranslate2_file({"w": (0, (1,) * 9, bytes(4))}),
    "numbers outside": VALID.replace(struct.pack("<BI", 0, 24), struct.pack("<BI", 0, 2**31)),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_models_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (golden("ctranslate2/model.bin")[:512], True),
        (VALID[:512], True),
        (ctranslate2_file({}, 3), False),
        (b"\6\0\0\0\5\0ab!d\0", False),
        (b"\6\0\0\0\5\0abcde", False),
        (b"\6\0\0\0\1\0\0abc", False),
        (b"\6\0\0\0\xff\xff", False),
        (b"", False),
    ],
)
def test_a_model_is_known_by_its_start(head: bytes, expected: bool) -> None:
    assert parser.fits("model.bin", head) is expected
