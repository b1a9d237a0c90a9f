"""The enclave's folder: where everything lies, its lock, its ledger, its policy (SPEC 8.1)."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from airlift import authored, files
from airlift.bundle import release as releases
from airlift.bundle.fields import NAME_HEX, format_time, parse_time
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.release import Release
from airlift.errors import (
    AirliftError,
    BusyError,
    LedgerError,
    NotHeldError,
    TrustStateError,
    UncheckedError,
)
from airlift.ledger import checkpoint, details, kept_state
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.log import Log, open_log
from airlift.ledger.state import State, release_of
from airlift.store import release_lookup, whole_folders
from airlift.store.content import ContentFolder
from airlift.store.documents import DocumentFolder
from airlift.store.whole_folders import Place
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import metadata

CONFIG = "config.yaml"
POLICY_TEXT = "policy.yaml"
MAX_CONFIG_BYTES = 64 << 10
MAX_METADATA_BYTES = 8 << 20
MAX_LOOKS = 20
STATE_FILES = ("timestamp.json", "snapshot.json", "targets.json", "bundler.json")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs a state-changing command, with the ledger key in hand, and when (aware, UTC)."""

    actor: str
    signer: Signer
    now: datetime


@dataclass(frozen=True, slots=True)
class Enclave:
    """An enclave on disk. Paths only; every method reads the disk anew."""

    folder: Path
    name: str
    ledger_key: str

    trust = Place("trust")
    """``roots/N.root.json`` and one folder per committed TUF state."""
    roots = Place("trust", "roots")
    """Every verified root: ``N.root.json``."""
    releases = Place("releases")
    """``<digest>/<component>/...``: hard links into content."""
    staging = Place("staging")
    """Private, resumable work of imports that have not committed."""
    relay = Place("relay")
    """Original volumes of bundles that are to be handed on, by digest (SPEC 7.12)."""
    active = Place("active")
    """The symbolic link that model servers follow."""
    ledger_path = Place("ledger.db")
    """The SQLite ledger."""
    state_path = Place("state.note")
    """The state as of some entry, kept to save time; derived from the ledger."""
    policies = Place("policies")
    """Every policy that was ever in force, by digest, with the keys that it names."""
    policy_link = Place(POLICY_TEXT)
    """The symbolic link to the text of the policy in force."""

    @property
    def content(self) -> ContentFolder:
        """Files by digest, read-only."""
        return ContentFolder(self.folder / "content")

    @property
    def history(self) -> DocumentFolder:
        """Documents of every import, by digest: what proves a signature later."""
        return DocumentFolder(self.folder / "history", _changed, _missing)

    @property
    def origin(self) -> str:
        """The ledger's name in its checkpoints."""
        return checkpoint.origin_of(self.name)

    def release_path(self, digest: str) -> Path:
        """Where the tree of the release with this digest lies."""
        return self.releases / digest[:NAME_HEX]

    def active_target(self, digest: str) -> str:
        """What ``active`` points at for the release with this digest."""
        return f"{self.releases.name}/{digest[:NAME_HEX]}"

    def policy_path(self, digest: str) -> Path:
        """Where the policy with this digest lies."""
        return self.policies / digest[:NAME_HEX]

    def policy_target(self, digest: str) -> str:
        """What ``policy.yaml`` points at for the policy with this digest."""
        return f"{self.policies.name}/{digest[:NAME_HEX]}/{POLICY_TEXT}"

    def staging_path(self, bundle_digest: str) -> Path:
        """Where work on the bundle with this digest is kept."""
        return self.staging / bundle_digest[:NAME_HEX]

    def relay_path(self, bundle_digest: str) -> Path:
        """Where the volumes of the bundle with this digest are kept to be handed on."""
        return self.relay / bundle_digest[:NAME_HEX]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the enclave's lock; one state-changing command at a time."""
        with files.lock(self.folder / whole_folders.LOCK):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold content and releases against garbage collection, for a command that reads them without the lock.

        Raises:
            BusyError: garbage is being collected.
        """
        with files.in_use(self.content.folder, alone=False):
            yield

    @contextmanager
    def ledger(self, *, writable: bool = False) -> Iterator[Log]:
        """Open the ledger and close it again."""
        with open_log(self.ledger_path, self.origin, writable=writable) as log:
            yield log

    def state(self) -> State:
        """Return what the ledger says: the only truth about releases, trust and policy."""
        with self.ledger() as log:
            return kept_state.load(log, self.state_path)

    def look(self, read: Callable[[State], Found]) -> Found:
        """Return what ``read`` finds, for a command that reads without the lock (SPEC 7.6-4).

        It reads again if the ledger grew meanwhile: what it found, or what it raised, may be half of each state.

        Raises:
            BusyError: the ledger grew every time.
        """
        for _ in range(MAX_LOOKS):
            state = self.state()
            try:
                found = read(state)
            except AirliftError:
                if not self._grew(state):
                    raise
            else:
                if not self._grew(state):
                    return found
        raise BusyError(f"{self.folder} is being changed all the time by other airlift commands")

    def _grew(self, state: State) -> bool:
        with self.ledger() as log:
            return log.size != state.size

    def record(
        self,
        operator: Operator,
        detail: Detail,
        *,
        release: str | None = None,
        bundle: str | None = None,
        contents: Collection[str] = (),
    ) -> Entry:
        """Append an entry to the ledger, durably; ``contents`` are digests of files that it brings in."""
        time = format_time(operator.now)
        draft = Draft(detail.TYPE, operator.actor, time, release, bundle, detail.format(), contents)
        with self.ledger(writable=True) as log:
            return log.append(draft, operator.signer)

    def load_roots(self) -> dict[int, bytes]:
        """Return the verified roots by version.

        Raises:
            TrustStateError: the pinned root is missing.
        """
        found = {}
        for path in self.roots.glob("*.root.json"):
            version = path.name.split(".")[0]
            if version.isdecimal():
                found[int(version)] = files.read_bounded(path, MAX_METADATA_BYTES)
        if not found:
            raise TrustStateError("the pinned root is missing", expected=str(self.roots))
        return found

    def keep_root(self, version: int, data: bytes) -> None:
        """Keep a newly verified root at once, so that what it revokes stays revoked even if what follows fails."""
        path = self.roots / f"{version}.root.json"
        if not path.exists():
            files.write_durable(path, data)

    def load_trust(self, state: State) -> Mapping[str, bytes]:
        """Return the committed TUF state; empty only while nothing was ever committed (SPEC 7.6-1).

        Raises:
            TrustStateError: the files are missing, or are not those that the ledger committed.
        """
        if state.trust is None:
            return {}
        folder = self.trust / state.trust.folder
        found = {
            n: files.read_bounded(folder / n, MAX_METADATA_BYTES)
            for n in STATE_FILES
            if (folder / n).is_file()
        }
        if metadata.state_digest(found) != state.trust.digest:
            raise TrustStateError(
                "the trust state is not the one that the ledger committed", expected=str(folder)
            )
        return found

    def load_release(self, digest: str) -> Release:
        """Return the manifest of a release that was imported."""
        return releases.parse(self.history.load(digest))

    def registered(self) -> dict[str, str]:
        """Map each registered release (digest) to the imported one that it comes from, at any remove (SPEC 8.6)."""
        found: dict[str, str] = {}
        with self.ledger() as log:
            for entry in log.entries(types=(Registration.TYPE,)):
                base = details.read(entry, Registration).base.digest
                found[release_of(entry)] = found.get(base, base)
        return found

    def find_release(self, reference: str, state: State) -> Release:
        """Return the installed release named ``name@version`` or by 12 or more hex digits of its digest.

        Raises:
            NotHeldError: there is none, or more than one.
        """
        installed = [self.load_release(digest) for digest in state.installed]
        matches = release_lookup.find(reference, installed)
        if len(matches) != 1:
            raise NotHeldError(
                "the name is ambiguous" if matches else f"no installed release is named {reference!a}",
                expected="one of " + (", ".join(release.label for release in installed) or "none"),
            )
        return matches[0]


def release_ref(release: Release) -> ReleaseRef:
    """Return how the ledger's entries and receipts name a release."""
    return ReleaseRef(release.digest, release.name, release.version)


def reference_time(state: State, now: datetime, bundler_keys: Collection[str]) -> datetime:
    """Return the later of the clock and the newest issue time that a bundler key that is still trusted signed.

    What a removed key signed no longer counts, so that a stolen one cannot make everything expire for ever.
    """
    trusted = set(bundler_keys)
    issued = max((b.issued for b in state.bundles if not trusted.isdisjoint(b.bundler_keys)), default=None)
    return now if issued is None else max(now, parse_time(issued))  # such times sort as text


def _missing(path: Path) -> LedgerError:
    return LedgerError(f"{path} is missing", expected="a document that the ledger names")


def _changed(path: Path) -> LedgerError:
    return LedgerError(f"{path} does not have the digest that the ledger names")


def open_enclave(folder: Path) -> Enclave:
    """Open an enclave for reading its layout.

    Raises:
        UncheckedError: there is none in ``folder``.
        ManifestError: its config.yaml is not valid.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UncheckedError(
            f"there is no enclave in {folder}",
            hint="give its folder with --enclave, or make one with `airlift high init`",
        )
    config = authored.load(str(path), files.read_bounded(path, MAX_CONFIG_BYTES), "enclave.schema.json")
    return Enclave(folder.absolute(), config["enclave"], config["ledger_key"])
