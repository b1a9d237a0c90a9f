"""ONNX models: where the tensors of a ``ModelProto`` lie (SPEC T20 to T24).

Protocol Buffers are walked field by field, and what is long is skipped: initializers of the graph and of the graphs
inside it (the branches of If, the body of Loop), tensors that are attributes of nodes, functions. Of a tensor counts
``raw_data``, ``float_data`` or ``double_data``, or, in another file, ``location``, ``offset`` and ``length``.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Cursor, Region
from airlift.tensors.span import TensorSpan

MAX_DEPTH = 64
MAX_NAME_BYTES = 4096

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIRST_FIELDS = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42})

TYPES = {
    1: Element.F32,
    2: Element.U8,
    3: Element.I8,
    4: Element.U16,
    5: Element.I16,
    6: Element.I32,
    7: Element.I64,
    9: Element.BOOL,
    10: Element.F16,
    11: Element.F64,
    12: Element.U32,
    13: Element.U64,
    14: Element.C64,
    16: Element.BF16,
    17: Element.F8_E4M3,
    18: Element.F8_E4M3FNUZ,
    19: Element.F8_E5M2,
    20: Element.F8_E5M2FNUZ,
    24: Element.F8_E8M0,
}
# Where messages are nested: field number to the kind of message inside.
_INSIDE = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
_NODE_OUTPUT = 2


def fits(name: str, head: bytes) -> bool:
    """Say whether a file may be one, by its name or by how it starts: ``ir_version``, then another field."""
    return name.endswith(".onnx") or (
        len(head) > 2 and head[0] == 0x08 and 3 <= head[1] < 0x40 and head[2] in _FIRST_FIELDS
    )


def read(region: Region) -> Layout:
    """Return the tensors of a model.

    Raises:
        MalformedError: it is no model, or its parts do not fit each other.
    """
    walk = _Walk(Cursor(region))
    walk.message("model", region.size, "", 0)
    if not walk.graphs:
        raise MalformedError("an ONNX model has no graph")
    return Layout(tuple(walk.tensors), tuple(walk.elsewhere))


@dataclass(slots=True)
class _Walk:
    """A walk through nested messages, and what was found so far."""

    cursor: Cursor
    graphs: int = 0
    tensors: list[TensorSpan] = field(default_factory=list)
    elsewhere: list[tuple[str, TensorSpan]] = field(default_factory=list)

    def message(self, kind: str, end: int, name: str, depth: int) -> None:
        """Walk one message that ends at ``end``; ``name`` is what a tensor in it is called that has none."""
        if depth > MAX_DEPTH:
            raise MalformedError("an ONNX model is nested too deeply")
        self.graphs += kind == "graph"
        inside = _INSIDE[kind]
        for number, wire, stop in fields(self.cursor, end):
            if kind == "node" and number == _NODE_OUTPUT and wire == _BYTES and not name:
                name = _name(self.cursor, stop)
            elif number in inside and wire == _BYTES and inside[number] == "tensor":
                self.tensor(stop, name)
            elif number in inside and wire == _BYTES:
                self.message(inside[number], stop, name if kind == "node" else "", depth + 1)

    def tensor(self, end: int, name: str) -> None:
        """Note one tensor, if it is one of numbers that lie together."""
        found = _tensor(self.cursor, end)
        if len(self.tensors) + len(self.elsewhere) >= MAX_TENSORS:
            raise MalformedError("an ONNX model has too many tensors", expected=f"at most {MAX_TENSORS}")
        name, shape = found.name or name, tuple(found.shape)
        if found.external:
            start, length = (_number(found.external.get(key)) for key in ("offset", "length"))
            if "location" in found.external and length is not None:
                span = tensor(name, TYPES.get(found.type, Element.BYTES), shape, start or 0, length)
                self.elsewhere.append((found.external["location"], span))
        elif found.data is not None:
            start, stop, element = found.data
            element = element or TYPES.get(found.type, Element.BYTES)
            self.tensors.append(tensor(name, element, shape, start, stop - start))


@dataclass(slots=True)
class _Tensor:
    """A ``TensorProto``: ``data`` is where its numbers lie, and of what element if the field says so."""

    name: str = ""
    type: int = 0
    shape: list[int] = field(default_factory=list)
    data: tuple[int, int, Element | None] | None = None
    external: dict[str, str] = field(default_factory=dict)
    fields: int = 0

    def put(self, start: int, end: int, element: Element | None) -> None:
        """Note where the numbers lie; those in several pieces stay bytes of the file."""
        self.fields += 1
        self.data = (start, end, element) if self.fields == 1 and start < end else None


def _tensor(cursor: Cursor, end: int) -> _Tensor:
    found = _Tensor()
    for number, wire, stop in fields(cursor, end):
        if number == 1:
            _dimensions(cursor, wire, stop, found.shape)
        elif number == 2 and wire == _VARINT:
            found.type = varint(cursor)
        elif wire != _BYTES:
            continue
        elif number == 4:
            found.put(cursor.position, stop, Element.C64 if found.type == 14 else Element.F32)
        elif number == 8:
            found.name = _name(cursor, stop)
        elif number == 9:
            found.put(cursor.position, stop, None)
        elif number == 10:
            found.put(cursor.position, stop, Element.F64)
        elif number == 13:
            key, value = _entry(cursor, stop)
            found.external[key] = value
    return found


def _dimensions(cursor: Cursor, wire: int, stop: int, shape: list[int]) -> None:
    while cursor.position < stop or wire == _VARINT:
        shape.append(varint(cursor))
        if len(shape) > 64:
            raise MalformedError("an ONNX tensor has too many dimensions")
        if wire == _VARINT:
            return


def _entry(cursor: Cursor, end: int) -> tuple[str, str]:
    found = {1: "", 2: ""}
    for number, wire, stop in fields(cursor, end):
        if number in found and wire == _BYTES:
            found[number] = _name(cursor, stop)
    return found[1], found[2]


def _name(cursor: Cursor, stop: int) -> str:
    length = stop - cursor.position
    if length > MAX_NAME_BYTES:
        raise MalformedError("a name in an ONNX model is too long", found=f"{length} bytes")
    return cursor.text(length)


def _number(value: str | None) -> int | None:
    """Return what an entry says as digits, at most nineteen of them."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 20 else None


