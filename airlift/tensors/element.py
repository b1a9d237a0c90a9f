"""Element types: what one number of a tensor is, as a code for block tables and a size in bytes (SPEC T1, T9)."""

from enum import IntEnum
from types import MappingProxyType

from airlift.errors import FormatTooNewError


class Element(IntEnum):
    """The type of the elements of a span; the value is the code (one byte) that block tables store.

    ``BYTES`` is opaque: anything that is not a whole number of known elements. From 32 on an element is a record, one
    block of a quantised type of ggml. Codes are never reused.
    """

    BYTES = 0
    BOOL = 1
    U8 = 2
    I8 = 3
    F8_E4M3 = 4
    F8_E5M2 = 5
    F8_E8M0 = 6
    U16 = 7
    I16 = 8
    F16 = 9
    BF16 = 10
    U32 = 11
    I32 = 12
    F32 = 13
    U64 = 14
    I64 = 15
    F64 = 16
    C64 = 17
    F8_E4M3FNUZ = 18
    F8_E5M2FNUZ = 19

    Q4_0 = 32
    Q4_1 = 33
    Q5_0 = 34
    Q5_1 = 35
    Q8_0 = 36
    Q2_K = 37
    Q3_K = 38
    Q4_K = 39
    Q5_K = 40
    Q6_K = 41
    Q8_K = 42
    IQ1_S = 43
    IQ1_M = 44
    IQ2_XXS = 45
    IQ2_XS = 46
    IQ2_S = 47
    IQ3_XXS = 48
    IQ3_S = 49
    IQ4_NL = 50
    IQ4_XS = 51
    TQ1_0 = 52
    TQ2_0 = 53
    MXFP4 = 54
    NVFP4 = 55
    Q1_0 = 56

    @property
    def size(self) -> int:
        """The size of one element in bytes."""
        return _SIZES[self]

    @property
    def fields(self) -> tuple[int, ...]:
        """The sizes in bytes of the parts that an element is split into: single bytes, or the fields of a record."""
        return _FIELDS[self]

    @property
    def record(self) -> bool:
        """Whether this is a record: a block of quantised numbers with its scales."""
        return self in _RECORDS


def from_code(code: int) -> Element:
    """Return the element of a stored code.

    Raises:
        FormatTooNewError: the code is not one that this airlift knows.
    """
    try:
        return Element(code)
    except ValueError as error:
        raise FormatTooNewError("a block has an unknown element code", found=str(code)) from error


_WIDE = {
    2: (Element.U16, Element.I16, Element.F16, Element.BF16),
    4: (Element.U32, Element.I32, Element.F32),
    8: (Element.U64, Element.I64, Element.F64, Element.C64),
}
# The structures of ggml, in their order: each byte of a 16-bit or 32-bit scale by itself, then packed numbers whole.
_HALF = (1, 1)
_RECORDS: dict[Element, tuple[int, ...]] = {
    Element.Q4_0: (*_HALF, 16),
    Element.Q4_1: (*_HALF, *_HALF, 16),
    Element.Q5_0: (*_HALF, 4, 16),
    Element.Q5_1: (*_HALF, *_HALF, 4, 16),
    Element.Q8_0: (*_HALF, 32),
    Element.Q2_K: (16, 64, *_HALF, *_HALF),
    Element.Q3_K: (32, 64, 12, *_HALF),
    Element.Q4_K: (*_HALF, *_HALF, 12, 128),
    Element.Q5_K: (*_HALF, *_HALF, 12, 32, 128),
    Element.Q6_K: (128, 64, 16, *_HALF),
    Element.Q8_K: (1, 1, 1, 1, 256, 32),
    Element.IQ1_S: (*_HALF, 32, 16),
    Element.IQ1_M: (32, 16, 8),
    Element.IQ2_XXS: (*_HALF, 64),
    Element.IQ2_XS: (*_HALF, 64, 8),
    Element.IQ2_S: (*_HALF, 32, 32, 8, 8),
    Element.IQ3_XXS: (*_HALF, 64, 32),
    Element.IQ3_S: (*_HALF, 64, 8, 32, 4),
    Element.IQ4_NL: (*_HALF, 16),
    Element.IQ4_XS: (*_HALF, 2, 4, 128),
    Element.TQ1_0: (48, 4, *_HALF),
    Element.TQ2_0: (64, *_HALF),
    Element.MXFP4: (1, 16),
    Element.NVFP4: (4, 32),
    Element.Q1_0: (*_HALF, 16),
}
_SIZES = (
    dict.fromkeys(Element, 1)
    | {element: size for size, wide in _WIDE.items() for element in wide}
    | {element: sum(fields) for element, fields in _RECORDS.items()}
)
_FIELDS = {element: (1,) * size for element, size in _SIZES.items()} | _RECORDS

SAFETENSORS_BITS = MappingProxyType(
    {
        element.name: element.size * 8
        for element in Element
        if element is not Element.BYTES and not element.record
    }
    | {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
)
"""Bits per element of every safetensors dtype that airlift knows the size of."""


def from_safetensors(dtype: str) -> Element:
    """Return the element of a safetensors dtype; ``BYTES`` for one below a byte or unknown."""
    element = Element.__members__.get(dtype, Element.BYTES)
    return Element.BYTES if element.record else element
