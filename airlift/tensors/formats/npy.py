"""NumPy arrays (``.npy``): a short text says element, order and shape; the numbers follow to the end (SPEC T27).

The text is a Python literal. It is never evaluated: what does not read exactly as NumPy writes it is not read.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import re
import struct

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import Layout, tensor
from airlift.tensors.region import Region

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 4096

_HEADER = re.compile(
    rb"\{'descr': '([<|]?)([a-z])(\d{1,3})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19}, ?){0,32}(?:\d{1,19})?)\), \} *\n"
)
_LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}
TYPES = {
    (b"f", 2): Element.F16,
    (b"f", 4): Element.F32,
    (b"f", 8): Element.F64,
    (b"i", 1): Element.I8,
    (b"i", 2): Element.I16,
    (b"i", 4): Element.I32,
    (b"i", 8): Element.I64,
    (b"u", 1): Element.U8,
    (b"u", 2): Element.U16,
    (b"u", 4): Element.U32,
    (b"u", 8): Element.U64,
    (b"b", 1): Element.BOOL,
    (b"c", 8): Element.C64,
}


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts."""
    return head.startswith(MAGIC)


def read(region: Region, name: str = "array") -> Layout:
    """Return the array of a file; ``name`` is what it is called, since the file does not say.

    Raises:
        MalformedError: it is not an array of plain numbers, little-endian, that fill the file.
    """
    version = region.read(len(MAGIC), 2)
    form = _LENGTHS.get(version[0])
    if form is None:
        raise MalformedError("a NumPy array is of another version", found=str(version[0]))
    (length,) = form.unpack(region.read(len(MAGIC) + 2, form.size))
    if length > MAX_HEADER_BYTES:
        raise MalformedError("the header of a NumPy array is too long", found=f"{length} bytes")
    start = len(MAGIC) + 2 + form.size + length
    match = _HEADER.fullmatch(region.read(start - length, length))
    if match is None:
        raise MalformedError("a NumPy array is not of plain numbers, or not little-endian")
    element = TYPES.get((match[2], int(match[3])), Element.BYTES)
    shape = tuple(int(number) for number in match[5].replace(b",", b" ").split())
    shape = shape[::-1] if match[4] == b"True" else shape
    return Layout((tensor(name, element, shape, start, region.size - start),))
