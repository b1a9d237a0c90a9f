"""The parts that details are made of: members that were checked, and the small values that several types share."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar

from airlift import strict
from airlift.bundle.manifest import ReleaseRef
from airlift.errors import MalformedError

_T = TypeVar("_T")
_DIGEST = re.compile(r"(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Detail(Protocol):
    """What an entry of one type says; ``TYPE`` is the type's name in an entry."""

    TYPE: ClassVar[str]

    @classmethod
    def parse(cls, detail: Any, what: str) -> Self:
        """Return what a detail says; keys that are not known are ignored.

        Raises:
            MalformedError: a key is missing, or its value has another form than SPEC 9.2 says.
        """

    def format(self) -> dict[str, Any]:
        """Return the detail, ready for an entry."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The committed TUF state: folder name below trust/, and digest of its content."""

    folder: str
    digest: str

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Trust":
        """Parse the member of a detail; errors as of :meth:`Detail.parse`."""
        folder = strict.member(detail, "folder", str, what)
        if not _FOLDER.match(folder):
            raise MalformedError(f"{what}: 'folder' is not a folder's name", found=ascii(folder[:80]))
        return cls(folder, digest(detail, "digest", what))

    def format(self) -> dict[str, Any]:
        """Return the member of a detail."""
        return {"folder": self.folder, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class NamedComponent:
    """A component as entries list it; ``digest`` is its SHA-512 in hex."""

    name: str
    kind: str
    version: str
    digest: str

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @classmethod
    def parse(cls, detail: Any, what: str) -> "NamedComponent":
        """Parse an item of a detail's list; errors as of :meth:`Detail.parse`."""
        return cls(
            strict.member(detail, "name", str, what),
            strict.member(detail, "kind", str, what),
            strict.member(detail, "version", str, what),
            digest(detail, "digest", what),
        )

    def format(self) -> dict[str, Any]:
        """Return the item of a detail's list."""
        return {"name": self.name, "kind": self.kind, "version": self.version, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Accepted:
    """Why two people accepted what is refused otherwise, and their signatures (hex, by key id) (SPEC 7.7, 8.2-12)."""

    reason: str
    signatures: Mapping[str, str]

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Accepted":
        """Parse the member of a detail; errors as of :meth:`Detail.parse`."""
        return cls(strict.member(detail, "reason", str, what), table(detail, "signatures", str, what))

    def format(self) -> dict[str, Any]:
        """Return the member of a detail."""
        return {"reason": self.reason, "signatures": dict(self.signatures)}


# -- members -------------------------------------------------------------------------------------------------------


def digest(detail: Any, key: str, what: str) -> str:
    """Return the digest under ``key``: 64, 96 or 128 lower-case hex digits."""
    return check_digest(strict.member(detail, key, str, what), key, what)


def check_digest(value: Any, key: str, what: str) -> str:
    """Return ``value`` if it is a digest in hex.

    Raises:
        MalformedError: it is not.
    """
    if type(value) is not str or not _DIGEST.match(value):
        raise MalformedError(f"{what}: {key!r} is not a digest in lower-case hex", found=ascii(value)[:80])
    return value


def check_text(value: Any, what: str) -> str:
    """Return ``value`` if it is a string.

    Raises:
        MalformedError: it is not.
    """
    if type(value) is not str:
        raise MalformedError(f"{what} must be a string")
    return value


def optional(detail: Any, key: str, parse: Callable[[Any, str], _T], what: str) -> _T | None:
    """Return the parsed value under ``key``, which must be there; None if it is null."""
    if type(detail) is not dict or key not in detail:
        raise MalformedError(f"{what} lacks {key!r}")
    return None if detail[key] is None else parse(detail[key], f"{what}: {key}")


def release(detail: Any, key: str, what: str) -> ReleaseRef | None:
    """Return the release that is named under ``key``, None if it is null."""
    return optional(detail, key, ReleaseRef.from_json, what)


def items(
    detail: Any, key: str, parse: Callable[[Any, str], _T], what: str, *, missing: bool = False
) -> tuple[_T, ...]:
    """Return the parsed items of the list under ``key``; none if it may be ``missing`` and is."""
    if missing and key not in detail:
        return ()
    named = f"{what}: {key}"
    return tuple([parse(item, named) for item in strict.member(detail, key, list, what)])


def texts(detail: Any, key: str, what: str, *, missing: bool = False) -> tuple[str, ...]:
    """Return the list of strings under ``key``; none if it may be ``missing`` and is."""
    if missing and key not in detail:
        return ()
    return tuple(_all(strict.member(detail, key, list, what), str, key, what))


def choice(detail: Any, what: str) -> tuple[str, ...]:
    """Return the names of the variants that a release is laid out in (SPEC 7.14): none if the detail states none."""
    return texts(detail, "variants", what, missing=True)


def table(detail: Any, key: str, kind: type[_T], what: str, *, missing: bool = False) -> Mapping[str, _T]:
    """Return the object under ``key``, all values of which are of ``kind``; empty if it may be ``missing`` and is."""
    if missing and key not in detail:
        return {}
    found: dict[str, _T] = strict.member(detail, key, dict, what)
    _all(found.values(), kind, key, what)
    return found


def lists(detail: Any, key: str, what: str) -> Mapping[str, tuple[str, ...]]:
    """Return the object under ``key``, all values of which are lists of strings."""
    found = table(detail, key, list, what)
    return {name: tuple(_all(values, str, key, what)) for name, values in found.items()}


def _all(values: Any, kind: type, key: str, what: str) -> Any:
    if any(type(value) is not kind for value in values):
        raise MalformedError(f"{what}: {key!r} holds a value of the wrong type")
    return values
