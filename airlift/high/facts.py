"""Facts: gather what exports and the report may say about an enclave, all of it verified (SPEC 15.1)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import __version__, authored, files
from airlift.bundle.fields import format_time
from airlift.evidence import controls
from airlift.evidence.facts import Attested, Facts, LedgerFacts, Signatory
from airlift.high import attestations, policy
from airlift.high.attestations import Recorded
from airlift.high.enclave import Enclave
from airlift.high.provenance import load_bundle
from airlift.high.receipt import highest
from airlift.ledger import audit, find, note
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from airlift.ledger.state import State
from airlift.trust.roles import Member

NEWEST = 2000
"""How many entries documents tell of at most; further ones are counted."""


def gather(enclave: Enclave, now: datetime, *, controls_file: Path | None = None) -> Facts:
    """Return the facts about an enclave after verifying its whole ledger.

    Raises:
        LedgerError, SignatureError: the record was changed.
        ManifestError: the file of controls is not valid.
    """
    state = enclave.state()
    document = policy.load_document(enclave, state)
    with enclave.ledger() as log:
        audit.verify(log)
        found = find.history(log, limit=NEWEST)
        commits = [*log.entries(types=("import-commit",))]
        recorded = [*attestations.recorded(log.entries(types=attestations.RECORDING))]
        ledger = _ledger(log)
    entries = _with_imports(found.entries, commits)
    releases = {e.release: enclave.load_release(e.release) for e in commits if e.release}
    return Facts(
        enclave=enclave.name,
        generated=format_time(now),
        version=__version__,
        marking=highest(releases.values(), document.policy.levels),
        ledger=ledger,
        active=state.active,
        previous=state.previous,
        installed=state.installed,
        releases=releases,
        bundles={e.detail["bundle_manifest"]: load_bundle(enclave, e) for e in commits},
        entries=entries,
        omitted=ledger.size - len(entries),
        attestations=tuple(_attested(enclave, state, recorded)),
        policy=document.policy,
        policy_digest=document.digest,
        controls=load_controls(controls_file),
    )


def load_controls(path: Path | None) -> Mapping[str, Any]:
    """Return the mapping of controls: of a file that an assessor edited, or airlift's own.

    Raises:
        ManifestError: it is not valid.
    """
    if path is None:
        return controls.parse(controls.FILE, authored.shipped(controls.FILE))
    return controls.parse(str(path), files.read_bounded(path, authored.MAX_BYTES))


def _with_imports(newest: tuple[Entry, ...], commits: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the newest entries and, before them, every import: who signed what came in is always told."""
    first = newest[0].index if newest else 0
    return (*(entry for entry in commits if entry.index < first), *newest)


def _ledger(log: Log) -> LedgerFacts:
    with log.one_moment():
        head, data = log.head(), log.checkpoint()
    return LedgerFacts(
        origin=log.origin,
        size=head.size,
        root=head.root,
        checkpoint=data,
        public_key=log.public.pem(),
        fingerprint=log.public.fingerprint,
        scheme=log.public.scheme,
        witnesses=tuple(line.name for line in note.parse(data).signatures if line.name != log.origin),
    )


def _attested(enclave: Enclave, state: State, recorded: Iterable[Recorded]) -> Iterable[Attested]:
    known = attestations.members(enclave, state)
    for item in recorded:
        loaded = attestations.load(enclave, item.digest)
        signed = attestations.believed(loaded, known)
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
        )


def _signatories(signed: tuple[Member, ...], claimed: Iterable[str]) -> tuple[Signatory, ...]:
    """Return who signed, and the key ids of lines by keys that the enclave does not know."""
    verified = {member.key.key_id: member.holder for member in signed}
    unknown = [key_id for key_id in claimed if key_id not in verified]
    return (
        *(Signatory(key_id, holder, verified=True) for key_id, holder in verified.items()),
        *(Signatory(key_id, "", verified=False) for key_id in unknown),
    )
