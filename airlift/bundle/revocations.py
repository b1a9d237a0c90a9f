"""The signed list of revocations: a target of the release authority, in every bundle (SPEC 5.4)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError

TARGET = "revocations"
MAX_BYTES = 8 << 20
KINDS = ("release", "component")

_ENTRY_KEYS = frozenset({"kind", "digest", "reason"})


@dataclass(frozen=True, slots=True, order=True)
class Revocation:
    """A release or component, by digest (hex), that must not be activated any more, and why."""

    kind: str
    digest: str
    reason: str


def format(revocations: tuple[Revocation, ...]) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the canonical bytes of the list."""
    entries = [{"kind": r.kind, "digest": r.digest, "reason": r.reason} for r in revocations]
    return strict.format({"airlift": fields.FORMAT, "type": "revocations", "entries": entries})


def parse(data: bytes) -> tuple[Revocation, ...]:
    """Parse and check the list: sorted, each digest once.

    Raises:
        MalformedError: anything in it breaks SPEC 5.4.
    """
    what = "revocations"
    document = fields.check_header(
        strict.parse(data, limit=MAX_BYTES, what=what), "revocations", frozenset({"entries"}), what
    )
    entries = tuple(_entry(item, what) for item in strict.member(document, "entries", list, what))
    if list(entries) != sorted(entries) or len({entry.digest for entry in entries}) != len(entries):
        raise MalformedError(f"{what}: entries must be sorted and distinct")
    return entries


def _entry(document: Any, what: str) -> Revocation:
    strict.only(document, _ENTRY_KEYS, what)
    kind = strict.member(document, "kind", str, what)
    if kind not in KINDS:
        raise MalformedError(f"{what}: unknown kind", expected=" or ".join(KINDS), found=ascii(kind))
    return Revocation(kind, fields.digest(document, "digest", what), fields.text(document, "reason", what))
