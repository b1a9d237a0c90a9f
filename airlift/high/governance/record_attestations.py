"""Record what others say of a release that was imported: a scan made on the way, a hand-over (SPEC 4.5-8)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import KeyUnavailableError, NotHeldError
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.high.governance import attestations
from airlift.ledger.answers import questions
from airlift.ledger.entries.kinds import RECORDING
from airlift.ledger.state import State
from airlift.trust.statements import dsse, statement
from airlift.trust.statements.statement import Attestation


@dataclass(frozen=True, slots=True)
class AttestOutcome:
    """One attestation: about what (name or bundle id), its kind, who signed, whether it passes, and its entry.

    ``already`` says that it was recorded before, by ``entry``; None in a dry run.
    """

    file: str
    attestation: str
    kind: str
    subject: str
    signers: tuple[str, ...]
    passes: bool
    entry: int | None
    already: bool


@dataclass(frozen=True, slots=True)
class AttestResult:
    """What was recorded."""

    attestations: tuple[AttestOutcome, ...]
    recovered: tuple[str, ...] = ()


def record_attestations(
    enclave: Enclave, paths: Sequence[Path], *, operator: Operator, dry_run: bool = False
) -> AttestResult:
    """Record attestations: every file is checked before the first is recorded.

    Raises:
        MalformedError: a file is no attestation.
        SignatureError: a signature by a known key does not verify.
        KeyUnavailableError: no key that the enclave knows signed it.
        NotHeldError: it is about nothing that was imported.
    """
    found = [
        (str(path), statement.parse(files.read_bounded(path, dsse.MAX_BYTES), str(path))) for path in paths
    ]
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        for name, item in found:
            _check(enclave, state, name, item)
        return AttestResult(
            tuple(
                record_attestation(enclave, item, operator, name=name, dry_run=dry_run)
                for name, item in found
            ),
            recovered,
        )


def record_attestation(
    enclave: Enclave, item: Attestation, operator: Operator, *, name: str, dry_run: bool
) -> AttestOutcome:
    """Keep and record an attestation that was checked, unless it was recorded before. The caller holds the lock."""
    state = enclave.state()
    subject, label, release, bundle = _subject(enclave, state, item, name)
    signers = attestations.signed_by(item, attestations.known_signers(enclave, state))
    detail = attestations.attestation_detail(item, subject, signers)
    before = _before(enclave, item.digest)
    if before is None and not dry_run:
        enclave.history.keep(item.data)
        before = enclave.record(operator, detail, release=release, bundle=bundle).index
        already = False
    else:
        already = before is not None
    return AttestOutcome(
        file=name,
        attestation=item.digest,
        kind=detail.kind,
        subject=label,
        signers=tuple(detail.holders.values()),
        passes=detail.passes,
        entry=before,
        already=already,
    )


def _check(enclave: Enclave, state: State, name: str, item: Attestation) -> None:
    _subject(enclave, state, item, name)
    if not attestations.signed_by(item, attestations.known_signers(enclave, state)):
        raise KeyUnavailableError(
            f"{name} is signed by nobody whom this enclave knows",
            expected="a key of the policy, or of a root",
            found=", ".join(line.keyid[:16] or "no key id" for line in item.envelope.signatures),
            hint="name the key in the policy (`airlift high policy set FILE`), then run the same command again",
        )


def _subject(
    enclave: Enclave, state: State, item: Attestation, name: str
) -> tuple[str, str, str | None, str | None]:
    """Return what an attestation is about: digest, name for people, and the entry's release and bundle."""
    for digest in item.statement.subjects:
        bundle = state.committed(digest)
        if bundle is not None:
            return digest, bundle.bundle, bundle.release, bundle.bundle
        if any(known.release == digest for known in state.bundles) or digest in enclave.registered():
            return digest, enclave.load_release(digest).label, digest, None
    raise NotHeldError(
        f"{name} is about no release or bundle that was imported here, nor one that was registered",
        found=", ".join(digest[:16] for digest in item.statement.subjects) or "no SHA-512",
        hint="import the bundle first, without --activate",
    )


def _before(enclave: Enclave, digest: str) -> int | None:
    """Return the entry that recorded this attestation before."""
    with enclave.ledger() as log:
        found = attestations.recorded_in(questions.where(log, digest, types=RECORDING).entries)
        return next((item.entry.index for item in found if item.digest == digest), None)
