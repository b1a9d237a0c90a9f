"""Plan: what an import would do, and what policy says; nothing changes (SPEC 7.1)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from airlift.errors import RefusedError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import load as load_expected
from airlift.high.governance import gate
from airlift.high.governance.attestations import carried_details
from airlift.high.importing.apply import check_baseline, needed_files
from airlift.high.importing.run import ImportResult, activation_refusals, replay_refusals, summarise
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify import verify
from airlift.ledger.state import State


def plan(
    enclave: Enclave,
    paths: Sequence[Path],
    now: datetime,
    *,
    expired_allowed: bool = False,
    activate: bool = True,
) -> ImportResult:
    """Return what importing these volumes would do; ``objections`` lists all that policy has against it.

    Raises:
        AirliftError: verification fails, or the baseline is not held, as an import would.
    """
    state = enclave.state()
    verified = verify(enclave, paths, state, now, expired_allowed=expired_allowed)
    result = outcome(enclave, state, verified)
    if verified.trusted is None:
        objections = replay_refusals(enclave, verified, state) if activate else []
        return replace(result, objections=_told(objections))
    objections = gate.import_refusals(enclave, verified, state, now)
    if activate:
        objections += activation_refusals(enclave, verified, state)
    used = load_expected(enclave, state, verified.release).algorithm if result.files_built else None
    return replace(result, file_digest=used, objections=_told(objections))


def outcome(enclave: Enclave, state: State, verified: VerifiedBundle) -> ImportResult:
    """Return what importing a verified bundle would do; policy is not asked whether it may.

    Raises:
        SignatureError: an attestation that it carries has a bad line under a key that the enclave knows.
        BaselineError: what it builds on is not held.
    """
    result = summarise(verified)
    if verified.trusted is None:
        return result
    check_baseline(enclave, verified.bundle, state)
    carried_details(enclave, state, verified)
    needed = needed_files(enclave, verified)
    return replace(result, files_built=len(needed), bytes_built=sum(item.size for item in needed))


def _told(objections: Sequence[RefusedError]) -> tuple[dict[str, str], ...]:
    return tuple({"code": item.code, "message": item.message} for item in objections)
