"""The entries of an import: its intent, its commit, or that it was refused (SPEC 7.1, 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import Marking
from airlift.bundle.manifest import ReleaseRef
from airlift.errors import MalformedError
from airlift.ledger.entries import shape
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.shape import Accepted, NamedComponent, Trust

SHA512, SHA256 = "sha512", "sha256"
"""What files can be verified with (SPEC 7.3-5)."""


@dataclass(frozen=True, slots=True)
class ImportPrepare:
    """A bundle is about to be installed: SHA-512 of its manifest, sequence, and the releases that it names.

    ``file_digest`` is what its rebuilt files were verified with, None if there were none.
    """

    TYPE: ClassVar[str] = "import-prepare"

    bundle_manifest: str
    sequence: int
    baseline: ReleaseRef | None
    target: ReleaseRef | None
    file_digest: str | None = SHA512

    @staticmethod
    def parse_bundle_manifest(detail: Any, what: str) -> str:
        """Parse that member alone; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return shape.digest(detail, "bundle_manifest", what)

    @classmethod
    def parse(cls, detail: Any, what: str) -> "ImportPrepare":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            bundle_manifest=shape.digest(detail, "bundle_manifest", what),
            sequence=strict.member(detail, "sequence", int, what),
            baseline=shape.release(detail, "baseline", what),
            target=shape.release(detail, "target", what),
            file_digest=parse_file_digest(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "bundle_manifest": self.bundle_manifest,
            "sequence": self.sequence,
            "baseline": self.baseline and self.baseline.to_json(),
            "target": self.target and self.target.to_json(),
            "file_digest": self.file_digest,
        }


def parse_file_digest(detail: Any, what: str) -> str | None:
    """Return what an import verified files with; a detail that does not say it is of before there was a choice.

    Raises:
        MalformedError: it is no digest that files can be verified with.
    """
    found: str | None = detail.get("file_digest", SHA512)
    if found not in (None, SHA512, SHA256):
        raise MalformedError(f"{what}: 'file_digest' is unknown", found=ascii(found)[:40])
    return found


