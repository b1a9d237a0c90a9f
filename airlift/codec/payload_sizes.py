"""How many bytes each part of a payload takes, for the account of costs; nothing is decoded."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from airlift.codec.block import Buffer, view
from airlift.codec.decoding import names
from airlift.codec.grid import grid
from airlift.codec.grid.grid import GRID
from airlift.codec.predict import adapter, convert, factors, lowrank, narrow
from airlift.codec.predict.adapter import ADAPTER
from airlift.codec.predict.convert import CONVERT
from airlift.codec.predict.lowrank import LOWRANK
from airlift.codec.predict.narrow import NARROW
from airlift.codec.ulp import payload
from airlift.codec.ulp.ulp import ULP

PartSizes = dict[str, int]


def part_sizes(codec: int, data: Buffer) -> PartSizes:
    """Return the bytes of each part of a payload that was just encoded; they sum to its length.

    Of ``ulp``: ``words`` (rANS states and words), ``raw bits``, ``scales`` (groups and their scales) and
    ``tables`` (header, map and tables). Of a block with another inside: ``factors`` or ``header`` (with scales), and
    the parts of that. Another payload is one part, named after its codec.
    """
    taken = _PARTS.get(codec)
    if taken is not None:
        return taken(view(data))
    return {names()[codec]: len(data)} if len(data) else {}


def _ulp(data: memoryview) -> PartSizes:
    _, _, lanes, _, _, _, _, runs, scales, words, bits = payload.HEADER.unpack_from(data)
    coded, scaled = (4 << lanes) + 2 * words, payload.RUN.size * runs + scales
    return {"words": coded, "raw bits": bits, "scales": scaled, "tables": len(data) - coded - scaled - bits}


def _lowrank(data: memoryview) -> PartSizes:
    _, rank, body = factors.HEADER.unpack_from(data, lowrank.HEADER.size)
    end = lowrank.HEADER.size + factors.HEADER.size + rank + body
    return {"factors": end} | part_sizes(data[0], data[end:])


def _adapter(data: memoryview) -> PartSizes:
    return {"factors": adapter.HEADER.size} | part_sizes(data[0], data[adapter.HEADER.size :])


def _narrow(data: memoryview) -> PartSizes:
    return {"header": narrow.HEADER.size} | part_sizes(data[1], data[narrow.HEADER.size :])


def _convert(data: memoryview) -> PartSizes:
    *_, scales = convert.HEADER.unpack_from(data)
    end = convert.HEADER.size + scales
    return {"header": end} | part_sizes(data[0], data[end:])


def _grid(data: memoryview) -> PartSizes:
    *_, scales = grid.HEADER.unpack_from(data)
    end = grid.HEADER.size + scales
    return {"header": end} | part_sizes(data[0], data[end:])


_PARTS: Mapping[int, Callable[[memoryview], PartSizes]] = MappingProxyType(
    {
        ULP.id: _ulp,
        LOWRANK.id: _lowrank,
        ADAPTER.id: _adapter,
        NARROW.id: _narrow,
        CONVERT.id: _convert,
        GRID.id: _grid,
    }
)
