"""Two byte ranges to one coded block and back. Pure: bytes in, bytes out.

A codec is an id, an encoder and a decoder over byte ranges; nothing else in airlift knows which one ran. The target
bytes of a block are coded against 0 to 4 sources (byte ranges of base files)::

    coded = codec.encode(target, [source], Element.BF16, rows=[(384, 147456)])
    assert codec.decode(coded.codec, coded.payload, [source], len(target), Element.BF16) == target

Promise: what was encoded decodes to the same bytes, always. A payload is never longer than the target. The same
inputs, effort and library versions give the same payload. The decoder bounds every size before it allocates, and
whatever bytes it is given it returns exactly the length that was asked for or raises an AirliftError.

| id | codec | payload |
|---|---|---|
| 0 | raw | the target |
| 1 | equal | empty: the target is the first source |
| 2 | zstd | one zstd frame, with the first source as its prefix |
| 3 | planes | the bytes of each place of the elements together, XORed with the first source or not, each under zstd |
| 4 | ulp | differences in units in the last place, each coded by what its size must be about |
| 5 | lowrank | factors and an inner payload: coded against the first source plus their product |
| 6 | adapter | a scale and an inner payload: coded against the first source plus the product of two others |
| 7 | narrow | a narrower type and an inner payload: coded as numbers of that type |
| 8 | convert | a rule and an inner payload: coded against what the rule makes of numbers of another type |
| 9 | grid | scales and an inner payload: coded as the integers, or eight-bit floats, that were multiplied by them |

The codec ``ulp`` runs in a compiled kernel or, where there was no compiler, in NumPy: the same bytes, slower.
"""

from airlift.codec.block import MAX_LENGTH, MAX_SOURCE_LENGTH, MAX_SOURCES, Buffer, Codec, Coded, Effort
from airlift.codec.decoding import check_sources, decode, names, sources
from airlift.codec.selection import encode

__all__ = [
    "MAX_LENGTH",
    "MAX_SOURCES",
    "MAX_SOURCE_LENGTH",
    "Buffer",
    "Codec",
    "Coded",
    "Effort",
    "check_sources",
    "decode",
    "encode",
    "names",
    "sources",
]
