"""Element types: what one number of a tensor is, as a code for block tables and a size in bytes (SPEC T1)."""

from enum import IntEnum
from types import MappingProxyType

from airlift.errors import FormatTooNewError


class Element(IntEnum):
    """The type of the elements of a span; the value is the code (one byte) that block tables store.

    ``BYTES`` is opaque: anything that is not a whole number of known elements. Codes are never reused.
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

    @property
    def size(self) -> int:
        """The size of one element in bytes."""
        return _SIZES[self]


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
_SIZES = dict.fromkeys(Element, 1) | {element: size for size, wide in _WIDE.items() for element in wide}

SAFETENSORS_BITS = MappingProxyType(
    {element.name: element.size * 8 for element in Element if element is not Element.BYTES}
    | {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
)
"""Bits per element of every safetensors dtype that airlift knows the size of."""


def from_safetensors(dtype: str) -> Element:
    """Return the element of a safetensors dtype; ``BYTES`` for one below a byte or unknown."""
    if dtype in Element.__members__:
        return Element[dtype]
    return Element.BYTES
