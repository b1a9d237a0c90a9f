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
from airlift.bundle import revocations, volume
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    BaselineError,
    NotHeldError,
    OvertakenError,
    ProvenBadError,
    RefusedError,
)
from airlift.high.activation.activate import switch
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.expected import load as load_expected
from airlift.high.enclave.recover import recover
from airlift.high.governance import gate
from airlift.high.governance.attestations import carried_details
from airlift.high.governance.emergency import Emergency, check_emergency
from airlift.high.importing.apply import apply, check_baseline, needed_files
from airlift.high.importing.commit import commit_detail, prepare_detail
from airlift.high.importing.install import install
from airlift.high.importing.vendor_signatures import vouch
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify import verify
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import ExpiredAccepted, ImportReject
from airlift.ledger.state import State
from airlift.progress import Progress, silent
from airlift.store.folders import building


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do; names as people use them.

    ``file_digest`` is the digest (sha512, sha256) that rebuilt files are verified with; None if there are none.
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
    files_built: int = 0
    bytes_built: int = 0
    file_digest: str | None = None
    objections: tuple[Mapping[str, str], ...] = field(default=())
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """The arguments of one import."""

    enclave: Enclave
    operator: Operator
    activate: bool
    emergency: Emergency | None
    progress: Progress
    workers: int


