"""Tell a pickle by its bytes, without ever loading one (SPEC L2.5).

A pickle runs code when it is loaded, whatever its name. The opcodes are walked by the table of CPython's
``pickletools``: arguments of a stated length are stepped over, so that a long one hides nothing behind it.
"""

import pickletools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from airlift.intake.gate.views import WINDOW, View

MAX_OPCODES = 200_000
NEWEST_PROTOCOL = 9
"""Loaders refuse protocols that they do not know; 5 is the newest now."""

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_NAMES = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})
_CALLS = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"})
_DOTTED = re.compile(r"[\w.]+ [\w.<>]+")
_WHOLE = re.compile(rb"[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9_]+)L?")
_FLOAT = re.compile(
    rb"[+-]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE
)
_DIGITS = re.compile(rb"[-+.0-9A-Fa-fLNOXILTY_ilnotxy\s]{0,63}(?:[-+.0-9A-Fa-fLNOXILTY_ilnotxy\s]|\0)")
_NUMBERS = {"INT": _WHOLE, "LONG": _WHOLE, "GET": _WHOLE, "PUT": _WHOLE, "FLOAT": _FLOAT}
_SAFETENSORS = b"\0\0\0\0{"
_PLAUSIBLE = 3
_STEP = 1 << 20


def is_pickle(view: View) -> bool:
    """Say whether bytes are a plain pickle of any protocol, also one with anything behind it."""
    cursor = _Cursor(view)
    like_safetensors = view.read(4, 5) == _SAFETENSORS
    left = MAX_OPCODES
    while left > 0:  # pickles after another: old torch files hold four before the numbers
        walk = _walk(cursor, left)
        left -= walk.count
        if _judge(walk, like_safetensors=like_safetensors):
            return True
        if not walk.stopped:
            return False
    return True


class _EndError(Exception):
    """The walk stops here: a loader would stumble, or (``cut``) what comes next cannot be had."""

    def __init__(self, *, cut: bool = False) -> None:
        self.cut = cut


@dataclass(slots=True)
class _Cursor:
    """A place in a view, with the bytes around it at hand."""

    view: View
    position: int = 0
    _start: int = 0
    _window: bytes = b""

    def take(self, length: int) -> bytes:
        """Return the next ``length`` bytes, at most ``WINDOW``."""
        offset = self.position - self._start
        if offset < 0 or offset + length > len(self._window):
            self._start, self._window = self.position, self.view.read(self.position, WINDOW)
            offset = 0
        data = self._window[offset : offset + length]
        if len(data) < length:
            raise _EndError
        self.position += length
        return data

    def skip(self, length: int) -> None:
        """Step over bytes; they need not be there."""
        size = self.view.size()
        if size is not None and length > size - self.position:
            raise _EndError
        self.position += length
        if size is None and length and not self.view.read(self.position - 1, 1):
            raise _EndError(cut=True)

    def line(self, *, number: bool = False) -> bytes:
        """Return the next line without its end; of a long one, which is no ``number``, up to ``WINDOW`` bytes."""
        first, length = b"", WINDOW - 1
        while data := self.view.read(self.position, length):
            end = data.find(b"\n")
            first = first or (data[:end] if end >= 0 else data)[:WINDOW]
            if number and end < 0 and not _DIGITS.match(first if b"\0" in first else data):
                raise _EndError
            self.position += end + 1 if end >= 0 else len(data)
            if end >= 0:
                return first
            length = _STEP
        raise _EndError

    def is_blank(self) -> bool:
        """Say whether nothing but white space follows, over at most ``WINDOW`` bytes."""
        rest = self.view.read(self.position, WINDOW)
        return len(rest) < WINDOW and not rest.strip()


@dataclass(slots=True)
class _Walk:
    """What a walk over opcodes found: how many there are, the stack (True is a mark), and what they amount to.

    ``names`` says that something was looked up by name, ``calls`` that it was called after that; ``stopped`` that the
    walk got to STOP, and ``filled`` that the opcodes fill the file, or go on where the walk was given up.
    """

    count: int = 0
    stack: list[bool] = field(default_factory=list)
    protocol: bool = False
    names: bool = False
    calls: bool = False
    stopped: bool = False
    filled: bool = False


