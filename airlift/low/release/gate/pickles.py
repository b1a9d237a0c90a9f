"""Tell a pickle by its bytes, without ever loading one (SPEC L2.5).

A pickle runs code when it is loaded, whatever its name. The opcodes are walked with CPython's ``pickletools``, which
only reads them; the zip form is what ``torch.save`` writes. Everything is bounded by ``WINDOW``.
"""

import io
import pickletools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW = 64 << 10

_ZIP, _GZIP, _NUMPY = b"PK\x03\x04", b"\x1f\x8b", b"\x93NUMPY"
_ZLIB_SECOND = frozenset({0x01, 0x5E, 0x9C, 0xDA})
_SAFETENSORS = b"\0\0\0\0{"
_NAMES = frozenset({"GLOBAL", "STACK_GLOBAL", "INST"})
_CALLS = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"})
_DOTTED = re.compile(r"[\w.]+ [\w.<>]+")
_PLAUSIBLE = 3


def is_pickle(head: bytes, tail: bytes = b"") -> bool:
    """Say whether a file that starts with ``head`` and ends with ``tail`` (``WINDOW`` bytes each) is a pickle.

    Covers plain pickles of every protocol, zip archives with one inside, NumPy arrays of objects, and any of these
    compressed with gzip or zlib.
    """
    if head.startswith(_ZIP):
        return any(b".pkl" in part or b".pickle" in part for part in (head, tail))
    if head.startswith(_NUMPY):
        return b"'O'" in head[:4096] or b"|O" in head[:4096]
    unpacked = _unpack(head)
    return (
        is_pickle(unpacked) if unpacked else _judge(_walk(head), like_safetensors=head[4:9] == _SAFETENSORS)
    )


def _unpack(head: bytes) -> bytes:
    """Return at most ``WINDOW`` bytes of what ``head`` is a gzip or zlib stream of; nothing if it is none."""
    is_zlib = len(head) > 1 and head[0] == 0x78 and head[1] in _ZLIB_SECOND
    if not head.startswith(_GZIP) and not is_zlib:
        return b""
    try:
        return zlib.decompressobj(wbits=47).decompress(head, WINDOW)
    except zlib.error:
        return b""


@dataclass(slots=True)
class _Walk:
    """What a walk over opcodes found: how many there are, the stack (True is a mark), and what they amount to.

    ``names`` says that something was looked up by name, ``calls`` that it was called after that; ``stopped`` that the
    walk got to STOP, and ``filled`` that the opcodes fill the file, or go on where the window ends.
    """

    count: int = 0
    stack: list[bool] = field(default_factory=list)
    protocol: bool = False
    names: bool = False
    calls: bool = False
    stopped: bool = False
    filled: bool = False


def _walk(head: bytes) -> _Walk:
    """Walk the opcodes up to STOP, the first one that a loader would stumble over, or the end of ``head``."""
    stream, walk = io.BytesIO(head), _Walk()
    try:
        for opcode, argument, _position in pickletools.genops(stream):
            if not _step(walk, opcode, str(argument)):
                return walk
    except (ValueError, Warning):  # a Warning is raised only where the caller made errors of warnings
        walk.filled = len(head) >= WINDOW and stream.tell() >= len(head)
        return walk
    walk.stopped, walk.filled = True, not head[stream.tell() :].strip()
    return walk


def _step(walk: _Walk, opcode: pickletools.OpcodeInfo, argument: str) -> bool:
    """Do to the stack what the opcode does; False if there is too little on it."""
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
    one (protocols 0 and 1 are text) there must be a call, or the opcodes must fill the file: prose that starts with
    'c' or 'N' is made of opcodes too.
    """
    enough = walk.count >= _PLAUSIBLE
    if walk.calls or (walk.protocol and walk.stopped):
        return True
    if walk.protocol and not like_safetensors:
        return enough or walk.filled
    return walk.filled and enough
