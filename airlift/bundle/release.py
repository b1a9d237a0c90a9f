"""The release manifest: every component and file of a release, signed by the release authority (SPEC 5.1).

>>> from airlift.bundle.fields import Marking
>>> manifest = Release("assistant", "1", Marking("UNCLASSIFIED"), "", (), ())
>>> parse(format(manifest)) == manifest
True
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from airlift import strict
from airlift.bundle import data_set, fields, waiver
from airlift.bundle import source as sources
from airlift.bundle.data_set import DataSet
from airlift.bundle.fields import COMPONENT_NAME, VERSION, FileDigest, Marking
from airlift.bundle.paths import check_no_collision, check_relative
from airlift.bundle.patterns import LeftOut
from airlift.bundle.waiver import Waiver
from airlift.errors import MalformedError

NEWEST_FORMAT = 2
KINDS = ("model", "adapter", "guard", "policy", "blocklist", "prompt", "tokenizer", "data")
MAX_BYTES = 64 << 20
MAX_COMPONENTS = 1024
MAX_FILES = 200_000
MAX_REQUIREMENTS = 4096
MAX_PARENTS = 64
MAX_REPLACED = 16
MAX_TRUSTED = 8
MAX_PEM = 16 << 10
RELATIONS = ("adapter-of", "derived-from", "merged-from", "quantised-from", "tuned-from")
METHODS = ("certificate", "key")

_KEYS = frozenset({"name", "version", "marking", "notes", "components", "requires"})
_COMPONENT_KEYS = frozenset(
    {"name", "kind", "version", "license", "source", "parents", "vendor_signature", "digest", "files"}
)
_FILE_KEYS = frozenset({"path", "size", "sha512", "sha256"})
_VENDOR_KEYS = frozenset({"method", "sha512", "size", "trusted"})
# What format 2 added: each stands only where it says something (SPEC 5.1-12).
_NEW_COMPONENT_KEYS = frozenset({"accept", "data", "marking", "replaces"})
_NEW_VENDOR_KEYS = frozenset({"listed", "left_out"})


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a component: relative path, size in bytes, both digests as lower-case hex."""

    path: str
    size: int
    sha512: str
    sha256: str

    @property
    def content(self) -> FileDigest:
        """What identifies the bytes, whatever the path."""
        return FileDigest(self.sha512, self.size)


@dataclass(frozen=True, slots=True, order=True)
class Parent:
    """What a component was made from: ``digest`` is that component's (SHA-512, hex), "" if nobody knew it."""

    relation: str
    name: str
    version: str
    digest: str = ""


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


@dataclass(frozen=True, slots=True)
class Component:
    """One versioned, named thing of a release; ``source`` says where its files came from.

    ``accept`` is what is waived in it, ``marking`` its own marking, None if it has none beside its release's;
    ``replaces`` are names of components that it took the place of, ``data`` what it was made with.
    """

    name: str
    kind: str
    version: str
    license: str
    source: dict[str, Any] = field(hash=False)
    files: tuple[FileEntry, ...]
    parents: tuple[Parent, ...] = ()
    vendor_signature: VendorSignature | None = None
    accept: tuple[Waiver, ...] = ()
    marking: Marking | None = None
    replaces: tuple[str, ...] = ()
    data: tuple[DataSet, ...] = ()

    def answers_to(self, name: str) -> bool:
        """Say whether whoever asks for ``name`` means this component (SPEC 5.1-15)."""
        return name == self.name or name in self.replaces

    @property
    def digest(self) -> str:
        """SHA-512 (hex) of the canonical list of [path, size, sha512]: the tree's identity."""
        return hashlib.sha512(strict.format([[f.path, f.size, f.sha512] for f in self.files])).hexdigest()


@dataclass(frozen=True, slots=True)
class Requirement:
    """Component ``component`` may only be active beside ``needs`` (a kind, or else a name) within ``version``."""

    component: str
    needs: str
    version: str


