"""The depot's metadata on disk: published files, and changes that still collect signatures (SPEC 4.3).

``metadata/`` holds ``N.root.json``, ``N.targets.json``, ``N.bundler.json``, ``N.snapshot.json`` and
``timestamp.json``, which is written last: what it does not lead to was never published. ``pending/`` holds at
most one change per role.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airlift import files, strict
from airlift.bundle.revocations import MAX_BYTES as MAX_LIST_BYTES
from airlift.errors import DigestError, TrustStateError, UnpublishedError
from airlift.trust.tuf import metadata, revocation_lists
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, file_name, parse_name
from airlift.trust.tuf.roles import BUNDLER, Document


@dataclass(frozen=True, slots=True)
class MetadataStore:
    """The folders ``metadata`` and ``pending`` of a depot.

    ``documents`` returns what a target names, verified, by SHA-512 (hex) and with at most so many bytes.
    """

    folder: Path
    documents: Callable[[str, int], bytes] | None = None

    @property
    def metadata(self) -> Path:
        """The folder of published metadata."""
        return self.folder / "metadata"

    @property
    def exists(self) -> bool:
        """Whether a depot's metadata was created here: root is the last file to be written."""
        return self.metadata.is_dir() or self._pending(ROOT).exists()

    # -- published -------------------------------------------------------------------------------------------------

    def newest(self, role: str) -> Document | None:
        """Return the newest published root or targets metadata, or None before the first."""
        versions = self._versions(role)
        return self.document(role, max(versions)) if versions else None

    def published(self, role: str) -> Document:
        """Return the newest published root or targets metadata.

        Raises:
            UnpublishedError: there is none yet.
        """
        document = self.newest(role)
        if document is None:
            raise UnpublishedError(f"{role} metadata still lacks signatures")
        return document

    def raw(self, role: str, version: int | None) -> bytes:
        """Return the bytes of a published file; every role but timestamp has a version."""
        name = file_name(role, version)
        return files.read_bounded(self.metadata / name, metadata.MAX_BYTES[role])

    def document(self, role: str, version: int | None) -> Document:
        """Return published metadata, checked."""
        return metadata.check(role, self.raw(role, version))

    def committed(self) -> dict[str, Document] | None:
        """Return timestamp, snapshot, bundler and targets metadata as the newest timestamp names them, or None."""
        if not (self.metadata / file_name(TIMESTAMP, None)).exists():
            return None
        return self.named_by(self.raw(TIMESTAMP, None))

    def named_by(self, data: bytes) -> dict[str, Document]:
        """Return timestamp, snapshot, bundler and targets metadata as a timestamp names them, checked.

        Raises:
            MalformedError, SignatureError: the timestamp is no acceptable metadata.
            UncheckedError: it names what was never published here.
        """
        timestamp = metadata.check(TIMESTAMP, data)
        snapshot = self.document(SNAPSHOT, timestamp["signed"]["meta"]["snapshot.json"]["version"])
        meta = snapshot["signed"]["meta"]
        named = {role: self.document(role, meta[f"{role}.json"]["version"]) for role in (TARGETS, BUNDLER)}
        return {TIMESTAMP: timestamp, SNAPSHOT: snapshot, **named}

    def revocations(self, document: Document | None) -> bytes | None:
        """Return the list of revocations that targets metadata names, None where it names none.

        Raises:
            DigestError, UncheckedError: it is missing, or has changed.
        """
        target = revocation_lists.target_of(document)
        if target is None:
            return None
        if self.documents is None:
            raise DigestError("the list of revocations is missing: it cannot be checked")
        data = self.documents(target.sha512, MAX_LIST_BYTES)
        target.check_bytes(data)
        return data

    def write(self, named: Mapping[str, bytes]) -> None:
        """Write published files durably, in the given order."""
        files.make_folder(self.metadata)
        for name, data in named.items():
            files.write_durable(self.metadata / name, data)

    # -- pending ---------------------------------------------------------------------------------------------------

    def pending(self, role: str) -> Document | None:
        """Return the pending change of root or targets, with the signatures collected so far."""
        path = self._pending(role)
        if not path.exists():
            return None
        return metadata.check(role, files.read_bounded(path, metadata.MAX_BYTES[role]))

    def write_pending(self, role: str, document: Document) -> None:
        """Write the pending change of a role, in place of an earlier one."""
        path = self._pending(role)
        files.make_folder(path.parent)
        files.write_durable(path, encode(role, document), mode=0o644)

    def drop_pending(self, role: str) -> None:
        """Remove the pending change of a role."""
        files.remove(self._pending(role))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _pending(self, role: str) -> Path:
        return self.folder / "pending" / f"{role}.json"

    def _versions(self, role: str) -> set[int]:
        if not self.metadata.is_dir():
            return set()
        with files.reading(self.metadata):
            found = filter(None, (parse_name(path.name) for path in self.metadata.iterdir()))
            versions = {version for named, version in found if named == role and version is not None}
        if role == ROOT and versions != set(range(1, len(versions) + 1)):
            raise TrustStateError(
                "the chain of roots in the depot has a gap", hint="restore the depot's metadata from a backup"
            )
        return versions


def encode(role: str, document: Document) -> bytes:
    """Return the bytes of a document after checking them as a reader will.

    Raises:
        MalformedError: it would grow beyond the limit of its role.
    """
    data = strict.format(document)
    metadata.check(role, data)
    return data
