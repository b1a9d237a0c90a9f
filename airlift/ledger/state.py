"""The state that the ledger's entries add up to: recovery and status take their pointers from it (SPEC 9.8).

A *prepare* entry opens an intent. It is closed by the commit that names the same release and bundle, or by an
``abort`` whose detail says ``undoes`` and the index of the prepare entry; nothing else closes it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from airlift.errors import LedgerError
from airlift.ledger.entry import Entry

PREPARE, COMMIT = "-prepare", "-commit"


@dataclass(frozen=True, slots=True)
class Committed:
    """A bundle whose import was committed by entry ``index``; digests in hex, ``release`` None for a renewal."""

    bundle: str
    manifest: str
    sequence: int
    issued: str
    release: str | None
    overtaken: bool
    bundler_keys: tuple[str, ...]
    index: int


@dataclass(frozen=True, slots=True)
class Trust:
    """The committed TUF state: folder name below trust/, and digest of its content."""

    folder: str
    digest: str


@dataclass(frozen=True, slots=True)
class State:
    """What the first ``size`` entries say the enclave is; releases are digests in hex."""

    size: int = 0
    enclave: str | None = None
    active: str | None = None
    previous: str | None = None
    installed: tuple[str, ...] = ()
    bundles: tuple[Committed, ...] = ()
    open: tuple[Entry, ...] = ()
    trust: Trust | None = None
    policy: str | None = None
    enrolment: dict[str, Any] = field(default_factory=dict)

    def committed(self, manifest: str) -> Committed | None:
        """Return the committed bundle with this manifest digest, or None."""
        return next((bundle for bundle in self.bundles if bundle.manifest == manifest), None)

    def at_sequence(self, sequence: int) -> tuple[Committed, ...]:
        """Return the committed bundles with this sequence number."""
        return tuple(bundle for bundle in self.bundles if bundle.sequence == sequence)


NOTHING = State()
"""The state of no entries."""


def fold(entries: Iterable[Entry], begun: State = NOTHING) -> State:
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

_KEPT = ("enclave", "active", "previous", "trust", "policy", "enrolment")


class _Folding:
    """The mutable half of :func:`fold`."""

    def __init__(self, begun: State) -> None:
        self.fields: dict[str, Any] = {name: getattr(begun, name) for name in _KEPT}
        self.size = begun.size
        self.open = {entry.index: entry for entry in begun.open}
        self.installed = dict.fromkeys(begun.installed)
        self.bundles = list(begun.bundles)

    def state(self) -> State:
        return State(
            size=self.size,
            installed=tuple(self.installed),
            bundles=tuple(self.bundles),
            open=tuple(self.open.values()),
            **self.fields,
        )

    def take(self, entry: Entry) -> None:
        if entry.index != self.size:
            raise LedgerError("entries are not in order", expected=str(self.size), found=str(entry.index))
        self.size += 1
        if entry.type.endswith(PREPARE):
            self.open[entry.index] = entry
        elif entry.type.endswith(COMMIT):
            self._close(entry)
        if entry.type in _STEPS:
            _STEPS[entry.type](self, entry)

    def _close(self, commit: Entry) -> None:
        kind = commit.type.removesuffix(COMMIT) + PREPARE
        subject = (kind, commit.release, commit.bundle)
        matching = [
            i for i, entry in self.open.items() if (entry.type, entry.release, entry.bundle) == subject
        ]
        for index in matching:
            del self.open[index]

    def enroll(self, entry: Entry) -> None:
        self.fields["enclave"] = _detail(entry, "enclave", str)
        self.fields["enrolment"] = entry.detail
        self._policy_digest(entry, "policy")

    def policy(self, entry: Entry) -> None:
        self._policy_digest(entry, "sha512")

    def _policy_digest(self, entry: Entry, key: str) -> None:
        self.fields["policy"] = _detail(entry, key, str)

    def import_commit(self, entry: Entry) -> None:
        trust = _detail(entry, "trust", dict)
        self.fields["trust"] = Trust(_part(entry, trust, "folder", str), _part(entry, trust, "digest", str))
        self.bundles.append(_committed(entry))
        if entry.release is not None:
            self.installed.setdefault(entry.release)

    def switch(self, entry: Entry) -> None:
        active = release_of(entry)
        previous = entry.detail.get("previous", self.fields.get("active"))
        if not isinstance(previous, str | None):
            raise LedgerError(f"entry {entry.index} ({entry.type}) does not say its 'previous'")
        self.fields["previous"] = previous
        self.fields["active"] = active

    def abort(self, entry: Entry) -> None:
        if self.open.pop(_detail(entry, "undoes", int), None) is None:
            raise LedgerError(f"entry {entry.index} undoes what is not open")

    def gc(self, entry: Entry) -> None:
        for release in _detail(entry, "releases", list):
            if release == self.fields.get("active"):
                raise LedgerError(f"entry {entry.index} removes the active release")
            if release == self.fields.get("previous"):
                self.fields["previous"] = None
            self.installed.pop(release, None)


_STEPS: dict[str, Callable[[_Folding, Entry], None]] = {
    "enroll": _Folding.enroll,
    "policy": _Folding.policy,
    "import-commit": _Folding.import_commit,
    "activate-commit": _Folding.switch,
    "rollback-commit": _Folding.switch,
    "abort": _Folding.abort,
    "gc": _Folding.gc,
}


def _committed(entry: Entry) -> Committed:
    if entry.bundle is None:
        raise LedgerError(f"entry {entry.index} commits no bundle")
    return Committed(
        bundle=entry.bundle,
        manifest=_detail(entry, "bundle_manifest", str),
        sequence=_detail(entry, "sequence", int),
        issued=_detail(entry, "issued", str),
        release=entry.release,
        overtaken=_detail(entry, "overtaken", bool),
        bundler_keys=tuple(_detail(entry, "bundler_keys", list)),
        index=entry.index,
    )


def _detail(entry: Entry, key: str, kind: type) -> Any:
    return _part(entry, entry.detail, key, kind)


def _part(entry: Entry, document: dict[str, Any], key: str, kind: type) -> Any:
    if type(document.get(key)) is not kind:
        raise LedgerError(f"entry {entry.index} ({entry.type}) does not say its {key!r}")
    return document[key]
