"""The enclave's folder: where everything lies, its lock, its ledger, its policy (SPEC 8.1)."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift import files, strict
from airlift.bundle.fields import NAME_HEX, format_time, parse_time
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.release import Release
from airlift.errors import TrustStateError
from airlift.ledger import details
from airlift.ledger.enclave_folder import MAX_METADATA_BYTES, EnclaveFolder, read_config
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.state import State, release_of
from airlift.store import whole_folders
from airlift.store.whole_folders import Place
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import metadata

POLICY_TEXT = "policy.yaml"
STATE_FILES = ("timestamp.json", "snapshot.json", "targets.json", "bundler.json")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs a state-changing command, with the ledger key in hand, and when (aware, UTC)."""

    actor: str
    signer: Signer
    now: datetime


@dataclass(frozen=True, slots=True)
class Enclave(EnclaveFolder):
    """An enclave on disk, to be worked on. Paths only; every method reads the disk anew."""

    ledger_key: str

    trust = Place("trust")
    """``roots/N.root.json`` and one folder per committed TUF state."""
    releases = Place("releases")
    """``<digest>/<component>/...``: hard links into content."""
    staging = Place("staging")
    """Private, resumable work of imports that have not committed."""
    relay = Place("relay")
    """Original volumes of bundles that are to be handed on, by digest (SPEC 7.12)."""
    active = Place("active")
    """The symbolic link that model servers follow."""
    policies = Place("policies")
    """Every policy that was ever in force, by digest, with the keys that it names."""
    policy_link = Place(POLICY_TEXT)
    """The symbolic link to the text of the policy in force."""

    def release_path(self, digest: str, chosen: Sequence[str] = ()) -> Path:
        """Where the tree of the release with this digest lies, laid out with the ``chosen`` of its variants."""
        return self.releases / tree_name(digest, chosen)

    def active_target(self, digest: str, chosen: Sequence[str] = ()) -> str:
        """What ``active`` points at for the release with this digest, with the ``chosen`` of its variants."""
        return f"{self.releases.name}/{tree_name(digest, chosen)}"

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

    def registered(self) -> dict[str, str]:
        """Map each registered release (digest) to the imported one that it comes from, at any remove (SPEC 8.6)."""
        found: dict[str, str] = {}
        with self.ledger() as log:
            for entry in log.entries(types=(Registration.TYPE,)):
                base = details.read(entry, Registration).base.digest
                found[release_of(entry)] = found.get(base, base)
        return found


def tree_name(digest: str, chosen: Sequence[str]) -> str:
    """Return what the tree of a release is called: each choice of variants has a tree of its own (SPEC 7.14-4)."""
    whole = hashlib.sha512(strict.format([digest, *sorted(chosen)])).hexdigest() if chosen else digest
    return whole[:NAME_HEX]


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


def open_enclave(folder: Path) -> Enclave:
    """Open an enclave for reading its layout.

    Raises:
        UncheckedError: there is none in ``folder``.
        ManifestError: its config.yaml is not valid.
    """
    hint = "give its folder with --enclave, or make one with `airlift high init`"
    config = read_config(folder, hint)
    return Enclave(folder.absolute(), config["enclave"], config["ledger_key"])
