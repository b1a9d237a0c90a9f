"""Ids of the keys that vendors signed components with, as far as they have one (SPEC 4.1-3, 5.4-3)."""

from airlift.bundle.release import Release
from airlift.errors import AirliftError
from airlift.trust.keys.public import PublicKey

KEY = "key"
"""The method of a vendor's signature that was verified with one public key."""


def vendor_keys(release: Release) -> dict[str, str]:
    """Return the key id (hex) behind each component's vendor signature, by component.

    A key of an algorithm that airlift does not sign with (P-256, P-521) has none, and certificates neither.
    """
    found = {}
    for component in release.components:
        stated = component.vendor_signature
        if stated is not None and stated.method == KEY:
            key_id = _key_id(stated.trusted[0])
            if key_id is not None:
                found[component.name] = key_id
    return found


def _key_id(pem: str) -> str | None:
    try:
        return PublicKey.from_pem(pem.encode()).key_id
    except AirliftError:
        return None
