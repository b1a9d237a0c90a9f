"""What a revocation can name of what vendors' signatures were verified with, by component (SPEC 5.4-3)."""

from airlift.bundle.release import Release
from airlift.trust.statements import model_signing


def vendor_keys(release: Release) -> dict[str, frozenset[str]]:
    """Return the ids (hex) of the key, or the root certificates, behind each component's vendor signature.

    Raises:
        KeyUnavailableError: one of them cannot be read.
    """
    return {
        component.name: model_signing.key_ids(stated.method, stated.trusted)
        for component in release.components
        if (stated := component.vendor_signature) is not None
    }
