"""Portable relative paths: what a manifest may name on any file system (SPEC 5.2)."""

import unicodedata
from collections.abc import Iterator

from airlift.errors import MalformedError

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255

_WINDOWS_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"}
_WINDOWS_RESERVED |= {port + n for port in ("com", "lpt") for n in "0123456789\u00b9\u00b2\u00b3"}
_FORBIDDEN = frozenset('<>:"|?*\\')


def check_relative(text: str) -> str:
    """Return ``text`` if it is a portable relative path that stays inside its folder.

    Raises:
        MalformedError: absolute, ``..``, empty parts, backslash, drive letter, control or bidirectional characters,
            blanks other than the space, names reserved by Windows, leading or trailing spaces, trailing dots, not
            NFC, or too long.
    """
    if not text or _bytes(text) > MAX_PATH_BYTES:
        raise MalformedError("a path is empty or too long", found=ascii(text[:80]))
    for part in text.split("/"):
        reason = _bad_name(part)
        if reason:
            raise MalformedError(f"a path has {reason}", found=ascii(text[:80]))
    return text


def suffix(path: str) -> str:
    """Return how a portable path ends, from its last dot on, as ``PurePath.suffix`` does; "" if it has none."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


def _bad_name(name: str) -> str | None:
    if name in {"", ".", ".."}:
        return "an empty, '.' or '..' part"
    if _bytes(name) > MAX_NAME_BYTES:
        return "a name that is too long"
    if not name.isprintable() or not _FORBIDDEN.isdisjoint(name):
        return "a control, bidirectional, blank or reserved character"
    if not name.isascii() and unicodedata.normalize("NFC", name) != name:
        return "a name that is not in Unicode normal form C"
    if name[-1] in ". " or name[0] == " ":
        return "a name with a leading space or a trailing dot or space"
    if name.split(".", maxsplit=1)[0].rstrip(" ").lower() in _WINDOWS_RESERVED:
        return "a name that Windows reserves"
    return None


def _bytes(text: str) -> int:
    """Return how long ``text`` is in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def check_no_collision(paths: list[str]) -> None:
    """Raise MalformedError if two files or folders are one under case folding, or one path is both."""
    files: set[str] = set()
    spelled: dict[str, str] = {}
    for path in paths:
        folded = _fold(path)
        if folded in files:
            raise MalformedError("two paths collide", found=ascii(path))
        files.add(folded)
    for folder in dict.fromkeys(folder for path in paths for folder in _folders(path)):
        if spelled.setdefault(_fold(folder), folder) != folder:
            raise MalformedError("two folders collide", found=ascii(folder))
    for folder in files & set(spelled):
        raise MalformedError("a path is both a file and a folder", found=ascii(spelled[folder]))


def _folders(path: str) -> Iterator[str]:
    """Yield every folder that ``path`` lies in, the outermost last."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _fold(text: str) -> str:
    """Return what all spellings of ``text`` that differ in case or normal form have in common (Unicode D145)."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)
