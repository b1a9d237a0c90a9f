"""The ids of vendors' keys: only keys of the algorithms that airlift signs with have one (SPEC 5.4-3)."""

from airlift.bundle.fields import Marking
from airlift.bundle.release import Component, FileEntry, Release, VendorSignature
from airlift.trust.keys.vendors import vendor_keys
from tests.support import keys, vendor


def component(name: str, method: str | None, pem: str = "") -> Component:
    stated = None if method is None else VendorSignature(method, "0" * 128, 1, (pem,))
    files = (FileEntry("a", 1, "0" * 128, "0" * 64),)
    return Component(name, "model", "1", "", {"kind": "path", "path": "."}, files, vendor_signature=stated)


def test_ids_of_keys_by_component() -> None:
    public = keys.signer("vendor").public
    pem = public.pem().decode()
    components = (
        component("certified", "certificate", pem),
        component("known", "key", pem),
        component("other", "key", vendor.public().decode()),
        component("torn", "key", pem[:80]),
        component("unsigned", None),
    )
    release = Release("stack", "1", Marking("UNCLASSIFIED"), "", components, ())
    assert vendor_keys(release) == {"known": public.key_id}
