"""The files of whisper.cpp (``ggml-*.bin``): ggml's first layout, which is not GGUF (SPEC T33).

::

    u32 magic   11 x i32 (of a model of speech)  i32 i32 filters  f32 ...  i32 words   per word: u32 length  bytes
    u32 magic   i32 length  "silero-..."  5 x i32  i32 layers  3 x i32 for each  4 x i32 (of a detector of speech)
    then, to the end of the file, per tensor:
    i32 dimensions  i32 length of the name  i32 type  i32 dimension, the innermost first ...  name  the numbers

Source: https://github.com/ggml-org/whisper.cpp (whisper_model_load, whisper_vad_init; models/convert-*.py)
"""

import struct
from collections.abc import Iterator

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats.ggml import TYPES
from airlift.tensors.layout import MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Cursor, Region
from airlift.tensors.span import TensorSpan

MAGIC = b"lmgg"
MAX_WORDS = 1 << 20
MAX_LAYERS = 1024
MAX_NAME_BYTES = 255
MAX_DIMENSIONS = 4

_U32, _I32, _PAIR, _TENSOR = (struct.Struct(form) for form in ("<I", "<i", "<2i", "<3i"))
_SPEECH_NUMBERS = 11
_DETECTOR = b"silero"


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts."""
    return head.startswith(MAGIC)


def read(region: Region) -> Layout:
    """Return the tensors of a model, its filters among them.

    Raises:
        MalformedError: a part does not lie in the file, or there are too many.
    """
    cursor = Cursor(region)
    cursor.skip(len(MAGIC))
    found = [] if _detector(cursor) else [_speech(cursor)]
    found += _tensors(cursor)
    return Layout(tuple(found))


def _detector(cursor: Cursor) -> bool:
    """Pass over what stands before the tensors of a detector of speech; return False if it is none."""
    length = int.from_bytes(cursor.region.read(cursor.position, 4), "little")
    if not len(_DETECTOR) <= length <= MAX_NAME_BYTES:
        return False
    if cursor.region.read(cursor.position + 4, len(_DETECTOR)) != _DETECTOR:
        return False
    cursor.skip(4 + length + 5 * 4)
    layers = cursor.number(_I32)
    if not 0 <= layers <= MAX_LAYERS:
        raise MalformedError("a ggml file has too many layers", found=str(layers))
    cursor.skip(4 * (3 * layers + 4))
    return True


def _speech(cursor: Cursor) -> TensorSpan:
    """Pass over what stands before the tensors of a model of speech; return its filters."""
    cursor.skip(4 * _SPEECH_NUMBERS)
    shape = cursor.unpack(_PAIR)
    length = 4 * shape[0] * shape[1]
    filters = tensor("mel_filters", Element.F32, shape, cursor.skip(length), length)
    words = cursor.number(_I32)
    if not 0 <= words <= MAX_WORDS:
        raise MalformedError("a ggml file has too many words", found=str(words))
    for _ in range(words):
        cursor.skip(cursor.number(_U32))
    return filters


def _tensors(cursor: Cursor) -> Iterator[TensorSpan]:
    for _ in range(MAX_TENSORS):
        if cursor.position == cursor.end:
            return
        yield _tensor(cursor)
    raise MalformedError("a ggml file has too many tensors", expected=f"at most {MAX_TENSORS}")


def _tensor(cursor: Cursor) -> TensorSpan:
    dimensions, length, kind = cursor.unpack(_TENSOR)
    if not 0 <= dimensions <= MAX_DIMENSIONS or not 0 < length <= MAX_NAME_BYTES or kind not in TYPES:
        raise MalformedError("a ggml tensor is of an unknown kind", found=f"{dimensions}, {length}, {kind}")
    shape = tuple(cursor.number(_I32) for _ in range(dimensions))[::-1]
    name, known = cursor.text(length), TYPES[kind]
    row = shape[-1] if shape else 1
    if min(shape, default=1) < 1 or row % known.numbers:
        raise MalformedError("a ggml tensor has an impossible shape", found=str(shape))
    shape = (*shape[:-1], row // known.numbers)
    size = known.element.size
    for dimension in shape:
        size *= dimension
    return tensor(name, known.element, shape, cursor.skip(size), size)
