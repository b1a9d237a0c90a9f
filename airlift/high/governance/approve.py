"""Approve: one of the people whom policy asks for signs for a release, or against it (SPEC 4.5)."""

from contextlib import nullcontext
from dataclasses import dataclass

from airlift.bundle.fields import format_time
from airlift.errors import RefusedError
from airlift.high.enclave import policy, revoked
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.high.governance.record_attestations import record_attestation
from airlift.high.governance.standing import judge_release
from airlift.ledger.state import State
from airlift.policy.demands import Quorum
from airlift.trust.keys.public import Signer
from airlift.trust.statements import predicates, statement
from airlift.trust.statements.predicates import APPROVAL


@dataclass(frozen=True, slots=True)
class ApproveResult:
    """Who approved what: ``approvals`` of ``threshold`` count now; ``approved`` is False for a refusal.

    ``left_out`` says which approvals do not count, and why: they expired, or a bar leaves somebody out.
    """

    release: str
    digest: str
    approver: str
    approved: bool
    approvals: int
    threshold: int
    attestation: str
    left_out: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()


def approve(
    enclave: Enclave,
    reference: str,
    *,
    signer: Signer,
    operator: Operator,
    reason: str = "",
    reject: bool = False,
    dry_run: bool = False,
) -> ApproveResult:
    """Sign and record an approval of an installed release, or with ``reject`` a refusal, which withdraws it.

    Raises:
        NotHeldError: the release is not installed.
        RefusedError: policy does not list the key for approvals.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        release = enclave.find_release(reference, state)
        quorum, name = _listed(enclave, state, signer)
        predicate = {
            "verdict": "fail" if reject else "pass",
            "reason": reason,
            "enclave": enclave.name,
            "time": format_time(operator.now),
            "entries": state.size,  # so that who approves again, within one second, states something new (SPEC 4.5-5)
        }
        subject = [(release.label, release.digest)]
        made = statement.attest(subject, predicates.own_type(APPROVAL), predicate, signer)
        record_attestation(enclave, made, operator, name="approval", dry_run=dry_run)
        state = enclave.state()
        keys = revoked.in_force(enclave, state).keys()
        count = judge_release(enclave, state, release.digest, operator.now, revoked=keys).count(APPROVAL)
        return ApproveResult(
            release=release.label,
            digest=release.digest,
            approver=name,
            approved=not reject,
            approvals=len(count.holders) if count else 0,
            threshold=quorum.threshold,
            attestation=made.digest,
            left_out=count.reasons if count else (),
            recovered=recovered,
        )


def _listed(enclave: Enclave, state: State, signer: Signer) -> tuple[Quorum, str]:
    """Return the quorum that policy asks for, and the name under which it lists the signer's key.

    Raises:
        RefusedError: it does not list it.
    """
    document = policy.load_document(enclave, state)
    quorum = dict(document.policy.attestations).get(APPROVAL)
    listed = {document.keys[name.rpartition("/")[2]]: name for name in (quorum.keys if quorum else ())}
    if quorum is None or signer.public not in listed:
        raise RefusedError(
            "policy does not list this key for approvals",
            expected=", ".join(sorted(listed.values())) or "no approvals are asked for",
            found=signer.public.key_id[:16],
            hint="see `airlift high policy show`",
        )
    return quorum, listed[signer.public].rpartition("/")[2].removesuffix(".pub")
