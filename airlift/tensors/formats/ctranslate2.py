"""CTranslate2 models (``model.bin``): variables one after the other, each with its name, shape and type (SPEC T31).

::

    u32 version  string specification  u32 revision  u32 variables
    per variable:  string name  u8 dimensions  u32 dimension ...  u8 type  u32 bytes  the numbers
    u32 aliases   per alias:  string alias  string name

A string is its length (u16) and its bytes, of which the last is 0. Version 6 is what is written since 2021.

Source: https://github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs/model_spec.py
"""

import struct

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Cursor, Region
from airlift.tensors.span import TensorSpan

VERSIONS = (5, 6)
TYPES = (Element.F32, Element.I8, Element.I16, Element.I32, Element.F16, Element.BF16)
MAX_DIMENSIONS = 8

_U8, _U16, _U32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I")


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts: a version, and a string that ends where it says."""
    end = 5 + int.from_bytes(head[4:6], "little")
    starts = [version.to_bytes(4, "little") for version in VERSIONS]
    return head[:4] in starts and 6 < end < len(head) and head[end] == 0 and head[6:end].isalnum()


def read(region: Region) -> Layout:
    """Return the variables of a model.

    Raises:
        MalformedError: it is of another version, a part does not lie in the file, or something follows the last.
    """
    cursor = Cursor(region)
    if cursor.number(_U32) not in VERSIONS:
        raise MalformedError("a CTranslate2 model is of another version")
    _string(cursor)
    cursor.skip(_U32.size)
    found = tuple(_variable(cursor) for _ in range(_count(cursor)))
    for _ in range(_count(cursor)):
        _string(cursor)
        _string(cursor)
    if cursor.position != region.size:
        raise MalformedError("something follows a CTranslate2 model", found=f"at {cursor.position}")
    return Layout(found)


def _variable(cursor: Cursor) -> TensorSpan:
    name = _string(cursor)
    dimensions = cursor.number(_U8)
    if dimensions > MAX_DIMENSIONS:
        raise MalformedError("a CTranslate2 variable has too many dimensions", found=str(dimensions))
    shape = tuple(cursor.number(_U32) for _ in range(dimensions))
    kind, length = cursor.number(_U8), cursor.number(_U32)
    element = TYPES[kind] if kind < len(TYPES) else Element.BYTES
    return tensor(name, element, shape, cursor.skip(length), length)


def _count(cursor: Cursor) -> int:
    count = cursor.number(_U32)
    if count > MAX_TENSORS:
        raise MalformedError("a CTranslate2 model has too many parts", found=str(count))
    return count


def _string(cursor: Cursor) -> str:
    length = cursor.number(_U16)
    text = cursor.text(length)
    if not text.endswith("\0") or "\0" in text[:-1]:
        raise MalformedError("a string of a CTranslate2 model does not end where it says")
    return text[:-1]
