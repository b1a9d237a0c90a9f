"""What a codec is, and the limits of a block (SPEC C1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Hint

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
    """What an encoder or a decoder is given beside the target or payload.

    ``sources`` are base bytes to code against. ``rows`` (elements a row, elements) and ``hint`` aid the encoder only.
    A decoder may write the target into ``out`` instead of fresh memory.
    """

    sources: Sequence[memoryview]
    element: Element
    rows: Sequence[Rows] = ()
    hint: Hint = None
    out: memoryview | None = None

    def parallel(self, length: int) -> memoryview | None:
        """Return the first source if it has the block's own length."""
        return self.sources[0] if self.sources and len(self.sources[0]) == length else None

    def output(self, length: int) -> memoryview:
        """Return a buffer for the target's ``length`` bytes: the start of ``out`` if they fit, else fresh memory."""
        if self.out is None or len(self.out) < length:
            return np.empty(length, np.uint8).data
        return self.out[:length]


Encoder = Callable[[memoryview, Context, Effort], bytes | None]
"""Returns the payload of a target, or None if the codec cannot code it."""

Decoder = Callable[[memoryview, Context, int], memoryview]
"""Returns the target of a payload and a length in bytes; it may be a view of the payload, a source or ``out``."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to code a block, and what it takes (SPEC 12). Ids are stored in block tables and never reused.

    It takes ``least`` to ``sources`` sources; with ``parallel`` the first has the block's own length. ``elements``
    are those that it is for, None: all. A decoder is given nothing else (:func:`admit`).
    """

    id: int
    name: str
    encode: Encoder
    decode: Decoder
    sources: int = 1
    least: int = 0
    parallel: bool = False
    elements: frozenset[Element] | None = None


def view(data: Buffer) -> memoryview:
    """Return ``data`` as a flat view of bytes, without a copy."""
    return memoryview(data).cast("B")


def admit(codec: Codec, context: Context, length: int) -> Context:
    """Return what a decoder is given of a block of ``length`` bytes: sources beyond those that it takes are left out.

    Raises:
        MalformedError: sources are lacking, the first has another length, or the element is none of the codec's.
    """
    if codec.elements is not None and context.element not in codec.elements:
        raise MalformedError(f"codec {codec.name} is not for this element", found=context.element.name)
    taken = context.sources[: codec.sources]
    if len(taken) < codec.least:
        raise MalformedError(
            f"a block of codec {codec.name} lacks sources", expected=str(codec.least), found=str(len(taken))
        )
    if codec.parallel and len(taken[0]) != length:
        raise MalformedError(
            f"a block of codec {codec.name} has no source of its own length", expected=f"{length} bytes"
        )
    return replace(context, sources=taken)


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
