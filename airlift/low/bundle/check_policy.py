"""Check, before a release is bundled, that it carries what the depot's policy asks for (SPEC L4.15)."""

from collections.abc import Iterable
from datetime import datetime

from airlift.bundle.release import Release
from airlift.errors import SignatureError
from airlift.low.depot import attestation_index, policy
from airlift.low.depot.depot import Depot
from airlift.low.depot.policy import DepotPolicy
from airlift.policy.demands import BUILD, RELEASE
from airlift.policy.document import SCAN
from airlift.policy.quorum import Case, judge_quorums, quorum_objections
from airlift.policy.votes import Vote
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse
from airlift.trust.statements.statement import Attestation
from airlift.trust.tuf import roles
from airlift.trust.tuf.metadata import ROOT, TARGETS, version_of

TOGETHER = 0
"""The entry that records all statements: an import records what a bundle carries by one (SPEC 4.5-5)."""


def check_policy(depot: Depot, target: Release, bundler: PublicKey, now: datetime) -> None:
    """Check that the attestations of a release in the depot are those that its policy asks for, if it has one.

    Raises:
        QuorumError: they are not; its hint is the command that adds one.
    """
    held = policy.load(depot)
    if held is None:
        return
    standing = judge_quorums(held.demands, _case(depot, held, target, bundler, now))
    objections = quorum_objections(held.demands, standing, lambda kind: _how(held, kind, target.label))
    if objections:
        first = objections[0]
        first.data["objections"] = [{"code": item.code, "message": item.message} for item in objections]
        raise first


def _case(depot: Depot, held: DepotPolicy, target: Release, bundler: PublicKey, now: datetime) -> Case:
    """Gather what the quorums are judged by."""
    published = depot.store.published(TARGETS)
    newest = depot.store.published(ROOT)
    documents = [depot.store.document(ROOT, version) for version in range(1, version_of(newest) + 1)]
    keys = _known(held, documents)
    said: dict[str, list[Vote]] = {}
    for item in attestation_index.load(depot, target.digest):
        reading, signed = item.statement.reading, _signers(item, keys)
        vote = Vote(signed, reading.passes, TOGETHER, reading.time, item.payload_digest)
        said.setdefault(item.statement.kind, []).append(vote)
    named = ((key.key_id, name.removesuffix(".pub")) for name, key in held.keys.items())
    listed = (pair for document in (*documents, published) for pair in roles.holders(document).items())
    return Case(
        votes=said,
        voters=held.demands.voters({name: key.key_id for name, key in held.keys.items()}),
        reference=now,
        roles={
            BUILD: frozenset({bundler.key_id}),
            RELEASE: frozenset(roles.of(newest, TARGETS).signers(published)),
        },
        names=(*listed, *named),
    )


def _known(held: DepotPolicy, documents: Iterable[roles.Document]) -> tuple[PublicKey, ...]:
    """Return every key that an enclave with this policy would know: those of roots, and those of the policy."""
    pems = {key["keyval"]["public"] for document in documents for key in document["signed"]["keys"].values()}
    found = (*held.keys.values(), *(PublicKey.from_pem(pem.encode()) for pem in sorted(pems)))
    return tuple({key.key_id: key for key in found}.values())


def _signers(item: Attestation, keys: Iterable[PublicKey]) -> tuple[str, ...]:
    """Return the ids of those of ``keys`` that signed; nobody if a line is bad, as the import will have it."""
    try:
        return tuple(key.key_id for key in dsse.signed_by(item.envelope, keys, "attestation"))
    except SignatureError:
        return ()


def _how(held: DepotPolicy, kind: str, label: str) -> str:
    """Return the command that adds an attestation, and whose keys count."""
    quorum = dict(held.demands.attestations)[kind]
    whose = f"with the private key of one of: {', '.join(sorted(quorum.keys))}"
    if kind == SCAN:
        return f"`airlift low scan {label} --key KEY`, {whose}"
    command = f"airlift low attest {label} --type {kind} --predicate FILE.json --key KEY"
    dated = (
        '; FILE.json must say when, as "time": "2026-11-21T12:00:00Z"' if quorum.expires_after_days else ""
    )
    return f"`{command}`, {whose}{dated}"
