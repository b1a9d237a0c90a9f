"""Paths that every system can hold (5.2)."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from tests.second.documents.fields import printable
from tests.second.errors import demand

FORBIDDEN = '<>:"|?*\\'
RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"
}


def check(path: Any) -> str:
    """Return a portable relative path [5.2-1].

    Raises:
        Refused: ``malformed``.
    """
    demand(isinstance(path, str), "a path that is no text")
    demand(all(map(printable, path)), "a character that does not print in a path")
    demand(len(path.encode()) <= 1024, "a path that is too long")
    for part in path.split("/"):
        _part(part)
    return str(path)


def _part(part: str) -> None:
    demand(part not in {"", ".", ".."} and len(part.encode()) <= 255, f"a part {part!r:.80}")
    demand(not any(letter in FORBIDDEN for letter in part), f"a forbidden character in {part!r:.80}")
    demand(unicodedata.normalize("NFC", part) == part, f"not in normal form C: {part!r:.80}")
    demand(not part[0].isspace() and not part[-1].isspace() and part[-1] != ".", f"ends badly: {part!r:.80}")
    demand(part.split(".", maxsplit=1)[0].rstrip().lower() not in RESERVED, f"a reserved name: {part!r:.80}")


def no_collisions(paths: Sequence[str]) -> None:
    """Hold that no two paths are equal after case folding, and none is a folder of another [5.2-2]."""
    files = {_folded(path) for path in paths}
    demand(len(files) == len(paths), "two paths are equal after case folding")
    spelled: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            demand(_folded(folder) not in files, f"a folder of another: {folder!r:.80}")
            demand(spelled.setdefault(_folded(folder), folder) == folder, f"folders collide: {folder!r:.80}")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
