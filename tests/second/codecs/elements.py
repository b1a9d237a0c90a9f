"""Element codes (T1) and the fields of records (T9)."""

from dataclasses import dataclass

from tests.second.errors import Refused

BYTES, I8, F8_E4M3, F8_E5M2 = 0, 3, 4, 5
I16, F16, BF16, I32, F32, F64 = 8, 9, 10, 12, 13, 16
Q4_0, Q8_0 = 32, 36

_SIZES = {
    **dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 18, 19), 1),
    **dict.fromkeys((7, 8, 9, 10), 2),
    **dict.fromkeys((11, 12, 13), 4),
    **dict.fromkeys((14, 15, 16, 17), 8),
}

_RECORDS = {
    32: "1 1 16",
    33: "1 1 1 1 16",
    34: "1 1 4 16",
    35: "1 1 1 1 4 16",
    36: "1 1 32",
    37: "16 64 1 1 1 1",
    38: "32 64 12 1 1",
    39: "1 1 1 1 12 128",
    40: "1 1 1 1 12 32 128",
    41: "128 64 16 1 1",
    42: "1 1 1 1 256 32",
    43: "1 1 32 16",
    44: "32 16 8",
    45: "1 1 64",
    46: "1 1 64 8",
    47: "1 1 32 32 8 8",
    48: "1 1 64 32",
    49: "1 1 64 8 32 4",
    50: "1 1 16",
    51: "1 1 2 4 128",
    52: "48 4 1 1",
    53: "64 1 1",
    54: "1 16",
    55: "4 32",
    56: "1 1 16",
}

_MANTISSA = {4: 3, 18: 3, 5: 2, 19: 2, 9: 10, 10: 7, 13: 23, 16: 52, 17: 23}
_WIDTHS = {17: 4}


@dataclass(frozen=True, slots=True)
class Element:
    """An element.

    Attributes:
        code: Its code (T1).
        size: Bytes of one.
        fields: Bytes of its fields, one after the other (T9).
        record: Whether it is a block of a quantised type.
        unit: Bytes of a unit of the codec ulp (U1).
        mantissa: Mantissa bits of a unit that is a float; None for an integer (U1).
    """

    code: int
    size: int
    fields: tuple[int, ...]
    record: bool
    unit: int
    mantissa: int | None


def element(code: int) -> Element:
    """Return an element.

    Raises:
        Refused: ``format-too-new``, if the code is unknown.
    """
    if code in _RECORDS:
        fields = tuple(map(int, _RECORDS[code].split()))
        return Element(code, sum(fields), fields, record=True, unit=1, mantissa=None)
    if code not in _SIZES:
        raise Refused("format-too-new", f"element {code}")
    size = _SIZES[code]
    return Element(
        code, size, (1,) * size, record=False, unit=_WIDTHS.get(code, size), mantissa=_MANTISSA.get(code)
    )
