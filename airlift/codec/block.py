"""What a codec is, and the limits of a block (SPEC C1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.hint import Hint

MAX_LENGTH = 16 << 20
MAX_SOURCE_LENGTH = 32 << 20
MAX_SOURCES = 4

Buffer = bytes | bytearray | memoryview
Rows = tuple[int, int]
"""Elements a row (0 if unknown), and elements."""


class Effort(IntEnum):
    """How much time encoding may take; decoding is equally fast."""

    LOW = 1
    NORMAL = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded block: which codec, and what it wrote."""

    codec: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a block beside its bytes; ``rows`` (elements a row, elements) and ``hint`` aid the encoder.

    A decoder may put the target into ``out``, which is writable, instead of fresh memory.
    """

    sources: Sequence[memoryview]
    element: Element
    rows: Sequence[Rows] = ()
    hint: Hint = None
    out: memoryview | None = None

    def parallel(self, length: int) -> memoryview | None:
        """Return the first source if it has the block's own length."""
        return self.sources[0] if self.sources and len(self.sources[0]) == length else None

    def room(self, length: int) -> memoryview:
        """Return where to put ``length`` bytes: in ``out`` if they fit."""
        if self.out is None or len(self.out) < length:
            return np.empty(length, np.uint8).data
        return self.out[:length]


Encoder = Callable[[memoryview, Context, Effort], bytes | None]
"""Returns the payload of a target, or None if the codec cannot code it."""

Decoder = Callable[[memoryview, Context, int], memoryview]
"""Returns the target of a payload and a length in bytes; it may be a view of the payload, a source or ``out``."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to code a block, and how many sources it needs. Ids are stored in block tables and never reused."""

    id: int
    name: str
    encode: Encoder
    decode: Decoder
    sources: int = 1


def view(data: Buffer) -> memoryview:
    """Return ``data`` as a flat view of bytes, without a copy."""
    return memoryview(data).cast("B")


def check_limits(length: int, sources: Sequence[memoryview]) -> None:
    """Check the sizes of a block, in bytes.

    Raises:
        MalformedError: the block, a source or the number of sources is over its limit.
    """
    if not 0 <= length <= MAX_LENGTH:
        raise MalformedError(
            "a block is too long", expected=f"at most {MAX_LENGTH} bytes", found=f"{length} bytes"
        )
    if len(sources) > MAX_SOURCES:
        raise MalformedError(
            "a block has too many sources", expected=f"at most {MAX_SOURCES}", found=str(len(sources))
        )
    if any(len(source) > MAX_SOURCE_LENGTH for source in sources):
        raise MalformedError("a block's source is too long", expected=f"at most {MAX_SOURCE_LENGTH} bytes")
