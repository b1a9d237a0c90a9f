"""A list of pinned wheels with their digests, as pip reads it (``requirements.lock``; SPEC L2.16). Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from airlift.errors import MalformedError

NAME = "requirements.lock"
MAX_BYTES = 8 << 20
MAX_LINE = 1 << 20
_DIGEST = re.compile(r"--hash[= ]sha256:([0-9a-f]{64})")
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One wheel that must be there: its name, its version, the digests (SHA-256, hex) that it may have."""

    name: str
    version: Version
    sha256: frozenset[str]


def parse(data: bytes) -> tuple[Pin, ...]:
    """Return what a list pins.

    Raises:
        MalformedError: it is no UTF-8, or has a line that is not ``NAME==VERSION --hash=sha256:HEX ...``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{NAME} is not UTF-8", found=f"byte {error.start}") from error
    return tuple(_pin(number, line) for number, line in _lines(text))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, each with those that continue it, and the number of its first."""
    parts, first = list[str](), 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = _COMMENT.sub("", raw.rstrip("\r"))
        first = first or number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            whole = " ".join(parts).strip()
            if whole:
                yield first, whole
            parts, first = [], 0
    if parts and " ".join(parts).strip():
        yield first, " ".join(parts).strip()


def _pin(number: int, line: str) -> Pin:
    where = f"{NAME}:{number}"
    sha256 = frozenset(_DIGEST.findall(line))
    stated = _DIGEST.sub("", line).strip()
    try:
        requirement = Requirement(stated if len(line) <= MAX_LINE else "")
        (specifier,) = requirement.specifier
        version = Version(specifier.version)
    except (InvalidRequirement, InvalidVersion, ValueError) as error:
        raise _no_pin(where, stated) from error
    if specifier.operator != "==" or requirement.url or not sha256:
        raise _no_pin(where, stated)
    return Pin(str(canonicalize_name(requirement.name)), version, sha256)


def _no_pin(where: str, stated: str) -> MalformedError:
    return MalformedError(
        f"{where} pins no wheel by its digest",
        expected="NAME==VERSION --hash=sha256:HEX",
        found=ascii(stated[:120]),
    )
