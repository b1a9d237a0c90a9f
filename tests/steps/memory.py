"""What somebody who watches an enclave from outside remembers of it; nothing here asks the enclave or its code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.steps.media import Crossing, Subject

Release = Mapping[str, Any]
"""A release manifest as JSON."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a key said of a release: ``order`` grows, ``statement`` is what was signed, ``time`` when it was made."""

    order: int
    release: str
    kind: str
    key: str
    passes: bool
    statement: str
    time: datetime


@dataclass(slots=True)
class Memory:
    """What is known: ``policy`` as it was written; ``keys`` the name of the key in each file that it may name.

    ``names`` are the names that keys have in root; ``key_ids`` the ids of all keys, by name. ``moments`` are the
    times of the ledger's entries from the newest import on. ``made`` says from what a registered release was made,
    ``switched`` when what became active.
    """

    policy: Mapping[str, Any]
    keys: Mapping[str, str]
    names: Mapping[str, str]
    key_ids: Mapping[str, str]
    now: datetime
    documents: dict[str, Release] = field(default_factory=dict)
    floors: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    committed: list[Crossing] = field(default_factory=list)
    verified: list[Crossing] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    listed: frozenset[Subject] = frozenset()
    moments: list[datetime] = field(default_factory=list)
    ran: set[str | None] = field(default_factory=set)
    active: str | None = None
    previous: str | None = None
    made: dict[str, str] = field(default_factory=dict)
    switched: list[tuple[datetime, str | None]] = field(default_factory=list)

    def imported(self, digest: str) -> str:
        """Return the imported release that a registered one was made from (8.6), or the release itself."""
        while digest in self.made:
            digest = self.made[digest]
        return digest

    def revoked(self, crossing: Crossing | None = None) -> frozenset[Subject]:
        """Return what is in force, also by what a bundle brings (7.9-1)."""
        listed = self.listed | (crossing.listed if crossing else frozenset())
        roots = {item.root: item.lifted for item in (*self.verified, *([crossing] if crossing else ()))}
        return listed - (roots[max(roots)] if roots else frozenset())

    def reference(self) -> datetime:
        """Return the reference time (7.2-3); there is one bundler, whose key is trusted throughout."""
        return max([self.now, *(item.issued for item in self.committed)])

    def files(self) -> Iterator[str]:
        """Yield the key files that policy names."""
        for quorum in self.policy.get("attestations", {}).values():
            yield from quorum["keys"]

    def holders(self) -> dict[str, str]:
        """Return who holds each key, by one of their keys (4.5-12)."""
        pairs = [(key, name.casefold()) for key, name in self.names.items()]
        pairs += [(self.keys[file], file.removesuffix(".pub").casefold()) for file in self.files()]
        groups: list[tuple[set[str], set[str]]] = []
        for key, name in pairs:
            touching = [group for group in groups if key in group[0] or name in group[1]]
            groups = [group for group in groups if group not in touching]
            groups.append(
                (
                    {key}.union(*(group[0] for group in touching)),
                    {name}.union(*(group[1] for group in touching)),
                )
            )
        return {key: min(group[0]) for group in groups for key in group[0]}

    def learn(self, crossing: Crossing) -> None:
        """Remember what a verified bundle says that is not overtaken (7.9-2)."""
        self.verified.append(crossing)
        self.listed |= crossing.listed

    def commit(self, crossing: Crossing) -> None:
        """Remember an import."""
        self.committed.append(crossing)
        self.moments = [self.now]
        if crossing.digest and crossing.release:
            self.documents[crossing.digest] = crossing.release
            if crossing.digest not in self.held:
                self.held.append(crossing.digest)

    def switch(self, to: str | None) -> None:
        """Remember what became active."""
        self.active, self.previous = to, self.active
        self.ran.add(to)
        self.switched.append((self.now, to))

    def newest(self) -> Crossing | None:
        """Return the newest bundle that was committed."""
        return max(self.committed, key=lambda item: item.sequence, default=None)

    def is_overtaken(self, crossing: Crossing) -> bool:
        """Say whether the enclave's own metadata is newer than that of a bundle (7.2-2)."""
        newest = self.newest()
        return newest is not None and newest.sequence > crossing.sequence
