"""Families of tensors: the same place of layer after layer, by their names but for the numbers in them.

What was done to a model was done to a family alike, or to its last layers: as long as nothing explains a family, only
the 1st, 2nd, 4th, 8th ... member that changed is looked at. So the time that a plan takes grows with the kinds of
tensors in a file, and hardly with their number.
"""

import re
from dataclasses import dataclass, field

NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class Family:
    """Those seen so far, and whether one of them was explained."""

    seen: int = 0
    found: bool = False

    def due(self) -> bool:
        """Count one more member, and return whether to look at it."""
        self.seen += 1
        return self.found or self.seen & (self.seen - 1) == 0


@dataclass(frozen=True, slots=True)
class Families:
    """The families of one file."""

    known: dict[str, Family] = field(default_factory=dict)

    def of(self, name: str) -> Family:
        """Return the family of a tensor."""
        return self.known.setdefault(NUMBER.sub("", name), Family())
