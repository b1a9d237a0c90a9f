"""Verify vendors' signatures again, over the files as they were rebuilt here (SPEC 5.5-5)."""

from functools import partial
from pathlib import Path

from airlift.bundle import patterns
from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.patterns import LeftOut
from airlift.errors import InventoryError
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.install import StagedRelease
from airlift.ledger.entries.imports import SHA256, VendorVerified
from airlift.store.content import digest_file
from airlift.trust.statements import model_signing


def verify_vendor_signatures(enclave: Enclave, staged: StagedRelease) -> tuple[VendorVerified, ...]:
    """Return what entries say of vendors' signatures; each was verified over bytes read from this disk.

    Raises:
        SignatureError, DigestError, InventoryError, MalformedError: the vendor did not sign these files.
    """
    return tuple(
        _verify_component(enclave, staged, component)
        for component in staged.release.components
        if component.vendor_signature is not None
    )


def _verify_component(enclave: Enclave, staged: StagedRelease, component: Component) -> VendorVerified:
    stated = component.vendor_signature
    if stated is None:
        raise ValueError("a component without a vendor's signature has nothing to verify")
    found = model_signing.verify_model(
        staged.verified.documents[stated.sha512],
        {entry.path: digest_file(_place(enclave, staged, entry.sha512), SHA256) for entry in component.files},
        stated.method,
        stated.trusted,
        partial(patterns.may_lack, sources.first(component.source)),
    )
    if (LeftOut.of(found.lacking), found.listed if found.lacking else 0) != (stated.left_out, stated.listed):
        raise InventoryError(
            f"component {component.name} lacks other files that its vendor signed than the release manifest says",
            found=f"{len(found.lacking)} of {found.listed} lacking",
        )
    return VendorVerified(component.name, stated.sha512, found.method, found.fingerprint)


def _place(enclave: Enclave, staged: StagedRelease, sha512: str) -> Path:
    """Return where content lies before it is installed: in staging, or among what the enclave holds."""
    built = staged.folder / sha512
    return built if built.exists() else enclave.content.path(sha512)
