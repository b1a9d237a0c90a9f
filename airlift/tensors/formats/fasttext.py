"""fastText models (``.bin``, ``.ftz``): two matrices after the dictionary, plain or quantised (SPEC T32).

::

    u32 magic  u32 version  12 x i32 and one f64 (arguments)
    i32 entries  i32 words  i32 labels  i64 tokens  i64 pruned
    per entry:  the word, ending in 0   i64 count  u8 type        per pruned index:  i32 i32
    twice:  u8 quantised, then
      plain:      i64 rows  i64 columns  f32 ...
      quantised:  u8 with norms  i64 rows  i64 columns  i32 codes  the codes  quantiser  [norm codes  quantiser]
    quantiser:  i32 dimension  i32 parts  i32 part  i32 last part  f32, dimension x 256

Source: https://github.com/facebookresearch/fastText/tree/main/src (fasttext.cc, dictionary.cc, quantmatrix.cc)
"""

import re
import struct
from collections.abc import Iterator

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import Layout, tensor
from airlift.tensors.region import Cursor, Region
from airlift.tensors.span import TensorSpan

MAGIC = struct.pack("<I", 793712314)
VERSIONS = (11, 12)
MAX_WORDS = 1 << 22
MAX_WORDS_BYTES = 256 << 20
WINDOW_BYTES = 1 << 20
"""No word is longer."""
CENTROIDS = 256

_START = struct.Struct("<4sI12id")
_DICTIONARY = struct.Struct("<3i2q")
_ENTRY = re.compile(rb"[^\0]*\0.{9}", re.DOTALL)
_U8, _MATRIX, _QUANTISED = struct.Struct("<B"), struct.Struct("<2q"), struct.Struct("<2qi")
_QUANTISER = struct.Struct("<4i")
_MATRICES = ("input", "output")


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts."""
    return head.startswith(MAGIC)


def read(region: Region) -> Layout:
    """Return the matrices of a model.

    Raises:
        MalformedError: it is of another version, a part does not lie in the file, or something follows the last.
    """
    cursor = Cursor(region)
    _, version, *_ = cursor.unpack(_START)
    if version not in VERSIONS:
        raise MalformedError("a fastText model is of another version", found=str(version))
    pruned = _dictionary(cursor)
    matrices = [span for name in _MATRICES for span in _matrix(cursor, name)]
    if cursor.position != region.size:
        raise MalformedError("something follows a fastText model", found=f"at {cursor.position}")
    return Layout((*pruned, *matrices))


def _dictionary(cursor: Cursor) -> tuple[TensorSpan, ...]:
    """Pass over the words; return the index of those that were pruned, if there is one."""
    entries, _, _, _, pruned = cursor.unpack(_DICTIONARY)
    if not 0 <= entries <= MAX_WORDS or pruned > MAX_WORDS:
        raise MalformedError("a fastText dictionary has too many words", found=f"{entries}, {pruned}")
    _skip_words(cursor, entries)
    return (_numbers(cursor, "pruned", Element.I32, (pruned, 2)),) if pruned > 0 else ()


def _skip_words(cursor: Cursor, count: int) -> None:
    """Pass over words, a window at a time: a large model has millions of them."""
    first = cursor.position
    while count:
        start = cursor.position
        if start - first > MAX_WORDS_BYTES:
            raise MalformedError(
                "a fastText dictionary is too long", expected=f"at most {MAX_WORDS_BYTES} bytes"
            )
        window, done = cursor.region.read(start, min(WINDOW_BYTES, cursor.end - start)), 0
        while count and (entry := _ENTRY.match(window, done)):
            count, done = count - 1, entry.end()
        if not done:
            raise MalformedError("a word of a fastText dictionary does not end", found=f"at {start}")
        cursor.skip(done)


def _matrix(cursor: Cursor, name: str) -> Iterator[TensorSpan]:
    if cursor.number(_U8):
        yield from _quantised(cursor, name)
        return
    rows, columns = cursor.unpack(_MATRIX)
    yield _numbers(cursor, name, Element.F32, (rows, columns))


def _quantised(cursor: Cursor, name: str) -> Iterator[TensorSpan]:
    norms = cursor.number(_U8)
    rows, _, codes = cursor.unpack(_QUANTISED)
    shape = (rows, codes // rows) if rows > 0 and codes % rows == 0 else (codes,)
    yield _numbers(cursor, f"{name}.codes", Element.U8, shape)
    yield _quantiser(cursor, f"{name}.centroids")
    if norms:
        yield _numbers(cursor, f"{name}.norm_codes", Element.U8, (rows,))
        yield _quantiser(cursor, f"{name}.norm_centroids")


def _quantiser(cursor: Cursor, name: str) -> TensorSpan:
    dimension, _, part, _ = cursor.unpack(_QUANTISER)
    numbers = dimension * CENTROIDS
    shape = (numbers // part, part) if part > 0 and numbers % part == 0 else (numbers,)
    return _numbers(cursor, name, Element.F32, shape)


def _numbers(cursor: Cursor, name: str, element: Element, shape: tuple[int, ...]) -> TensorSpan:
    length = element.size
    for dimension in shape:
        length *= dimension
    return tensor(name, element, shape, cursor.skip(length), length)