@dataclass(frozen=True, slots=True)
class VendorVerified:
    """A vendor's signature (SHA-512) over a component that was verified over its rebuilt files (SPEC 5.5-5)."""

    component: str
    sha512: str
    method: str
    fingerprint: str

    @classmethod
    def parse(cls, detail: Any, what: str) -> "VendorVerified":
        """Parse an item of a detail's list; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            strict.member(detail, "component", str, what),
            shape.digest(detail, "sha512", what),
            strict.member(detail, "method", str, what),
            strict.member(detail, "fingerprint", str, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the item of a detail's list."""
        return {
            "component": self.component,
            "sha512": self.sha512,
            "method": self.method,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class ImportedVariants:
    """What an import did about variants (SPEC 7.14), by names: of what they are, which are chosen and held or not."""

    of: tuple[str, ...]
    chosen: tuple[str, ...]
    held: tuple[str, ...]
    left_out: tuple[NamedComponent, ...]

    @classmethod
    def parse(cls, detail: Any, what: str) -> "ImportedVariants":
        """Parse the member of a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            shape.texts(detail, "of", what),
            shape.texts(detail, "chosen", what),
            shape.texts(detail, "held", what),
            shape.items(detail, "left_out", NamedComponent.parse, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the member of a detail."""
        return {
            "of": list(self.of),
            "chosen": list(self.chosen),
            "held": list(self.held),
            "left_out": [item.format() for item in self.left_out],
        }


@dataclass(frozen=True, slots=True)
class ImportedState:
    """What an import changes in an enclave's state (SPEC 9.8); members as of :class:`ImportCommit`."""

    bundle_manifest: str
    sequence: int
    issued: str
    overtaken: bool
    bundler_keys: tuple[str, ...]
    trust: Trust
    revocations: str
    file_digest: str | None = SHA512
    variants: ImportedVariants | None = None

    @classmethod
    def parse(cls, detail: Any, what: str) -> "ImportedState":
        """Parse these members of a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(**_of_state(detail, what))


def _of_state(detail: Any, what: str) -> dict[str, Any]:
    trust = strict.member(detail, "trust", dict, what)
    return {
        "bundle_manifest": shape.digest(detail, "bundle_manifest", what),
        "sequence": strict.member(detail, "sequence", int, what),
        "issued": fields.time(detail, "issued", what),
        "overtaken": strict.member(detail, "overtaken", bool, what),
        "bundler_keys": shape.texts(detail, "bundler_keys", what),
        "trust": Trust.parse(trust, f"{what}: trust"),
        "revocations": shape.digest(detail, "revocations", what),
        "file_digest": parse_file_digest(detail, what),
        "variants": (
            ImportedVariants.parse(detail["variants"], f"{what}: variants") if "variants" in detail else None
        ),
    }


@dataclass(frozen=True, slots=True)
class ImportCommit:
    """A bundle was imported: what came in, who signed it, which trust state it leaves.

    Digests are in hex; ``signers`` are key ids by role, ``holders`` who holds them; ``metadata`` is the version of
    each role's metadata. ``chunk_bytes`` is how many bytes its chunks have, ``files_built`` how many files were
    rebuilt, ``repaired`` how many chunks parity gave back, ``file_digest`` what files were verified with (None:
    nothing was rebuilt), ``codecs`` how many bytes each codec rebuilt. ``components`` are all of the release but what
    ``variants`` says was left out. What has a default was not said by every version, or does not always apply (SPEC
    9.2-5).
    """

    TYPE: ClassVar[str] = "import-commit"

    bundle_manifest: str
    sequence: int
    issued: str
    baseline: ReleaseRef | None
    marking: Marking
    overtaken: bool
    bundler_keys: tuple[str, ...]
    trust: Trust
    metadata: Mapping[str, int]
    signers: Mapping[str, tuple[str, ...]]
    holders: Mapping[str, str]
    release: ReleaseRef | None
    components: tuple[NamedComponent, ...]
    volumes: int
    chunk_bytes: int
    files_built: int
    revocations: str
    file_digest: str | None = SHA512
    volume_names: tuple[str, ...] = ()
    codecs: Mapping[str, int] = field(default_factory=dict)
    attestations: tuple[RecordedAttestation, ...] = ()
    vendor_signatures: tuple[VendorVerified, ...] = ()
    insecure_expired: Accepted | None = None
    repaired: int = 0
    variants: ImportedVariants | None = None

    def holder(self, key: str) -> str:
        """Return the holder of the key with this id, as root named it; an empty name counts as none."""
        return self.holders.get(key) or "unnamed holder"

    @property
    def release_keys(self) -> tuple[str, ...]:
        """The ids of the release authority's keys that signed what came in."""
        return self.signers.get("targets", ())

    @staticmethod
    def parse_components(detail: Any, what: str) -> tuple[NamedComponent, ...]:
        """Parse that member alone; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return shape.items(detail, "components", NamedComponent.parse, what)

    @staticmethod
    def parse_attestations(detail: Any, what: str) -> tuple[RecordedAttestation, ...]:
        """Parse that member alone, empty if it is missing; errors as of :meth:`parse`."""
        return shape.items(detail, "attestations", RecordedAttestation.parse, what, missing=True)

    @classmethod
    def parse(cls, detail: Any, what: str) -> "ImportCommit":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        marking = strict.member(detail, "marking", dict, what)
        return cls(
            **_of_state(detail, what),
            baseline=shape.release(detail, "baseline", what),
            marking=Marking.from_json(marking, what),
            metadata=shape.table(detail, "metadata", int, what),
            signers=shape.lists(detail, "signers", what),
            holders=shape.table(detail, "holders", str, what),
            release=shape.release(detail, "release", what),
            components=cls.parse_components(detail, what),
            volumes=strict.member(detail, "volumes", int, what),
            chunk_bytes=strict.member(detail, "chunk_bytes", int, what),
            files_built=strict.member(detail, "files_built", int, what),
            volume_names=shape.texts(detail, "volume_names", what, missing=True),
            codecs=shape.table(detail, "codecs", int, what, missing=True),
            attestations=cls.parse_attestations(detail, what),
            vendor_signatures=shape.items(
                detail, "vendor_signatures", VendorVerified.parse, what, missing=True
            ),
            insecure_expired=(
                Accepted.parse(detail["insecure_expired"], what) if "insecure_expired" in detail else None
            ),
            repaired=fields.count(detail, "repaired", what) if "repaired" in detail else 0,
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        detail = {
            "bundle_manifest": self.bundle_manifest,
            "sequence": self.sequence,
            "issued": self.issued,
            "baseline": self.baseline and self.baseline.to_json(),
            "marking": self.marking.to_json(),
            "overtaken": self.overtaken,
            "bundler_keys": list(self.bundler_keys),
            "trust": self.trust.format(),
            "metadata": dict(self.metadata),
            "signers": {role: list(keys) for role, keys in self.signers.items()},
            "holders": dict(self.holders),
            "release": self.release and self.release.to_json(),
            "components": [item.format() for item in self.components],
            "volumes": self.volumes,
            "volume_names": list(self.volume_names),
            "chunk_bytes": self.chunk_bytes,
            "files_built": self.files_built,
            "file_digest": self.file_digest,
            "codecs": dict(self.codecs),
            "revocations": self.revocations,
            "vendor_signatures": [item.format() for item in self.vendor_signatures],
            "attestations": [item.format() for item in self.attestations],
        }
        if self.insecure_expired is not None:
            detail["insecure_expired"] = self.insecure_expired.format()
        if self.repaired:
            detail["repaired"] = self.repaired
        if self.variants is not None:
            detail["variants"] = self.variants.format()
        return detail


@dataclass(frozen=True, slots=True)
class ImportReject:
    """An import was refused: the error's code and exit code, and nothing from the medium."""

    TYPE: ClassVar[str] = "import-reject"

    code: str
    exit: int

    @classmethod
    def parse(cls, detail: Any, what: str) -> "ImportReject":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(strict.member(detail, "code", str, what), strict.member(detail, "exit", int, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"code": self.code, "exit": self.exit}
