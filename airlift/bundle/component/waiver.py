"""Waivers: what a release lets through that the low side's gate objects to, and why (SPEC 5.1-11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError

CODE, DRIFT, PICKLE, REMOTE_CODE = "code", "drift", "pickle", "remote-code"
KINDS = (CODE, DRIFT, PICKLE, REMOTE_CODE)
"""What can be waived: everything else that a gate finds is no matter of risk, but broken."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One kind of objection that is waived in a component: why, and in which of its files, sorted, it was met."""

    what: str
    reason: str
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"what": self.what, "reason": self.reason, "files": list(self.files)}


def from_json(document: Any, paths: Sequence[str]) -> tuple[Waiver, ...]:
    """Parse the waivers of a component whose files are ``paths``.

    Raises:
        MalformedError: none, two of one kind, an unknown kind, no reason, or a file that the component lacks.
    """
    what = "release manifest: waiver"
    if type(document) is not list or not 1 <= len(document) <= len(KINDS):
        raise MalformedError(f"{what}: 'accept' must be a list", expected=f"1 to {len(KINDS)} waivers")
    found = tuple(_waiver(item, frozenset(paths), what) for item in document)
    kinds = [waiver.what for waiver in found]
    if kinds != sorted(set(kinds)):
        raise MalformedError(f"{what}: waivers must be sorted by kind and distinct")
    return found


def _waiver(document: Any, paths: frozenset[str], what: str) -> Waiver:
    strict.only(document, frozenset({"what", "reason", "files"}), what)
    waived = strict.member(document, "what", str, what)
    files = strict.member(document, "files", list, what)
    if waived not in KINDS:
        raise MalformedError(
            f"{what} is of an unknown kind", expected=", ".join(KINDS), found=ascii(waived[:40])
        )
    if not files or any(type(path) is not str or path not in paths for path in files):
        raise MalformedError(f"{what} names no file, or one that the component does not have")
    if files != sorted(set(files)):
        raise MalformedError(f"{what}: files must be sorted and distinct")
    reason = fields.text(document, "reason", what)
    if not reason.strip():
        raise MalformedError(f"{what} has no reason")
    return Waiver(waived, reason, tuple(files))
