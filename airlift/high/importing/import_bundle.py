"""Import: verify, rebuild, install, commit, and perhaps activate, in the order of SPEC 7.1.

Nothing is installed before everything that can be decided was decided. The ledger's commit entry is the commit
point; a failure before it leaves the old state, and in staging only what a repeated import can use. Failures with
exit codes 3, 5 and 6 are themselves recorded, without any text from the medium.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import choice, remarks, volume
from airlift.bundle.release import Release
from airlift.errors import (
    AcceptanceError,
    AirliftError,
    BaselineError,
    NotHeldError,
    ProvenBadError,
    RefusedError,
)
from airlift.high.activation.activate import laid_out, runs, switch
from airlift.high.activation.enforce import Enforced, enforce, told
from airlift.high.activation.left_behind import left_behind
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.expected import load_expected
from airlift.high.enclave.recover import recover
from airlift.high.governance import gate, revocation
from airlift.high.governance.acceptance import accept
from airlift.high.governance.attestations import carried_details
from airlift.high.governance.choose import choose
from airlift.high.governance.consent import Consent
from airlift.high.governance.emergency import accept_expired
from airlift.high.importing.commit import Admission, commit
from airlift.high.importing.expectation import Expectation
from airlift.high.importing.install import StagedRelease, check_baseline, needed_files, stage
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.ledger.entries.imports import ImportReject
from airlift.ledger.state import State
from airlift.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do; names as people use them.

    ``remarks`` are what people must know of components beside their names (waivers, markings, what was left out);
    ``file_digest`` is the digest (sha512, sha256) that rebuilt files are verified with; None if there are none.
    ``passed_over`` are leftovers of desktops on the media. ``repaired`` are chunks (SHA-512) that parity gave back,
    or would; ``damaged_volumes`` those with a chunk that is damaged or lacking. ``enforced`` is what became of an
    active release that was revoked; None if none was. A plan has ``rules``, what each says, and what it would change.
    ``enclaves`` are all that the bundle is for, where these are several.
    ``left_behind`` are components that were trained inside and do not run any more after activation (SPEC 8.6-10).
    """

    bundle: str
    sequence: int
    enclave: str | None
    baseline: str | None
    target: str | None
    marking: Mapping[str, Any]
    volumes_present: int
    volumes_total: int
    missing: tuple[str, ...] = ()
    installed: bool = False
    activated: bool = False
    already: bool = False
    overtaken: bool = False
    components: tuple[Mapping[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()
    files_built: int = 0
    bytes_built: int = 0
    file_digest: str | None = None
    objections: tuple[Mapping[str, str], ...] = field(default=())
    recovered: tuple[str, ...] = ()
    passed_over: tuple[Path, ...] = ()
    repaired: tuple[str, ...] = ()
    damaged_volumes: tuple[Path, ...] = ()
    enforced: Enforced | None = None
    rules: tuple[Mapping[str, Any], ...] = ()
    plan: Expectation | None = None
    left_behind: tuple[str, ...] = ()
    enclaves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """The arguments of one import."""

    enclave: Enclave
    operator: Operator
    activate: bool
    emergency: Consent | None
    progress: Progress
    workers: int


def import_bundle(
    enclave: Enclave,
    paths: Sequence[Path],
    *,
    operator: Operator,
    activate: bool = False,
    emergency: Consent | None = None,
    progress: Progress = silent,
    workers: int = 2,
) -> ImportResult:
    """Import the bundle on these volumes; with ``activate`` also make its release the active one.

    Raises:
        ProvenBadError: exit 3. BaselineError: exit 5. RefusedError: exit 6. All three are recorded in the ledger.
        IncompleteError: exit 4; the chunks that are there were kept.
        UncheckedError: exit 7. StorageError: exit 8.
    """
    run = _Run(enclave, operator, activate, emergency, progress, workers)
    with enclave.lock():
        recovered = recover(enclave, operator)
        try:
            result = _import(run, paths)
        except AirliftError as error:
            recorded = isinstance(error, ProvenBadError | BaselineError | RefusedError)
            if recorded and not error.data.get("installed"):
                enclave.record(operator, ImportReject(error.code, error.exit_code))
            error.data |= told(enforce(enclave, operator))
            raise
        return replace(result, recovered=recovered, enforced=enforce(enclave, operator))


def _import(run: _Run, paths: Sequence[Path]) -> ImportResult:
    enclave, operator = run.enclave, run.operator
    state = enclave.state()
    verified = verify_bundle(
        enclave,
        paths,
        state,
        operator.now,
        keep_root=enclave.keep_root,
        expired_allowed=run.emergency is not None,
    )
    if verified.trusted is None:
        return _again(run, verified, state)
    news = revocation.learn(enclave, state, verified)
    if news is not None:
        enclave.record(operator, news, bundle=verified.bundle.id)
        state = enclave.state()
    check_baseline(enclave, verified, state)
    needed_files(enclave, verified)
    carried = carried_details(enclave, state, verified)
    accepted = accept_expired(enclave, state, verified, run.emergency) if run.emergency else None
    gate.insist(gate.import_refusals(enclave, verified, state, operator.now))
    if run.activate:
        gate.insist(gate.new_release_refusals(enclave, verified, state, operator.now), AcceptanceError)
    staged = _stage(run, verified, state)
    commit(enclave, operator, state, verified, staged, admission=Admission(carried, accepted))
    _sweep(enclave, verified, state)
    done = _installed(verified, staged)
    if not run.activate or verified.release is None:
        return done
    if not runs(state, choose(enclave, state, verified.release)):
        _activate(run, verified.release)
    return replace(done, activated=True, left_behind=left_behind(enclave, state, verified.release))


def _stage(run: _Run, verified: VerifiedBundle, state: State) -> StagedRelease | None:
    """Rebuild the bundle's release, unless it has none, or one that is installed already.

    Of one that has variants the bundle may bring another (SPEC 7.14-3).
    """
    release = verified.release
    if release is None or (release.digest in state.installed and not release.variants()):
        return None
    expected = load_expected(run.enclave, state, release, verified.documents)
    chosen = choose(run.enclave, state, release)
    now = run.operator.now
    return stage(
        run.enclave,
        verified,
        run.progress,
        expected=expected,
        chosen=chosen,
        now=now,
        workers=run.workers,
    )


def _installed(verified: VerifiedBundle, staged: StagedRelease | None) -> ImportResult:
    """Return what an import did that installed what was staged."""
    built = staged.built if staged else ()
    return replace(
        summarise(verified),
        installed=True,
        files_built=len(built),
        bytes_built=sum(item.size for item in built),
        file_digest=staged.file_digest if staged else None,
        missing=(),
        repaired=staged.repaired if staged else (),
        damaged_volumes=staged.damaged if staged else (),
    )


def summarise(verified: VerifiedBundle) -> ImportResult:
    """Return what a verified bundle is, before anything was done with it."""
    carried = choice.carried_part(verified.own, verified.release) if verified.release else None
    return ImportResult(
        **volume.summary(verified.own),
        volumes_present=verified.volumes_present,
        volumes_total=verified.volumes_total,
        missing=verified.missing,
        already=verified.trusted is None,
        overtaken=verified.trusted is not None and verified.trusted.overtaken,
        components=remarks.summaries(carried),
        remarks=remarks.of_release(carried),
        passed_over=verified.passed_over,
    )


def _again(run: _Run, verified: VerifiedBundle, state: State) -> ImportResult:
    """A bundle that was committed before: nothing to import; activation is still what the operator asked for.

    Raises:
        NotHeldError: it is to be activated, and its release was collected since.
        OvertakenError: it is to be activated, and a newer bundle was committed: a replay is no roll back.
    """
    enclave, release, result = run.enclave, verified.release, summarise(verified)
    if release is None or not run.activate:
        return result
    if not gate.is_active(enclave, state, release):
        if release.digest not in state.installed:
            raise NotHeldError(
                f"release {release.label} was removed since", hint="ask the low side for a new bundle"
            )
        gate.insist(gate.replay_refusals(enclave, verified, state, run.operator.now), AcceptanceError)
        _activate(run, release)
    return replace(result, activated=True, left_behind=left_behind(enclave, state, release))


def _activate(run: _Run, release: Release) -> None:
    """Make an installed release the active one, if it passes its tests.

    Raises:
        AcceptanceError, HookError: a command of the policy does not accept it; it stays installed.
        LayoutError, StorageError: something that follows cannot go along; it stays installed.
    """
    state = run.enclave.state()
    chosen = choose(run.enclave, state, release)
    try:
        with laid_out(run.enclave, chosen):
            accept(run.enclave, chosen, run.operator)
            switch(run.enclave, chosen, run.enclave.state(), run.operator)
    except AirliftError as error:
        error.data["installed"] = True
        raise


def _sweep(enclave: Enclave, verified: VerifiedBundle, state: State) -> None:
    """Remove what the commit has made superfluous; recovery does the same after a crash."""
    files.remove(enclave.staging_path(verified.digest))
    if state.trust is not None:
        files.remove(enclave.trust / state.trust.folder)
