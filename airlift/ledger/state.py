"""The state that the ledger's entries add up to: recovery and status take their pointers from it (SPEC 9.8).

A *prepare* entry opens an intent. It is closed by the commit that names the same release and bundle, or by an
``abort`` whose detail says ``undoes`` and the index of the prepare entry; nothing else closes it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airlift.errors import LedgerError
from airlift.ledger import details
from airlift.ledger.entries.activations import (
    Abort,
    ActivateCommit,
    RollbackCommit,
    SwitchCommit,
    WithdrawCommit,
)
from airlift.ledger.entries.administration import Enroll, Gc, PolicyChange
from airlift.ledger.entries.exports import Export, Unfollow
from airlift.ledger.entries.governance import FloorChange, RevocationsKnown
from airlift.ledger.entries.imports import SHA512, ImportCommit, ImportedState
from airlift.ledger.entries.kinds import CLOSES, INTENTS
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import Trust
from airlift.ledger.entry import Entry

__all__ = ["Committed", "HeldVariants", "State", "Trust", "fold_entries", "release_of"]


@dataclass(frozen=True, slots=True)
class Committed:
    """A bundle whose import was committed by entry ``index``; digests in hex, ``release`` None for a renewal.

    ``file_digest`` is the one that rebuilt files were verified with, or None if there were none.
    """

    bundle: str
    manifest: str
    sequence: int
    issued: str
    release: str | None
    overtaken: bool
    bundler_keys: tuple[str, ...]
    index: int
    file_digest: str | None = SHA512


@dataclass(frozen=True, slots=True)
class HeldVariants:
    """Of an installed release (digest): the names of the variants that are held, and each choice that is laid out."""

    release: str
    held: tuple[str, ...]
    laid_out: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class State:
    """What the first ``size`` entries say the enclave is; releases are digests in hex.

    ``floors`` are versions by name, sorted; ``revocations`` the lists (SHA-512) that are in force together;
    ``moment`` is the latest time that the entries from the newest import on say; ``follows`` is what is kept in step
    with what is active (SPEC 8.7-6), by the order in which it began. ``variants`` tell of the installed
    releases that have any, ``chosen`` are the names of those that the active release is laid out with (SPEC 7.14).
    """

    size: int = 0
    enclave: str | None = None
    active: str | None = None
    previous: str | None = None
    installed: tuple[str, ...] = ()
    bundles: tuple[Committed, ...] = ()
    open: tuple[Entry, ...] = ()
    trust: Trust | None = None
    policy: str | None = None
    enrolment: Enroll | None = None
    floors: tuple[tuple[str, str], ...] = ()
    revocations: tuple[str, ...] = ()
    moment: str | None = None
    follows: tuple[Export, ...] = ()
    variants: tuple[HeldVariants, ...] = ()
    chosen: tuple[str, ...] = ()

    def enrolled(self) -> Enroll:
        """Return what the enclave was enrolled with.

        Raises:
            LedgerError: no entry says so.
        """
        if self.enrolment is None:
            raise LedgerError("the ledger does not begin with an enrolment")
        return self.enrolment

    def committed(self, manifest: str) -> Committed | None:
        """Return the committed bundle with this manifest digest, or None."""
        return next((bundle for bundle in self.bundles if bundle.manifest == manifest), None)

    def at_sequence(self, sequence: int) -> tuple[Committed, ...]:
        """Return the committed bundles with this sequence number."""
        return tuple(bundle for bundle in self.bundles if bundle.sequence == sequence)

    def held_variants(self, release: str) -> tuple[str, ...]:
        """Return the names of the variants of an installed release (digest) that are held, none if it has none."""
        return next((item.held for item in self.variants if item.release == release), ())

    def trees(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every tree that is to be there: a release (digest), and the names of the variants in it."""
        varied = {item.release: item.laid_out for item in self.variants}
        for release in self.installed:
            for chosen in varied.get(release, ((),)):
                yield release, chosen


NOTHING = State()
"""The state of no entries."""


def fold_entries(entries: Iterable[Entry], begun: State = NOTHING) -> State:
    """Return the state that ``entries`` add up to; the first of them is the one at index ``begun.size``.

    Raises:
        LedgerError: an entry is out of order or lacks what its type must say.
    """
    folding = _Folding(begun)
    for entry in entries:
        folding.take(entry)
    return folding.state()


def release_of(entry: Entry) -> str:
    """Return the release that an entry is about.

    Raises:
        LedgerError: it names none.
    """
    if entry.release is None:
        raise LedgerError(f"entry {entry.index} names no release")
    return entry.release


# -- inside --------------------------------------------------------------------------------------------------------

_KEPT = ("enclave", "active", "previous", "trust", "policy", "enrolment", "moment", "chosen")


