"""The codecs by id, and how a block is decoded (SPEC C2)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from airlift.codec.block import Buffer, Codec, Context, admit, check_limits, view
from airlift.codec.grid.grid import GRID
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL, RAW
from airlift.codec.plain.zstd import ZSTD
from airlift.codec.predict.adapter import ADAPTER
from airlift.codec.predict.convert import CONVERT
from airlift.codec.predict.lowrank import LOWRANK
from airlift.codec.predict.narrow import NARROW
from airlift.codec.ulp.ulp import ULP
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import from_code

CODECS: Mapping[int, Codec] = MappingProxyType(
    {codec.id: codec for codec in (RAW, EQUAL, ZSTD, PLANES, ULP, LOWRANK, ADAPTER, NARROW, CONVERT, GRID)}
)


def names() -> Mapping[int, str]:
    """Return the names of the codecs by id."""
    return {number: codec.name for number, codec in CODECS.items()}


def sources(codec: int) -> int:
    """Return how many sources a codec takes at most; further ones can be left out."""
    return CODECS[codec].sources


def check_sources(codec: int, count: int) -> None:
    """Check that a block of a chunk names as many sources as its codec takes (SPEC 6.3-7).

    Raises:
        FormatTooNewError: the codec is unknown.
        MalformedError: it names fewer, or more.
    """
    known = _known(codec)
    if not known.least <= count <= known.sources:
        raise MalformedError(
            f"a block of codec {known.name} has the wrong number of sources",
            expected=f"{known.least} to {known.sources}",
            found=str(count),
        )


def decode(
    codec: int,
    payload: Buffer,
    sources: Sequence[Buffer],
    length: int,
    element: int,
    *,
    out: bytearray | memoryview | None = None,
) -> memoryview:
    """Return the ``length`` target bytes of a block; ``element`` is an Element or its stored code.

    The result is fresh memory, or a view of the payload, of a source or of ``out``. ``out`` is writable memory to
    reuse, apart from payload and sources; codecs that produce new bytes decode into it if ``length`` bytes fit.
    Several threads may decode at once: the work is done outside the interpreter lock.

    Raises:
        FormatTooNewError: the codec or the element is unknown.
        MalformedError: a size is over its limit, or the payload is not of this codec, these sources and this length.
    """
    known = _known(codec)
    buffer = None if out is None else view(out)
    context = Context([view(source) for source in sources], from_code(element), out=buffer)
    check_limits(length, context.sources)
    return run(known, view(payload), admit(known, context, length), length)


def _known(codec: int) -> Codec:
    if codec not in CODECS:
        raise FormatTooNewError(
            "a block has an unknown codec", expected=f"one of {sorted(CODECS)}", found=str(codec)
        )
    return CODECS[codec]


def run(codec: Codec, payload: memoryview, context: Context, length: int) -> memoryview:
    """Decode with one codec; check that the payload is no longer than the block, and the result exactly as long."""
    if len(payload) > length:
        raise MalformedError("a payload is longer than its block", expected=f"at most {length} bytes")
    target = codec.decode(payload, context, length)
    if len(target) != length:
        raise MalformedError(
            "a block has the wrong length", expected=f"{length} bytes", found=f"{len(target)} bytes"
        )
    return target
