"""Where things come from: trees of nodes for ``provenance show`` and ``trace`` (SPEC 9.9). Pure.

The tree of a subject reads downwards to what it comes from: a component to its files and their source, its licence,
what it was made from and who vouched for it, to the releases that contain it; a release to the bundles that brought
it and to what was attested of it; a bundle to its baseline, what its delta was coded with, its volumes, its signers,
its ledger entries. The caller loads the manifests from history/ and has verified them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.errors import NotHeldError
from airlift.ledger import details
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entry import Entry
from airlift.trust.statements.statement import STATING

PREFIX_HEX = 8
_Key = tuple[str, str, str]
MAX_EXPANDED = 64
"""How many releases one tree expands; further ones are named only."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in a lineage: ``relation`` says how the node above it comes from it.

    ``kind`` is ``component``, ``file``, ``source``, ``data``, ``licence``, ``vendor-signature``, ``release``,
    ``bundle``, ``volume``, ``delta``, ``attestation``, ``key`` or ``entry``. Every name, version and digest stands as
    it is in a manifest or an entry (a number in decimal), or is ``hub:REPO``, ``path:PATH``, ``oci:REFERENCE``,
    ``registered:ENCLAVE``, ``enclave:ENCLAVE/COMPONENT`` or ``entry N (type)``: so an answer can be held against what
    proves it (SPEC 9.11).
    """

    kind: str
    name: str
    version: str | None
    digest: str | None
    relation: str
    parents: tuple["Node", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the node and, recursively, its parents as plain values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "relation": self.relation,
            "parents": [parent.to_json() for parent in self.parents],
        }


@dataclass(frozen=True, slots=True)
class Record:
    """What the lineage is drawn from: manifests by digest (hex), and entries of the ledger in order.

    The other fields follow from these: what releases contain, entries about bundles, what was attested of things.
    """

    releases: Mapping[str, Release]
    bundles: Mapping[str, Bundle]
    entries: Sequence[Entry]
    contained: dict[str, tuple[_Key, ...]] = field(init=False, repr=False, compare=False)
    about: dict[str, list[Entry]] = field(init=False, repr=False, compare=False)
    attested: dict[str, list[tuple[RecordedAttestation, Entry]]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        about: dict[str, list[Entry]] = {}
        attested: dict[str, list[tuple[RecordedAttestation, Entry]]] = {}
        for entry in self.entries:
            bundle = details.bundle_manifest(entry)
            if bundle is not None:
                about.setdefault(bundle, []).append(entry)
            for item in details.attestations(entry):
                attested.setdefault(item.subject, []).append((item, entry))
        contained = {d: tuple(map(_key, release.components)) for d, release in self.releases.items()}
        for name, value in (("about", about), ("attested", attested), ("contained", contained)):
            object.__setattr__(self, name, value)


def trace(record: Record, subject: str) -> tuple[Node, ...]:
    """Return the lineage of everything that ``subject`` names.

    A subject is a component's or release's name, ``name@version``, a bundle id, or the digest (or 8 or more of its
    first hex digits) of a component, release, bundle or file.

    Raises:
        NotHeldError: nothing has that name or digest.
    """
    found = tuple(_subjects(record, subject))
    if not found:
        raise NotHeldError("nothing in the record has this name or digest", found=ascii(subject[:140]))
    return found


def of_release(record: Record, digest: str, relation: str = "subject") -> Node:
    """Return the lineage of a release: its components, the bundles that brought it, its attestations."""
    return _release(record, digest, relation, set())


def of_bundle(record: Record, digest: str, relation: str = "subject") -> Node:
    """Return the lineage of a bundle: its target, baseline, signers and ledger entries."""
    return _bundle(record, digest, relation, set())


def of_component(record: Record, component: Component, relation: str = "subject") -> Node:
    """Return the lineage of a component: its files, their source, and the releases that contain it."""
    node = _component(component, relation)
    return replace(node, parents=(*node.parents, *_containing(record, component)))


# -- finding the subject -------------------------------------------------------------------------------------------


def _subjects(record: Record, subject: str) -> Iterator[Node]:
    for digest, release in record.releases.items():
        if subject in {release.name, release.label} or _is(subject, digest):
            yield of_release(record, digest)
    for digest, bundle in record.bundles.items():
        if subject == bundle.id or _is(subject, digest):
            yield of_bundle(record, digest)
    for (name, version, digest), component in _distinct(record).items():
        names = {name, component.folder}
        if subject in names | {f"{one}@{version}" for one in names} or _is(subject, digest):
            yield of_component(record, component)
    yield from _files(record, subject)


def _files(record: Record, subject: str) -> Iterator[Node]:
    """Yield every file with this digest; its parents are the components that hold it."""
    holders: dict[FileEntry, list[Component]] = {}
    for component in _distinct(record).values():
        for file in component.files:
            if _is(subject, file.sha512) or _is(subject, file.sha256):
                holders.setdefault(file, []).append(component)
    for file, components in holders.items():
        parents = (_holder(record, component) for component in components)
        yield replace(_file(file, "subject"), parents=tuple(parents))


def _holder(record: Record, component: Component) -> Node:
    """Return a component as the parent of one of its files: its other files are left out."""
    return _node(
        component,
        "part-of",
        (_source(component.source), *_origins(component), *_containing(record, component)),
    )


def _distinct(record: Record) -> dict[_Key, Component]:
    """Return every component once, whatever number of releases contain it."""
    found: dict[_Key, Component] = {}
    for digest, release in record.releases.items():
        for key, component in zip(record.contained[digest], release.components, strict=True):
            found.setdefault(key, component)
    return found


def _is(subject: str, digest: str) -> bool:
    return len(subject) >= PREFIX_HEX and digest.startswith(subject.lower())


# -- nodes ---------------------------------------------------------------------------------------------------------


def _containing(record: Record, component: Component) -> Iterator[Node]:
    seen: set[str] = set()
    key = _key(component)
    for digest, keys in record.contained.items():
        if key in keys:
            yield _release(record, digest, "part-of", seen, components=False)


def _key(component: Component) -> _Key:
    """Return what makes two components the same one."""
    return component.name, component.version, component.digest


def _release(record: Record, digest: str, relation: str, seen: set[str], *, components: bool = True) -> Node:
    """Return a release; each is expanded once in a tree, and named wherever it turns up again."""
    release = record.releases.get(digest)
    name, version = (release.name, release.version) if release is not None else ("unknown", None)
    if digest in seen or len(seen) >= MAX_EXPANDED:
        return Node("release", name, version, digest, relation)
    seen.add(digest)
    parents: list[Node] = []
    if components and release is not None:
        left = _left_out(record, digest)
        parents += (
            _component(component, "leaves-out" if _key(component) in left else "contains")
            for component in release.components
        )
    for bundle_digest, bundle in record.bundles.items():
        if bundle.target is not None and bundle.target.digest == digest:
            parents.append(_bundle(record, bundle_digest, "carried-by", seen))
    parents += _registrations(record, digest, seen)
    parents += _attestations(record, digest)
    return Node("release", name, version, digest, relation, tuple(parents))


def _left_out(record: Record, digest: str) -> set[_Key]:
    """Return the variants of a release that no import of it brought (SPEC 9.9-4)."""
    said = [details.variants(entry) for entry in record.entries if entry.release == digest]
    lists = [{(c.name, c.version, c.digest) for c in item.left_out} for item in said if item is not None]
    return set.intersection(*lists) if lists else set()


def _registrations(record: Record, digest: str, seen: set[str]) -> Iterator[Node]:
    """Yield what a registered release was made from, and which entry recorded it (SPEC 8.6)."""
    for entry in record.entries:
        if entry.type == Registration.TYPE and entry.release == digest:
            base = details.read(entry, Registration).base
            if base.digest in record.releases:
                yield _release(record, base.digest, "made-from", seen, components=False)
            else:
                yield _named_release("made-from", base.digest, base.name, base.version)
            yield _entry(entry, "recorded-in")


def _bundle(record: Record, digest: str, relation: str, seen: set[str]) -> Node:
    bundle = record.bundles[digest]
    entries = record.about.get(digest, [])
    parents: list[Node] = []
    if relation == "subject" and bundle.target is not None:
        parents.append(
            _named_release("carries", bundle.target.digest, bundle.target.name, bundle.target.version)
        )
    if bundle.baseline is not None and bundle.baseline.digest in record.releases:
        parents.append(_release(record, bundle.baseline.digest, "delta-from", seen, components=False))
    elif bundle.baseline is not None:
        base = bundle.baseline
        parents.append(_named_release("delta-from", base.digest, base.name, base.version))
    commits = [details.read(entry, ImportCommit) for entry in entries if entry.type == ImportCommit.TYPE]
    parents += (node for commit in commits for node in (*_transfer(commit), *_signers(commit)))
    parents += _attestations(record, digest)
    parents += (_entry(entry, "recorded-in") for entry in entries)
    return Node("bundle", bundle.id, str(bundle.sequence), digest, relation, tuple(parents))


def _signers(commit: ImportCommit) -> Iterator[Node]:
    """Yield the keys that signed what an import committed: by role, with the holder that root names."""
    for role, keys in sorted(commit.signers.items()):
        for key in keys:
            yield Node("key", commit.holder(key), None, key, f"signed-by {role}")


def _transfer(commit: ImportCommit) -> Iterator[Node]:
    """Yield what a delta was coded with (codec, and the bytes that it rebuilt), and the volumes that it came on."""
    for codec, count in sorted(commit.codecs.items()):
        yield Node("delta", codec, str(count), None, "coded-with")
    for name in commit.volume_names:
        yield Node("volume", name, None, None, "came-on")


def _attestations(record: Record, subject: str) -> Iterator[Node]:
    """Yield what was attested of a release or bundle: by whom, and which entry recorded it."""
    return (_attestation(item, entry) for item, entry in record.attested.get(subject, ()))


def _attestation(item: RecordedAttestation, entry: Entry) -> Node:
    relation = "attested-by" if item.passes or item.kind in STATING else "disputed-by"
    verb = "approved-by" if item.kind == "approval" and item.passes else "signed-by"
    keys = (Node("key", holder, None, key, verb) for key, holder in sorted(item.holders.items()))
    parents = (*keys, _entry(entry, "recorded-in"))
    return Node("attestation", item.kind, None, item.sha512, relation, parents)


def _named_release(relation: str, digest: str, name: str, version: str) -> Node:
    return Node("release", name, version, digest, relation)


def _component(component: Component, relation: str) -> Node:
    source = _source(component.source)
    files = (replace(_file(file, "consists-of"), parents=(source,)) for file in component.files)
    return _node(component, relation, (*files, *_origins(component)))


def _origins(component: Component) -> Iterator[Node]:
    """Yield a component's licence, what it was made from and with, and the vendor's signature over it."""
    if component.license:
        yield Node("licence", component.license, None, None, "licensed-under")
    for parent in component.parents:
        yield Node("component", parent.name, parent.version, parent.digest or None, parent.relation)
    for item in component.data:
        yield Node("data", item.name, item.version, item.sha512 or None, "made-with")
    if component.vendor_signature is not None:
        stated = component.vendor_signature
        yield Node("vendor-signature", stated.method, None, stated.sha512, "vouched-for-by")


def _node(component: Component, relation: str, parents: tuple[Node, ...]) -> Node:
    return Node("component", component.name, component.version, component.digest, relation, parents)


def _file(file: FileEntry, relation: str) -> Node:
    return Node("file", file.path, None, file.sha512, relation)


def _source(source: dict[str, Any]) -> Node:
    """Return where a component was gathered: a hub's repository at a commit, an address, a path, or an enclave.

    Of an enclave that it was taken over from: by the entry, and in the release, that it was found in; and its source
    there.
    """
    kind = source.get("kind")
    if kind == sources.HUB:
        return Node("source", f"hub:{source.get('repo')}", str(source.get("revision")), None, "gathered-from")
    if kind in sources.FETCHED:
        return Node("source", sources.address(source), None, None, "gathered-from")
    if kind == sources.REGISTERED:
        return Node("source", f"registered:{source['enclave']}", None, None, "gathered-from")
    if kind == sources.ENCLAVE:
        there = source["release"]
        release = _named_release("part-of", there["digest"], there["name"], there["version"])
        place = f"enclave:{source['enclave']}/{source['component']}"
        above = (release, _source(source["origin"]))
        return Node("source", place, str(source["entry"]), there["digest"], "gathered-from", above)
    return Node("source", f"path:{source.get('path')}", None, None, "gathered-from")


def _entry(entry: Entry, relation: str) -> Node:
    return Node("entry", f"entry {entry.index} ({entry.type})", entry.time, None, relation)
