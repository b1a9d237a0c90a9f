"""Attest: sign a claim about a release, or take in one that was signed elsewhere (SPEC 4.5)."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift import files, strict
from airlift.errors import UsageError
from airlift.low.depot import attestation_index
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import record
from airlift.trust.keys.public import Signer
from airlift.trust.statements import dsse, predicates, statement
from airlift.trust.statements.statement import Attestation


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed: of which kind, by which file, in which format (a predicate type; None: airlift's own)."""

    kind: str
    predicate: Path
    predicate_type: str | None = None


@dataclass(frozen=True, slots=True)
class AttestResult:
    """An attestation: its kind, SHA-512, who claims to have signed (key ids), and whether it speaks for the release.

    ``already`` says that the depot held it before.
    """

    release: str
    digest: str
    kind: str
    attestation: str
    signers: tuple[str, ...]
    passes: bool
    already: bool


def attest(
    depot: Depot,
    release: str,
    claim: Claim,
    *,
    signer: Signer,
    now: datetime,
    dry_run: bool = False,
) -> AttestResult:
    """Sign a claim (a JSON object that says its verdict, as its format has it) about a release, and keep it.

    It goes along with every bundle of the release that is made from now on.

    Raises:
        NotHeldError: the depot does not know the release.
        UsageError: the format is of another kind, the predicate lacks what it demands, or the release has too many
            attestations.
        MalformedError: the predicate is not strict JSON.
    """
    found = depot.find_release(release)
    document = strict.parse_any(
        files.read_bounded(claim.predicate, dsse.MAX_BYTES),
        limit=dsse.MAX_BYTES,
        what=str(claim.predicate),
        floats=True,
    )
    format_ = claim.predicate_type or predicates.own_type(claim.kind)
    predicate = statement.check_predicate(claim.kind, format_, document)
    made = statement.attest([(found.label, found.digest)], format_, predicate, signer)
    return keep(depot, found.label, found.digest, made, now, dry_run=dry_run)


def import_attestation(
    depot: Depot, release: str, file: Path, *, now: datetime, dry_run: bool = False
) -> AttestResult:
    """Keep an attestation that somebody else made, as it is.

    Whoever signed it need not be known here: the enclave's policy decides whom it believes.

    Raises:
        NotHeldError: the depot does not know the release.
        MalformedError: the file is no attestation.
        UsageError: it is about something else.
    """
    found = depot.find_release(release)
    made = statement.parse(files.read_bounded(file, dsse.MAX_BYTES), str(file))
    if found.digest not in made.statement.subjects:
        raise UsageError(
            f"{file} is not about {found.label}",
            expected=f"a subject with SHA-512 {found.digest[:16]}...",
            hint="see `airlift low list` for the digests of releases",
        )
    return keep(depot, found.label, found.digest, made, now, dry_run=dry_run)


def keep(
    depot: Depot, label: str, digest: str, made: Attestation, now: datetime, *, dry_run: bool
) -> AttestResult:
    """Keep an attestation about the release of that label and digest; it goes along with its bundles from now on.

    Raises:
        UsageError: the release has as many attestations as a bundle carries.
    """
    kept = any(item.digest == made.digest for item in attestation_index.load(depot, digest))
    signers = tuple(line.keyid for line in made.envelope.signatures)
    with nullcontext() if dry_run else depot.lock():
        if not dry_run and attestation_index.add(depot, digest, made):
            record(
                depot, now, "attest", release=label, digest=digest, kind=made.statement.kind,
                attestation=made.digest, signers=list(signers),
            )  # fmt: skip
    return AttestResult(
        release=label,
        digest=digest,
        kind=made.statement.kind,
        attestation=made.digest,
        signers=signers,
        passes=made.statement.passes,
        already=kept,
    )
