"""Groups of a matrix that share a scale (V2), for the codecs 8 and 9."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.second.codecs import floats, planes
from tests.second.codecs.elements import element
from tests.second.errors import demand

LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Groups:
    """How rows and columns fall into groups, numbered row by row."""

    rows: int
    columns: int
    high: int
    wide: int

    @property
    def across(self) -> int:
        """Groups side by side."""
        return -(-self.columns // self.wide)

    @property
    def count(self) -> int:
        """Groups in all."""
        return -(-self.rows // self.high) * self.across

    def of_numbers(self) -> list[int]:
        """Return the group of each number, row by row."""
        row = [column // self.wide for column in range(self.columns)]
        return [i // self.high * self.across + group for i in range(self.rows) for group in row]


def make(rows: int, columns: int, high: int, wide: int) -> Groups:
    """Return the groups; 0 means all rows or columns.

    Raises:
        Refused: ``malformed``, if there are too many.
    """
    groups = Groups(rows, columns, high or rows, wide or columns)
    demand(groups.count <= LIMIT, "too many groups")
    return groups


def largest(numbers: Sequence[float], groups: Groups) -> list[float]:
    """Return the largest magnitude of each group, normalised (V5-2)."""
    members: list[list[float]] = [[] for _ in range(groups.count)]
    for number, group in zip(numbers, groups.of_numbers(), strict=True):
        members[group].append(number)
    return [floats.normalised(floats.largest(group)) for group in members]


def unpack_scales(body: bytes, code: int, groups: Groups) -> list[float]:
    """Return the scales of a payload: planes with predictor 0."""
    demand(body[:1] == b"\0", "scales with a predictor")
    kind = element(code)
    return read_scales(planes.decode(body, kind, groups.count * kind.size, None), code, groups)


def read_scales(data: bytes, code: int, groups: Groups) -> list[float]:
    """Return scales as they are, as many as groups."""
    demand(len(data) == groups.count * element(code).size, "scales that are not as many as groups")
    return list(floats.values(data, code))


def limit_of(raw: bytes, *, computed: bool) -> float:
    """Return the limit: 2^-126 or more and finite where scales are computed, else all bits 0."""
    value: float = struct.unpack("<f", raw)[0]
    if computed:
        demand(2.0**-126 <= value < float("inf"), "a limit out of range")
    else:
        demand(raw == bytes(4), "a limit that says nothing")
    return value