def import_(
    enclave: Enclave,
    paths: Sequence[Path],
    *,
    operator: Operator,
    activate: bool = False,
    emergency: Emergency | None = None,
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
        except (ProvenBadError, BaselineError, RefusedError) as error:
            enclave.record(operator, ImportReject(error.code, error.exit_code))
            raise
    return replace(result, recovered=recovered)


def _import(run: _Run, paths: Sequence[Path]) -> ImportResult:
    enclave, operator = run.enclave, run.operator
    state = enclave.state()
    verified = verify(
        enclave,
        paths,
        state,
        operator.now,
        keep_root=lambda version, data: keep_root(enclave, version, data),
        expired_allowed=run.emergency is not None,
    )
    if verified.trusted is None:
        return _again(run, verified, state)
    check_baseline(enclave, verified.bundle, state)
    needed_files(enclave, verified)
    carried = carried_details(enclave, state, verified)
    accepted = check_emergency(enclave, state, verified, run.emergency) if run.emergency else None
    gate.insist(gate.import_refusals(enclave, verified, state, operator.now))
    if run.activate:
        gate.insist(activation_refusals(enclave, verified, state))
    result = _commit(run, verified, state, carried, accepted)
    _sweep(enclave, verified, state)
    if run.activate and verified.release and state.active != verified.release.digest:
        switch(enclave, verified.release, enclave.state(), operator)
    return replace(result, activated=run.activate and verified.release is not None)


def summarise(verified: VerifiedBundle) -> ImportResult:
    """Return what a verified bundle is, before anything was done with it."""
    return ImportResult(
        **volume.summary(verified.bundle),
        volumes_present=verified.volumes_present,
        volumes_total=verified.volumes_total,
        missing=verified.missing,
        already=verified.trusted is None,
        overtaken=verified.trusted is not None and verified.trusted.overtaken,
        components=tuple(
            {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
            for c in (verified.release.components if verified.release else ())
        ),
    )


def keep_root(enclave: Enclave, version: int, data: bytes) -> None:
    """Keep a newly verified root at once, so that what it revokes stays revoked even if the import fails."""
    path = enclave.roots / f"{version}.root.json"
    if not path.exists():
        files.write_durable(path, data)


def activation_refusals(enclave: Enclave, verified: VerifiedBundle, state: State) -> list[RefusedError]:
    """Return what stands against activating this bundle's release right after installing it."""
    refusals: list[RefusedError] = []
    if verified.trusted is not None and verified.trusted.overtaken:
        refusals.append(
            OvertakenError("the bundle was overtaken by a newer one: it is not activated by itself")
        )
    if verified.release is not None:
        refusals += gate.activation_refusals(
            enclave, verified.release, state, current_revocations(enclave, verified), verified
        )
    return refusals


def current_revocations(enclave: Enclave, verified: VerifiedBundle) -> tuple[Revocation, ...]:
    """Return the newest signed list of revocations: the bundle's, unless the enclave already has a newer one."""
    trusted = verified.trusted
    listed = trusted.target(revocations.TARGET) if trusted else None
    if listed is None or listed.sha512 not in verified.documents:
        return enclave.load_revocations()
    return revocations.parse(verified.documents[listed.sha512])


def _again(run: _Run, verified: VerifiedBundle, state: State) -> ImportResult:
    """A bundle that was committed before: nothing to import; activation is still what the operator asked for.

    Raises:
        NotHeldError: it is to be activated, and its release was collected since.
        OvertakenError: it is to be activated, and a newer bundle was committed: a replay is no roll back.
    """
    enclave, release, result = run.enclave, verified.release, summarise(verified)
    if release is None or not run.activate:
        return result
    if state.active != release.digest:
        if release.digest not in state.installed:
            raise NotHeldError(
                f"release {release.label} was removed since", hint="ask the low side for a new bundle"
            )
        gate.insist(replay_refusals(enclave, verified, state))
        switch(enclave, release, state, run.operator)
    return replace(result, activated=True)


def replay_refusals(enclave: Enclave, verified: VerifiedBundle, state: State) -> list[RefusedError]:
    """Return what stands against activating the release of a bundle that was committed before."""
    known, release = state.committed(verified.digest), verified.release
    if known is None or release is None or state.active == release.digest:
        return []
    refusals: list[RefusedError] = []
    if known.overtaken or any(b.index > known.index and b.release and not b.overtaken for b in state.bundles):
        refusals.append(
            OvertakenError("a newer bundle was imported since: this one is not activated by itself")
        )
    return refusals + gate.activation_refusals(enclave, release, state, enclave.load_revocations())


def _sweep(enclave: Enclave, verified: VerifiedBundle, state: State) -> None:
    """Remove what the commit has made superfluous; recovery does the same after a crash."""
    files.remove(enclave.staging_path(verified.digest))
    if state.trust is not None:
        files.remove(enclave.trust / state.trust.folder)


def _commit(
    run: _Run,
    verified: VerifiedBundle,
    state: State,
    carried: tuple[RecordedAttestation, ...],
    accepted: ExpiredAccepted | None,
) -> ImportResult:
    """Rebuild, declare the intent, install, and append the commit entry: the commit point.

    That entry also says which attestations the bundle ``carried``, and who ``accepted`` that its metadata expired.
    """
    enclave, release = run.enclave, verified.release
    staged = None
    if release is not None and release.digest not in state.installed:
        expected = load_expected(enclave, state, release)
        staged = apply(enclave, verified, run.progress, expected=expected, workers=run.workers)
    vouched = vouch(enclave, staged) if staged else ()
    about = release.digest if release else None
    enclave.record(run.operator, prepare_detail(verified, staged), release=about, bundle=verified.bundle.id)
    built = staged.built if staged else ()
    if staged is not None:
        install(enclave, staged)
    for document in verified.documents.values():
        enclave.history.keep(document)
    detail = commit_detail(verified, save_trust(enclave, verified, state), staged)
    enclave.record(
        run.operator,
        replace(detail, vendor_signatures=vouched, attestations=carried, insecure_expired=accepted),
        release=about,
        bundle=verified.bundle.id,
        contents=release.digests() if release else (),
    )
    return replace(
        summarise(verified),
        installed=True,
        files_built=len(built),
        bytes_built=sum(item.size for item in built),
        file_digest=staged.file_digest if staged else None,
        missing=(),
    )


def save_trust(enclave: Enclave, verified: VerifiedBundle, state: State) -> str:
    """Write the trust state that the commit entry will name; return its folder's name."""
    if verified.trusted is None:
        raise ValueError("a bundle that was committed before leaves no new trust state")
    name = f"{state.size:08d}"
    with building(enclave.trust / name) as temporary:
        for file, data in verified.trusted.files.items():
            files.write_durable(temporary / file, data)
    for data in (*verified.trusted.roots.values(), *verified.trusted.files.values()):
        enclave.history.keep(data)
    return name
