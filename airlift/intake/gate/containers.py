"""Containers that hold numbers, text or pictures, and no code: what surely is one passes (SPEC L2.5).

Each is known by its first bytes, or by a structure that is walked. That a file is one of them is no reason not to
look for a pickle in it: the caller does both.
"""

import codecs
import re
import struct
from collections.abc import Callable, Iterator

from airlift.intake.gate import keras, protobuf
from airlift.intake.gate.protobuf import BYTES, FIXED32, VARINT, NotProtobufError
from airlift.intake.gate.views import WINDOW, View

_MAGIC = {
    0: (
        (b"GGUF", "GGUF"),
        (b"lmgg", "ggml"),
        (b"tjgg", "ggml"),
        (b"fmgg", "ggml"),
        (b"algg", "ggml"),
        (struct.pack("<l", 793712314), "fastText"),
        (b"7767517\n", "ncnn"),
        (b"ARROW1\0\0", "Arrow"),
        (b"FEA1", "Feather"),
        (b"PAR1", "Parquet"),
        (b"Obj\x01", "Avro"),
        (b"CBM1", "CatBoost"),
        (b"binf", "XGBoost"),
        (b"IxF2", "Faiss"),
        (b"IxFI", "Faiss"),
        (b"IwFl", "Faiss"),
        (b"We love Marisa.\0", "marisa-trie"),
        (b"mmap lm http://kheafield.com/code", "KenLM"),
        (b"SQLite format 3\0", "SQLite"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"fLaC", "FLAC"),
        (b"OggS", "Ogg"),
        (b"ID3", "MP3"),
        (b"SIMPLE  =", "FITS"),
        (b"%PDF-", "PDF"),
        (b"OTTO", "font"),
        (b"wOFF", "font"),
        (b"wOF2", "font"),
        (b"\x1aE\xdf\xa3", "Matroska"),
    ),
    4: ((b"TFL3", "TFLite"), (b"ORTM", "ONNX Runtime"), (b"ET12", "ExecuTorch"), (b"ftyp", "MPEG-4")),
    8: ((b"WAVE", "WAVE"), (b"WEBP", "WebP")),
}
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
_ASCII = bytes(range(128))
_WORD2VEC = re.compile(rb"\d{1,12} \d{1,6}\n[^\s\0]{1,200} ")
_TOP_FIELDS = 20_000
"""Fields of the outermost message that are walked; models have few of them."""
_HEADER_BYTES = 100 << 20
_TABLE = bytes.fromhex("57fb808b247547db")
"""The last bytes of a table of LevelDB: TensorFlow's index of a checkpoint is one."""


def recognise(view: View, head: bytes) -> str:
    """Return the name of the harmless container that a view is, "" if it is none that is known."""
    if not head:
        return "empty"
    for place, entries in _MAGIC.items():
        for magic, name in entries:
            if head.startswith(magic, place):
                return name
    return next((name for name, test in _TESTS.items() if test(view, head)), "")


def _is_font(_view: View, head: bytes) -> bool:
    """A TrueType font: a version, a few tables, and the first one's name in letters."""
    return head.startswith(b"\0\1\0\0\0") and 0 < head[5:6].ljust(1, b"\0")[0] < 64 and head[12:15].isalnum()


def _is_word2vec(_view: View, head: bytes) -> bool:
    """Vectors as word2vec writes them: two numbers on a line, a word, and bare numbers."""
    return _WORD2VEC.match(head) is not None


def _is_safetensors(view: View, head: bytes) -> bool:
    size, length = view.size(), int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and length <= _HEADER_BYTES and (size is None or length <= size - 8)


def _is_ctranslate2(_view: View, head: bytes) -> bool:
    """CTranslate2 model.bin: a version, then the name of a specification as length, text and zero."""
    if len(head) < 16:
        return False
    version, length = struct.unpack_from("<LH", head)
    name = head[6 : 6 + length]
    return 2 <= version < 64 and 2 < length <= 64 and name[-1:] == b"\0" and name[:-1].isalnum()


def _is_core_ml_weights(_view: View, head: bytes) -> bool:
    """Core ML weight.bin: a count and version 2, then at 64 the mark of the first blob (MIL blob storage)."""
    return head[4:8] == b"\2\0\0\0" and head[64:68] == b"\xef\xbe\xad\xde" and not head[8:64].strip(b"\0")


def is_hdf5(view: View, head: bytes) -> bool:
    """Say whether HDF5 starts at one of the places where readers look: 0, 512, and every doubling of that."""
    if head.startswith(keras.HDF5):
        return True
    size, place = view.size() or len(head), 512
    while place < size:
        if view.read(place, len(keras.HDF5)) == keras.HDF5:
            return True
        place *= 2
    return False


def _is_table(view: View, _head: bytes) -> bool:
    size = view.size()
    return size is not None and size > 48 and view.read(size - 8, 8) == _TABLE


def _is_tfrecord(view: View, head: bytes) -> bool:
    size, length = view.size(), int.from_bytes(head[:8], "little")
    return size is not None and 0 < length <= size - 16 and head[8:12] == _masked_sum(head[:8])


