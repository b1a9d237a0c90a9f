"""fastText models: matrices after the dictionary, and every way to be malformed."""

import struct

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import fasttext as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import fasttext_file, golden

WORDS = (b"up", b"", b"\xff" * 300)
VALID = fasttext_file(WORDS, 5, 4)
QUANTISED = golden("fasttext.ftz")


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_both_matrices_are_found() -> None:
    assert [(s.name, s.element, s.shape) for s in read(VALID)] == [
        ("input", Element.F32, (5, 4)),
        ("output", Element.F32, (5, 4)),
    ]


def test_codes_and_centroids_of_a_quantised_one_are_found() -> None:
    assert [(s.name, s.element, s.shape) for s in read(QUANTISED)] == [
        ("input.codes", Element.U8, (287, 4)),
        ("input.centroids", Element.F32, (1024, 2)),
        ("input.norm_codes", Element.U8, (287,)),
        ("input.norm_centroids", Element.F32, (256, 1)),
        ("output", Element.F32, (3, 8)),
    ]


def test_the_index_of_pruned_words_is_found() -> None:
    pruned, *_ = read(fasttext_file(WORDS, 5, 4, pruned=7))
    assert (pruned.name, pruned.element, pruned.shape) == ("pruned", Element.I32, (7, 2))


def test_a_dictionary_may_be_longer_than_what_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "WINDOW_BYTES", 400)
    words = tuple(b"w" * (number % 90) for number in range(200))
    assert read(fasttext_file(words, 5, 4))[0].shape == (5, 4)
    monkeypatch.setattr(parser, "MAX_WORDS_BYTES", 1000)
    with pytest.raises(MalformedError, match="too long"):
        read(fasttext_file(words, 5, 4))


DICTIONARY = struct.calcsize("<4sI12id")
MATRIX = len(VALID) - 2 * (17 + 80)


def changed(place: int, value: bytes, data: bytes = VALID) -> bytes:
    return data[:place] + value + data[place + len(value) :]


BAD = {
    "nothing": b"",
    "another version": changed(4, b"\x63"),
    "cut": VALID[:-1],
    "something after it": VALID + b"\0",
    "too many words": changed(DICTIONARY, struct.pack("<i", parser.MAX_WORDS + 1)),
    "fewer than no words": changed(DICTIONARY, struct.pack("<i", -1)),
    "more words than there are": changed(DICTIONARY, struct.pack("<i", 1 << 20)),
    "too many pruned": changed(DICTIONARY + 20, struct.pack("<q", 2**62)),
    "pruned outside": changed(DICTIONARY + 20, struct.pack("<q", 1000)),
    "a long word": fasttext_file((b"w" * parser.WINDOW_BYTES,), 5, 4),
    "rows outside": changed(MATRIX + 1, struct.pack("<q", 2**60)),
    "rows below 0": changed(MATRIX + 1, struct.pack("<q", -5)),
    "rows and columns below 0": changed(MATRIX + 1, struct.pack("<qq", -5, -4)),
    "codes below 0": changed(268, struct.pack("<i", -4), QUANTISED),
    "a quantiser below 0": changed(1420, struct.pack("<i", -8), QUANTISED),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_models_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_a_model_is_known_by_its_start() -> None:
    assert parser.fits("x", VALID[:8])
    assert not parser.fits("lid.ftz", b"")
