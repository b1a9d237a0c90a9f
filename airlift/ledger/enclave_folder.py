"""The folder of an enclave as whoever reads it sees it: its ledger, its documents, its files (SPEC 8.1).

The high side works on it, and adds all that changes; a low side at its level reads what it takes over (SPEC L2.12).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from airlift import authored, files
from airlift.bundle import release as releases
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
from airlift.ledger.entries.administration import Enroll
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.log import Log, open_log
from airlift.ledger.state import State
from airlift.store import release_lookup
from airlift.store.content import ContentFolder
from airlift.store.documents import DocumentFolder
from airlift.store.whole_folders import Place
from airlift.trust.keys.public import PublicKey
from airlift.trust.tuf import root
from airlift.trust.tuf.metadata import ROOT

CONFIG = "config.yaml"
MAX_CONFIG_BYTES = 64 << 10
MAX_METADATA_BYTES = 8 << 20
MAX_LOOKS = 20

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class EnclaveFolder:
    """An enclave on disk, to be read. Paths only; every method reads the disk anew."""

    folder: Path
    name: str

    ledger_path = Place("ledger.db")
    """The SQLite ledger."""
    state_path = Place("state.note")
    """The state as of some entry, kept to save time; derived from the ledger."""
    roots = Place("trust", "roots")
    """Every verified root: ``N.root.json``."""

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

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold content and releases against garbage collection, for a command that reads them without the lock.

        Raises:
            BusyError: garbage is being collected.
        """
        with files.in_use(self.content.folder, alone=False):
            yield

    @contextmanager
    def ledger(self, *, writable: bool = False, key: PublicKey | None = None) -> Iterator[Log]:
        """Open the ledger and close it again; ``key`` is the one that it must be kept with, if that is known."""
        with open_log(self.ledger_path, self.origin, writable=writable, key=key) as log:
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

    def load_release(self, digest: str) -> Release:
        """Return the manifest of a release that the ledger names."""
        return releases.parse(self.history.load(digest))

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

    def load_roots(self) -> dict[int, bytes]:
        """Return the kept roots by version: they lead from the enrolled one on, each signed as it must be.

        Who can write these files could otherwise lift what is revoked, without a signature.

        Raises:
            TrustStateError: the pinned root is missing or another, or a kept one does not verify (SPEC 4.4-3), or the
                newest by which an import was verified is not there.
        """
        found = {}
        for path in self.roots.glob("*.root.json"):
            version = path.name.split(".")[0]
            if version.isdecimal():
                found[int(version)] = files.read_bounded(path, MAX_METADATA_BYTES)
        if not found:
            raise TrustStateError("the pinned root is missing", expected=str(self.roots))
        with self.ledger() as log:
            enrolment = details.read(log.entry(0), Enroll)
            newest = log.last(ImportCommit.TYPE)
        root.check_chain(found, enrolment.root_fingerprint)
        if newest is not None:
            _check_newest(max(found), details.read(newest, ImportCommit).metadata.get(ROOT, 0))
        return found


def read_config(folder: Path, hint: str) -> dict[str, Any]:
    """Return what the enclave in ``folder`` says of itself; ``hint`` is what to do if there is none.

    Raises:
        UncheckedError: there is none.
        ManifestError: its config.yaml is not valid.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UncheckedError(f"there is no enclave in {folder}", hint=hint)
    return authored.load(str(path), files.read_bounded(path, MAX_CONFIG_BYTES), "enclave.schema.json")


def _check_newest(found: int, committed: int) -> None:
    """Check that no root is missing by which an import was verified: the one before lifts, and trusts, others."""
    if found < committed:
        raise TrustStateError(
            "a kept root is missing, by which an import was verified",
            expected=f"version {committed} or newer",
            found=f"version {found}",
            hint=f"put trust/roots/{committed}.root.json back: it is in every backup, and on every newer medium",
        )


def _missing(path: Path) -> LedgerError:
    return LedgerError(f"{path} is missing", expected="a document that the ledger names")


def _changed(path: Path) -> LedgerError:
    return LedgerError(f"{path} does not have the digest that the ledger names")
