"""PyTorch checkpoints: what the pickle in the archive says of the storages beside it (SPEC T30).

The pickle is never loaded. Its opcodes are walked with CPython's ``pickletools``, which only reads them, over a stack
of names, numbers, texts and lists: nothing is imported, and nothing is called. What a storage is (``FloatStorage``),
and which tensor it is, stands in it in the one way in which PyTorch writes it; whatever else there is, is nothing.

Source: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py, torch/_utils.py
"""

import math
import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_DIMENSIONS, tensor
from airlift.tensors.region import Region
from airlift.tensors.span import TensorSpan

MAX_PICKLE_BYTES = 16 << 20
MAX_OPCODES = 1 << 21
MAX_LEAVES = 1 << 18
MAX_DEPTH = 64
MAX_NAME = 256

PICKLES: Mapping[str, str] = {"data.pkl": "data", "constants.pkl": "constants"}
"""Pickles by name, and the folder that the storages are in which they tell of."""

STORAGES: Mapping[str, Element] = {
    "torch DoubleStorage": Element.F64,
    "torch FloatStorage": Element.F32,
    "torch HalfStorage": Element.F16,
    "torch BFloat16Storage": Element.BF16,
    "torch LongStorage": Element.I64,
    "torch IntStorage": Element.I32,
    "torch ShortStorage": Element.I16,
    "torch CharStorage": Element.I8,
    "torch ByteStorage": Element.U8,
    "torch BoolStorage": Element.BOOL,
    "torch ComplexFloatStorage": Element.C64,
    "torch QInt8Storage": Element.I8,
    "torch QUInt8Storage": Element.U8,
    "torch QInt32Storage": Element.I32,
}
_DTYPES = {
    "torch float8_e4m3fn": Element.F8_E4M3,
    "torch float8_e4m3fnuz": Element.F8_E4M3FNUZ,
    "torch float8_e5m2": Element.F8_E5M2,
    "torch float8_e5m2fnuz": Element.F8_E5M2FNUZ,
    "torch uint16": Element.U16,
    "torch uint32": Element.U32,
    "torch uint64": Element.U64,
}
_TENSORS = frozenset(f"torch._utils _rebuild_{kind}" for kind in ("tensor_v2", "tensor_v3", "qtensor"))
_SAME = frozenset(f"torch._utils _rebuild_{kind}" for kind in ("parameter", "parameter_with_state"))
_SILENT = frozenset({"_modules", "_parameters", "_buffers"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a pickle tells of a storage: its element, and name and shape of the tensor that it is, if it is one."""

    element: Element
    name: str = ""
    shape: tuple[int, ...] = ()


def span(told: Told | None, member: str, start: int, size: int) -> TensorSpan:
    """Return a storage as a span: a tensor if it is told of, else numbers or bytes by the member's name."""
    if told is None:
        return tensor(member, Element.BYTES, (), start, size)
    fills = bool(told.name) and math.prod(told.shape) * told.element.size == size
    return tensor(told.name if fills else member, told.element, told.shape, start, size)


def describe(region: Region) -> dict[str, Told]:
    """Return what a pickle tells of the storages, by key; nothing if it cannot be followed."""
    if region.size > MAX_PICKLE_BYTES:
        return {}
    try:
        root = _Machine().run(region.read(0, region.size))
        return _told(root)
    except (
        MalformedError,
        ValueError,
        IndexError,
        Warning,
    ):  # a Warning where the caller made errors of them
        return {}


# -- values --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Global:
    """Something looked up by name: nothing but that name."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A storage that the pickle refers to by key."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor: some numbers of a storage."""

    storage: _Storage
    kind: str
    offset: Any
    shape: Any
    strides: Any


@dataclass(slots=True, eq=False)
class _Node:
    """A list, a dictionary or an object: whatever has parts."""

    items: list[tuple[Any, Any]] = field(default_factory=list)

    def extend(self, values: list[Any]) -> None:
        """Take on values that have no names."""
        self.items += enumerate(values, len(self.items))

    def pair(self, values: list[Any]) -> None:
        """Take on names and values by turns."""
        self.items += zip(values[::2], values[1::2], strict=True)


def _node(values: list[Any]) -> _Node:
    node = _Node()
    node.extend(values)
    return node


# -- opcodes -------------------------------------------------------------------------------------------------------

_PUSHES = frozenset(
    {
        "BINBYTES", "BINBYTES8", "BININT", "BININT1", "BININT2", "BINUNICODE", "BINUNICODE8", "FLOAT", "BINFLOAT",
        "INT", "LONG", "LONG1", "LONG4", "SHORT_BINBYTES", "SHORT_BINUNICODE", "UNICODE", "BINSTRING", "STRING",
        "SHORT_BINSTRING",
    }
)  # fmt: skip
_NOTHINGS = frozenset({"NONE", "NEWTRUE", "NEWFALSE", "PERSID"})
_EMPTY = frozenset({"EMPTY_DICT", "EMPTY_LIST", "EMPTY_SET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = frozenset({"BINPUT", "LONG_BINPUT", "PUT"}), frozenset({"BINGET", "LONG_BINGET", "GET"})
_IGNORED = frozenset({"PROTO", "FRAME"})


@dataclass(slots=True)
class _Machine:
    """The stack, the marks on it, and what was put aside under a number."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, data: bytes) -> Any:
        """Follow a pickle to its end and return what it leaves.

        Raises:
            MalformedError: an opcode that PyTorch does not write, or too many.
            ValueError, IndexError: it is no pickle.
        """
        for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if number > MAX_OPCODES:
                break
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name not in _IGNORED:
                self.step(opcode.name, argument)
        raise MalformedError("a pickle has too many opcodes", expected=f"at most {MAX_OPCODES}")

    def step(self, name: str, argument: Any) -> None:
        """Follow one opcode."""
        if name in _PUSHES:
            self.stack.append(argument)
        elif name in _NOTHINGS:
            self.stack.append(None)
        elif name in _EMPTY:
            self.stack.append(_Node())
        elif name in _PUTS:
            self.memo[argument] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo.get(argument))
        elif name in _TUPLES:
            self.stack.append(tuple(self.last(_TUPLES[name])))
        elif name == "GLOBAL":
            self.stack.append(_Global(argument))
        else:
            self.build(name)

    def build(self, name: str) -> None:
        """Follow an opcode that makes something of what is on the stack."""
        match name:
            case "MARK":
                self.marks.append(len(self.stack))
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "TUPLE":
                self.stack.append(tuple(self.marked()))
            case "LIST" | "FROZENSET":
                self.stack.append(_node(self.marked()))
            case "DICT":
                values, node = self.marked(), _Node()
                node.pair(values)
                self.stack.append(node)
            case "APPEND" | "APPENDS" | "ADDITEMS":
                values = self.last(1) if name == "APPEND" else self.marked()
                if isinstance(self.stack[-1], _Node):
                    self.stack[-1].extend(values)
            case "SETITEM" | "SETITEMS":
                values = self.last(2) if name == "SETITEM" else self.marked()
                if isinstance(self.stack[-1], _Node):
                    self.stack[-1].pair(values)
            case "POP":
                self.stack.pop()
            case "POP_MARK":
                self.marked()
            case _:
                self.call(name)

    def call(self, name: str) -> None:
        """Follow an opcode that would look up or call something, were this pickle loaded."""
        match name:
            case "STACK_GLOBAL":
                words = self.last(2)
                known = all(type(word) is str and len(word) < MAX_NAME for word in words)
                self.stack.append(_Global(" ".join(words) if known else ""))
            case "BINPERSID":
                self.stack.append(_storage(self.stack.pop()))
            case "REDUCE" | "NEWOBJ":
                called, arguments = self.last(2)
                self.stack.append(_called(called, arguments))
            case "NEWOBJ_EX":
                self.last(3)
                self.stack.append(_Node())
            case "BUILD":
                state = self.stack.pop()
                if isinstance(self.stack[-1], _Node):
                    self.stack[-1].items.append(("", state))
            case _:
                raise MalformedError("a pickle has an opcode that is not followed", found=name)

    def last(self, count: int) -> list[Any]:
        """Take the last ``count`` values from the stack."""
        if len(self.stack) < count:
            raise MalformedError("a pickle takes more from its stack than there is")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def marked(self) -> list[Any]:
        """Take all values above the last mark from the stack."""
        return self.last(max(0, len(self.stack) - self.marks.pop()))


def _storage(value: Any) -> _Storage | None:
    """Return the storage that a persistent identity says: ("storage", type, key, device, count)."""
    if not isinstance(value, tuple) or len(value) != 5:
        return None
    word, kind, key, _, count = value
    if word != "storage" or not isinstance(kind, _Global) or type(key) is not str or type(count) is not int:
        return None
    return _Storage(key, kind.name, count)


def _called(called: Any, arguments: Any) -> Any:
    """Return what a call would make: a tensor if it is one of PyTorch's own calls for that, else a node."""
    name = called.name if isinstance(called, _Global) else ""
    values = arguments if isinstance(arguments, tuple) else ()
    if name in _TENSORS and len(values) >= 4 and isinstance(values[0], _Storage):
        kind = values[6].name if len(values) > 6 and isinstance(values[6], _Global) else ""
        return _Tensor(values[0], kind, *values[1:4])
    if name in _SAME and values:
        return values[0]
    return _Node([("", arguments)])


# -- names ---------------------------------------------------------------------------------------------------------


def _told(root: Any) -> dict[str, Told]:
    """Return by key what is known of each storage that is found below ``root``."""
    views: dict[str, list[tuple[str, _Tensor | _Storage]]] = {}
    for name, value in _leaves(root):
        key = value.storage.key if isinstance(value, _Tensor) else value.key
        views.setdefault(key, []).append((name, value))
    found = {key: _whole(tensors) for key, tensors in views.items()}
    return {key: told for key, told in found.items() if told is not None}


def _leaves(root: Any) -> Iterator[tuple[str, "_Tensor | _Storage"]]:
    """Yield every tensor and storage once, by the names that lead to it."""
    seen, levels, found = {id(root)}, [("", _items(root))], 0
    while levels and found < MAX_LEAVES:
        path, items = levels[-1]
        item = next(items, None)
        if item is None:
            levels.pop()
            continue
        key, value = item
        if isinstance(value, _Tensor | _Storage):
            found += 1
            yield _joined(path, key), value
        elif isinstance(value, _Node | tuple) and id(value) not in seen and len(levels) < MAX_DEPTH:
            seen.add(id(value))
            levels.append((_joined(path, key), _items(value)))


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, _Node):
        return iter(value.items)
    return enumerate(value) if isinstance(value, tuple) else iter(())


def _joined(path: str, key: Any) -> str:
    if key == "" or type(key) not in {str, int} or key in _SILENT:
        return path
    return f"{path}.{key}"[-MAX_NAME:] if path else str(key)[:MAX_NAME]


def _whole(views: list[tuple[str, _Tensor | _Storage]]) -> Told | None:
    """Return the tensor that a storage is, if one fills it; else only what its numbers are."""
    name, first = views[0]
    storage = first.storage if isinstance(first, _Tensor) else first
    kind = first.kind if isinstance(first, _Tensor) else ""
    element = STORAGES.get(storage.kind) or _DTYPES.get(kind)
    if element is None:
        return None
    shape = _in_memory(first) if isinstance(first, _Tensor) else None
    if shape is None or math.prod(shape) * element.size != storage.count * (element.size if not kind else 1):
        return Told(element)
    return Told(element, name, shape)


def _in_memory(found: _Tensor) -> tuple[int, ...] | None:
    """Return the dimensions in the order in which the numbers lie, None if these do not fill it from the start."""
    shape, strides = found.shape, found.strides
    if found.offset != 0 or not _numbers(shape) or not _numbers(strides) or len(shape) != len(strides):
        return None
    order = sorted(
        (place for place, size in enumerate(shape) if size != 1), key=lambda place: -strides[place]
    )
    step = 1
    for place in reversed(order):
        if strides[place] != step:
            return None
        step *= shape[place]
    return shape if order == sorted(order) else tuple(shape[place] for place in order)


def _numbers(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= MAX_DIMENSIONS and all(type(n) is int for n in value)
