"""A path of the compiled kernel, with the results of :mod:`airlift.digests.reference`."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

LANES = 4
"""How many messages the compiled module goes on with at once."""

BLOCK = 128
"""The bytes of a step (FIPS 180-4, 1)."""

_INITIAL = (
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
)  # fmt: skip
"""The value that every chain begins with (FIPS 180-4, 5.3.5)."""

_STATE = struct.Struct(f"={8 * LANES}Q")


class Lanes:
    """Digests that are under way: ``state`` has word 0 of every lane, then word 1, and so on.

    What is no whole step waits for what comes next. Lanes that no message needs go along with the first.
    """

    __slots__ = ("_count", "_length", "_module", "_path", "_state", "_waiting")

    def __init__(self, module: ModuleType, path: str, count: int) -> None:
        if not 1 <= count <= LANES:
            raise ValueError("too few or too many messages")
        self._module, self._path, self._count, self._length = module, path, count, 0
        self._state = bytearray(_STATE.pack(*(word for word in _INITIAL for _ in range(LANES))))
        self._waiting = [b""] * count

    def feed(self, members: Sequence[memoryview]) -> None:
        """Go on with every message, by as many bytes each."""
        length = len(members[0])
        if len(members) != self._count or any(len(member) != length for member in members):
            raise ValueError("messages are not digested side by side that have other lengths")
        self._length += length
        begun = len(self._waiting[0])
        if begun:
            head = min(BLOCK - begun, length)
            self._waiting = [old + new[:head] for old, new in zip(self._waiting, members, strict=True)]
            if begun + head < BLOCK:
                return
            self._advance(self._waiting)
            members = [member[head:] for member in members]
        whole = len(members[0]) // BLOCK * BLOCK
        self._advance([member[:whole] for member in members])
        self._waiting = [bytes(member[whole:]) for member in members]

    def finish(self) -> list[str]:
        """Return the digests (hex)."""
        padding = b"\x80" + bytes((-self._length - 17) % BLOCK) + (8 * self._length).to_bytes(16)
        self._advance([rest + padding for rest in self._waiting])
        words = _STATE.unpack(self._state)
        return [struct.pack(">8Q", *words[lane::LANES]).hex() for lane in range(self._count)]

    def _advance(self, members: Sequence[bytes | memoryview]) -> None:
        beside = [members[0]] * (LANES - self._count)
        self._module.advance(self._path, self._state, (*members, *beside))


@dataclass(frozen=True, slots=True)
class Compiled:
    """One path of the compiled kernel."""

    module: ModuleType
    name: str
    width: ClassVar[int] = LANES

    def start(self, count: int) -> Lanes:
        """See :func:`airlift.digests.reference.start`."""
        return Lanes(self.module, self.name, count)
