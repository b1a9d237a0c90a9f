"""How a release stands with policy's quorums and bars: gathers what is judged by (SPEC 4.5-9 to 4.5-13)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain

from airlift.bundle.fields import parse_time
from airlift.high.enclave import policy
from airlift.high.enclave.age import issue_times, latest_moment, trusted_bundlers
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.policy import PolicyDocument
from airlift.high.governance import attestations
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger import details
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.state import State
from airlift.policy.demands import BUILD, RELEASE
from airlift.policy.quorum import Case, Standing, judge_quorums
from airlift.policy.votes import Vote
from airlift.trust.tuf import metadata, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.roles import BUNDLER


def judge_release(
    enclave: Enclave,
    state: State,
    release: str,
    now: datetime,
    verified: VerifiedBundle | None = None,
    *,
    revoked: Collection[str] = (),
) -> Standing:
    """Return how the release with this digest stands; ``verified`` is a bundle that is about to bring it.

    What such a bundle carries counts as recorded by the entry that will commit it. Keys whose ids are ``revoked``
    count for nothing.
    """
    document = policy.load_document(enclave, state)
    trusted = verified.trusted if verified else None
    keys = trusted.bundler_key_ids if trusted else trusted_bundlers(enclave)
    issued, reference = dict(issue_times(state, keys)), latest_moment(state, now, keys)
    if verified is not None and trusted is not None:
        issued[state.size] = verified.bundle.issued
        reference = max(reference, parse_time(verified.bundle.issued))
    imported = enclave.registered().get(release, release)
    commits = _commits(enclave, imported)
    case = Case(
        votes=_votes(enclave, state, release, verified),
        voters={kind: ids - set(revoked) for kind, ids in document.voters.items()},
        reference=reference,
        roles=_roles(commits, verified, () if imported == release else _own_key(enclave)),
        names=_names(enclave, document, commits, verified),
        issued=issued,
    )
    return judge_quorums(document.policy.demands, case)


def key_names(enclave: Enclave, document: PolicyDocument) -> Iterator[tuple[str, str]]:
    """Yield keys (ids) with the names that they have in the roots that are held, and in a policy."""
    for data in enclave.load_roots().values():
        yield from roles.holders(metadata.check(ROOT, data)).items()
    yield from document.names


def _names(
    enclave: Enclave, document: PolicyDocument, commits: list[ImportCommit], verified: VerifiedBundle | None
) -> tuple[tuple[str, str], ...]:
    """Return all names of keys: what :func:`key_names` yields, and those in the metadata of a release's bundles."""
    trusted = verified.trusted if verified else None
    imported = (pair for said in commits for pair in said.holders.items())
    return (*key_names(enclave, document), *imported, *(trusted.holders.items() if trusted else ()))


def _votes(
    enclave: Enclave, state: State, release: str, verified: VerifiedBundle | None
) -> Mapping[str, Iterable[Vote]]:
    """Return what is recorded about a release, and what a bundle carries about it, by kind."""
    known = attestations.known_signers(enclave, state)
    found = [
        (item.entry.index, attestations.load_attestation(enclave, item.digest))
        for item in attestations.recorded_about(enclave, release)
    ]
    if verified is not None:
        carried = attestations.carried_by(verified)
        found += [(state.size, item) for item, subject in carried if subject == release]
    said: dict[str, list[Vote]] = {}
    for index, item in found:
        signed = tuple(member.key.key_id for member in attestations.valid_signers(item, known))
        reading = item.statement.reading
        vote = Vote(signed, reading.passes, index, reading.time, item.payload_digest)
        said.setdefault(item.statement.kind, []).append(vote)
    return said


def _commits(enclave: Enclave, release: str) -> list[ImportCommit]:
    """Return what the imports of bundles that brought a release (digest) recorded."""
    with enclave.ledger() as log:
        found = list(log.entries(types=(ImportCommit.TYPE,), release=release))
    return [details.read(entry, ImportCommit) for entry in found]


def _own_key(enclave: Enclave) -> tuple[str, ...]:
    """Return the id of the ledger's key: who registers a release has built it (SPEC 8.6-8)."""
    with enclave.ledger() as log:
        return (log.public.key_id,)


def _roles(
    commits: list[ImportCommit], verified: VerifiedBundle | None, own: tuple[str, ...]
) -> Mapping[str, frozenset[str]]:
    """Return the keys that built and released a release, as its imports recorded them, and as a bundle shows them.

    ``own`` are those of who registered it here.
    """
    built, released = [own, *(item.bundler_keys for item in commits)], [item.release_keys for item in commits]
    if verified is not None and verified.trusted is not None:
        built.append(tuple(verified.trusted.signers[BUNDLER]))
        released.append(tuple(verified.trusted.signers[TARGETS]))
    return {BUILD: frozenset(chain(*built)), RELEASE: frozenset(chain(*released))}
