"""What an import would do, without changing anything: `high plan` asks policy, `high verify` reads every chunk."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift.bundle import volume
from airlift.errors import IncompleteError, RefusedError
from airlift.high.activation.left_behind import left_behind
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import load_expected
from airlift.high.enclave.staged import staged_sizes
from airlift.high.governance import gate
from airlift.high.governance.attestations import carried_details
from airlift.high.importing.expectation import expect
from airlift.high.importing.import_bundle import ImportResult, summarise
from airlift.high.importing.install import check_baseline, needed_files
from airlift.high.verification.read_chunks import ChunkReader
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.ledger.state import State
from airlift.policy.ruling import Ruling
from airlift.progress import Progress, Tally, silent


def plan_import(
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

    def plan(state: State) -> ImportResult:
        verified = verify_bundle(enclave, paths, state, now, expired_allowed=expired_allowed)
        return _plan(enclave, state, verified, now, activate=activate)

    return enclave.look(plan)


def _plan(
    enclave: Enclave, state: State, verified: VerifiedBundle, now: datetime, *, activate: bool
) -> ImportResult:
    result = _with_staged(enclave, verified, _outcome(enclave, state, verified))
    if verified.trusted is None:
        objections = gate.replay_refusals(enclave, verified, state, now) if activate else []
        return replace(result, objections=_told(objections))
    objections = gate.import_refusals(enclave, verified, state, now)
    rulings = gate.rule_import(enclave, verified, state, now)
    if activate:
        objections += gate.new_release_refusals(enclave, verified, state, now)
        rulings += gate.rule_new_release(enclave, verified, state, now)
    release = verified.release if activate else None
    return replace(
        result,
        objections=_told(objections),
        rules=_ruled(rulings),
        plan=expect(enclave, state, verified, activate=activate),
        left_behind=left_behind(enclave, state, release) if release else (),
    )


def prove_bundle(
    enclave: Enclave, paths: Sequence[Path], now: datetime, *, progress: Progress = silent
) -> ImportResult:
    """Return what the bundle is after reading and verifying all of it; policy is not asked whether it may come in.

    Raises:
        ProvenBadError: something is not what was signed: exit 3.
        IncompleteError: what is there is good, and chunks are missing: exit 4; ``data`` lists them.
        AirliftError: as :func:`plan_import`.
    """

    def verify(state: State) -> tuple[VerifiedBundle, ImportResult]:
        verified = verify_bundle(enclave, paths, state, now)
        return verified, _outcome(enclave, state, verified)

    verified, result = enclave.look(verify)
    chunks = ChunkReader(verified, enclave.staging_path(verified.digest) / volume.CHUNKS, keep=False)
    _read_all(chunks, progress)
    missing, damaged = chunks.missing(), tuple(sorted(chunks.damaged))
    if missing:
        raise IncompleteError(
            f"{len(missing)} chunks are missing",
            expected=f"{result.volumes_total} volumes",
            found=f"{result.volumes_present} volumes; " + _told_damage(chunks),
            data={"missing": list(missing), "damaged_volumes": [str(path) for path in damaged]},
        )
    return replace(result, missing=missing, repaired=tuple(chunks.repaired), damaged_volumes=damaged)


def _outcome(enclave: Enclave, state: State, verified: VerifiedBundle) -> ImportResult:
    """Return what importing a verified bundle would do; policy is not asked whether it may.

    Raises:
        SignatureError: an attestation that it carries has a bad line under a key that the enclave knows.
        BaselineError: what it builds on is not held.
        MalformedError: its release contradicts an installed one (SPEC 7.3-5).
    """
    result = summarise(verified)
    if verified.trusted is None:
        return result
    check_baseline(enclave, verified, state)
    carried_details(enclave, state, verified)
    release, used, needed = verified.release, None, needed_files(enclave, verified)
    if release is not None and (needed or release.digest not in state.installed):
        used = load_expected(enclave, state, release, verified.documents).algorithm
    return replace(
        result,
        files_built=len(needed),
        bytes_built=sum(item.size for item in needed),
        file_digest=used if needed else None,
        repaired=verified.repairable,
        damaged_volumes=verified.lacking,
    )


def _with_staged(enclave: Enclave, verified: VerifiedBundle, result: ImportResult) -> ImportResult:
    """Count chunks that are staged, by name and size, as present (SPEC 7.8-4)."""
    sizes = staged_sizes(enclave.staging_path(verified.digest))
    absent = {c.sha512 for c in verified.own.chunks if sizes.get(volume.chunk_name(c.sha512)) != c.size}
    return replace(result, missing=tuple(digest for digest in result.missing if digest in absent))


def _told(objections: Sequence[RefusedError]) -> tuple[dict[str, str], ...]:
    """Return objections as results show them; what stands against import and activation alike is told once."""
    pairs = dict.fromkeys((item.code, item.message) for item in objections)
    return tuple({"code": code, "message": message} for code, message in pairs)


def _ruled(rulings: Sequence[Ruling]) -> tuple[dict[str, Any], ...]:
    """Return rulings as results show them, each once."""
    shown = [ruling.to_json() for ruling in rulings]
    return tuple(item for number, item in enumerate(shown) if item not in shown[:number])


def _told_damage(chunks: ChunkReader) -> str:
    return "some of what is there is damaged" if chunks.bad else "what is there is good"


def _read_all(chunks: ChunkReader, progress: Progress) -> None:
    """Read every own chunk that is there, by stripes where there are any; what is lost is asked for afterwards."""
    bundle, own = chunks.bundle, chunks.own.chunks
    total = (*bundle.chunks, *bundle.parity_chunks) if bundle.parity else own
    tally = Tally("verifying", sum(item.size for item in total), progress)
    for item in () if bundle.parity else own:
        if chunks.is_there(item):
            chunks.read(item)
        tally.add(item.size)
    for stripe in bundle.parity:
        with suppress(IncompleteError):
            chunks.prove(stripe)
        tally.add(sum(item.size for item in stripe.members(bundle.chunks)))
