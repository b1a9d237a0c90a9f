"""The ids by which what a vendor signs with can be revoked (SPEC 5.4-3)."""

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.errors import AirliftError
from airlift.trust.keys.file import generate
from airlift.trust.statements.vendors import vendor_keys
from tests.support import vendor


def component(name: str, pem: str | None) -> Component:
    stated = None if pem is None else VendorSignature("key", "0" * 128, 1, (pem,))
    files = (FileEntry("a", 1, "0" * 128, "0" * 64),)
    return Component(name, "model", "1", "", {"kind": "path", "path": "."}, files, vendor_signature=stated)


def release(*components: Component) -> Release:
    return Release("stack", "1", Marking("UNCLASSIFIED"), "", components, ())


def fingerprint(pem: bytes) -> str:
    key = serialization.load_pem_public_key(pem)
    der, spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(der, spki)).hexdigest()


def test_ids_of_keys_by_component() -> None:
    """A key of an algorithm that airlift signs with has its key id as well."""
    own, foreign = generate("ecdsa-p384").public, vendor.public()
    made = release(
        component("foreign", foreign.decode()),
        component("own", own.pem().decode()),
        component("unsigned", None),
    )
    assert vendor_keys(made) == {
        "foreign": {fingerprint(foreign)},
        "own": {fingerprint(own.pem()), own.key_id},
    }


def test_a_key_that_cannot_be_read() -> None:
    with pytest.raises(AirliftError):
        vendor_keys(release(component("torn", vendor.public().decode()[:60])))
