"""Tell a pickle by its bytes, without ever loading one (SPEC 4.6).

A pickle runs code when it is loaded, whatever its name. The opcodes are walked with CPython's ``pickletools``, which
only reads them; the zip form is what ``torch.save`` writes. Everything is bounded by ``WINDOW``.
"""

import io
import pickletools
import zlib
from dataclasses import dataclass

WINDOW = 64 << 10

_ZIP, _GZIP, _NUMPY = b"PK\x03\x04", b"\x1f\x8b", b"\x93NUMPY"
_ZLIB_SECOND = frozenset({0x01, 0x5E, 0x9C, 0xDA})
_NAMES = frozenset({"GLOBAL", "STACK_GLOBAL"})
_CALLS = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX"})
_MARKED_CALLS = frozenset({"INST", "OBJ"})
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
    return is_pickle(unpacked) if unpacked else _judge(_walk(head))


def _unpack(head: bytes) -> bytes:
    """Return at most ``WINDOW`` bytes of what ``head`` is a gzip or zlib stream of; nothing if it is none."""
    is_zlib = len(head) > 1 and head[0] == 0x78 and head[1] in _ZLIB_SECOND
    if not head.startswith(_GZIP) and not is_zlib:
        return b""
    try:
        return zlib.decompressobj(wbits=47).decompress(head, WINDOW)
    except zlib.error:
        return b""


@dataclass(frozen=True, slots=True)
class _Opcodes:
    """What a walk found: names of the opcodes, whether it got to STOP, and whether that was the last byte."""

    names: tuple[str, ...]
    stopped: bool
    filled: bool


def _walk(head: bytes) -> _Opcodes:
    """Walk the opcodes up to STOP, the first that is none, or the end of ``head``."""
    stream = io.BytesIO(head)
    names = []
    try:
        for opcode, _argument, _position in pickletools.genops(stream):
            names.append(opcode.name)
    except ValueError:
        return _Opcodes(tuple(names), stopped=False, filled=False)
    return _Opcodes(tuple(names), stopped=True, filled=not head[stream.tell() :].strip())


def _judge(found: _Opcodes) -> bool:
    """Judge a walk that may have failed late: a loader has run what comes before an opcode that it does not know.

    With a protocol mark, a few opcodes suffice. Without one (protocols 0 and 1 are text) there must be a call, or the
    opcodes must fill the file: prose that starts with 'c' or 'i' is made of opcodes too.
    """
    if found.names[:1] == ("PROTO",):
        return found.stopped or len(found.names) >= _PLAUSIBLE
    return _has_call(found.names) or (found.stopped and found.filled and len(found.names) >= _PLAUSIBLE)


def _has_call(names: tuple[str, ...]) -> bool:
    named, marked = False, False
    for name in names:
        if (named and name in _CALLS) or (marked and name in _MARKED_CALLS):
            return True
        named = named or name in _NAMES
        marked = marked or name == "MARK"
    return False
