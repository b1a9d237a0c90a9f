"""Attempt an import of volumes of one bundle, and say how it ended (SPEC 7.13-4 to 7.13-7).

Policy is asked first whether the release may run; if it may not, the bundle comes in all the same. What an import
refuses is recorded by the import itself, so that it is only tried again when the plan has nothing against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift.errors import (
    AcceptanceError,
    AirliftError,
    BaselineError,
    BusyError,
    ContentDamagedError,
    FormatTooNewError,
    HookError,
    IncompleteError,
    KeyUnavailableError,
    LedgerError,
    OvertakenError,
    ProvenBadError,
    RefusedError,
    StalledError,
    StorageError,
    TrustStateError,
    UncheckedError,
)
from airlift.high.enclave import recover
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.governance import gate
from airlift.high.importing.import_bundle import ImportResult, import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.watching.sights import Fault, Kind
from airlift.ledger import details
from airlift.ledger.entries.activations import Abort, ActivateCommit, RollbackCommit
from airlift.ledger.state import Committed, State
from airlift.progress import Progress, silent

OURS = (LedgerError, TrustStateError, ContentDamagedError)
"""Proven bad, and no fault of any volume."""


@dataclass(frozen=True, slots=True)
class Importer:
    """How bundles are imported: whether they are activated, with how many threads, and who is told of progress."""

    enclave: Enclave
    activate: bool = False
    workers: int = 2
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an import ended: what was imported, or what was in the way.

    With :attr:`Kind.imported`, ``fault`` is why the release did not become active. With :attr:`Kind.held` and
    ``repeated`` the bundle is imported and its release waits to be activated.
    """

    kind: Kind
    result: ImportResult | None = None
    fault: Fault | None = None
    repeated: bool = False


def attempt(
    how: Importer, paths: Sequence[Path], manifest: str, operator: Operator, *, ask: bool = False
) -> Outcome:
    """Import these volumes; with ``ask`` only if the plan has nothing against it.

    Raises:
        ProvenBadError: the enclave itself is not as it should be.
        StalledError: a medium does not answer.
        KeyUnavailableError: the ledger's key cannot be used.
    """
    try:
        known = how.enclave.state().committed(manifest)
        if known is not None:
            return _again(how, paths, known, operator)
        return _import(how, paths, operator, ask=ask)
    except (*OURS, StalledError, KeyUnavailableError):
        raise
    except AirliftError as error:
        return Outcome(_kind(error), fault=Fault.of(error))


def _kind(error: AirliftError) -> Kind:
    """Return how an import ended that failed.

    Raises:
        AirliftError: the error, if no volume and no waiting can help.
    """
    kinds: tuple[tuple[type[AirliftError], Kind], ...] = (
        (BusyError, Kind.busy),
        (IncompleteError, Kind.incomplete),
        (ProvenBadError, Kind.suspect),
        (BaselineError, Kind.held),
        (RefusedError, Kind.held),
        (FormatTooNewError, Kind.held),
        (UncheckedError, Kind.later),
        (StorageError, Kind.later),
    )
    for kind, outcome in kinds:
        if isinstance(error, kind):
            return outcome
    raise error


# -- a bundle that is new ------------------------------------------------------------------------------------------


def _import(how: Importer, paths: Sequence[Path], operator: Operator, *, ask: bool) -> Outcome:
    if ask:
        _insist(plan_import(how.enclave, paths, operator.now, activate=False))
    against = _against_activation(how, paths, operator) if how.activate else []
    try:
        result = _run(how, paths, operator, activate=how.activate and not against)
    except (AcceptanceError, HookError) as error:
        if not error.data.get("installed"):
            raise
        return Outcome(Kind.imported, fault=Fault.of(error))
    if not against:
        return Outcome(Kind.imported, result)
    overtaken = against[0].code == OvertakenError.code
    return Outcome(Kind.imported if overtaken else Kind.held, result, against[0])


def _insist(planned: ImportResult) -> None:
    """Check that nothing stands against an import.

    Raises:
        IncompleteError, RefusedError: something does.
    """
    if planned.missing:
        raise IncompleteError(f"{len(planned.missing)} chunks are missing")
    for item in planned.objections:
        raise _ObjectionError(item["code"], item["message"])


def _against_activation(how: Importer, paths: Sequence[Path], operator: Operator) -> list[Fault]:
    """Return what policy has against activating what these volumes bring; what is worse, the import will say."""
    try:
        return _objections(plan_import(how.enclave, paths, operator.now, activate=True))
    except (*OURS, StalledError):
        raise
    except AirliftError:
        return []


def _objections(planned: ImportResult) -> list[Fault]:
    """Return what policy has against it, tests of the release aside: an activation runs those."""
    found = (item for item in planned.objections if item["code"] != AcceptanceError.code)
    return [Fault(item["code"], RefusedError.exit_code, item["message"]) for item in found]


class _ObjectionError(RefusedError):
    """What the plan says that policy refuses, under the code of that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


def _run(how: Importer, paths: Sequence[Path], operator: Operator, *, activate: bool) -> ImportResult:
    return import_bundle(
        how.enclave,
        paths,
        operator=operator,
        activate=activate,
        progress=how.progress,
        workers=how.workers,
    )


# -- a bundle that was imported before -----------------------------------------------------------------------------


def _again(how: Importer, paths: Sequence[Path], known: Committed, operator: Operator) -> Outcome:
    """Check volumes of a bundle that was committed before; activate its release if that is still to be done."""
    state = how.enclave.state()
    if not (how.activate and _waits(how.enclave, state, known)):
        result = plan_import(how.enclave, paths, operator.now, activate=False)
        return Outcome(Kind.imported, result, repeated=True)
    planned = plan_import(how.enclave, paths, operator.now, activate=True)
    against = _objections(planned)
    if against and against[0].code == OvertakenError.code:
        return Outcome(Kind.imported, planned, repeated=True)
    if against:
        return Outcome(Kind.held, planned, against[0], repeated=True)
    try:
        result = _run(how, paths, operator, activate=True)
        return Outcome(Kind.imported, result, repeated=True)
    except (AcceptanceError, HookError) as error:
        return Outcome(Kind.imported, planned, Fault.of(error), repeated=True)


def _waits(enclave: Enclave, state: State, known: Committed) -> bool:
    """Say whether a release still has to become active for the first time since its import (SPEC 7.13-7)."""
    release = known.release
    if release is None or release not in state.installed:
        return False
    if gate.is_active(enclave, state, enclave.load_release(release)):
        return False
    types = (ActivateCommit.TYPE, RollbackCommit.TYPE, Abort.TYPE)
    with enclave.ledger() as log:
        since = list(log.entries(known.index, types=types, release=release))
    return all(
        entry.type == Abort.TYPE and details.read(entry, Abort).reason == recover.NOT_SWITCHED
        for entry in since
    )
