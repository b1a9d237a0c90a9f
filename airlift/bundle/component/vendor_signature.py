"""A vendor's own signature over a component, as a release manifest states it (SPEC 5.5)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.component.file_entry import MAX_FILES
from airlift.bundle.patterns import LeftOut
from airlift.errors import MalformedError

METHODS = ("certificate", "key")
MAX_BYTES = 64 << 20
"""The longest signature file."""
MAX_TRUSTED = 8
MAX_PEM = 16 << 10

_KEYS = frozenset({"method", "sha512", "size", "trusted"})
# What format 2 added: each stands only where it says something (SPEC 5.1-12).
_NEW_KEYS = frozenset({"listed", "left_out"})


@dataclass(frozen=True, slots=True)
class VendorSignature:
    """A vendor's own signature over a component (SPEC 5.5): the signature file, and what verifies it (PEM).

    ``method`` is ``key`` (one public key) or ``certificate`` (root certificates). If the component lacks files that
    the vendor signed, ``listed`` says how many those are in all, and ``left_out`` which are not carried.
    """

    method: str
    sha512: str
    size: int
    trusted: tuple[str, ...]
    listed: int = 0
    left_out: LeftOut | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {
            "method": self.method,
            "sha512": self.sha512,
            "size": self.size,
            "trusted": list(self.trusted),
            **({"listed": self.listed, "left_out": self.left_out.to_json()} if self.left_out else {}),
        }


def from_json(document: Any, *, more: bool) -> VendorSignature:
    """Parse a vendor's signature; ``more`` says that the members of format 2 may stand in it.

    Raises:
        MalformedError: an unknown or missing key, a wrong value, or nothing to verify the signature with.
    """
    what = "release manifest: vendor signature"
    partial = more and not _NEW_KEYS.isdisjoint(document)
    strict.only(document, _KEYS | (_NEW_KEYS if more else frozenset()), what)
    trusted = strict.member(document, "trusted", list, what)
    signature = VendorSignature(
        method=strict.member(document, "method", str, what),
        sha512=fields.digest(document, "sha512", what),
        size=fields.count(document, "size", what, least=1, most=MAX_BYTES),
        trusted=tuple(trusted),
        listed=fields.count(document, "listed", what, most=MAX_FILES) if partial else 0,
        left_out=LeftOut.from_json(strict.member(document, "left_out", dict, what), what)
        if partial
        else None,
    )
    _check(signature, what)
    return signature


def _check(signature: VendorSignature, what: str) -> None:
    trusted = signature.trusted
    if signature.left_out is not None and signature.left_out.count >= signature.listed:
        raise MalformedError(f"{what} covers nothing of what is carried")
    if signature.method not in METHODS:
        raise MalformedError(f"{what} has an unknown method", expected=" or ".join(METHODS))
    if not 1 <= len(trusted) <= (1 if signature.method == "key" else MAX_TRUSTED):
        raise MalformedError(f"{what} has nothing to verify it with, or too much")
    if any(type(pem) is not str or not pem.isascii() or len(pem) > MAX_PEM for pem in trusted):
        raise MalformedError(f"{what} does not hold keys or certificates in PEM")
