"""Code by content: what a machine, or Python, runs (ELF, PE, Mach-O, compiled and written Python; SPEC L2.4)."""

import struct
from pathlib import PurePosixPath

from airlift.intake.gate.views import WINDOW, View

SOURCES = frozenset({".py", ".pyw", ".pyx"})
_MAGIC = {
    b"\x7fELF": "an ELF program or library",
    b"\xfe\xed\xfa\xce": "a Mach-O program or library",
    b"\xfe\xed\xfa\xcf": "a Mach-O program or library",
    b"\xce\xfa\xed\xfe": "a Mach-O program or library",
    b"\xcf\xfa\xed\xfe": "a Mach-O program or library",
    b"\xca\xfe\xba\xbe": "a Java class, or a Mach-O program for several machines",
    b"\xca\xfe\xba\xbf": "a Mach-O program for several machines",
    b"!<arch>\n": "a library of object files",
    b"\0asm\1\0\0\0": "a WebAssembly program",
}
_MARSHALLED_CODE = frozenset({b"c", b"\xe3"})


def program(view: View, head: bytes) -> str:
    """Say what kind of program a file is, "" if none that is known."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    if head.startswith(b"MZ") and _is_portable(view, head):
        return "a Windows program or library"
    if head[2:4] == b"\r\n" and any(head[at : at + 1] in _MARSHALLED_CODE for at in (8, 12, 16)):
        return "compiled Python"
    if head.startswith(b"#!") and b"/" in head[:64].partition(b"\n")[0]:
        return "a script"
    return ""


def source(name: str, head: bytes) -> bool:
    """Say whether a file is Python source: text, more than white space, under a name that Python imports.

    Of a file that is all white space as far as it is looked at nobody knows what follows.
    """
    lower = name.lower()
    named = ".py" in lower and PurePosixPath(lower).suffix in SOURCES
    return named and b"\0" not in head and bool(head.strip() or len(head) >= WINDOW)


def _is_portable(view: View, head: bytes) -> bool:
    if len(head) < 64:
        return False
    (place,) = struct.unpack_from("<L", head, 60)
    return view.read(place, 4) == b"PE\0\0"
