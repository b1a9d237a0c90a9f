"""Take a component over from an enclave at this depot's own level, with what it is there (SPEC L2.12).

The enclave is only read, and nothing that it holds is believed: its whole ledger is verified, its documents and files
have the digests that the ledger leads to. While it is read, no garbage is collected there.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from airlift.bundle import patterns, revocations
from airlift.bundle.component import source as sources
from airlift.bundle.component import variant
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.bundle.revocations import RELEASE
from airlift.errors import (
    AirliftError,
    ContentDamagedError,
    ForbiddenFileError,
    LedgerError,
    MalformedError,
    ManifestError,
    MarkingError,
    NotHeldError,
)
from airlift.intake.collect import Collected, Survey, Take, collect, judge
from airlift.ledger import audit
from airlift.ledger.audit import Audit
from airlift.ledger.enclave_folder import CONFIG, EnclaveFolder, read_config
from airlift.ledger.entries.kinds import BRINGING
from airlift.ledger.state import State
from airlift.low.depot import enclaves, revoked
from airlift.low.depot.depot import Depot
from airlift.low.release.vendor_signature import CheckedSignature
from airlift.policy.revocation import Finding, Revoked
from airlift.store.content import CountBytes
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import model_signing
from airlift.trust.tuf import root

KEPT = ("license", "parents", "accept", "replaces", "vendor_signature")
"""What a component keeps as it is there: a manifest does not say it again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a component is in an enclave, ``there``, and what becomes of it here; its files are not read yet.

    ``signature`` is its vendor's signature file, if it has one.
    """

    place: EnclaveFolder
    there: Component
    component: Component
    signature: bytes | None

    def survey(self) -> Survey:
        """Return where in the enclave its files lie.

        Raises:
            ContentDamagedError: one is missing, or has another size.
        """
        content = self.place.content
        for entry in self.there.files:
            if not content.holds(entry.sha512, entry.size):
                raise self._damaged(entry)
        return judge(self.component.name, {e.path: content.path(e.sha512) for e in self.there.files})

    def collect(self, found: Survey, take: Take, read: CountBytes) -> Collected:
        """Gather its files as those of any other component, under the waivers that it has there.

        Raises:
            ContentDamagedError: a file is not what the manifest of its release says.
            ForbiddenFileError: a file that a component may not hold; an objection that its waivers do not name.
        """
        there, name = self.there, self.component.name
        accepted = frozenset(waived.what for waived in there.accept)
        try:
            collected = collect(name, there.kind, found, take, read, accepted=accepted)
        except ForbiddenFileError:
            self._check_at_rest()
            raise
        for entry, gathered in zip(there.files, collected.entries, strict=True):
            if entry != gathered:
                raise self._damaged(entry, gathered.sha512)
        waived = {(item.what, path) for item in there.accept for path in item.files}
        for objection in collected.met:
            if (objection.what, objection.path) not in waived:
                raise ForbiddenFileError(
                    f"component {name}: {objection.message}",
                    expected=f"a waiver for {objection.what} that names it, in enclave {self.place.name}",
                    found=objection.found,
                    hint="release it from its files, with a waiver of its own",
                )
        return collected

    def check_signature(self, entries: Iterable[FileEntry]) -> CheckedSignature | None:
        """Return its vendor's signature after verifying it over what was gathered, if it has one.

        Raises:
            AirliftError: as :func:`airlift.trust.statements.model_signing.verify_model`.
        """
        stated = self.component.vendor_signature
        if stated is None or self.signature is None:
            return None
        digests = {entry.path: entry.sha256 for entry in entries}
        may_lack = partial(patterns.may_lack, sources.first(self.there.source))
        try:
            model_signing.verify_model(self.signature, digests, stated.method, stated.trusted, may_lack)
        except AirliftError as error:
            error.message = f"component {self.component.name}: {error.message}"
            raise
        return CheckedSignature(stated, self.signature)

    def _check_at_rest(self) -> None:
        """Tell damage from what was never fit to cross: a file that lost its digest is the enclave's trouble."""
        for entry in self.there.files:
            if self.place.content.verified_stamp(entry.sha512, lambda _count: None) is None:
                raise self._damaged(entry)

    def _damaged(self, entry: FileEntry, found: str = "") -> ContentDamagedError:
        return ContentDamagedError(
            f"component {self.component.name}: {entry.path} is damaged in enclave {self.place.name}",
            expected=entry.sha512,
            found=found,
            hint=f"see what else is: `airlift high check --enclave {self.place.folder}`",
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A component as a manifest names it, complete: with name, kind and version; ``taken`` if an enclave holds it."""

    item: Mapping[str, Any]
    taken: Taken | None = None

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.item["name"])


@dataclass(frozen=True, slots=True)
class _Enclaves:
    """The enclaves of one manifest, as they were read: what was verified of each ledger, by folder."""

    depot: Depot
    audits: dict[Path, Audit] = field(default_factory=dict)

    def take(self, place: EnclaveFolder, item: Mapping[str, Any]) -> Taken:
        """Return what a component is there, and here; read again while other commands change the enclave."""
        return place.look(partial(self._take, place, item))

    def _take(self, place: EnclaveFolder, item: Mapping[str, Any], state: State) -> Taken:
        self._verify(place, state)
        release = _release(place, state, item["source"].get("release"))
        there = _component(place, release, item["source"]["component"])
        if there.variant is not None and there.name not in state.held_variants(release.digest):
            raise NotHeldError(
                f"the variant {there.name} of {there.folder} is not held in enclave {place.name}",
                expected="one of " + ", ".join(state.held_variants(release.digest)),
            )
        self._check_revoked(place, replace(release, components=(there,)), release.digest, state)
        here = replace(
            there,
            name=item.get("name", there.name),
            source=self._source(place, release, there),
            marking=_marking(place, item, there.marking or release.marking),
            variant=variant.authored(item),
        )
        _check_item(place, item, here)
        stated = there.vendor_signature
        data = None if stated is None else place.history.load(stated.sha512, model_signing.MAX_BYTES)
        return Taken(place, there, here, data)

    def _check_revoked(self, place: EnclaveFolder, alone: Release, digest: str, state: State) -> None:
        """Check that nothing of a component, ``alone``, is revoked there, nor its release: it would run elsewhere."""
        hint = f"take over another version; what is revoked is told by `airlift high status --enclave {place.folder}`"
        known = _revoked_there(place, state)
        revoked.check_release(alone, known, hint)
        for item in known.entries:
            if (item.kind, item.digest) == (RELEASE, digest):
                error = Finding(item, f"release {alone.label}").error()
                error.hint = hint
                raise error

    def _verify(self, place: EnclaveFolder, state: State) -> None:
        """Verify the whole ledger, by the key that it was enrolled with if it was."""
        known = self.audits.get(place.folder)
        if known is not None and known.size == state.size:
            return
        enrolled = place.name in enclaves.names(self.depot)
        pem = enclaves.load(self.depot, place.name).ledger_key if enrolled else None
        key = PublicKey.from_pem(pem.encode()) if pem else None
        with place.ledger(key=key) as log:
            self.audits[place.folder] = audit.verify_log(log, key)

    def _source(self, place: EnclaveFolder, release: Release, there: Component) -> dict[str, Any]:
        """Return the source that the release manifest states (SPEC 5.1-17)."""
        proven = self.audits[place.folder]
        with place.ledger() as log:
            entries = [e.index for e in log.entries(0, proven.size, types=BRINGING, release=release.digest)]
        if not entries:
            raise LedgerError(f"no entry of {place.ledger_path} brought release {release.label}")
        source = {
            "kind": sources.ENCLAVE,
            "enclave": place.name,
            "release": {"digest": release.digest, "name": release.name, "version": release.version},
            "component": there.name,
            "entry": entries[-1],
            "size": proven.size,
            "root": proven.root.hex(),
            "origin": there.source,
        }
        try:
            return sources.from_json(source, more=True)
        except MalformedError as error:
            raise ManifestError(error.message, expected=error.expected, found=error.found) from error


@contextmanager
def holding(depot: Depot, items: Iterable[Mapping[str, Any]], folder: Path) -> Iterator[tuple[Part, ...]]:
    """Give the components that a manifest in ``folder`` names, by name; what they take from enclaves stays there.

    Raises:
        UncheckedError: there is no enclave, or it cannot be read; BusyError: it is changed all the time.
        LedgerError, SignatureError, MalformedError: its record was changed.
        NotHeldError: it does not hold the release, or the component.
        ManifestError: the manifest says otherwise what the component is there.
        MarkingError: the manifest lowers its marking.
        RevokedError: it is revoked there.
    """
    read = _Enclaves(depot)
    with ExitStack() as held:
        parts = []
        for item in items:
            if "enclave" not in item["source"]:
                parts.append(Part(item))
                continue
            place = _open(folder / item["source"]["enclave"])
            held.enter_context(place.reading())
            taken = read.take(place, item)
            here = taken.component
            parts.append(Part({**item, "name": here.name, "kind": here.kind, "version": here.version}, taken))
        yield tuple(sorted(parts, key=lambda part: part.name))


def _revoked_there(place: EnclaveFolder, state: State) -> Revoked:
    """Return what is revoked in an enclave: every list that it recorded, less what root lifts (SPEC 7.9-1).

    Raises:
        LedgerError: a list is missing or changed. TrustStateError: a root is.
    """
    found = (place.history.load(digest, revocations.MAX_BYTES) for digest in state.revocations)
    entries = [item for data in found for item in revocations.parse(data)]
    if not entries:
        return Revoked()
    roots = place.load_roots()
    return Revoked.in_force(entries, root.lifted(roots[max(roots)]))


def check_outside(component: str, paths: Iterable[Path]) -> None:
    """Check that files that a manifest names by a path lie in no enclave: so they would lose marking and provenance.

    Raises:
        ManifestError: one does.
    """
    for folder in dict.fromkeys(path.parent for path in paths):
        for place in (folder, *folder.parents):
            if (place / CONFIG).is_file() and EnclaveFolder(place, "").ledger_path.is_file():
                raise ManifestError(
                    f"component {component}: its source lies in an enclave",
                    expected="a source that is the enclave, and a component of it",
                    found=str(folder),
                    hint=f"take it over: `source: {{enclave: {place}, component: NAME}}`",
                )


def _open(folder: Path) -> EnclaveFolder:
    config = read_config(
        folder, "correct `enclave` of the source: it is the enclave's folder, from the manifest's"
    )
    return EnclaveFolder(folder.absolute(), config["enclave"])


def _release(place: EnclaveFolder, state: State, reference: str | None) -> Release:
    if reference is not None:
        return place.find_release(reference, state)
    if state.active is None:
        raise NotHeldError(
            f"no release is active in enclave {place.name}",
            expected="an active release, or `release` in the source",
            hint=f"see what it holds: `airlift high list --enclave {place.folder}`",
        )
    return place.load_release(state.active)


def _component(place: EnclaveFolder, release: Release, name: str) -> Component:
    for component in release.components:
        if component.name == name:
            return component
    raise NotHeldError(
        f"release {release.label} in enclave {place.name} has no component {name}",
        expected="one of " + ", ".join(component.name for component in release.components),
    )


def _marking(place: EnclaveFolder, item: Mapping[str, Any], there: Marking) -> Marking:
    """Return the marking of a component here: what it is there, or what the manifest raises it to."""
    if "marking" not in item:
        return there
    own = Marking.from_authored(item["marking"])
    if not own.covers(there):
        name = item.get("name", item["source"]["component"])
        raise MarkingError(
            f"component {name}: the manifest lowers the marking that it has in enclave {place.name}",
            expected=f"{there}, or what covers it",
            found=str(own),
            hint="raise `marking` of the component, or leave it out: it is what it is there then",
        )
    return own


def _check_item(place: EnclaveFolder, item: Mapping[str, Any], here: Component) -> None:
    """Check that a manifest does not say of a component what it is not, or keeps anyway."""
    for key, held in (("kind", here.kind), ("version", here.version)):
        if item.get(key, held) != held:
            raise ManifestError(
                f"component {here.name}: its {key} is another one in enclave {place.name}",
                expected=held,
                found=item[key],
                hint=f"leave `{key}` out: it is taken over",
            )
    for key in KEPT:
        if key in item:
            raise ManifestError(
                f"component {here.name}: `{key}` is taken over from enclave {place.name}",
                expected=f"no `{key}` beside a source that is an enclave",
                hint=f"leave `{key}` out",
            )
