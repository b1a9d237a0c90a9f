"""What is known of a depot and of enclaves by what was done to them: the reference, written from docs/SPEC.md.

Nothing here asks airlift. What cannot be told beforehand (digests, paths) comes from the answers of commands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.steps import rules
from tests.steps.media import Crossing, Subject
from tests.steps.memory import Memory

PENDING, PUBLISHED, DROPPED = "pending", "published", "dropped"
THRESHOLD = 2
RELEASERS = frozenset({"dan", "erin", "frank"})
ROOTS = frozenset({"alice", "bob", "carol"})

Claim = tuple[str, str, bool]
"""Kind of an attestation, whose key signed it, and whether it passes."""


@dataclass(eq=False, repr=False, slots=True)
class Release:
    """A release of the depot: its manifest as JSON, the file that a person wrote, and how far it has come."""

    label: str
    digest: str
    document: Mapping[str, Any]
    manifest: Path
    state: str = PENDING
    claims: list[Claim] = field(default_factory=list)

    def __repr__(self) -> str:
        return self.label

    @property
    def contents(self) -> frozenset[str]:
        """The SHA-512 of its files."""
        return frozenset(entry["sha512"] for part in self.document["components"] for entry in part["files"])


@dataclass(eq=False, repr=False, slots=True)
class Bundle:
    """A bundle: what it carries, and good copies of its volumes; ``listed`` are the bundles that its metadata lists.

    ``whom`` are the enclaves that it is for, none if it is for any. ``version`` is that of its timestamp metadata;
    ``files`` are rebuilt from it, ``bases`` are needed for that.
    """

    id: str
    digest: str
    crossing: Crossing
    whom: frozenset[str]
    target: Release | None
    baseline: Release | None
    files: frozenset[str]
    bases: frozenset[str]
    chunks: int
    listed: frozenset[str]
    version: int
    claims: tuple[Claim, ...]
    copies: list[tuple[Path, ...]]

    def __repr__(self) -> str:
        return self.id

    @property
    def sequence(self) -> int:
        """Its number."""
        return self.crossing.sequence


@dataclass(slots=True)
class Change:
    """A pending change of targets: releases that it brings, the list of revocations that it names, who signed."""

    releases: set[str]
    listed: frozenset[Subject]
    signers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RootChange:
    """A pending change of root: all that it lifts, whether grace may sign releases then, and who signed."""

    lifted: frozenset[Subject]
    grace: bool
    signers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Record:
    """An enrolled enclave: releases (digest) that it holds and how that is known; sizes of its ledger (L1.5, L1.6).

    ``key`` is the enclave whose key it was enrolled with, which should be itself. ``newest`` is the size at the
    newest signed checkpoint, ``receipt`` at the last receipt, ``word`` at a typed one.
    """

    key: str
    holds: list[tuple[str, str]] = field(default_factory=list)
    newest: int | None = None
    receipt: int = 0
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A file in which signatures of a change come back: ``role`` is as people say it."""

    role: str
    change: Change | RootChange
    signers: tuple[str, ...]
    path: Path


