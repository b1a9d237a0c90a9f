"""Small, valid values of the bundle room for tests to start from."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airlift.bundle.chunk import Block, Source
from airlift.bundle.component.component import Component
from airlift.bundle.component.data_set import DataSet
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.parent import Parent
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle, Portion, ReleaseRef
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.patterns import LeftOut
from airlift.bundle.release import Release, Requirement
from airlift.bundle.revocations import Revocation
from airlift.bundle.volume import Index

LOW = Marking("UNCLASSIFIED")
ISSUED = "2026-03-01T12:00:00Z"


def sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def content(text: str, size: int | None = None) -> FileDigest:
    return FileDigest(sha512(text), len(text) if size is None else size)


def entry(path: str, text: str = "x") -> FileEntry:
    return FileEntry(path, len(text), sha512(text), sha256(text))


def component(name: str, version: str = "1.0", kind: str = "model", *paths: str) -> Component:
    files = tuple(entry(path, f"{name} {version} {path}") for path in paths or ("config.json",))
    source = {"kind": "path", "path": f"../{name}"}
    return Component(name, kind, version, "Apache-2.0", source, files)


BASE = component("base", "1.0", "model", "config.json", "weights/model.safetensors")
GUARD = component("guard", "2.0", "guard")
HUB = {"kind": "hub", "repo": "org/name", "revision": "0" * 40, "include": ["*.json", "*.safetensors"]}

RELEASE = Release(
    name="assistant",
    version="2026.11.0",
    marking=Marking("SECRET", ("NOFORN", "ORCON")),
    notes="First release.\nWith a guard.",
    components=(
        replace(
            BASE,
            parents=(Parent("merged-from", "docs", "1"), Parent("tuned-from", "base", "0.9", sha512("0.9"))),
        ),
        replace(GUARD, source=HUB, vendor_signature=VendorSignature("key", sha512("sig"), 900, ("PEM",))),
    ),
    requires=(Requirement("base", "guard", ">=2.0"),),
)

CHOSEN = {
    "kind": "path",
    "path": "../base",
    "include": ["*.json", "*.py", "weights/*"],
    "exclude": ["weights/optimizer.pt"],
    "left_out": {"count": 2, "names": ["README.md", "weights/optimizer.pt"]},
}
WAIVED = replace(
    RELEASE,
    components=(
        replace(
            BASE,
            source=CHOSEN,
            marking=Marking("CUI", ("NOFORN",)),
            accept=(
                Waiver("code", "Read by two people.", ("weights/model.safetensors",)),
                Waiver("remote-code", "The model has no other code.", ("config.json",)),
            ),
        ),
        replace(
            GUARD,
            source=HUB | {"exclude": ["*.bin"], "left_out": {"count": 1, "names": ["old.bin"]}},
            vendor_signature=VendorSignature(
                "key", sha512("sig"), 900, ("PEM",), 2, LeftOut(1, ("old.bin",))
            ),
        ),
    ),
)
"""A release that says all that format 2 can say, but of enclaves and pieces."""

LARGE = FileEntry("model.gguf", (40 << 20) + 1, sha512("large"), sha256("large"))
PIECED = replace(
    RELEASE, components=(replace(GUARD, files=(*GUARD.files, LARGE)),), requires=(), pieces=sha512("table")
)
"""A release that states the pieces of its one large file, of which there are three."""

REGISTERED = {"kind": "registered", "enclave": "alpha"}
TAKEN: dict[str, Any] = {
    "kind": "enclave",
    "enclave": "bravo",
    "release": {"digest": sha512("assistant+tuned"), "name": "assistant", "version": "1+tuned-1"},
    "component": "tuned",
    "entry": 7,
    "size": 9,
    "root": sha512("root")[:96],
    "origin": REGISTERED,
}
TUNED = replace(
    component("tuned"),
    source=TAKEN,
    marking=Marking("SECRET", ("NOFORN",)),
    parents=(Parent("tuned-from", "base", "1.0", BASE.digest),),
    data=(
        DataSet("mail", "2026-10", Marking("SECRET", ("NOFORN",)), sha512("mail")),
        DataSet("notes", "1", Marking("CUI")),
    ),
)
INSIDE = replace(
    RELEASE, components=(BASE, replace(TUNED, name="made", source=REGISTERED), TUNED), requires=()
)
"""A release with what was trained in an enclave, and with what was taken over from one."""

TARGET = ReleaseRef(sha512("target"), "assistant", "2026.11.1")
BASELINE = ReleaseRef(sha512("baseline"), "assistant", "2026.11.0")

BUNDLE = Bundle(
    sequence=7,
    issued=ISSUED,
    enclave="alpha",
    marking=Marking("SECRET", ("NOFORN",)),
    target=TARGET,
    baseline=BASELINE,
    bases=(content("base", 1000), content("other base", 500)),
    files=(content("first", 300), content("empty", 0), content("second", 200)),
    chunks=(content("chunk one", 400), content("chunk two", 900)),
    revocations=sha512("revocations"),
)
PROTECTED = replace(
    BUNDLE,
    packed=True,
    parity=(
        Stripe((1,), (content("chunk two", 900), content("more", 900))),
        Stripe((0,), (content("parity", 400),)),
    ),
)
"""A bundle with two stripes of one data chunk each; the first parity chunk of the first is its data chunk."""
SEVERAL = replace(
    BUNDLE,
    enclave=None,
    baseline=None,
    files=(content("second", 200), content("empty", 0), content("first", 300), content("first", 300)),
    chunks=(*BUNDLE.chunks, content("chunk three", 500)),
    packed=True,
    portions=(
        Portion("alpha", BASELINE, ((0, 2),), ((0, 3),), ((0, 2),)),
        Portion("bravo", None, (), ((0, 2), (3, 4)), ((0, 1), (2, 3))),
    ),
)
"""A bundle for two enclaves: two files are for both, and one is coded for each."""
RENEWAL = replace(
    BUNDLE, enclave=None, target=None, baseline=None, bases=(), files=(), chunks=(), sequence=2**31 - 1
)

BLOCKS = (
    Block(0, 0, 100, 2, 4, (), b"payload"),
    Block(0, 100, 200, 1, 4, (Source(0, 800, 200),), b""),
    Block(2, 0, 200, 3, 9, (Source(0, 0, 200), Source(1, 300, 200)), b"\0" * 30),
)

REVOCATIONS = (
    Revocation("component", sha512("component"), "the guard lets everything through"),
    Revocation("release", sha512("release"), ""),
)

REVOKED = (
    Revocation("component", sha512("component"), "the guard lets everything through", 4, "vulnerability"),
    Revocation("file", sha256("weights"), "by SHA-256", 2, "legal"),
    Revocation("file", "f" + sha512("weights")[1:], "by SHA-512", 5),
    Revocation("key", sha256("key"), "lost", 3, "compromise"),
    Revocation("release", sha512("release"), ""),
)
"""Revocations of format 2; the last is of format 1, whose number is 0."""

INDEX = Index("alpha-7", BUNDLE.digest, 2, 3, 2, 1300, sha512("sums"))

SUMS = {
    "LABEL.txt": sha256("label"),
    "chunks/" + "0" * 64: sha256("chunk"),
    "metadata/root.json": sha256("root"),
}


def changed(document: Mapping[str, Any], path: str, new: Any) -> dict[str, Any]:
    """Return a copy of a JSON document with ``new`` as the value at ``a.0.b``."""
    key, _, rest = path.partition(".")
    result: dict[str, Any] = dict(document)
    if not rest:
        result[key] = new
    elif rest.partition(".")[0].isdigit():
        index, _, deeper = rest.partition(".")
        items = list(document[key])
        position = int(index)
        items[position] = changed(items[position], deeper, new) if deeper else new
        result[key] = items
    else:
        result[key] = changed(document[key], rest, new)
    return result