@dataclass(frozen=True, slots=True)
class Release:
    """An immutable set of components; named ``name@version``."""

    name: str
    version: str
    marking: Marking
    notes: str
    components: tuple[Component, ...]
    requires: tuple[Requirement, ...]

    @property
    def label(self) -> str:
        """The name that people use."""
        return f"{self.name}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-512 (hex) of the canonical manifest."""
        return hashlib.sha512(format(self)).hexdigest()

    def files(self) -> Iterator[tuple[Component, FileEntry]]:
        """Every file with its component, in manifest order."""
        return ((component, entry) for component in self.components for entry in component.files)

    def digests(self) -> frozenset[str]:
        """Return the digests (SHA-512 and SHA-256, hex) of its files: what its import is found by in a ledger."""
        return frozenset(digest for _, entry in self.files() for digest in (entry.sha512, entry.sha256))

    def vendor_signatures(self) -> tuple[VendorSignature, ...]:
        """Return the vendors' signatures over its components, in manifest order."""
        return tuple(c.vendor_signature for c in self.components if c.vendor_signature is not None)

    def contents(self) -> dict[str, int]:
        """Map each distinct SHA-512 to its size in bytes, in manifest order."""
        return {entry.sha512: entry.size for _, entry in self.files()}


def target_name(release_digest: str) -> str:
    """Return the opaque TUF target path of a release."""
    return f"release-{release_digest[: fields.NAME_HEX]}"


