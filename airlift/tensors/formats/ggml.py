"""The tensor types of ggml: how many numbers a block has, and what a block is as an element (SPEC T11).

Source: ggml.h (enum ggml_type) and ggml-common.h (the structures of blocks)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from airlift.tensors.element import Element


@dataclass(frozen=True, slots=True)
class Type:
    """A tensor type: ``numbers`` to a block, the element that a block is, and its bytes.

    A block of a type that ggml removed is ``size`` elements BYTES.
    """

    numbers: int
    element: Element
    size: int


_PLAIN = {
    0: Element.F32,
    1: Element.F16,
    24: Element.I8,
    25: Element.I16,
    26: Element.I32,
    27: Element.I64,
    28: Element.F64,
    30: Element.BF16,
}
_OF_32 = {
    2: Element.Q4_0,
    3: Element.Q4_1,
    6: Element.Q5_0,
    7: Element.Q5_1,
    8: Element.Q8_0,
    20: Element.IQ4_NL,
    39: Element.MXFP4,
}
_OF_256 = {
    10: Element.Q2_K,
    11: Element.Q3_K,
    12: Element.Q4_K,
    13: Element.Q5_K,
    14: Element.Q6_K,
    15: Element.Q8_K,
    16: Element.IQ2_XXS,
    17: Element.IQ2_XS,
    18: Element.IQ3_XXS,
    19: Element.IQ1_S,
    21: Element.IQ3_S,
    22: Element.IQ2_S,
    23: Element.IQ4_XS,
    29: Element.IQ1_M,
    34: Element.TQ1_0,
    35: Element.TQ2_0,
}

_REMOVED = (31, 32, 33, 36, 37, 38)  # Q4_0 and IQ4_NL, the blocks of four or eight rows interleaved


def _type(numbers: int, element: Element) -> Type:
    return Type(numbers, element, element.size)


# Left out: Q8_1 (9), whose structure has changed and which no file holds; Q4_2 and Q4_3 (4, 5), which were removed
# before GGUF was; Q2_0 (42), of which there are two layouts.
TYPES: Mapping[int, Type] = MappingProxyType(
    {number: _type(1, element) for number, element in _PLAIN.items()}
    | {number: _type(32, element) for number, element in _OF_32.items()}
    | {number: _type(256, element) for number, element in _OF_256.items()}
    | {40: _type(64, Element.NVFP4), 41: _type(128, Element.Q1_0)}
    | dict.fromkeys(_REMOVED, Type(32, Element.BYTES, 18))
)
