"""A component of a release: what it is called, what is in it, and what it was made of (SPEC 5.1)."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.component import data_set, file_entry, waiver
from airlift.bundle.component import parent as parents
from airlift.bundle.component import source as sources
from airlift.bundle.component import variant as variants
from airlift.bundle.component import vendor_signature as vendor_signatures
from airlift.bundle.component.data_set import DataSet
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.parent import Parent
from airlift.bundle.component.variant import Variant
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import COMPONENT_NAME, VERSION, Marking
from airlift.bundle.paths import check_no_collision
from airlift.errors import MalformedError

OLD_KINDS = ("model", "adapter", "guard", "policy", "blocklist", "prompt", "tokenizer", "data")
IMAGE, WHEELS, CHART, FILE = NEW_KINDS = ("image", "wheels", "chart", "file")
"""The kinds that format 2 added (SPEC 5.1-18)."""
KINDS = (*OLD_KINDS, *NEW_KINDS)
MAX_PARENTS = 64
MAX_REPLACED = 16

_KEYS = frozenset(
    {"name", "kind", "version", "license", "source", "parents", "vendor_signature", "digest", "files"}
)
# What format 2 added: each stands only where it says something (SPEC 5.1-12).
_NEW_KEYS = frozenset({"accept", "data", "marking", "replaces", "variant"})


@dataclass(frozen=True)
class Component:
    """One versioned, named thing of a release; ``source`` says where its files came from.

    ``accept`` is what is waived in it, ``marking`` its own marking, None if it has none beside its release's;
    ``replaces`` are names of components that it took the place of, ``data`` what it was made with. ``variant`` says
    what it is one of several forms of, None if it is none (SPEC 5.7).
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
    variant: Variant | None = None

    @property
    def folder(self) -> str:
        """The folder that its files lie in where it runs, which is the name that it is asked for by (SPEC 5.7-3)."""
        return self.name if self.variant is None else self.variant.of

    def answers_to(self, name: str) -> bool:
        """Say whether whoever asks for ``name`` means this component (SPEC 5.1-15, 5.7-3)."""
        return name == self.folder or name in self.replaces

    @cached_property
    def digest(self) -> str:
        """SHA-512 (hex) of the canonical list of [path, size, sha512]: the tree's identity."""
        return hashlib.sha512(strict.format([[f.path, f.size, f.sha512] for f in self.files])).hexdigest()

    @property
    def is_new(self) -> bool:
        """Say whether it is of a kind, or has a member, that only format 2 knows (SPEC 5.1-12)."""
        vendor = self.vendor_signature
        partial = vendor is not None and vendor.left_out is not None
        stated = self.accept or self.data or self.marking or self.replaces or self.variant
        return bool(stated or partial or sources.is_new(self.source) or self.kind in NEW_KINDS)

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        vendor = self.vendor_signature
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "license": self.license,
            "source": self.source,
            "parents": [parent.to_json() for parent in self.parents],
            "vendor_signature": vendor.to_json() if vendor is not None else None,
            "digest": self.digest,
            "files": [entry.to_json() for entry in self.files],
            **({"accept": [waived.to_json() for waived in self.accept]} if self.accept else {}),
            **({"data": [item.to_json() for item in self.data]} if self.data else {}),
            **({"marking": self.marking.to_json()} if self.marking else {}),
            **({"replaces": list(self.replaces)} if self.replaces else {}),
            **({"variant": self.variant.to_json()} if self.variant else {}),
        }


def from_json(document: Any, *, more: bool) -> Component:
    """Parse a component; ``more`` says that the members of format 2 may stand in it.

    Raises:
        MalformedError: anything in it breaks SPEC 5.1.
    """
    what = "release manifest: component"
    strict.only(document, _KEYS | (_NEW_KEYS if more else frozenset()), what)
    files = tuple(file_entry.from_json(item) for item in strict.member(document, "files", list, what))
    component = Component(
        name=fields.name(document, "name", what, COMPONENT_NAME),
        kind=strict.member(document, "kind", str, what),
        version=fields.name(document, "version", what, VERSION),
        license=fields.text(document, "license", what),
        source=sources.from_json(strict.member(document, "source", dict, what), more=more),
        files=files,
        parents=tuple(parents.from_json(item) for item in strict.member(document, "parents", list, what)),
        vendor_signature=_vendor_signature(document, more=more),
        accept=waiver.from_json(document["accept"], [f.path for f in files]) if "accept" in document else (),
        marking=Marking.from_json(document["marking"], what) if "marking" in document else None,
        replaces=_replaced(document, what) if "replaces" in document else (),
        data=data_set.from_json(document["data"]) if "data" in document else (),
        variant=variants.from_json(document["variant"]) if "variant" in document else None,
    )
    _check_parents(component)
    _check_made(component)
    _check_kind_and_files(component, what, KINDS if more else OLD_KINDS)
    if fields.digest(document, "digest", what) != component.digest:
        raise MalformedError(f"{what}: its digest does not match its files")
    return component


def _vendor_signature(document: dict[str, Any], *, more: bool) -> VendorSignature | None:
    if document.get("vendor_signature", 0) is None:
        return None
    what = "release manifest: vendor signature"
    return vendor_signatures.from_json(strict.member(document, "vendor_signature", dict, what), more=more)


def _replaced(document: dict[str, Any], what: str) -> tuple[str, ...]:
    names = strict.member(document, "replaces", list, what)
    if not 1 <= len(names) <= MAX_REPLACED or any(type(name) is not str for name in names):
        raise MalformedError(f"{what}: 'replaces' is no list of names", expected=f"1 to {MAX_REPLACED}")
    return tuple(fields.name({"replaces": name}, "replaces", what, COMPONENT_NAME) for name in names)


def _check_kind_and_files(component: Component, what: str, kinds: tuple[str, ...]) -> None:
    if component.kind not in kinds:
        raise MalformedError(
            f"{what} has an unknown kind", expected=", ".join(kinds), found=ascii(component.kind)
        )
    paths = [entry.path for entry in component.files]
    if not paths or paths != sorted(set(paths)):
        raise MalformedError(f"{what}: files must be sorted by path, distinct and at least one")
    check_no_collision(paths)


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