def format(release: Release) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the canonical bytes of a release manifest."""
    return strict.format(
        {
            "airlift": _number(release),
            "type": "release",
            "name": release.name,
            "version": release.version,
            "marking": release.marking.to_json(),
            "notes": release.notes,
            "components": [_component_to_json(component) for component in release.components],
            "requires": [
                {"component": r.component, "needs": r.needs, "version": r.version} for r in release.requires
            ],
        }
    )


def parse(data: bytes) -> Release:
    """Parse and check a release manifest.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 5.1.
    """
    what = "release manifest"
    document = strict.parse(data, limit=MAX_BYTES, what=what)
    fields.check_header(document, "release", _KEYS, what, newest=NEWEST_FORMAT)
    more = document["airlift"] == NEWEST_FORMAT
    components = strict.member(document, "components", list, what)
    requires = strict.member(document, "requires", list, what)
    if len(components) > MAX_COMPONENTS:
        raise MalformedError(f"{what} has too many components", expected=f"at most {MAX_COMPONENTS}")
    if len(requires) > MAX_REQUIREMENTS:
        raise MalformedError(f"{what} has too many requirements", expected=f"at most {MAX_REQUIREMENTS}")
    release = Release(
        name=fields.name(document, "name", what, COMPONENT_NAME),
        version=fields.name(document, "version", what, VERSION),
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        notes=fields.text(document, "notes", what),
        components=tuple(_component_from_json(item, more=more) for item in components),
        requires=tuple(_requirement_from_json(item) for item in requires),
    )
    if _number(release) != document["airlift"]:
        raise MalformedError(f"{what} states a format that nothing in it needs", found=str(NEWEST_FORMAT))
    _check_set(release)
    _check_markings(release)
    return release


def _number(release: Release) -> int:
    """Return the format that a manifest states: that in which all its members are known."""
    new = any(_is_new(component) for component in release.components)
    return NEWEST_FORMAT if new else fields.FORMAT


def _is_new(component: Component) -> bool:
    vendor = component.vendor_signature
    partial = vendor is not None and vendor.left_out is not None
    stated = component.accept or component.data or component.marking or component.replaces
    return bool(stated or partial or sources.is_new(component.source))


def _check_markings(release: Release) -> None:
    for component in release.components:
        if component.marking is not None and not release.marking.covers(component.marking):
            raise MalformedError(
                f"release manifest: the marking of component {component.name} is not within its release's",
                expected=str(release.marking),
                found=str(component.marking),
            )


def _check_set(release: Release) -> None:
    names = [component.name for component in release.components]
    if names != sorted(set(names)):
        raise MalformedError("release manifest: components must be sorted by name and distinct")
    check_no_collision([check_relative(name) for name in names])
    for component in release.components:
        _check_replaced(component, names)
    sizes: dict[str, tuple[int, str]] = {}
    total = 0
    for _, entry in release.files():
        total += 1
        if sizes.setdefault(entry.sha512, (entry.size, entry.sha256)) != (entry.size, entry.sha256):
            raise MalformedError("release manifest: one SHA-512 stands with two sizes or SHA-256 digests")
    if total > MAX_FILES:
        raise MalformedError("release manifest has too many files", expected=f"at most {MAX_FILES}")


def _component_to_json(component: Component) -> dict[str, Any]:
    return {
        "name": component.name,
        "kind": component.kind,
        "version": component.version,
        "license": component.license,
        "source": component.source,
        "parents": [
            {"relation": p.relation, "name": p.name, "version": p.version, "digest": p.digest or None}
            for p in component.parents
        ],
        "vendor_signature": _vendor_to_json(component.vendor_signature),
        "digest": component.digest,
        "files": [
            {"path": f.path, "size": f.size, "sha512": f.sha512, "sha256": f.sha256} for f in component.files
        ],
        **({"accept": [waived.to_json() for waived in component.accept]} if component.accept else {}),
        **({"data": [item.to_json() for item in component.data]} if component.data else {}),
        **({"marking": component.marking.to_json()} if component.marking else {}),
        **({"replaces": list(component.replaces)} if component.replaces else {}),
    }


def _component_from_json(document: Any, *, more: bool) -> Component:
    """Parse a component; ``more`` says that the members of format 2 may stand in it."""
    what = "release manifest: component"
    strict.only(document, _COMPONENT_KEYS | (_NEW_COMPONENT_KEYS if more else frozenset()), what)
    files = tuple(_file_from_json(item) for item in strict.member(document, "files", list, what))
    component = Component(
        name=fields.name(document, "name", what, COMPONENT_NAME),
        kind=strict.member(document, "kind", str, what),
        version=fields.name(document, "version", what, VERSION),
        license=fields.text(document, "license", what),
        source=sources.from_json(strict.member(document, "source", dict, what), more=more),
        files=files,
        parents=tuple(_parent_from_json(item) for item in strict.member(document, "parents", list, what)),
        vendor_signature=_vendor_from_json(document, more=more),
        accept=waiver.from_json(document["accept"], [f.path for f in files]) if "accept" in document else (),
        marking=Marking.from_json(document["marking"], what) if "marking" in document else None,
        replaces=_replaced(document, what) if "replaces" in document else (),
        data=data_set.from_json(document["data"]) if "data" in document else (),
    )
    _check_parents(component)
    _check_made(component)
    if component.kind not in KINDS:
        raise MalformedError(
            f"{what} has an unknown kind", expected=", ".join(KINDS), found=ascii(component.kind)
        )
    paths = [entry.path for entry in component.files]
    if not paths or paths != sorted(set(paths)):
        raise MalformedError(f"{what}: files must be sorted by path, distinct and at least one")
    check_no_collision(paths)
    if fields.digest(document, "digest", what) != component.digest:
        raise MalformedError(f"{what}: its digest does not match its files")
    return component


def _replaced(document: dict[str, Any], what: str) -> tuple[str, ...]:
    names = strict.member(document, "replaces", list, what)
    if not 1 <= len(names) <= MAX_REPLACED or any(type(name) is not str for name in names):
        raise MalformedError(f"{what}: 'replaces' is no list of names", expected=f"1 to {MAX_REPLACED}")
    return tuple(fields.name({"replaces": name}, "replaces", what, COMPONENT_NAME) for name in names)


def _check_replaced(component: Component, names: list[str]) -> None:
    replaced = component.replaces
    if list(replaced) != sorted(set(replaced)):
        raise MalformedError("release manifest: 'replaces' must be sorted and distinct")
    there = sorted(set(replaced) & set(names))
    if there:
        raise MalformedError(
            f"release manifest: component {component.name} replaces one that is in the release",
            found=there[0],
        )


def _parent_from_json(document: Any) -> Parent:
    what = "release manifest: parent"
    strict.only(document, frozenset({"relation", "name", "version", "digest"}), what)
    parent = Parent(
        relation=strict.member(document, "relation", str, what),
        name=fields.name(document, "name", what, COMPONENT_NAME),
        version=fields.name(document, "version", what, VERSION),
        digest="" if document.get("digest", "") is None else fields.digest(document, "digest", what),
    )
    if parent.relation not in RELATIONS:
        raise MalformedError(
            f"{what} has an unknown relation",
            expected=", ".join(RELATIONS),
            found=ascii(parent.relation[:40]),
        )
    return parent


def _check_parents(component: Component) -> None:
    parents = component.parents
    if list(parents) != sorted(set(parents)) or len(parents) > MAX_PARENTS:
        raise MalformedError(
            "release manifest: parents must be sorted and distinct", expected=f"at most {MAX_PARENTS}"
        )
    if any((p.name, p.version) == (component.name, component.version) for p in parents):
        raise MalformedError("release manifest: a component is its own parent", found=component.name)


def _check_made(component: Component) -> None:
    """Check that what was made of marked data, or was taken over from an enclave, is marked itself."""
    marking = component.marking
    if marking is None:
        if component.data or component.source["kind"] == sources.ENCLAVE:
            raise MalformedError(f"release manifest: component {component.name} lacks a marking")
        return
    for item in component.data:
        if not marking.covers(item.marking):
            raise MalformedError(
                f"release manifest: component {component.name} is marked below its data {item.name}",
                expected=str(item.marking),
                found=str(marking),
            )


def _vendor_to_json(signature: VendorSignature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    return {
        "method": signature.method,
        "sha512": signature.sha512,
        "size": signature.size,
        "trusted": list(signature.trusted),
        **(
            {"listed": signature.listed, "left_out": signature.left_out.to_json()}
            if signature.left_out
            else {}
        ),
    }


def _vendor_from_json(component: dict[str, Any], *, more: bool) -> VendorSignature | None:
    what = "release manifest: vendor signature"
    if component.get("vendor_signature", 0) is None:
        return None
    document = strict.member(component, "vendor_signature", dict, what)
    partial = more and not _NEW_VENDOR_KEYS.isdisjoint(document)
    strict.only(document, _VENDOR_KEYS | (_NEW_VENDOR_KEYS if more else frozenset()), what)
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
    if signature.left_out is not None and signature.left_out.count >= signature.listed:
        raise MalformedError(f"{what} covers nothing of what is carried")
    if signature.method not in METHODS:
        raise MalformedError(f"{what} has an unknown method", expected=" or ".join(METHODS))
    if not 1 <= len(trusted) <= (1 if signature.method == "key" else MAX_TRUSTED):
        raise MalformedError(f"{what} has nothing to verify it with, or too much")
    if any(type(pem) is not str or not pem.isascii() or len(pem) > MAX_PEM for pem in trusted):
        raise MalformedError(f"{what} does not hold keys or certificates in PEM")
    return signature


def _file_from_json(document: Any) -> FileEntry:
    what = "release manifest: file"
    strict.only(document, _FILE_KEYS, what)
    return FileEntry(
        path=check_relative(strict.member(document, "path", str, what)),
        size=fields.count(document, "size", what),
        sha512=fields.digest(document, "sha512", what),
        sha256=fields.digest(document, "sha256", what, bits=256),
    )


def _requirement_from_json(document: Any) -> Requirement:
    what = "release manifest: requirement"
    strict.only(document, frozenset({"component", "needs", "version"}), what)
    return Requirement(
        component=fields.name(document, "component", what, COMPONENT_NAME),
        needs=fields.name(document, "needs", what, COMPONENT_NAME),
        version=fields.text(document, "version", what),
    )
