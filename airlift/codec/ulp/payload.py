"""The payload of the codec ``ulp``, taken apart and put together (SPEC U2, U3)."""

import struct
from dataclasses import dataclass

import numpy as np

from airlift.codec.plain import frame
from airlift.codec.ulp import symbol
from airlift.codec.ulp.group import (
    MAX_GROUPS,
    MAX_RUNS,
    PLAIN,
    SCALED,
    STILL,
    SYMBOL,
    Groups,
    Model,
    Run,
    check_runs,
    sizes_of,
)
from airlift.codec.ulp.table import MAX_TABLES, Tables, format_tables, parse_tables
from airlift.codec.ulp.unit import NIBBLE, Array, unit_of
from airlift.errors import MalformedError
from airlift.tensors.element import Element

HEADER = struct.Struct("<BBBBBBhIIII")
RUN = struct.Struct("<II")
DELTA, NIBBLES = 1, 2
MAX_LANES_LOG = 11
MAX_SHIFT = 3
MAX_WORDS = 1 << 23
MAX_BITS = 1 << 24

_SCALES = {
    "hash_log": 12,
    "chain_log": 12,
    "search_log": 1,
    "min_match": 5,
    "target_length": 0,
    "strategy": 2,
}


@dataclass(frozen=True, slots=True)
class Payload:
    """What a payload says; ``states`` holds 4 bytes a lane, ``words`` 2 bytes a word."""

    model: Model
    groups: Groups
    tables: Tables
    states: memoryview
    words: memoryview
    raw: memoryview


def format(payload: Payload, runs: list[Run]) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the bytes of a payload whose groups are ``runs``."""
    model = payload.model
    flags = DELTA * model.delta | NIBBLES * (model.unit == NIBBLE)
    scales = _format_scales(payload.groups.scales) if model.context == SCALED else b""
    header = HEADER.pack(
        flags,
        model.context,
        (len(payload.states) // 4).bit_length() - 1,
        len(payload.tables.frequencies),
        model.shift,
        0,
        model.offset,
        len(runs) if model.context == SCALED else 0,
        len(scales),
        len(payload.words) // 2,
        len(payload.raw),
    )
    table = b"".join(RUN.pack(*run) for run in runs) if model.context == SCALED else b""
    parts = (header, table, scales, format_tables(payload.tables), payload.states, payload.words, payload.raw)
    return b"".join(parts)


def parse(payload: memoryview, element: Element, length: int) -> Payload:
    """Parse a payload for ``length`` target bytes.

    Raises:
        MalformedError: it is not of the one accepted form.
    """
    if len(payload) < HEADER.size or (element.record and length % element.size):
        raise MalformedError("an ulp block has no header, or is not a whole number of records")
    flags, context, lanes, tables, shift, zero, offset, runs, scales, words, raw = HEADER.unpack_from(payload)
    model = _model(element, flags, context, shift, offset)
    if zero or lanes > MAX_LANES_LOG or not 0 < tables <= MAX_TABLES or words > MAX_WORDS or raw > MAX_BITS:
        raise MalformedError("an ulp block's header is out of bounds")
    scaled = 0 < runs <= MAX_RUNS and 0 < scales <= MAX_GROUPS
    if not (scaled if context == SCALED else runs == scales == 0):
        raise MalformedError("an ulp block has no scales, or scales without a use")
    units = _units(model, length)
    groups, rest = _groups(payload[HEADER.size :], runs, scales, units, model)
    last = symbol.last(model.unit, codes=model.codes)
    found, end = parse_tables(rest, model.contexts, tables, last)
    return Payload(model, groups, found, *_bodies(rest[end:], (4 << lanes, 2 * words, raw)))


def _model(element: Element, flags: int, context: int, shift: int, offset: int) -> Model:
    unit = NIBBLE if flags & NIBBLES else unit_of(element)
    model = Model(unit, bool(flags & DELTA), context, shift, offset)
    if flags > DELTA | NIBBLES or context not in {PLAIN, SCALED, SYMBOL}:
        raise MalformedError("an ulp block has unknown flags or contexts")
    if flags & NIBBLES and unit_of(element).floating:
        raise MalformedError("an ulp block has floats of four bits")
    if context == SYMBOL and (not model.delta or unit.bits > 8):
        raise MalformedError("an ulp block has contexts from units that it cannot have")
    shifted = context == SCALED and model.delta and unit.floating
    if shift > (MAX_SHIFT if shifted else 0) or (offset and context != SCALED):
        raise MalformedError("an ulp block has a shift or an offset without a use")
    return model


def _units(model: Model, length: int) -> int:
    if not length or length % model.unit.size:
        raise MalformedError("an ulp block is not a whole number of units")
    return 2 * length if model.unit == NIBBLE else length // model.unit.size


def _groups(data: memoryview, runs: int, scales: int, units: int, model: Model) -> tuple[Groups, memoryview]:
    """Return the groups, and what follows them."""
    if model.context != SCALED:
        return Groups(np.array([units], np.uint32), np.ones(1, np.uint8)), data
    end = RUN.size * runs
    if len(data) < end + scales:
        raise MalformedError("an ulp block is truncated")
    table = np.frombuffer(data[:end], "<u4").reshape(-1, 2)
    check_runs(table, units)
    groups = Groups(
        sizes_of(table), _parse_scales(data[end : end + scales], int(table[:, 1].sum(dtype=np.int64)))
    )
    if not model.delta and (groups.scales == STILL).any():
        raise MalformedError("an ulp block has units that are equal to no source")
    return groups, data[end + scales :]


def _bodies(data: memoryview, lengths: tuple[int, int, int]) -> list[memoryview]:
    if len(data) != sum(lengths):
        raise MalformedError("an ulp block's parts do not fill it exactly")
    bodies, start = [], 0
    for length in lengths:
        bodies.append(data[start : start + length])
        start += length
    return bodies


def _format_scales(scales: Array) -> bytes:
    packed, plain = frame.write(scales.data, _SCALES), scales.tobytes()
    return (
        packed if len(packed) < len(plain) else plain
    )  # what is as long as the scales is read as the scales


def _parse_scales(body: memoryview, groups: int) -> Array:
    if len(body) > groups:
        raise MalformedError("an ulp block's scales are longer than they are worth")
    return np.frombuffer(body if len(body) == groups else frame.read(body, groups), np.uint8)
