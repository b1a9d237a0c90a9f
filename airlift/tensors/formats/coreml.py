"""Core ML weights (``weight.bin`` of an ML program): entries at multiples of 64 bytes (SPEC T34).

::

    u32 entries  u32 version (2)  56 x 0
    per entry, at a multiple of 64:  u32 0xDEADBEEF  u32 type  u64 bytes  u64 offset  40 bytes   the numbers

The entries have no names here: the program beside the file refers to them by place, and so do the spans.

Source: https://github.com/apple/coremltools/blob/main/mlmodel/src/MILBlob/Blob/StorageFormat.hpp
"""

import struct

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Cursor, Region
from airlift.tensors.span import TensorSpan

VERSION = 2
ALIGNMENT = 64
SENTINEL = 0xDEADBEEF
TYPES = {
    1: Element.F16,
    2: Element.F32,
    3: Element.U8,
    4: Element.I8,
    5: Element.BF16,
    6: Element.I16,
    7: Element.U16,
    14: Element.I32,
    15: Element.U32,
    16: Element.F8_E4M3,
    17: Element.F8_E5M2,
}

_START = struct.Struct("<II56s")
_ENTRY = struct.Struct("<IIQQ40x")
_SENTINEL = struct.pack("<I", SENTINEL)


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it and its first entry start."""
    return head[4:64] == struct.pack("<I56x", VERSION) and head[64:68] == _SENTINEL


def read(region: Region) -> Layout:
    """Return the entries of a file of weights.

    Raises:
        MalformedError: an entry does not lie in the file after the one before, or there are too many.
    """
    cursor = Cursor(region)
    count, version, _ = cursor.unpack(_START)
    if version != VERSION or count > MAX_TENSORS:
        raise MalformedError(
            "a file of Core ML weights is of another version, or too large", found=str(version)
        )
    return Layout(tuple(_entry(cursor, number) for number in range(count)))


def _entry(cursor: Cursor, number: int) -> TensorSpan:
    cursor.skip(-cursor.position % ALIGNMENT)
    sentinel, kind, length, start = cursor.unpack(_ENTRY)
    if sentinel != SENTINEL or start < cursor.position or start - cursor.position >= ALIGNMENT:
        raise MalformedError("an entry of Core ML weights is not where it should be", found=f"at {start}")
    cursor.skip(start - cursor.position)
    element = TYPES.get(kind, Element.BYTES)
    return tensor(f"weight.{number}", element, (length // element.size,), cursor.skip(length), length)
