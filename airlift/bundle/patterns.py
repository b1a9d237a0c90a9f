"""Which files of a source make a component: its patterns, and the leftovers that never do (SPEC 5.1-9, 5.1-10). Pure.

>>> chosen = Patterns(("*.json", "*.safetensors"), ("checkpoint-*/*",))
>>> [path for path in ("config.json", "checkpoint-5/config.json", "a.pt") if not chosen.leave_out(path)]
['config.json']
>>> leftover("weights/.git/HEAD"), leftover("weights/model.safetensors")
('weights/.git', None)
"""

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError

MAX_PATTERNS = 256
MAX_PATTERN = 256
MAX_NAMES = 1000
"""How many of the files that were left out are named; all are counted."""

LEFTOVERS = frozenset(
    {".cache", ".ds_store", ".huggingface", ".ipynb_checkpoints", "__pycache__", "desktop.ini", "thumbs.db"}
)
"""Names of files and folders that tools leave behind, in lower case."""
LEFTOVER_PREFIXES = ("._", ".git")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Globs on the relative path: a file belongs to the component if one of ``include`` fits, and no ``exclude``.

    Without ``include`` every file fits. Globs are those of :func:`fnmatch.fnmatchcase` over the whole path: ``*`` is
    any run of characters, ``/`` among them, so ``**`` says no more than ``*``.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def leave_out(self, path: str) -> bool:
        """Say whether the patterns leave out the file at this path."""
        return (bool(self.include) and not _fits(path, self.include)) or _fits(path, self.exclude)

    def idle(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the patterns of ``exclude`` that fit none of these paths."""
        waiting = list(self.exclude)
        for path in paths:
            waiting = [pattern for pattern in waiting if not fnmatch.fnmatchcase(path, pattern)]
        return tuple(waiting)


EVERYTHING = Patterns()


def _fits(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def leftover(path: str) -> str | None:
    """Return the part of a path, from its start, that is left over by some tool; None if it is none."""
    parts = path.split("/")
    for depth, part in enumerate(parts, 1):
        name = part.lower()
        if name in LEFTOVERS or name.startswith(LEFTOVER_PREFIXES):
            return "/".join(parts[:depth])
    return None


def of_source(source: Mapping[str, Any]) -> Patterns:
    """Return the patterns of a component's source, authored or as the release manifest states it."""
    return Patterns(tuple(source.get("include", ())), tuple(source.get("exclude", ())))


def may_lack(source: Mapping[str, Any], path: str) -> bool:
    """Say whether a component from this source may lack the file at ``path`` though others list it (SPEC 5.5-6)."""
    return leftover(path) is not None or of_source(source).leave_out(path)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many files were left out, and the first ``MAX_NAMES`` of them by path."""

    count: int
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"count": self.count, "names": list(self.names)}

    @classmethod
    def of(cls, paths: Iterable[str]) -> "LeftOut | None":
        """Return what says that these files were left out; None if there are none."""
        names = sorted({_shown(path) for path in paths})
        return cls(len(names), tuple(names[:MAX_NAMES])) if names else None

    @classmethod
    def from_json(cls, document: Any, what: str) -> "LeftOut":
        """Parse the document form: at least one file, names sorted and distinct, as many as there may be."""
        strict.only(document, frozenset({"count", "names"}), what)
        count = fields.count(document, "count", what, least=1)
        names = [
            fields.text({"name": name}, "name", what) for name in strict.member(document, "names", list, what)
        ]
        if len(names) != min(count, MAX_NAMES) or names != sorted(set(names)) or not all(names):
            raise MalformedError(
                f"{what}: the names of what was left out must be sorted, distinct and complete"
            )
        return cls(count, tuple(names))


def patterns(document: Any, key: str, what: str) -> tuple[str, ...]:
    """Return the patterns under ``key``: 1 to MAX_PATTERNS, each of 1 to MAX_PATTERN characters."""
    listed = strict.member(document, key, list, what)
    found = tuple(fields.text({key: pattern}, key, what) for pattern in listed)
    if not 1 <= len(found) <= MAX_PATTERNS or not all(1 <= len(pattern) <= MAX_PATTERN for pattern in found):
        raise MalformedError(
            f"{what}: {key!r} must hold patterns",
            expected=f"1 to {MAX_PATTERNS} of 1 to {MAX_PATTERN} characters",
        )
    return found


def _shown(path: str) -> str:
    """Return a path as a manifest may hold it, no two alike: what is not printable, or has a backslash, is escaped.

    What is longer than a text may be is cut, and ends in a digest of all of it.
    """
    text = path if path.isprintable() and "\\" not in path else ascii(path)[1:-1]
    if len(text) <= fields.MAX_TEXT:
        return text
    end = f"~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text[: fields.MAX_TEXT - len(end)] + end
