"""Facts: all that an export or a report may say about an enclave, verified by whoever gathered it (SPEC 15)."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.fields import Marking, parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.ledger import details
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entries.kinds import SWITCHES
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entry import Entry
from airlift.policy.demands import BUILD, RELEASE
from airlift.policy.document import Policy
from airlift.policy.quorum import Case
from airlift.policy.votes import Vote, last_votes
from airlift.trust.statements.statement import STATING


@dataclass(frozen=True, slots=True)
class Signatory:
    """A key that signed, its holder's name as root or policy gives it, and whether its signature was verified."""

    key_id: str
    holder: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation: ``kind`` is scan, approval, evaluation, custody, provenance or other.

    ``digest`` is the SHA-512 of the DSSE envelope, ``subject`` that of the release or bundle manifest that it is
    about; ``entry`` and ``time`` say which entry recorded it, and when; ``passes`` whether it speaks for its subject.
    ``statement`` is the SHA-512 of what was signed, ``made`` when that says that it was made, None if it does not.
    """

    digest: str
    kind: str
    predicate_type: str
    subject: str
    signers: tuple[Signatory, ...]
    predicate: Mapping[str, Any]
    entry: int
    time: str
    envelope: bytes
    passes: bool
    statement: str
    made: str | None

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of the keys that verifiably signed."""
        return tuple(signer.key_id for signer in self.signers if signer.verified)

    @property
    def vote(self) -> Vote:
        """The statement as those who signed it count in a quorum."""
        return Vote(self.keys, self.passes, self.entry, self.made, self.statement)


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The ledger as it was read: origin, size in entries, root (48 bytes), newest checkpoint note, its public key.

    ``key_id`` is that key's id, ``scheme`` what it signs with.

    ``counts`` says how many entries of each type there are. ``witnesses`` are the names under which keys that whoever
    asked knows verifiably signed the newest checkpoint, ``claimed`` the names on its other lines.
    """

    origin: str
    size: int
    root: bytes
    checkpoint: bytes
    public_key: bytes
    fingerprint: str
    scheme: str
    key_id: str
    counts: Mapping[str, int]
    witnesses: tuple[str, ...]
    claimed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an enclave at ``generated`` (RFC 3339, UTC); releases and bundles by digest (SHA-512 hex).

    ``entries`` are those that documents may mention, in order (SPEC 15.1-2); ``omitted`` counts the others.
    ``marking`` is the highest among the releases. ``voters`` are the ids of the keys that policy counts for
    each kind. ``names`` are pairs of a key's id and a name that it has, ``issued`` the issue times of bundles of
    trusted keys by the entry that committed them, ``reference`` the reference time (SPEC 7.2-3).
    """

    enclave: str
    generated: str
    version: str
    marking: Marking
    ledger: LedgerFacts
    active: str | None
    previous: str | None
    installed: tuple[str, ...]
    releases: Mapping[str, Release]
    bundles: Mapping[str, Bundle]
    entries: tuple[Entry, ...]
    omitted: int
    attestations: tuple[Attested, ...]
    policy: Policy
    policy_digest: str
    voters: Mapping[str, frozenset[str]]
    names: tuple[tuple[str, str], ...]
    issued: Mapping[int, str]
    reference: str
    controls: Mapping[str, Any]

    @property
    def active_release(self) -> Release | None:
        """The release that runs, if any."""
        return self.releases.get(self.active) if self.active else None

    def switch(self) -> Entry | None:
        """Return the entry that last made the active release active, if any is."""
        found = (e for e in reversed(self.entries) if e.type in SWITCHES and e.release == self.active)
        return next(found, None) if self.active is not None else None

    def imports(self) -> tuple[Entry, ...]:
        """Return the import-commit entries, in order: who signed what came in is in their details."""
        return tuple(entry for entry in self.entries if entry.type == ImportCommit.TYPE)

    def entry(self, index: int) -> Entry:
        """Return the entry at ``index``, which must be one of :attr:`entries`."""
        return self.entries[bisect_left(self.entries, index, key=lambda entry: entry.index)]

    def votes(self, digest: str, kind: str) -> Mapping[str, bool]:
        """Return what each known key says in the end about a release or bundle (SPEC 4.5-5), by its id.

        Provenance states and does not judge: who states it speaks for what it is about.
        """
        return last_votes(
            replace(item.vote, passes=item.passes or kind in STATING)
            for item in self.about(digest)
            if item.kind == kind
        )

    def case(self, release: str, before: int | None = None) -> Case:
        """Return what quorums judge a release by (SPEC 4.5-13).

        With ``before`` only what entries before that index recorded is known: the reference time is the newest of
        the issue times until then, or that of now if there is none.
        """
        said = [item for item in self.about(release) if before is None or item.entry < before]
        issued = {index: time for index, time in self.issued.items() if before is None or index < before}
        own = (self.ledger.key_id,) if self.registrations(release) else ()
        brought = self.imported(release)
        commits = [e for e in self.imports() if e.release == brought and (before is None or e.index < before)]
        imported = [details.read(entry, ImportCommit) for entry in commits]
        known = self.reference if before is None else max(issued.values(), default=self.reference)
        return Case(
            votes={kind: [item.vote for item in said if item.kind == kind] for kind in self.voters},
            voters=self.voters,
            reference=parse_time(known),
            roles={
                BUILD: frozenset(own).union(key for item in imported for key in item.bundler_keys),
                RELEASE: frozenset(key for item in imported for key in item.release_keys),
            },
            names=(*self.names, *(pair for item in imported for pair in item.holders.items())),
            issued=issued,
        )

    def registrations(self, release: str) -> tuple[Entry, ...]:
        """Return the entries by which a release was made here, its own first; none if it was imported (SPEC 8.6)."""
        entries = {entry.release: entry for entry in self.entries if entry.type == Registration.TYPE}
        found: list[Entry] = []
        while release in entries:
            found.append(entries[release])
            release = details.read(entries[release], Registration).base.digest
        return tuple(found)

    def imported(self, release: str) -> str:
        """Return the imported release (digest) that a registered one was made from; itself if it was imported."""
        made = self.registrations(release)
        return details.read(made[-1], Registration).base.digest if made else release

    def about(self, digest: str) -> tuple[Attested, ...]:
        """Return the attestations about the release or bundle with this digest."""
        return tuple(item for item in self.attestations if item.subject == digest)

    def carriers(self, release: str) -> tuple[str, ...]:
        """Return the bundles (digests) that carried the release with this digest, in the order of their imports."""
        return tuple(
            digest
            for digest, bundle in self.bundles.items()
            if bundle.target is not None and bundle.target.digest == release
        )

    def components(self) -> tuple[Component, ...]:
        """Return every distinct component of the releases known, by name, version and digest."""
        found = {
            (c.name, c.version, c.digest): c for release in self.releases.values() for c in release.components
        }
        return tuple(found[key] for key in sorted(found))
