"""Gather what exports and the report may say about an enclave, all of it verified (SPEC 15.1)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import __version__, authored, files
from airlift.bundle.fields import format_time
from airlift.bundle.release import Release
from airlift.evidence import controls
from airlift.evidence.facts import Attested, Facts, LedgerFacts, Signatory
from airlift.high.enclave import policy, revoked
from airlift.high.enclave.age import issue_times, latest_moment, trusted_bundlers
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import attestations
from airlift.high.governance.attestations import Recorded
from airlift.high.governance.standing import key_names
from airlift.high.record.questions import load_bundle
from airlift.high.record.receipt import highest_marking
from airlift.ledger import audit, details, note
from airlift.ledger.answers import questions
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entries.kinds import BRINGING, RECORDING, TYPES
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from airlift.ledger.state import State
from airlift.trust.keys.public import PublicKey
from airlift.trust.tuf.roles import Member

NEWEST = 2000
"""How many of the newest entries documents tell of; of older ones only what :func:`_told` lists."""


def gather_facts(
    enclave: Enclave,
    now: datetime,
    *,
    controls_file: Path | None = None,
    witnesses: Collection[PublicKey] = (),
) -> Facts:
    """Return the facts about an enclave after verifying its whole ledger; ``witnesses`` are known witnesses' keys.

    Raises:
        LedgerError, SignatureError: the record was changed.
        ManifestError: the file of controls is not valid.
    """
    controls = load_controls(controls_file)
    return enclave.look(lambda state: _gather(enclave, state, now, controls, witnesses))


def _gather(
    enclave: Enclave,
    state: State,
    now: datetime,
    controls: Mapping[str, Any],
    witnesses: Collection[PublicKey],
) -> Facts:
    document, keys = policy.load_document(enclave, state), trusted_bundlers(enclave)
    lost = revoked.in_force(enclave, state).keys()
    with enclave.ledger() as log:
        audit.verify_log(log)
        entries = _told(log, state.active)
        ledger = _ledger(log, witnesses)
    commits = [entry for entry in entries if entry.type == ImportCommit.TYPE]
    recorded = attestations.recorded_in(entry for entry in entries if entry.type in RECORDING)
    releases = {
        e.release: _in_part(enclave, state, entries, e.release)
        for e in entries
        if e.type in BRINGING and e.release
    }
    return Facts(
        enclave=enclave.name,
        generated=format_time(now),
        version=__version__,
        marking=highest_marking(releases.values(), document.policy.levels),
        ledger=ledger,
        active=state.active,
        previous=state.previous,
        installed=state.installed,
        releases=releases,
        bundles={details.read(e, ImportCommit).bundle_manifest: load_bundle(enclave, e) for e in commits},
        entries=entries,
        omitted=ledger.size - len(entries),
        attestations=tuple(_attested(enclave, state, recorded)),
        policy=document.policy,
        policy_digest=document.digest,
        voters={kind: ids - lost for kind, ids in document.voters.items()},
        names=tuple(key_names(enclave, document)),
        issued=issue_times(state, keys),
        reference=format_time(latest_moment(state, now, keys)),
        controls=controls,
    )


def _in_part(enclave: Enclave, state: State, entries: Sequence[Entry], digest: str) -> Release:
    """Return a release with those of its variants that run, or that are or were held if it does not run."""
    release = enclave.load_release(digest)
    if not release.variants():
        return release
    if digest == state.active:
        return release.only(state.chosen)
    said = [details.variants(entry) for entry in entries if entry.release == digest]
    brought = {name for item in said if item is not None for name in item.held}
    return release.only(brought | set(state.held_variants(digest)))


def load_controls(path: Path | None) -> Mapping[str, Any]:
    """Return the mapping of controls: of a file that an assessor edited, or airlift's own.

    Raises:
        ManifestError: it is not valid.
    """
    if path is None:
        return controls.parse(controls.FILE, authored.shipped(controls.FILE))
    return controls.parse(str(path), files.read_bounded(path, authored.MAX_BYTES))


def _told(log: Log, active: str | None) -> tuple[Entry, ...]:
    """Return the entries that documents tell of, in order (SPEC 15.1-2)."""
    found = [
        *questions.history(log, limit=NEWEST).entries,
        *log.entries(types=(*RECORDING, Registration.TYPE)),
        *(log.entries(release=active) if active is not None else ()),
        *(
            entry
            for kind in TYPES
            for entry in questions.history(log, types=(kind,), limit=controls.SHOWN).entries
        ),
    ]
    told = {entry.index: entry for entry in found}
    return tuple(told[index] for index in sorted(told))


def _ledger(log: Log, witnesses: Collection[PublicKey]) -> LedgerFacts:
    with log.one_moment():
        (head, data), counts = log.newest(), log.counts()
    kept = note.parse(data)
    known = [key for key in witnesses if key != log.public]
    signed = [(name, note.key_id(name, key)) for key in known for name in note.signed_by(kept, key)]
    lines = dict.fromkeys((line.name, line.key_id) for line in kept.signatures)
    others = [line for line in lines if line != (log.origin, note.key_id(log.origin, log.public))]
    return LedgerFacts(
        origin=log.origin,
        size=head.size,
        root=head.root,
        checkpoint=data,
        public_key=log.public.pem(),
        fingerprint=log.public.fingerprint,
        scheme=log.public.scheme,
        key_id=log.public.key_id,
        counts=counts,
        witnesses=tuple(name for name, key_id in others if (name, key_id) in signed),
        claimed=tuple(name for name, key_id in others if (name, key_id) not in signed),
    )


def _attested(enclave: Enclave, state: State, recorded: Iterable[Recorded]) -> Iterable[Attested]:
    known = attestations.known_signers(enclave, state)
    for item in recorded:
        loaded = attestations.load_attestation(enclave, item.digest)
        signed = attestations.valid_signers(loaded, known)
        yield Attested(
            digest=item.digest,
            kind=item.kind,
            predicate_type=loaded.statement.predicate_type,
            subject=item.subject,
            signers=_signatories(signed, [line.keyid for line in loaded.envelope.signatures]),
            predicate=loaded.statement.predicate,
            entry=item.entry.index,
            time=item.entry.time,
            envelope=loaded.data,
            passes=loaded.statement.passes,
            statement=loaded.payload_digest,
            made=loaded.statement.time,
        )


def _signatories(signed: tuple[Member, ...], claimed: Iterable[str]) -> tuple[Signatory, ...]:
    """Return who signed, and the key ids of lines by keys that the enclave does not know."""
    verified = {member.key.key_id: member.holder for member in signed}
    unknown = [key_id for key_id in claimed if key_id not in verified]
    return (
        *(Signatory(key_id, holder, verified=True) for key_id, holder in verified.items()),
        *(Signatory(key_id, "", verified=False) for key_id in unknown),
    )
