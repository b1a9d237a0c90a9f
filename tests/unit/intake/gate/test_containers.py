import struct

import pytest

from airlift.intake.gate import messagepack
from airlift.intake.gate.containers import recognise
from airlift.intake.gate.views import WINDOW, Held
from tests.support.gguf_files import gguf
from tests.support.packed import npy
from tests.support.weights import noise, weights


def varint(number: int) -> bytes:
    more, number = number & 127, number >> 7
    return bytes([more | 128]) + varint(number) if number else bytes([more])


def field(number: int, value: bytes | int) -> bytes:
    """Return a protobuf field: a varint, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx(location: str | None, data: bytes = b"") -> bytes:
    """Return an ONNX model with one initialiser, with its numbers elsewhere if ``location`` says so."""
    external = field(13, field(1, b"location") + field(2, location.encode())) if location else b""
    tensor = field(1, 4) + field(2, 1) + field(8, b"w") + (external or field(9, data or bytes(16)))
    graph = field(1, field(4, b"Relu")) + field(2, b"g") + field(5, tensor)
    return field(1, 8) + field(2, b"made by hand") + field(7, graph) + field(8, field(2, 17))


def piece(text: bytes) -> bytes:
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", -1.5) + field(3, 2))


SAMPLES = {
    "empty": b"",
    "text": "configuration: \u00e9\u00e8\n".encode() * 3000,
    "safetensors": weights(1),
    "GGUF": gguf(),
    "ggml": b"lmgg" + noise(1, 100),
    "CTranslate2": struct.pack("<LH", 6, 16)
    + b"TransformerSpec\0"
    + struct.pack("<LL", 7, 300)
    + noise(2, 99),
    "fastText": struct.pack("<ll", 793712314, 12) + noise(3, 99),
    "Core ML weights": struct.pack("<LL", 3, 2) + bytes(56) + b"\xef\xbe\xad\xde" + noise(4, 99),
    "HDF5": bytes(512) + b"\x89HDF\r\n\x1a\n" + noise(5, 99),
    "TFLite": b"\x1c\0\0\0TFL3" + noise(6, 99),
    "ONNX": onnx(None),
    "ONNX tensor": field(1, 4) + field(2, 1) + field(9, bytes(16)),
    "SentencePiece": b"".join(piece(b"piece %d" % n) for n in range(80)) + field(2, noise(8, 50)),
    "Core ML": field(1, 5) + field(2, field(1, b"input")) + field(500, noise(9, 90)),
    "TensorFlow SavedModel": field(1, 1) + field(2, noise(10, 90)),
    "TensorFlow table": noise(11, 90) + bytes.fromhex("57fb808b247547db"),
    "TFRecord": struct.pack("<Q", 4) + bytes.fromhex("1a7b6e11") + b"data" + bytes(4),
    "MessagePack": b"\x82\xa4name\xa5model\xa4data\xc6" + struct.pack(">L", 70_000) + noise(12, 70_000),
    "font": b"\0\1\0\0\0\x0c\0\x80\0\3\0\x40GDEF" + noise(15, 99),
    "word2vec": b"300 50\nthe " + noise(16, 200),
    "PNG": b"\x89PNG\r\n\x1a\n" + noise(13, 99),
    "WAVE": b"RIFF\0\1\0\0WAVEfmt " + noise(14, 99),
}


def named(data: bytes) -> str:
    return recognise(Held(data), data[:WINDOW]) or ("MessagePack" if messagepack.walk(Held(data))[0] else "")


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "TFRecord"])
def test_harmless_containers(name: str) -> None:
    assert named(SAMPLES[name]) == name


def test_noise_is_nothing() -> None:
    assert {named(noise(seed, 3000)) for seed in range(300)} == {""}


@pytest.mark.parametrize(
    "name", ["safetensors", "CTranslate2", "ONNX", "SentencePiece", "Core ML", "MessagePack"]
)
def test_what_is_cut_or_grown_is_not_taken_for_whole(name: str) -> None:
    data = SAMPLES[name]
    assert named(b"\xf9" + data) == ""
    if name in {"ONNX", "Core ML", "MessagePack"}:
        assert named(data[:-1]) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe" + "UTF-16, with its mark\n".encode("utf-16-le"),
        "latin: caf\u00e9, and much more of the plain kind that has no accents\n".encode("latin-1"),
        b'{"json": [1, 2, 3]}',
        "\u6f22\u5b57".encode() * 9000 + b"!",
        b"x" + "\u00e9".encode() * 20_000,
    ],
)
def test_text(data: bytes) -> None:
    assert named(data) == "text"


@pytest.mark.parametrize("data", [b"text with \0 in it", b"\x80\x81\x82" * 50, b"a" * 20_000 + b"\0" * 9000])
def test_what_is_no_text(data: bytes) -> None:
    assert named(data) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa1a",
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xdf\xff\xff\xff\xff" + b"\xc0" * 50,
        b"\x91\xc1",
        b"\x91\xc6\xff\xff\xff\xff",
        b"\x92\xc0\xc0\xc0",
        b"\x91" * 9000,
    ],
)
def test_what_is_no_messagepack(data: bytes) -> None:
    assert named(data) == ""


def test_messagepack_of_every_form() -> None:
    items = [
        b"\x01", b"\xff", b"\xc0", b"\xca" + bytes(4), b"\xcb" + bytes(8), b"\xcd" + bytes(2), b"\xd3" + bytes(8),
        b"\xd6" + bytes(5), b"\xc7\x03\x01abc", b"\xda\0\x03abc", b"\xdc\0\x01\xc2", b"\xde\0\x01\xc3\xc0",
        b"\x81\xa1k\x90", b"\xd9\x14" + b"t" * 20,
    ]  # fmt: skip
    assert named(bytes([0x90 | len(items)]) + b"".join(items)) == "MessagePack"


def test_messagepack_that_holds_nothing() -> None:
    """SpaCy writes one byte for an empty table."""
    assert {named(b"\x80"), named(b"\x90")} == {"MessagePack"}


def test_an_array_is_known_before() -> None:
    assert named(npy("'<f4'", bytes(4))) == ""