def _walk(cursor: _Cursor, most: int) -> _Walk:
    """Walk at most ``most`` opcodes, up to STOP, a call, one that a loader would stumble over, or the end."""
    walk = _Walk()
    try:
        while walk.count < most:
            opcode = _OPCODES.get(cursor.take(1))
            if opcode is None or not _step(walk, opcode, _argument(cursor, opcode)):
                return walk
            if walk.calls:
                return walk
            if opcode.name == "STOP":
                walk.stopped, walk.filled = True, cursor.is_blank()
                return walk
    except _EndError as end:
        walk.filled = end.cut
        return walk
    walk.filled = True
    return walk


def _argument(cursor: _Cursor, opcode: pickletools.OpcodeInfo) -> str:
    """Pass over an opcode's argument, and return it where it is text or a small number."""
    argument = opcode.arg
    if argument is None:
        return ""
    if argument.n >= 0:
        return str(int.from_bytes(cursor.take(argument.n), "little"))
    if argument.n == pickletools.UP_TO_NEWLINE:
        number = opcode.name in _NUMBERS
        lines = [
            cursor.line(number=number) for _ in range(2 if argument.name == "stringnl_noescape_pair" else 1)
        ]
        return _text(opcode.name, b" ".join(lines))
    width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(argument.n, 4)
    cursor.skip(int.from_bytes(cursor.take(width), "little"))
    return ""


def _text(name: str, line: bytes) -> str:
    """Return an argument that is text, if a loader could read it; the C one stops at a zero byte in a number."""
    form = _NUMBERS.get(name)
    text = line.partition(b"\0")[0].strip()
    is_zero = name == "INT" and line.startswith(b"\0")
    if form is not None and not is_zero and not form.fullmatch(text):
        raise _EndError
    if name == "STRING" and (len(line.strip()) < 2 or line.strip()[:1] not in {b"'", b'"'}):
        raise _EndError
    return line.decode("utf-8", "replace")


def _step(walk: _Walk, opcode: pickletools.OpcodeInfo, argument: str) -> bool:
    """Do to the stack what the opcode does; False if there is too little on it, or the protocol is unknown."""
    if opcode.name == "PROTO" and int(argument) > NEWEST_PROTOCOL:
        return False
    if not _pop(walk.stack, opcode.stack_before):
        return False
    walk.stack += [item is pickletools.markobject for item in opcode.stack_after]
    walk.protocol = walk.protocol or (not walk.count and opcode.name == "PROTO")
    walk.count += 1
    if opcode.name in _NAMES:
        walk.names = walk.names or opcode.name == "STACK_GLOBAL" or _DOTTED.fullmatch(argument) is not None
    if opcode.name in _CALLS:
        walk.calls = walk.calls or walk.names
    return True


def _pop(stack: list[bool], wanted: Sequence[pickletools.StackObject]) -> bool:
    """Take ``wanted`` from the stack; what stands after a mark in it is everything down to the topmost mark."""
    below = len(wanted)
    if pickletools.markobject in wanted:
        below = wanted.index(pickletools.markobject)
        while stack and not stack[-1]:
            stack.pop()
        if not stack:
            return False
        stack.pop()
    if len(stack) < below:
        return False
    del stack[len(stack) - below :]
    return True


def _judge(walk: _Walk, *, like_safetensors: bool) -> bool:
    """Judge a walk, which may have failed late: a loader has run what comes before an opcode that it does not know.

    With a protocol mark, a few opcodes suffice, unless it may as well be the length of a safetensors header. Without
    one (protocols 0 and 1 are text) there must be a call, or the opcodes must fill the file and be more than two or
    name something: prose that starts with 'c' or 'N' is made of opcodes too.
    """
    enough = walk.count >= _PLAUSIBLE
    if walk.calls or (walk.protocol and walk.stopped):
        return True
    if walk.protocol and not like_safetensors:
        return enough or walk.filled
    return walk.filled and (enough or walk.names)