# -- Protocol Buffers ----------------------------------------------------------------------------------------------


def fields(cursor: Cursor, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, wire type and end of each field of a message that ends at ``end``, the cursor at its value.

    Afterwards the cursor goes on after the field, whatever was taken of it. The end of a varint is not known before
    it is read: it is the place where it starts.

    Raises:
        MalformedError: a field of an unknown wire type, or one that reaches outside its message.
    """
    while cursor.position < end:
        key = varint(cursor)
        number, wire = key >> 3, key & 7
        stop = cursor.position
        if wire == _BYTES:
            length = varint(cursor)
            stop = cursor.position + length
        elif wire in {_FIXED32, _FIXED64}:
            stop += 4 if wire == _FIXED32 else 8
        elif wire != _VARINT or not number:
            raise MalformedError("a field of an ONNX model has an unknown type", found=f"{wire} at {stop}")
        if stop > end:
            raise MalformedError("a field of an ONNX model reaches outside its message", found=f"at {stop}")
        before = cursor.position
        yield number, wire, stop
        if wire == _VARINT and cursor.position == before:
            varint(cursor)
        elif wire != _VARINT:
            cursor.skip(stop - cursor.position)
    if cursor.position != end:
        raise MalformedError("a message of an ONNX model has another length than it says")


def varint(cursor: Cursor) -> int:
    """Return the next number of seven bits a byte, the lowest first.

    Raises:
        MalformedError: it has more than ten bytes.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = cursor.take(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise MalformedError("a number of an ONNX model is too long", found=f"at {cursor.position}")
