"""Portable relative paths: what a manifest may name on any file system (SPEC 5.2)."""

import unicodedata

from airlift.errors import MalformedError

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255

_WINDOWS_RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)
}
_FORBIDDEN = set('<>:"|?*\\')


def check_relative(text: str) -> str:
    """Return ``text`` if it is a portable relative path that stays inside its folder.

    Raises:
        MalformedError: absolute, ``..``, empty parts, backslash, drive letter, control or bidirectional characters,
            names reserved by Windows, leading or trailing spaces, trailing dots, not NFC, or too long.
    """
    if not text or len(text.encode(errors="surrogatepass")) > MAX_PATH_BYTES:
        raise MalformedError("a path is empty or too long", found=ascii(text[:80]))
    for part in text.split("/"):
        reason = _bad_name(part)
        if reason:
            raise MalformedError(f"a path has {reason}", found=ascii(text[:80]))
    return text


def _bad_name(name: str) -> str | None:
    if name in {"", ".", ".."}:
        return "an empty, '.' or '..' part"
    if len(name.encode(errors="surrogatepass")) > MAX_NAME_BYTES:
        return "a name that is too long"
    if any(unicodedata.category(c)[0] == "C" or c in _FORBIDDEN for c in name):
        return "a control, bidirectional or reserved character"
    if unicodedata.normalize("NFC", name) != name:
        return "a name that is not in Unicode normal form C"
    if name[-1] in ". " or name[0] == " ":
        return "a name with a leading space or a trailing dot or space"
    if name.split(".", maxsplit=1)[0].casefold() in _WINDOWS_RESERVED:
        return "a name that Windows reserves"
    return None


def check_no_collision(paths: list[str]) -> None:
    """Raise MalformedError if two paths are one under case folding, or one is a folder of another."""
    folded: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path.casefold())
        if key in folded:
            raise MalformedError("two paths collide", found=f"{folded[key]!a} and {path!a}")
        folded[key] = path
    for key, path in folded.items():
        parts = key.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in folded:
                raise MalformedError("a path is both a file and a folder", found=ascii(path))
