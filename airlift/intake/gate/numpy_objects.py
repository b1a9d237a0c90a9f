"""NumPy arrays: numbers, or objects, which are a pickle behind the header (numpy.lib.format; SPEC L2.5)."""

import re

from airlift.intake.gate.views import View

MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 1 << 20
_DESCR = re.compile(rb"""['"]descr['"]\s*:\s*(['"])([^'"\\]*)\1(?=\s*[,}])""")
_NUMBER = re.compile(rb"[|<>=]?(?:[?bBhHiIlLqQpPefdgFDG]\d*|[iufcbV]\d+|[SUa]\d*|[mM]8?(?:\[\w+\])?)")
_OBJECT = re.compile(rb"""['"(),\s|<>=]\d*O\d*['"),\s]|[Oo]bject""")
_STRING = re.compile(rb"""(?:'[^'\\]*'|"[^"\\]*")\s*""")


def header(view: View, head: bytes) -> bytes | None:
    """Return the header of an array, at most 1 MiB of it; None if it is none."""
    if not head.startswith(MAGIC) or len(head) < 12:
        return None
    wide = head[6] > 1
    length = int.from_bytes(head[8 : 12 if wide else 10], "little")
    return view.read(12 if wide else 10, min(length, _HEADER_BYTES))


def holds_objects(stated: bytes) -> bool:
    """Say whether the elements are objects, or may be: a type that is not plainly one of numbers and names one."""
    odd = b"\\" in stated or b"#" in stated or len(stated) == _HEADER_BYTES
    if odd or _is_joined(stated):
        return True
    plain = _DESCR.search(stated)
    if plain is not None and stated.count(b"descr") == 1 and _NUMBER.fullmatch(plain[2]):
        return False
    return _OBJECT.search(stated) is not None


def _is_joined(stated: bytes) -> bool:
    """Say whether a text stands right before another: Python joins them, so that neither need name the type."""
    return any(stated[text.end() : text.end() + 1] not in b",)]:}" for text in _STRING.finditer(stated))
