"""The release manifest: every component and file of a release, signed by the release authority (SPEC 5.1).

>>> from airlift.bundle.fields import Marking
>>> manifest = Release("assistant", "1", Marking("UNCLASSIFIED"), "", (), ())
>>> parse(format(manifest)) == manifest
True
"""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.component import component as components
from airlift.bundle.component.component import OLD_KINDS, Component
from airlift.bundle.component.file_entry import MAX_FILES, FileEntry
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.fields import COMPONENT_NAME, VERSION, Marking
from airlift.bundle.paths import check_no_collision, check_relative
from airlift.errors import MalformedError

NEWEST_FORMAT = 2
MAX_BYTES = 64 << 20
MAX_COMPONENTS = 1024
MAX_REQUIREMENTS = 4096

PIECE_BYTES = 16 << 20
"""Content that is larger consists of pieces of so many bytes, the last one perhaps of fewer (SPEC 5.8)."""
MAX_TABLE_BYTES = 64 << 20
"""How long the table of pieces of a release may be: 64 bytes a piece."""

_KEYS = frozenset({"name", "version", "marking", "notes", "components", "requires"})
_NEW_KEYS = frozenset({"pieces"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """Component ``component`` may only be active beside ``needs`` (a kind, or else a name) within ``version``."""

    component: str
    needs: str
    version: str


@dataclass(frozen=True)
class Release:
    """An immutable set of components; named ``name@version``.

    In a choice it is without some variants: these are ``omitted``. It is the same release all the same: its digest
    and its manifest are those of all (SPEC 5.7-4). ``pieces`` is the SHA-512 (hex) of its table of pieces, None if it
    states none (SPEC 5.8).
    """

    name: str
    version: str
    marking: Marking
    notes: str
    components: tuple[Component, ...]
    requires: tuple[Requirement, ...]
    omitted: tuple[Component, ...] = ()
    pieces: str | None = None

    @property
    def label(self) -> str:
        """The name that people use."""
        return f"{self.name}@{self.version}"

    @cached_property
    def digest(self) -> str:
        """SHA-512 (hex) of the canonical manifest."""
        return hashlib.sha512(format(self)).hexdigest()

    @property
    def whole(self) -> tuple[Component, ...]:
        """All its components, those that are omitted included, sorted by name."""
        if not self.omitted:
            return self.components
        return tuple(sorted((*self.components, *self.omitted), key=lambda component: component.name))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of its variants that are not omitted, sorted; none if it has no variants."""
        return tuple(component.name for component in self.components if component.variant is not None)

    def variants(self) -> dict[str, tuple[Component, ...]]:
        """Map the name of each component that comes in variants to these, omitted ones included; sorted."""
        found: dict[str, tuple[Component, ...]] = {}
        for component in self.whole:
            if component.variant is not None:
                found[component.folder] = (*found.get(component.folder, ()), component)
        return dict(sorted(found.items()))

    def only(self, names: Collection[str]) -> "Release":
        """Return the same release with those of its variants alone that have one of these names."""
        if all(component.variant is None for component in self.whole):
            return self
        parts: tuple[list[Component], list[Component]] = ([], [])
        for component in self.whole:
            parts[component.variant is not None and component.name not in names].append(component)
        return replace(self, components=tuple(parts[0]), omitted=tuple(parts[1]))

    def files(self) -> Iterator[tuple[Component, FileEntry]]:
        """Every file with its component, in manifest order."""
        return ((component, entry) for component in self.components for entry in component.files)

    def digests(self) -> frozenset[str]:
        """Return the digests (SHA-512 and SHA-256, hex) of all its files: what its import is found by in a ledger.

        Those of omitted variants are among them.
        """
        return frozenset(
            digest
            for component in self.whole
            for entry in component.files
            for digest in (entry.sha512, entry.sha256)
        )

    def vendor_signatures(self) -> tuple[VendorSignature, ...]:
        """Return the vendors' signatures over all its components, omitted variants included, in manifest order."""
        return tuple(c.vendor_signature for c in self.whole if c.vendor_signature is not None)

    def names_kind(self, needs: str) -> bool:
        """Say whether ``needs`` of a requirement is a kind, not a name.

        The kinds that format 2 added are names where nothing is of them: a component may have been called so before.
        """
        return needs in OLD_KINDS or any(component.kind == needs for component in self.components)

    def contents(self) -> dict[str, int]:
        """Map each distinct SHA-512 to its size in bytes, in manifest order."""
        return {entry.sha512: entry.size for _, entry in self.files()}

    def large_contents(self) -> dict[str, int]:
        """Map each distinct SHA-512 of content that consists of pieces to its size in bytes, in ascending order.

        That of omitted variants is among them.
        """
        entries = (entry for component in self.whole for entry in component.files)
        return dict(
            sorted({entry.sha512: entry.size for entry in entries if entry.size > PIECE_BYTES}.items())
        )


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
            "components": [component.to_json() for component in release.whole],
            "requires": [
                {"component": r.component, "needs": r.needs, "version": r.version} for r in release.requires
            ],
            **({"pieces": release.pieces} if release.pieces else {}),
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
    more = type(document) is dict and document.get("airlift") == NEWEST_FORMAT
    keys = _KEYS | (_NEW_KEYS if more else frozenset())
    fields.check_header(document, "release", keys, what, newest=NEWEST_FORMAT)
    listed = strict.member(document, "components", list, what)
    requires = strict.member(document, "requires", list, what)
    if len(listed) > MAX_COMPONENTS:
        raise MalformedError(f"{what} has too many components", expected=f"at most {MAX_COMPONENTS}")
    if len(requires) > MAX_REQUIREMENTS:
        raise MalformedError(f"{what} has too many requirements", expected=f"at most {MAX_REQUIREMENTS}")
    release = Release(
        name=fields.name(document, "name", what, COMPONENT_NAME),
        version=fields.name(document, "version", what, VERSION),
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        notes=fields.text(document, "notes", what),
        components=tuple(components.from_json(item, more=more) for item in listed),
        requires=tuple(_requirement_from_json(item) for item in requires),
        pieces=fields.digest(document, "pieces", what) if "pieces" in document else None,
    )
    if _number(release) != document["airlift"]:
        raise MalformedError(f"{what} states a format that nothing in it needs", found=str(NEWEST_FORMAT))
    _check_set(release)
    _check_markings(release)
    _check_pieces(release)
    return release


def _number(release: Release) -> int:
    """Return the format that a manifest states: that in which all its members are known."""
    new = release.pieces or any(component.is_new for component in release.whole)
    return NEWEST_FORMAT if new else fields.FORMAT


def _check_pieces(release: Release) -> None:
    """Check that a release that states pieces has some, and not too many (SPEC 5.8-1)."""
    count = (
        sum(-(-size // PIECE_BYTES) for size in release.large_contents().values()) if release.pieces else 1
    )
    if not 0 < count <= MAX_TABLE_BYTES // 64:
        raise MalformedError(
            "release manifest states pieces, and has none or too many",
            expected=f"1 to {MAX_TABLE_BYTES // 64}, of content of more than {PIECE_BYTES} bytes",
            found=str(count),
        )


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
    _check_variants(release, names)
    taken = {*names, *release.variants()}
    for component in release.components:
        _check_replaced(component, taken)
    sizes: dict[str, tuple[int, str]] = {}
    total = 0
    for _, entry in release.files():
        total += 1
        if sizes.setdefault(entry.sha512, (entry.size, entry.sha256)) != (entry.size, entry.sha256):
            raise MalformedError("release manifest: one SHA-512 stands with two sizes or SHA-256 digests")
    if total > MAX_FILES:
        raise MalformedError("release manifest has too many files", expected=f"at most {MAX_FILES}")


def _check_variants(release: Release, names: list[str]) -> None:
    """Check that variants of one component can stand for each other, and nothing else for it (SPEC 5.7-1, 5.7-3)."""
    varied = release.variants()
    for of, items in varied.items():
        if of in names:
            raise MalformedError("release manifest: variants of what is a component itself", found=of)
        if len({(item.kind, item.version) for item in items}) > 1:
            raise MalformedError(f"release manifest: variants of {of} have several kinds or versions")
        labels = [set(item.variant.labels) for item in items if item.variant is not None]
        if any(one <= other for one, other in permutations(labels, 2)):
            raise MalformedError(
                f"release manifest: the labels of one variant of {of} are all among those of another"
            )
    check_no_collision(sorted(check_relative(name) for name in {c.folder for c in release.components}))
    own = set(release.chosen)
    for requirement in release.requires if varied else ():
        named = {requirement.component, requirement.needs} & own
        if named:
            raise MalformedError(
                f"release manifest: a requirement names one variant, {min(named)}",
                expected="the name of what it is a variant of",
            )


def _check_replaced(component: Component, names: Collection[str]) -> None:
    replaced = component.replaces
    if list(replaced) != sorted(set(replaced)):
        raise MalformedError("release manifest: 'replaces' must be sorted and distinct")
    there = [name for name in replaced if name in names]
    if there:
        raise MalformedError(
            f"release manifest: component {component.name} replaces one that is in the release",
            found=there[0],
        )


def _requirement_from_json(document: Any) -> Requirement:
    what = "release manifest: requirement"
    strict.only(document, frozenset({"component", "needs", "version"}), what)
    return Requirement(
        component=fields.name(document, "component", what, COMPONENT_NAME),
        needs=fields.name(document, "needs", what, COMPONENT_NAME),
        version=fields.text(document, "version", what),
    )
