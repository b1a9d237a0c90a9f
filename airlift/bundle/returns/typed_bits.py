"""The numbers of a typed code as strings of the characters 0 and 1, and their reader (SPEC 9.15)."""

from dataclasses import dataclass

from airlift.errors import MalformedError

LENGTH_BITS = 5
"""How wide the length of a number is, so that a number is below 2**31."""


def fixed(value: int, width: int) -> str:
    """Return a value in ``width`` bits, the highest first."""
    return f"{value:0{width}b}" if width else ""


def number(value: int) -> str:
    """Return how many bits a value below 2**31 has, in five bits, and then these; 0 has none."""
    return fixed(value.bit_length(), LENGTH_BITS) + (f"{value:b}" if value else "")


def rice(value: int, parameter: int) -> str:
    """Return Rice's code: the value without its last ``parameter`` bits, as so many ones and a zero; then these."""
    return "1" * (value >> parameter) + "0" + fixed(value & (1 << parameter) - 1, parameter)


def gamma(value: int) -> str:
    """Return Elias' gamma code of a value of at least 1: one zero fewer than it has bits, and then these."""
    return "0" * (value.bit_length() - 1) + f"{value:b}"


@dataclass(slots=True)
class BitReader:
    """Reads what the functions above wrote, from ``place`` on.

    Every method raises MalformedError where the text ends too early.
    """

    text: str
    place: int = 0

    @property
    def left(self) -> int:
        """How many bits are left."""
        return len(self.text) - self.place

    def fixed(self, width: int) -> int:
        """Return the value of the next ``width`` bits."""
        if width > self.left:
            raise MalformedError("a code ends too early")
        self.place += width
        return int(self.text[self.place - width : self.place] or "0", 2)

    def number(self) -> int:
        """Return what :func:`number` wrote."""
        return self.fixed(self.fixed(LENGTH_BITS))

    def rice(self, parameter: int) -> int:
        """Return what :func:`rice` wrote."""
        return self._repeated("1") << parameter | self.fixed(parameter)

    def gamma(self) -> int:
        """Return what :func:`gamma` wrote."""
        zeros = self._repeated("0")
        self.place -= 1
        return self.fixed(zeros + 1)

    def _repeated(self, bit: str) -> int:
        """Return how often a bit follows itself, and go past the other bit after it."""
        end = self.text.find("1" if bit == "0" else "0", self.place)
        if end < 0:
            raise MalformedError("a code ends too early")
        found, self.place = end - self.place, end + 1
        return found