def _masked_sum(data: bytes) -> bytes:
    """Return the masked CRC-32C that TFRecord states of a length."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
    crc ^= 0xFFFF_FFFF
    return ((crc >> 15 | crc << 17) + 0xA282_EAD8 & 0xFFFF_FFFF).to_bytes(4, "little")


def _is_onnx(view: View, _head: bytes) -> bool:
    """An ONNX model: a version of the format, and a graph with nodes, inputs or outputs."""
    found = _top(view)
    graph = found.get(7)
    if graph is None or graph.wire != BYTES or 1 not in found or found[1].wire != VARINT:
        return False
    return found.keys() <= {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26} and found[1].value < 64


def _is_onnx_tensor(view: View, _head: bytes) -> bool:
    """An ONNX tensor: dimensions, a type of element, and numbers."""
    found = _top(view)
    kind = found.get(2)
    if kind is None or kind.wire != VARINT or not 0 < kind.value < 64:
        return False
    return found.keys() <= set(range(1, 15)) and bool(found.keys() & {4, 5, 6, 7, 9, 10, 11})


def _is_core_ml_model(view: View, _head: bytes) -> bool:
    """A Core ML model: a version, a description, and one of the kinds of model from 200 on."""
    found = _top(view)
    kinds = [number for number in found if 200 <= number <= 3000]
    version = found.get(1)
    return version is not None and version.wire == VARINT and 2 in found and len(kinds) == 1


def _is_saved_model(view: View, _head: bytes) -> bool:
    """A TensorFlow SavedModel: version 1 and graphs."""
    found = _top(view)
    return (
        found.keys() == {1, 2} and found[1].value == 1 and found[1].wire == VARINT and found[2].wire == BYTES
    )


def _is_sentencepiece(view: View, head: bytes) -> bool:
    """A SentencePiece model: pieces, each a text, a score and a kind; then how it was trained."""
    size = view.reach() if head.startswith(b"\n") else None
    if size is None:
        return False
    try:
        for count, field in enumerate(protobuf.fields(view, 0, size, 64)):
            if field.number == 1 and field.wire == BYTES:
                piece = {inner.number: inner.wire for inner in protobuf.fields(view, field.start, field.end)}
                if piece.get(1) != BYTES or piece.get(2, FIXED32) != FIXED32 or not piece.keys() <= {1, 2, 3}:
                    return False
            elif count < 2:
                return False
    except NotProtobufError:
        return False
    return True


def _is_text(view: View, head: bytes) -> bool:
    """Text in UTF-8, UTF-16 or mostly ASCII, by its first and last bytes."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return len(head) > 3 and _decodes(head, "utf-16")
    size, parts = view.size(), [head]
    if size is not None and size > len(head):
        parts.append(view.read(size - WINDOW // 8, WINDOW // 8))
    if any(len(part.translate(None, _CONTROLS)) < len(part) for part in parts):
        return False
    tail = any(_decodes(parts[-1][skip:], "utf-8") for skip in range(4))
    return (_decodes(head, "utf-8") and tail) or all(map(_is_mostly_ascii, parts))


def _is_mostly_ascii(part: bytes) -> bool:
    """Say whether bytes may be text in one of the older encodings, in which accents are single bytes."""
    return len(part.translate(None, _ASCII)) * 20 <= len(part)


def _decodes(part: bytes, encoding: str) -> bool:
    """Say whether bytes are text, save for a character that is cut at the end."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(part)
    except UnicodeDecodeError:
        return False
    return True


def _top(view: View) -> dict[int, protobuf.Field]:
    """Return the fields of a message that fills the view, the last of each number; none if it is none."""
    size = view.reach()
    if size is None:
        return {}
    found, end = {}, 0
    try:
        for field in protobuf.fields(view, 0, size, _TOP_FIELDS):
            found[field.number], end = field, field.end
    except NotProtobufError:
        return {}
    return found if end == size else {}


_TESTS: dict[str, Callable[[View, bytes], bool]] = {
    "HDF5": is_hdf5,
    "text": _is_text,
    "font": _is_font,
    "word2vec": _is_word2vec,
    "safetensors": _is_safetensors,
    "CTranslate2": _is_ctranslate2,
    "Core ML weights": _is_core_ml_weights,
    "TensorFlow table": _is_table,
    "TFRecord": _is_tfrecord,
    "ONNX": _is_onnx,
    "TensorFlow SavedModel": _is_saved_model,
    "Core ML": _is_core_ml_model,
    "SentencePiece": _is_sentencepiece,
    "ONNX tensor": _is_onnx_tensor,
}


def onnx_external(view: View) -> Iterator[str]:
    """Yield the places outside of the file where the initialisers of an ONNX model are kept."""
    try:
        graph = _top(view).get(7)
        if graph is None or graph.wire != BYTES:
            return
        for tensor in protobuf.fields(view, graph.start, graph.end):
            if tensor.number == 5 and tensor.wire == BYTES:
                yield from _locations(view, tensor)
    except NotProtobufError:
        return


def _locations(view: View, tensor: protobuf.Field) -> Iterator[str]:
    for field in protobuf.fields(view, tensor.start, tensor.end):
        if field.number == 13 and field.wire == BYTES:
            texts = {
                inner.number: view.read(inner.start, min(4096, inner.end - inner.start))
                for inner in protobuf.fields(view, field.start, field.end)
            }
            if texts.get(1) == b"location":
                yield texts.get(2, b"").decode("utf-8", "replace")
