"""The files of whisper.cpp: both kinds, and every way to be malformed."""

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import whisper as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import detector, ggml_tensor, speech

F32, F16, Q8_0 = 0, 1, 8
W = ggml_tensor("w", F16, (3, 4, 2), bytes(48))
Q = ggml_tensor("q.weight", Q8_0, (64, 3), bytes(6 * 34))
SCALAR = ggml_tensor("s", F32, (), bytes(4))


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_a_model_of_speech_has_filters_and_tensors() -> None:
    data = speech(W, Q, SCALAR)
    assert [(s.name, s.element, s.shape) for s in read(data)] == [
        ("mel_filters", Element.F32, (2, 3)),
        ("w", Element.F16, (2, 4, 3)),
        ("q.weight", Element.Q8_0, (3, 2)),
        ("s", Element.F32, (1,)),
    ]
    assert read(data)[-1].end == len(data)


def test_a_detector_of_speech_has_tensors() -> None:
    assert [span.name for span in read(detector(W, Q))] == ["w", "q.weight"]
    assert read(detector()) == ()


BAD = {
    "nothing": b"",
    "half a header": speech()[:20],
    "cut": speech(W)[:-1],
    "half a tensor": speech(W)[:-60],
    "filters outside": speech(filters=(1 << 20, 1)).replace(bytes(1 << 20), b""),
    "filters below 0": speech(filters=(-2, 3)),
    "both below 0": speech(filters=(-2, -3)),
    "too many words": speech()[:-17] + b"\xff\xff\xff\x7f" + bytes(13),
    "a word outside": speech(words=(b"\xff" * 9,))[:-13] + b"\xff\xff\xff\xff" + bytes(9),
    "an unknown type": speech(ggml_tensor("w", 9, (3,), bytes(12))),
    "five dimensions": speech(ggml_tensor("w", F32, (1,) * 5, bytes(4))),
    "no name": speech(ggml_tensor("", F32, (1,), bytes(4))),
    "a long name": speech(ggml_tensor("n" * 256, F32, (1,), bytes(4))),
    "half a record": speech(ggml_tensor("w", Q8_0, (33,), bytes(34))),
    "a dimension of 0": speech(ggml_tensor("w", F32, (4, 0), b"")),
    "a dimension below 0": speech(ggml_tensor("w", F32, (-4, -4), bytes(64))),
    "numbers outside": speech(ggml_tensor("w", F32, (2**31 - 1,) * 4, bytes(4))),
    "too many layers": detector(layers=-1),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_files_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_too_many_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_TENSORS", 2)
    with pytest.raises(MalformedError, match="too many"):
        read(speech(W, Q, SCALAR))


def test_a_file_is_known_by_its_start() -> None:
    assert parser.fits("x.bin", speech()[:8])
    assert not parser.fits("ggml-base.bin", b"GGUF")