@dataclass(slots=True)
class Depot:
    """The low side (SPEC 11)."""

    releases: dict[str, Release] = field(default_factory=dict)
    change: Change | None = None
    root_change: RootChange | None = None
    sequence: int = 0
    version: int = 0
    root: int = 1
    grace: bool = False
    outstanding: list[str] = field(default_factory=list)
    listed: frozenset[Subject] = frozenset()
    lifted: frozenset[Subject] = frozenset()
    used: set[int] = field(default_factory=set)
    enrolled: dict[str, Record] = field(default_factory=dict)
    scanned: bool = False
    carried: list[Carried] = field(default_factory=list)
    newest: dict[str, Change | RootChange] = field(default_factory=dict)
    """The change of each role that was published last."""

    def pending(self, role: str) -> Change | RootChange | None:
        """Return what waits for signatures."""
        return self.root_change if role == "root" else self.change

    def settle(self) -> None:
        """Publish what has its signatures and fits, root first (4.3-1)."""
        change, root = self.change, self.root_change
        if root is not None and len(root.signers & ROOTS) >= THRESHOLD:
            self.root, self.lifted, self.grace = self.root + 1, root.lifted, root.grace
            self.root_change, self.newest["root"] = None, root
        if change is None or len(change.signers & RELEASERS) < THRESHOLD:
            return
        if self.listed - change.listed <= self.lifted:
            self.listed = change.listed
            for label in change.releases:
                self.releases[label].state = PUBLISHED
            self.change, self.newest["release"] = None, change

    def sign(self, names: Iterable[str]) -> None:
        """Let these sign what they may."""
        for pending, members in ((self.change, RELEASERS), (self.root_change, ROOTS)):
            if pending is not None:
                pending.signers |= set(names) & members
        self.settle()

    def propose(self, releases: Iterable[str] = (), listed: frozenset[Subject] | None = None) -> None:
        """Start a change of targets in the place of a pending one, whose releases are dropped (L3)."""
        wanted = set(releases)
        for label in self.change.releases - wanted if self.change else ():
            self.releases[label].state = DROPPED
        self.change = Change(wanted, self.listed if listed is None else listed)
        for label in wanted:
            self.releases[label].state = PENDING

    def in_force(self) -> frozenset[Subject]:
        """Return what is revoked (5.4-5)."""
        return self.listed - self.lifted

    def is_revoked(self, release: Release, listed: Iterable[Subject] | None = None) -> bool:
        """Say whether a release, a component or a file of it is revoked."""
        subjects = self.in_force() if listed is None else listed
        named = {(kind, digest) for kind, digest, _ in subjects}
        parts = release.document["components"]
        own = {("release", release.digest), *(("component", part["digest"]) for part in parts)}
        return bool(named & own)

    def lacks_scan(self, release: Release) -> bool:
        """Say whether the depot's policy keeps a release back (L4.15): what ann scanned must pass."""
        said = [passes for kind, key, passes in release.claims if (kind, key) == ("scan", "ann")]
        return self.scanned and not (said and all(said))

    def published(self) -> list[Release]:
        """Return the published releases, oldest first."""
        return [item for item in self.releases.values() if item.state == PUBLISHED]

    def acknowledged(self, name: str) -> Release | None:
        """Return from what a bundle for an enclave starts unless told otherwise (L1.5)."""
        record = self.enrolled.get(name)
        by_digest = {item.digest: item for item in self.releases.values()}
        return by_digest[record.holds[-1][0]] if record and record.holds else None


@dataclass(eq=False, repr=False, slots=True)
class Place:
    """An enclave: what is remembered of it, and what only matters to commands of these walks.

    ``size`` is that of its ledger; ``content`` what it holds (SHA-512); ``staged`` are sequences of bundles that were
    begun, each with the version of the metadata that it was verified with, None if nothing says what it is.

    ``follows`` are the numbers of places where what is active is served; ``stands`` says what does not follow where.
    ``made`` are releases (by digest) that were registered here.
    ``kept`` are checkpoints that were written, each with its size, ``witnessed`` the size that somebody signed last.
    """

    name: str
    folder: Path
    memory: Memory
    size: int = 1
    content: frozenset[str] = frozenset()
    staged: dict[int, int | None] = field(default_factory=dict)
    relayed: set[int] = field(default_factory=set)
    follows: set[int] = field(default_factory=set)
    stands: dict[int, str] = field(default_factory=dict)
    returns: list[tuple[str, Path, dict[str, Any]]] = field(default_factory=list)
    kept: list[tuple[Path, int]] = field(default_factory=list)
    witnessed: dict[str, int] = field(default_factory=dict)
    made: dict[str, Release] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.name

    @property
    def root(self) -> int:
        """The newest root that it keeps."""
        return max((item.root for item in self.memory.verified), default=1)

    def may_take(self, whom: frozenset[str]) -> bool:
        """Say whether a bundle with these addressees is for it."""
        return not whom or self.name in whom

    def floors(self) -> dict[str, str]:
        """Return the floors in force."""
        return rules.in_force(self.memory)
