"""Core ML weights: entries at multiples of 64 bytes, and every way to be malformed."""

import struct

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import coreml as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import coreml_weights, golden

VALID = coreml_weights((1, bytes(20)), (2, bytes(400)), (8, b"abc"))


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_entries_are_numbered() -> None:
    assert read(VALID) == (
        TensorSpan("weight.0", Element.F16, (10,), 128, 148),
        TensorSpan("weight.1", Element.F32, (100,), 256, 656),
        TensorSpan("weight.2", Element.BYTES, (3,), 768, 771),
    )
    assert read(coreml_weights()) == ()


@pytest.mark.parametrize(("kind", "element"), list(parser.TYPES.items()))
def test_every_type_is_known(kind: int, element: Element) -> None:
    assert read(coreml_weights((kind, bytes(8 * element.size))))[0].element is element


def test_half_a_number_is_bytes() -> None:
    assert read(coreml_weights((2, bytes(7))))[0].element is Element.BYTES


def changed(place: int, value: bytes) -> bytes:
    return VALID[:place] + value + VALID[place + len(value) :]


BAD = {
    "nothing": b"",
    "cut": VALID[:-1],
    "another version": coreml_weights(version=1),
    "too many entries": changed(0, b"\xff\xff\xff\xff"),
    "more entries than there are": changed(0, b"\4"),
    "no sentinel": changed(64, b"\xef\xbe\xad\xdf"),
    "an offset into the entry": changed(80, struct.pack("<Q", 100)),
    "an offset far away": changed(80, struct.pack("<Q", 256)),
    "numbers outside": changed(72, struct.pack("<Q", 2**63)),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_files_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_a_file_is_known_by_its_start() -> None:
    assert parser.fits("x", golden("weight.bin")[:512])
    assert not parser.fits("weight.bin", VALID[:64])
    assert not parser.fits("weight.bin", b"\0" * 512)
