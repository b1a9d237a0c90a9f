"""What entries say, as values: one of every type, and those that tests vary."""

from typing import Any

from airlift.bundle.fields import Marking
from airlift.bundle.manifest import ReleaseRef
from airlift.ledger.entries.activations import (
    Abort,
    ActivateCommit,
    ActivatePrepare,
    RollbackCommit,
    RollbackPrepare,
    WithdrawCommit,
    WithdrawPrepare,
)
from airlift.ledger.entries.administration import Enroll, Gc, PolicyChange, Roots, Witness
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.exports import Export, Unfollow
from airlift.ledger.entries.governance import FloorChange, Relayed, RevocationsKnown
from airlift.ledger.entries.imports import (
    ImportCommit,
    ImportedVariants,
    ImportPrepare,
    ImportReject,
    VendorVerified,
)
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import Accepted, Detail, NamedComponent, Trust

ADA, BOB = "ab" * 32, "cd" * 32
NAMED = ReleaseRef("1" * 128, "assistant", "1")


def enroll(**fields: Any) -> Enroll:
    """Return what an enrolment says."""
    said: dict[str, Any] = {
        "enclave": "alpha",
        "root_fingerprint": "9" * 96,
        "root_version": 1,
        "ledger_key": "8" * 96,
        "policy": "e" * 128,
        "minimum_sequence": 0,
    }
    return Enroll(**(said | fields))


def prepare(number: int, **fields: Any) -> ImportPrepare:
    """Return what the intent to import bundle ``number`` says."""
    said: dict[str, Any] = {
        "bundle_manifest": f"{number:0128x}",
        "sequence": number,
        "baseline": None,
        "target": NAMED,
    }
    return ImportPrepare(**(said | fields))


def commit(number: int, **fields: Any) -> ImportCommit:
    """Return what the import of bundle ``number`` says: one component, signed by two keys."""
    said: dict[str, Any] = {
        "bundle_manifest": f"{number:0128x}",
        "sequence": number,
        "issued": f"2026-03-{number:02}T12:00:00Z",
        "baseline": None,
        "marking": Marking("UNCLASSIFIED"),
        "overtaken": False,
        "bundler_keys": (ADA,),
        "trust": Trust(f"{number:08d}", f"{number:0128x}"),
        "metadata": {"root": 1, "targets": number},
        "signers": {"targets": (ADA,), "bundler": (BOB,)},
        "holders": {ADA: "Ada"},
        "release": NAMED,
        "components": (NamedComponent("guard", "guard", f"2.{number}", f"{number:0128x}"),),
        "volumes": 1,
        "chunk_bytes": 5000,
        "files_built": 2,
        "revocations": "0" * 128,
    }
    return ImportCommit(**(said | fields))


def attestation(**fields: Any) -> RecordedAttestation:
    """Return what an entry says of a scan that passes."""
    said: dict[str, Any] = {
        "sha512": "9" * 128,
        "kind": "scan",
        "subject": NAMED.digest,
        "passes": True,
        "signers": (ADA,),
        "holders": {ADA: "Ada"},
    }
    return RecordedAttestation(**(said | fields))


EVERY: tuple[Detail, ...] = (
    enroll(),
    enroll(floors={"guard": "2.1"}),
    prepare(1),
    prepare(2, baseline=NAMED, target=None),
    prepare(3, file_digest="sha256"),
    prepare(4, file_digest=None),
    commit(1),
    commit(1, file_digest="sha256"),
    commit(
        2,
        baseline=NAMED,
        volume_names=("airlift-alpha-2-vol01of01",),
        codecs={"ulp": 12},
        attestations=(attestation(), attestation(kind="approval", passes=False)),
        vendor_signatures=(VendorVerified("base", "7" * 128, "key", "6" * 64),),
        insecure_expired=Accepted("the only disc within reach", {ADA: "00ff", BOB: "ff00"}),
    ),
    commit(3, release=None, components=()),
    commit(
        4,
        variants=ImportedVariants(
            ("base",),
            ("base-int4",),
            ("base-int4",),
            (NamedComponent("base-fp16", "model", "1", "9" * 128),),
        ),
    ),
    ImportReject("signature-invalid", 3),
    ActivatePrepare(None, NAMED),
    ActivateCommit(None, NAMED),
    ActivateCommit("2" * 128, NAMED, recovered=7),
    ActivatePrepare(NAMED.digest, NAMED, variants=("base-int4",)),
    ActivateCommit(NAMED.digest, NAMED, recovered=7, variants=("base-int4",)),
    RollbackPrepare("2" * 128, NAMED),
    RollbackCommit("2" * 128, NAMED),
    RollbackPrepare("2" * 128, NAMED, because="revoked"),
    RollbackCommit("2" * 128, NAMED, recovered=8, because="revoked"),
    WithdrawPrepare(NAMED.digest, NAMED),
    WithdrawCommit(NAMED.digest, NAMED, because="revoked"),
    Abort(1, "the import was interrupted"),
    PolicyChange("e" * 128, {"issm.pub": "5" * 96}),
    PolicyChange("e" * 128, {}, floors={}),
    FloorChange("guard", "2.1", None, "CVE-2026-1", {}),
    FloorChange("kind:guard", None, "2.1", "a wrong floor", {ADA: "00ff", BOB: "ff00"}),
    RevocationsKnown("6" * 128, covers=True),
    Relayed("7" * 128, "bravo", ("airlift-bravo-4-vol01of01",), None),
    Relayed("7" * 128, "bravo", (), "8" * 128),
    Registration(
        NAMED,
        ReleaseRef("2" * 128, "assistant", "0"),
        Marking("SECRET", ("NOFORN",)),
        (NamedComponent("cases", "adapter", "1", "3" * 128),),
        ("cases",),
    ),
    Registration(
        NAMED,
        ReleaseRef("2" * 128, "assistant", "0"),
        Marking("SECRET"),
        (NamedComponent("base-int4", "model", "1", "4" * 128),),
        (),
        ("base-int4",),
    ),
    Export(NAMED, "tree", "/srv/models", follow=False),
    Export(NAMED, "hf-cache", "/srv/hub", follow=True, components=("base",), names={"base": "org/name"}),
    Unfollow("/srv/hub"),
    Gc(("1" * 128, "2" * 128)),
    attestation(),
    Witness(),
    Roots(),
)
"""At least one of every type, with and without what is optional."""
