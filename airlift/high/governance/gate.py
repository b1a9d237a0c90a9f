"""The gate: may this bundle come in, may this release run? Gathers the facts that the policy room judges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from airlift.bundle import choice
from airlift.bundle.release import Release
from airlift.errors import OvertakenError, RefusedError
from airlift.high.enclave import policy, revoked
from airlift.high.enclave.age import freshness
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.high.governance import acceptance, advice, revocation
from airlift.high.governance.choose import rule_variants
from airlift.high.governance.standing import judge_release
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.kinds import SWITCHES
from airlift.ledger.state import State
from airlift.policy import floors
from airlift.policy.document import REPORT, Policy
from airlift.policy.objections import Known, activation_rulings, import_rulings
from airlift.policy.quorum import quorum_rulings
from airlift.policy.revocation import Revoked
from airlift.policy.ruling import Ruling, refusals
from airlift.trust.statements.predicates import APPROVAL


@dataclass(frozen=True, slots=True)
class Gate:
    """What releases are judged by at ``now`` (aware, UTC).

    ``verified`` is the bundle that is about to come in, if one is: attestations and revocations are those of the
    record, and of that bundle.
    """

    enclave: Enclave
    state: State
    verified: VerifiedBundle | None
    now: datetime
    policy: Policy
    revoked: Revoked

    @classmethod
    def open(
        cls, enclave: Enclave, state: State, now: datetime, verified: VerifiedBundle | None = None
    ) -> "Gate":
        """Gather what an enclave knows.

        Raises:
            LedgerError: a document that the ledger names is missing or changed.
        """
        return cls(
            enclave=enclave,
            state=state,
            verified=verified,
            now=now,
            policy=policy.load(enclave, state),
            revoked=revocation.in_force(enclave, state, verified),
        )

    def judge(self, release: Release, *, aged: bool = False) -> list[RefusedError]:
        """Return what policy has against running the release."""
        return refusals(self.rule(release, aged=aged))

    def rule(self, release: Release, *, aged: bool = False) -> list[Ruling]:
        """Return what policy says of running the release; ``aged`` says that the age of what is known counts."""
        enclave, state = self.enclave, self.state
        in_force = {*dict(state.floors), *dict(self.policy.floors)}
        known = Known(
            quorums=self._quorums(release),
            revoked=revoked.findings(self.revoked, release),
            floors=dict(state.floors),
            imported=self._imported() if floors.unanswered(release, in_force) else (),
            fresh=freshness(enclave, state, release, self.now) if aged else None,
            tests=self._tests(release),
            variants=rule_variants(enclave, release, self.policy, self.verified),
        )
        return activation_rulings(release, self.policy, known)

    def fitting(self) -> Iterator[Release]:
        """Yield the held releases that may run and are not active, in policy's choice, the newest import first."""
        others = (release for release in self._held() if release.digest != self.state.active)
        return (self._chosen(release) for release in others if not self.judge(release))

    def _held(self) -> Iterator[Release]:
        """Yield the releases that are installed, the newest import first."""
        return (self.enclave.load_release(digest) for digest in reversed(self.state.installed))

    def _imported(self) -> tuple[Release, ...]:
        """Return every release that was ever imported, whether it is held or not."""
        digests = dict.fromkeys(bundle.release for bundle in self.state.bundles)
        return tuple(self.enclave.load_release(digest) for digest in digests if digest is not None)

    def _tests(self, release: Release) -> dict[str, bool]:
        lacking = acceptance.lacking(self.enclave, self.state, self._chosen(release))
        names = {test.command.name for test in lacking}
        return {command.name: command.name not in names for command in self.policy.acceptance}

    def _chosen(self, release: Release) -> Release:
        """Return the release in policy's choice, or with all its variants if it makes none: then it is refused."""
        chosen = choice.choose(release, self.policy.variants)
        return release if chosen is None else release.only(chosen)

    def _quorums(self, release: Release) -> tuple[Ruling, ...]:
        standing = judge_release(
            self.enclave, self.state, release.digest, self.now, self.verified, revoked=self.revoked.keys()
        )
        return tuple(quorum_rulings(self.policy.demands, standing, lambda kind: _how(kind, release.label)))


def _how(kind: str, label: str) -> str:
    """Return what to do for want of an attestation."""
    if kind == APPROVAL:
        return f"approve it: `airlift high approve {label} --key KEY`; see `airlift high policy show`"
    return f"record one by a key that policy lists: `airlift high attest FILE` ({kind} of {label})"


