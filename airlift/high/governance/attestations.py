"""The attestations of an enclave: recorded in the ledger, kept in history, judged by policy's keys (SPEC 4.5)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airlift.errors import SignatureError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger import details
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.kinds import RECORDING
from airlift.ledger.entry import Entry
from airlift.ledger.state import State
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse, statement
from airlift.trust.statements.statement import Attestation
from airlift.trust.tuf import metadata
from airlift.trust.tuf.metadata import ROOT
from airlift.trust.tuf.roles import HOLDER, Member


@dataclass(frozen=True, slots=True)
class Recorded:
    """An attestation that an entry recorded: digest (SHA-512), kind, subject (SHA-512), and the entry."""

    digest: str
    kind: str
    subject: str
    entry: Entry


def attestation_detail(item: Attestation, subject: str, signers: tuple[Member, ...]) -> RecordedAttestation:
    """Return how an entry records an attestation about ``subject``: no text of its own, only what was checked."""
    return RecordedAttestation(
        sha512=item.digest,
        kind=item.statement.kind,
        subject=subject,
        passes=item.statement.passes,
        signers=tuple(member.key.key_id for member in signers),
        holders={member.key.key_id: member.holder for member in signers},
    )


def carried_by(verified: VerifiedBundle) -> tuple[tuple[Attestation, str], ...]:
    """Return the attestations that a bundle carries, each with what it is about: the release or the bundle itself."""
    found = []
    release = verified.release.digest if verified.release else verified.digest
    for digest in verified.attestations:
        item = statement.parse(verified.documents[digest])
        found.append((item, release if release in item.statement.subjects else verified.digest))
    return tuple(found)


def carried_details(
    enclave: Enclave, state: State, verified: VerifiedBundle
) -> tuple[RecordedAttestation, ...]:
    """Return how the commit entry records the attestations that a bundle carried."""
    known = known_signers(enclave, state)
    return tuple(
        attestation_detail(item, subject, signed_by(item, known)) for item, subject in carried_by(verified)
    )


def known_signers(enclave: Enclave, state: State) -> tuple[Member, ...]:
    """Return every key that the enclave knows, with its holder: those of roots, of policy, and its ledger's own."""
    found: dict[str, Member] = {}
    for _, data in sorted(enclave.load_roots().items(), reverse=True):
        for key_id, key in metadata.check(ROOT, data)["signed"]["keys"].items():
            pem = key["keyval"]["public"].encode()
            found.setdefault(key_id, Member(PublicKey.from_pem(pem), key[HOLDER]))
    for name, key in policy.load_document(enclave, state).keys.items():
        found.setdefault(key.key_id, Member(key, name.removesuffix(".pub")))
    with enclave.ledger() as log:
        found.setdefault(log.public.key_id, Member(log.public, f"enclave {enclave.name}"))
    return tuple(found.values())


def signed_by(item: Attestation, known: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return those of the ``known`` whose signature an attestation has.

    Raises:
        SignatureError: a line gives the id of a known key and does not verify.
    """
    signed = set(dsse.signed_by(item.envelope, [member.key for member in known], "attestation"))
    return tuple(member for member in known if member.key in signed)


def valid_signers(item: Attestation, known: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return those who signed, or nobody if a line does not verify.

    Such a line can be in the record: its key became known only after the attestation was recorded.
    """
    try:
        return signed_by(item, known)
    except SignatureError:
        return ()


def recorded_in(entries: Iterable[Entry]) -> Iterator[Recorded]:
    """Yield the attestations that entries record, in order."""
    for entry in entries:
        for item in details.attestations(entry):
            yield Recorded(item.sha512, item.kind, item.subject, entry)


def recorded_about(enclave: Enclave, release: str) -> tuple[Recorded, ...]:
    """Return the attestations that the ledger records about the release with this digest."""
    with enclave.ledger() as log:
        found = log.entries(types=RECORDING, release=release)
        return tuple(item for item in recorded_in(found) if item.subject == release)


def load_attestation(enclave: Enclave, digest: str) -> Attestation:
    """Return a kept attestation.

    Raises:
        LedgerError: it is missing or changed.
    """
    return statement.parse(enclave.history.load(digest, dsse.MAX_BYTES))