class _Folding:
    """The mutable half of :func:`fold_entries`."""

    def __init__(self, begun: State) -> None:
        self.fields: dict[str, Any] = {name: getattr(begun, name) for name in _KEPT}
        self.size = begun.size
        self.open = {entry.index: entry for entry in begun.open}
        self.installed = dict.fromkeys(begun.installed)
        self.bundles = list(begun.bundles)
        self.floors = dict(begun.floors)
        self.revocations = dict.fromkeys(begun.revocations)
        self.follows = {export.output: export for export in begun.follows}
        self.variants = {item.release: item for item in begun.variants}

    def state(self) -> State:
        return State(
            size=self.size,
            installed=tuple(self.installed),
            bundles=tuple(self.bundles),
            open=tuple(self.open.values()),
            floors=tuple(sorted(self.floors.items())),
            revocations=tuple(self.revocations),
            follows=tuple(self.follows.values()),
            variants=tuple(self.variants.values()),
            **self.fields,
        )

    def take(self, entry: Entry) -> None:
        if entry.index != self.size:
            raise LedgerError("entries are not in order", expected=str(self.size), found=str(entry.index))
        self.size += 1
        self.fields["moment"] = max(
            self.fields["moment"] or entry.time, entry.time
        )  # such times sort as text
        if entry.type in INTENTS:
            self.open[entry.index] = entry
        elif entry.type in CLOSES:
            self._close(entry)
        if entry.type in _STEPS:
            _STEPS[entry.type](self, entry)

    def _close(self, commit: Entry) -> None:
        subject = (CLOSES[commit.type], commit.release, commit.bundle)
        matching = [
            i for i, entry in self.open.items() if (entry.type, entry.release, entry.bundle) == subject
        ]
        for index in matching:
            del self.open[index]

    def enroll(self, entry: Entry) -> None:
        said = details.read(entry, Enroll)
        self.fields |= {"enclave": said.enclave, "enrolment": said, "policy": said.policy}
        self.floors = dict(said.floors or {})

    def policy(self, entry: Entry) -> None:
        said = details.read(entry, PolicyChange)
        self.fields["policy"] = said.sha512
        if said.floors is not None:
            self.floors = dict(said.floors)

    def floor(self, entry: Entry) -> None:
        said = details.read(entry, FloorChange)
        self.floors.pop(said.name, None)
        if said.version is not None:
            self.floors[said.name] = said.version

    def revoke(self, entry: Entry) -> None:
        said = details.read(entry, RevocationsKnown)
        if said.covers:
            self.revocations.clear()
        self.revocations[said.sha512] = None

    def import_commit(self, entry: Entry) -> None:
        said = details.imported_state(entry)
        self.fields["trust"] = said.trust
        self.fields["moment"] = entry.time
        self.bundles.append(_committed(entry, said))
        self.revocations.setdefault(said.revocations)
        if entry.release is not None:
            self.installed.setdefault(entry.release)
            if said.variants is not None:
                self._vary(entry.release, said.variants.chosen, said.variants.held)

    def register(self, entry: Entry) -> None:
        self.installed.setdefault(release_of(entry))
        self._vary(release_of(entry), details.read(entry, Registration).variants)

    def switch(self, entry: Entry) -> None:
        active, said = release_of(entry), details.read(entry, SwitchCommit)
        if said.previous != active:  # else another choice of what was active already: SPEC 7.14-6
            self.fields["previous"] = said.previous
        self.fields |= {"active": active, "chosen": said.variants}
        self._vary(active, said.variants)

    def withdraw(self, entry: Entry) -> None:
        self.fields |= {"active": None, "previous": release_of(entry), "chosen": ()}

    def _vary(self, release: str, chosen: tuple[str, ...], held: tuple[str, ...] = ()) -> None:
        """Note that a release is laid out in a choice, and which variants of it are held beside the chosen ones."""
        if not chosen:
            return
        before = self.variants.get(release, HeldVariants(release, (), ()))
        self.variants[release] = HeldVariants(
            release,
            tuple(sorted({*before.held, *held, *chosen})),
            tuple(dict.fromkeys((*before.laid_out, chosen))),
        )

    def export(self, entry: Entry) -> None:
        said = details.read(entry, Export)
        if said.follow:
            self.follows[said.output] = said

    def unfollow(self, entry: Entry) -> None:
        self.follows.pop(details.read(entry, Unfollow).output, None)

    def abort(self, entry: Entry) -> None:
        if self.open.pop(details.read(entry, Abort).undoes, None) is None:
            raise LedgerError(f"entry {entry.index} undoes what is not open")

    def gc(self, entry: Entry) -> None:
        for release in details.read(entry, Gc).releases:
            if release == self.fields.get("active"):
                raise LedgerError(f"entry {entry.index} removes the active release")
            if release == self.fields.get("previous"):
                self.fields["previous"] = None
            self.installed.pop(release, None)
            self.variants.pop(release, None)


_STEPS: dict[str, Callable[[_Folding, Entry], None]] = {
    Enroll.TYPE: _Folding.enroll,
    PolicyChange.TYPE: _Folding.policy,
    ImportCommit.TYPE: _Folding.import_commit,
    ActivateCommit.TYPE: _Folding.switch,
    RollbackCommit.TYPE: _Folding.switch,
    WithdrawCommit.TYPE: _Folding.withdraw,
    FloorChange.TYPE: _Folding.floor,
    RevocationsKnown.TYPE: _Folding.revoke,
    Registration.TYPE: _Folding.register,
    Export.TYPE: _Folding.export,
    Unfollow.TYPE: _Folding.unfollow,
    Abort.TYPE: _Folding.abort,
    Gc.TYPE: _Folding.gc,
}


def _committed(entry: Entry, said: ImportedState) -> Committed:
    if entry.bundle is None:
        raise LedgerError(f"entry {entry.index} commits no bundle")
    return Committed(
        bundle=entry.bundle,
        manifest=said.bundle_manifest,
        sequence=said.sequence,
        issued=said.issued,
        release=entry.release,
        overtaken=said.overtaken,
        bundler_keys=said.bundler_keys,
        index=entry.index,
        file_digest=said.file_digest,
    )
