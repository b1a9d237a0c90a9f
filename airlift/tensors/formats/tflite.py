"""TFLite models: where the buffers of tensors lie in the flatbuffer (SPEC T25, T26).

A model is a table with a list of buffers and a list of graphs, a graph a list of tensors, and a tensor says shape,
type and the number of its buffer. Of the flatbuffer only these are read, each place checked against the file.

Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_DIMENSIONS, MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Region

MAGIC = b"TFL3"
NAME_BYTES = 512
"""Of a longer name this many bytes are enough."""
LEAST_TENSOR_BYTES = 16

_U8, _U16, _U32, _I32, _U64 = (struct.Struct(form) for form in ("<B", "<H", "<I", "<i", "<Q"))
_GRAPHS, _BUFFERS = 2, 4
_TENSORS = 0
_SHAPE, _TYPE, _BUFFER, _NAME = 0, 1, 2, 3
_DATA, _OFFSET, _SIZE = 0, 1, 2

TYPES = {
    0: Element.F32,
    1: Element.F16,
    2: Element.I32,
    3: Element.U8,
    4: Element.I64,
    6: Element.BOOL,
    7: Element.I16,
    8: Element.C64,
    9: Element.I8,
    10: Element.F64,
    12: Element.U64,
    15: Element.U32,
    16: Element.U16,
    18: Element.BF16,
}


def fits(_name: str, head: bytes) -> bool:
    """Say whether a file may be one, by how it starts."""
    return head[4:8] == MAGIC


def read(region: Region) -> Layout:
    """Return the tensors of a model whose numbers are in the file.

    Raises:
        MalformedError: a part of the flatbuffer does not lie in the file, or there are too many.
    """
    flat = _Flat(region)
    model = flat.follow(0)
    buffers = list(flat.tables(flat.field(model, _BUFFERS), MAX_TENSORS))
    found, left = [], min(MAX_TENSORS, region.size // LEAST_TENSOR_BYTES)
    for graph in flat.tables(flat.field(model, _GRAPHS), left):
        for table in flat.tables(flat.field(graph, _TENSORS), left):
            left -= 1
            number = flat.number(table, _BUFFER, _U32)
            if number >= len(buffers):
                raise MalformedError("a TFLite tensor has no buffer", found=str(number))
            start, length = _data(flat, buffers[number])
            if length:
                kind = TYPES.get(flat.number(table, _TYPE, _U8), Element.BYTES)
                found.append(tensor(_name(flat, table), kind, _shape(flat, table), start, length))
    return Layout(tuple(found))


def _data(flat: "_Flat", buffer: int) -> tuple[int, int]:
    """Return start and length of a buffer's bytes: in the flatbuffer, or after it."""
    if place := flat.field(buffer, _DATA):
        return flat.vector(place, 1)
    start, length = flat.number(buffer, _OFFSET, _U64), flat.number(buffer, _SIZE, _U64)
    if start < 2 or not length:  # 0 and 1 stand for nothing
        return 0, 0
    if start + length > flat.region.size:
        raise MalformedError("a TFLite buffer reaches outside its file", found=f"{length} bytes at {start}")
    return start, length


def _name(flat: "_Flat", table: int) -> str:
    place = flat.field(table, _NAME)
    start, length = flat.vector(place, 1) if place else (0, 0)
    return flat.region.read(start, min(length, NAME_BYTES)).decode(errors="ignore")


def _shape(flat: "_Flat", table: int) -> tuple[int, ...]:
    place = flat.field(table, _SHAPE)
    start, count = flat.vector(place, 4) if place else (0, 0)
    if count > MAX_DIMENSIONS:
        raise MalformedError("a TFLite tensor has too many dimensions", found=str(count))
    return struct.unpack(f"<{count}i", flat.region.read(start, 4 * count))


@dataclass(frozen=True, slots=True)
class _Flat:
    """A flatbuffer: tables, whose fields are found through a list of offsets, and vectors, which say their length."""

    region: Region

    def at(self, place: int, form: struct.Struct) -> int:
        return int(form.unpack(self.region.read(place, form.size))[0])

    def follow(self, place: int) -> int:
        """Return the place that an offset at ``place`` leads to: forward always."""
        return place + self.at(place, _U32)

    def field(self, table: int, number: int) -> int:
        """Return where a field of a table is; 0 if the table lacks it."""
        offsets = table - self.at(table, _I32)
        if 4 + 2 * number + 2 > self.at(offsets, _U16):
            return 0
        offset = self.at(offsets + 4 + 2 * number, _U16)
        return table + offset if offset else 0

    def number(self, table: int, field: int, form: struct.Struct) -> int:
        place = self.field(table, field)
        return self.at(place, form) if place else 0

    def vector(self, place: int, size: int) -> tuple[int, int]:
        """Return start and count of the vector that a field at ``place`` leads to, of elements of ``size`` bytes."""
        start = self.follow(place)
        count = self.at(start, _U32)
        if start + 4 + count * size > self.region.size:
            raise MalformedError("a TFLite vector reaches outside its file", found=f"{count} at {start}")
        return start + 4, count

    def tables(self, place: int, limit: int) -> Iterator[int]:
        """Yield the tables of the vector that a field at ``place`` leads to, none for 0."""
        start, count = self.vector(place, 4) if place else (0, 0)
        if count > limit:
            raise MalformedError(
                "a TFLite model has too many parts", expected=f"at most {limit}", found=str(count)
            )
        for number in range(count):
            yield self.follow(start + 4 * number)