def import_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what policy has against letting the bundle in."""
    return refusals(rule_import(enclave, verified, state, now))


def rule_import(enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime) -> list[Ruling]:
    """Return what policy says of letting the bundle in."""
    keys = verified.trusted.bundler_key_ids if verified.trusted else ()
    rules, moment = policy.load(enclave, state), reference_time(state, now, keys)
    return [
        *import_rulings(verified.bundle, rules, moment, verified.release),
        *rule_variants(enclave, verified.release, rules, verified),
    ]


def activation_refusals(
    enclave: Enclave,
    release: Release,
    state: State,
    verified: VerifiedBundle | None = None,
    *,
    now: datetime,
    aged: bool = True,
) -> list[RefusedError]:
    """Return what policy has against running the release, each with what would do instead (SPEC 7.5-4).

    ``aged`` says whether the age of what the enclave knows counts: not for a roll back (SPEC 8.2-12).
    """
    gate = Gate.open(enclave, state, now, verified)
    refused = gate.judge(release, aged=aged)
    wanted = [error for error in refused if isinstance(error, advice.ADVISED)]
    if wanted:
        advice.advise(enclave, state, wanted, next(gate.fitting(), None))
    return refused


def return_refusals(enclave: Enclave, release: Release, state: State, *, now: datetime) -> list[RefusedError]:
    """Return what stands against a return to the release: age only if it never was active (SPEC 8.2-12)."""
    with enclave.ledger() as log:
        known = next(log.entries(types=SWITCHES, release=release.digest), None) is not None
    return activation_refusals(enclave, release, state, now=now, aged=not known)


def service_refusals(
    enclave: Enclave, release: Release, state: State, *, now: datetime, chosen: Sequence[str] = ()
) -> list[RefusedError]:
    """Return what stands against serving the release: as a return, or of what is active a revocation (SPEC 8.7-5).

    ``chosen`` are the names of the variants that it is served with: in another choice than runs, it is not active.
    """
    if (release.digest, tuple(chosen)) != (state.active, state.chosen):
        refused = return_refusals(enclave, release, state, now=now)
        for error in refused if state.active is not None else ():
            if isinstance(error, advice.ADVISED):  # no reason to switch to another one
                error.hint = "serve what is active: `airlift high export active --layout LAYOUT --output DIR`"
        return refused
    gate = Gate.open(enclave, state, now)
    found = revoked.findings(gate.revoked, release) if gate.policy.revoked != REPORT else ()
    return [item.error() for item in found]


def new_release_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what stands against activating this bundle's release right after installing it."""
    refusals: list[RefusedError] = []
    if verified.trusted is not None and verified.trusted.overtaken:
        refusals.append(
            OvertakenError("the bundle was overtaken by a newer one: it is not activated by itself")
        )
    if verified.release is not None:
        refusals += activation_refusals(enclave, verified.release, state, verified, now=now, aged=False)
    return refusals


def rule_new_release(enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime) -> list[Ruling]:
    """Return what policy says of activating this bundle's release right after installing it."""
    if verified.release is None:
        return []
    return Gate.open(enclave, state, now, verified).rule(verified.release)


def is_active(enclave: Enclave, state: State, release: Release) -> bool:
    """Say whether a release is active, in the choice that policy makes of its variants, if it makes one."""
    if state.active != release.digest:
        return False
    chosen = choice.choose(release, policy.load(enclave, state).variants)
    return chosen in {None, state.chosen}


def replay_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what stands against activating the release of a bundle that was committed before."""
    known, release = state.committed(verified.digest), verified.release
    if known is None or release is None or is_active(enclave, state, release):
        return []
    refusals: list[RefusedError] = []
    later = (b for b in state.bundles if b.index > known.index and b.release is not None)
    if known.overtaken or any(b.sequence > known.sequence for b in later):
        refusals.append(
            OvertakenError("a newer bundle was imported since: this one is not activated by itself")
        )
    return refusals + activation_refusals(enclave, release, state, now=now)


def insist(refused: Sequence[RefusedError], *but: type[RefusedError]) -> None:
    """Raise the first objection that is not of the kinds ``but``, telling of the others.

    Raises:
        RefusedError: there is one.
    """
    objections = [item for item in refused if not isinstance(item, but)]
    if not objections:
        return
    first = objections[0]
    first.data["objections"] = [{"code": item.code, "message": item.message} for item in objections]
    raise first
