"""Set a floor: raised by one person at once, lowered or ended by two (SPEC 8.2-10)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from airlift.errors import FloorError, UsageError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.high.governance import consent
from airlift.high.governance.consent import Consent
from airlift.ledger.entries.governance import FloorChange
from airlift.ledger.state import State
from airlift.policy import floors
from airlift.policy.versions import check_version, is_below
from airlift.trust.keys.public import Signer


@dataclass(frozen=True, slots=True)
class FloorRequest:
    """A floor for ``name`` (of a component, or ``kind:KIND``); ``version`` None ends it. ``signers`` as consent."""

    name: str
    version: str | None
    reason: str
    signers: Sequence[Signer] = ()

    def __post_init__(self) -> None:
        floors.check_name(self.name)
        consent.check_reason(self.reason)
        if self.version is not None:
            check_version(self.version)


@dataclass(frozen=True, slots=True)
class FloorResult:
    """The floor of ``name`` now and before; ``already`` if nothing had to be done, ``entry`` is where it stands."""

    name: str
    version: str | None
    previous: str | None
    already: bool
    entry: int | None
    recovered: tuple[str, ...] = ()


def set_floor(
    enclave: Enclave, request: FloorRequest, *, operator: Operator, dry_run: bool = False
) -> FloorResult:
    """Set a floor, and record it.

    Raises:
        UsageError: two people must sign for this, and did not.
        QuorumError: they are not those whom policy lists.
        FloorError: the policy in force says a higher one.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        own = dict(policy.load(enclave, state).floors)
        before = floors.higher(own, dict(state.floors)).get(request.name)
        if before == request.version:
            return FloorResult(request.name, before, before, True, None, recovered)
        signatures = _consented(enclave, state, request, own) if _lowers(before, request.version) else {}
        change = FloorChange(request.name, request.version, before, request.reason, signatures)
        entry = None if dry_run else enclave.record(operator, change).index
        return FloorResult(request.name, request.version, before, False, entry, recovered)


def _lowers(before: str | None, version: str | None) -> bool:
    return before is not None and (version is None or is_below(version, before))


def _consented(enclave: Enclave, state: State, request: FloorRequest, own: dict[str, str]) -> dict[str, str]:
    """Return the signatures of those who lower a floor; ``own`` are policy's, which only a policy lowers."""
    stated = own.get(request.name)
    if stated is not None and _lowers(stated, request.version):
        raise FloorError(
            f"the policy in force has a floor of its own for {request.name}",
            expected=f">= {stated}",
            found=request.version or "none",
            hint="set a policy without it first (`airlift high policy set FILE`), which by itself lowers nothing",
        )
    if not request.signers:
        raise UsageError(
            "to lower a floor takes two people", hint="run it again with --key K --key K of two approvers"
        )
    word = Consent(request.reason, request.signers)
    said = {"set_floor": request.name, "version": request.version, "size": state.size}
    hint = "list their keys in the policy (`airlift high policy set FILE`)"
    return consent.sign(enclave, state, word, said, what="a floor is lowered", hint=hint)
