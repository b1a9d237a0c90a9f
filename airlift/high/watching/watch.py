"""Watch a drop folder: look, read what rests, import what is complete, put aside what is bad, tell (SPEC 7.13)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle.fields import format_time, parse_time
from airlift.errors import AirliftError, BusyError, StalledError, UncheckedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import children, recover, unfinished_steps
from airlift.high.watching import decide, measure
from airlift.high.watching.attempt import Importer, Outcome, attempt
from airlift.high.watching.decide import Pace
from airlift.high.watching.look import look
from airlift.high.watching.measure import Counts, EnclaveFacts
from airlift.high.watching.prove_alone import find_fault
from airlift.high.watching.put_aside import REASON, Places, check_places, move_done, quarantine
from airlift.high.watching.sights import (
    Claim,
    Condemn,
    Fault,
    Kind,
    Known,
    Listing,
    Memory,
    Moment,
    Sight,
    Tried,
    Try,
    Verdict,
)
from airlift.high.watching.survey import survey
from airlift.high.watching.tell import Teller, Write, shortened

MAX_STEPS = 256
"""Steps between two looks."""
MAX_KEPT = 1000
"""Names of bundles and volumes in the answer."""
GRAVITY = (3, 5, 6, 8, 7, 4)
"""Exit codes, the gravest first (SPEC 7.13-11)."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock: of the wall (aware, UTC), of intervals (seconds), and how to wait."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What is watched and how: seconds between looks, seconds until a volume has settled, a file for metrics."""

    places: Places
    how: Importer
    interval: float = 10.0
    settle: float = 600.0
    once: bool = False
    metrics: Path | None = None


@dataclass(slots=True)
class WatchResult:
    """What became of what arrived: bundles by id, names of folders, and what is still in the way of bundles."""

    looks: int = 0
    imported: list[str] = field(default_factory=list)
    activated: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)


class NotAllImportedError(AirliftError):
    """What watching once found and did not import; it has the code of the gravest (SPEC 7.13-11)."""

    def __init__(self, fault: Fault, result: WatchResult) -> None:
        super().__init__(
            f"not everything was imported: {fault.message}",
            expected=fault.expected,
            found=fault.found,
            hint=fault.hint,
            data={name: getattr(result, name) for name in WatchResult.__dataclass_fields__},
        )
        self.exit_code = fault.exit  # type: ignore[misc]
        self.code = fault.code  # type: ignore[misc]


def watch(
    request: WatchRequest,
    operator: Operator,
    *,
    write: Write,
    clock: Clock | None = None,
    stopping: Callable[[], bool] = lambda: False,
    result: WatchResult | None = None,
) -> WatchResult:
    """Import what arrives until everything is dealt with (``once``), or ``stopping`` says so; ``write`` takes events.

    What became of it stands in ``result`` too, should an exception end it.

    Raises:
        NotAllImportedError: ``once``, and something was not imported.
        UsageError, UncheckedError: the folders cannot be used.
        ProvenBadError: the enclave itself is not as it should be.
        StalledError: the drop folder does not answer.
        KeyUnavailableError: the ledger's key cannot be used.
    """
    work = _Watch(request, operator, write, clock or Clock())
    work.result = result if result is not None else work.result
    try:
        work.start()
        while not stopping():
            work.round()
            if request.once and work.is_done():
                break
            work.clock.sleep(request.interval)
    finally:
        if work.started:
            work.teller.begin(work.clock.now())
            work.teller.tell(work.clock.now(), "stopped")
            work.summarise()
    if request.once and (gravest := work.gravest()) is not None:
        raise NotAllImportedError(gravest, work.result)
    return work.result


class _Watch:
    """The mutable half of :func:`watch`."""

    def __init__(self, request: WatchRequest, operator: Operator, write: Write, clock: Clock) -> None:
        self.request, self.operator, self.clock = request, operator, clock
        self.enclave: Enclave = request.how.enclave
        self.pace = Pace(request.settle)
        self.teller = Teller(self.enclave.name, write)
        self.memory, self.listing = Memory(), Listing()
        self.counts, self.result = Counts(), WatchResult()
        self.faults: list[Fault] = []
        self.unmoved: set[Sight] = set()
        self.facts: tuple[str, EnclaveFacts] | None = None
        self.began = clock.now()
        self.now = clock.monotonic()
        self.started = False

    # -- the rounds --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Check the folders, and finish or undo what a run that was killed has left."""
        read_only = check_places(self.request.places)
        look(self.request.places.drop, self.request.places.inside)
        state = self.enclave.look(lambda state: state)
        if unfinished_steps(self.enclave, state):
            try:
                with self.enclave.lock():
                    recover(self.enclave, self._operator())
            except BusyError:
                pass  # whoever holds the enclave has recovered it
        said = "the drop folder is read-only: nothing will be moved" if read_only else None
        self.started = True  # before it is told: whoever reads that may end this at once
        self.teller.tell(self.clock.now(), "started", message=said)

    def round(self) -> None:
        """Look once, and do what there is to do."""
        self.now = self.clock.monotonic()
        self.teller.begin(self.clock.now())
        places = self.request.places
        try:
            self.listing = look(places.drop, places.inside)
        except StalledError:
            raise
        except UncheckedError as error:
            self._tell_once("unreadable", error)
        else:
            self._tell_once("unreadable", None)
            self.memory = decide.see(self.memory, self.listing, self.now)
            self._crowd()
            self._read_what_rests()
            self._do_steps()
            self._move_what_is_done()
        self.counts.looks += 1
        self._measure()

    def is_done(self) -> bool:
        """Say whether everything in the folder has settled and was dealt with."""
        if self.listing.left_out and len(self.memory.known) < len(self.listing.volumes):
            return False  # what was moved made room for others
        return decide.is_at_rest(self.memory, self._moment(), self.pace)

    def summarise(self) -> None:
        """Say in the result what is still in the way."""
        self.result.looks = self.counts.looks
        waiting = [(key, tried) for key, tried in self.memory.tried.items() if tried.fault is not None]
        self.result.waiting = [
            {"bundle": self._bundle(key), "why": tried.kind.value, "code": tried.fault and tried.fault.code}
            for key, tried in waiting
        ]

    def gravest(self) -> Fault | None:
        """Return what stands most against what was not imported."""
        unread = [known.fault for known in self.memory.known.values() if known.fault and not known.verdict]
        waiting = [tried.fault for tried in self.memory.tried.values() if tried.fault]
        return min(
            [*self.faults, *unread, *waiting], key=lambda fault: GRAVITY.index(fault.exit), default=None
        )

    # -- steps -------------------------------------------------------------------------------------------------------

    def _read_what_rests(self) -> None:
        for name in decide.due_for_survey(self.memory, self.now):
            before = self.memory.known[name]
            known = survey(self.request.places.drop, before, self.now)
            self.memory = decide.surveyed(self.memory, name, known)
            if known.claim and known.claim.whole:
                self._tell("arrived", known)
            elif known.fault and known.fault != before.fault:
                self._tell("suspect" if known.fault.exit == 3 else "later", known, known.fault)

    def _do_steps(self) -> None:
        for _ in range(MAX_STEPS):
            match decide.next_step(self.memory, self._moment(), self.pace):
                case Condemn(name, fault):
                    self._condemn(name, fault)
                case Try() as step:
                    self._try(step)
                case None:
                    return

    def _try(self, step: Try) -> None:
        volumes = [self.memory.known[name] for name in step.names]
        claim = _claim(volumes[0])
        paths = [self.request.places.drop / name for name in step.names]
        outcome = attempt(self.request.how, paths, claim.manifest, self._operator(), ask=step.ask)
        self.counts.outcomes[outcome.kind.value] += 1
        last = self.memory.tried.get(step.key)
        given = frozenset(known.sight for known in volumes)
        mark, fault = self._mark(), outcome.fault
        tried = Tried(given, self.now, outcome.kind, mark, step.settled, fault)
        self.memory = decide.tried(self.memory, step.key, tried)
        self._tell_import(claim, outcome)
        if outcome.kind is Kind.imported:
            self.memory = decide.judged(decide.tried(self.memory, step.key, None), step.names, Verdict.done)
        elif outcome.kind is Kind.suspect and step.settled:
            self._blame(step, outcome)
        elif fault is not None and not (last and last.kind is outcome.kind and last.fault == fault):
            self._tell_waiting(step, volumes[0], outcome.kind, fault)

    def _blame(self, step: Try, outcome: Outcome) -> None:
        """Put aside those of several volumes that fail alone; all of them if none does."""
        self.memory = decide.tried(self.memory, step.key, None)
        drop, now = self.request.places.drop, self.clock.now()
        found = {name: find_fault(self.enclave, drop / name, now) for name in step.names}
        guilty = {name: fault for name, fault in found.items() if fault is not None}
        if not guilty and outcome.fault is not None:
            guilty = dict.fromkeys(step.names, outcome.fault)
        for name, fault in guilty.items():
            self._condemn(name, fault)

    def _condemn(self, name: str, fault: Fault) -> None:
        known, places = self.memory.known[name], self.request.places
        hint, moved = fault.hint, False
        try:
            folder, moved = quarantine(places, known.sight, self._reason(known, fault))
            hint = f"see {folder / REASON}; obtain a fresh copy"
        except AirliftError as error:
            self._tell("later", known, Fault.of(error))
        self.faults = [*self.faults, fault][-MAX_KEPT:]
        if moved:
            self.memory = decide.gone(self.memory, name)
            self.counts.quarantined += 1
            _keep(self.result.quarantined, shortened(name))
        else:
            self.memory = decide.judged(self.memory, [name], Verdict.bad)
            self.counts.passed_over += 1
            _keep(self.result.passed_over, shortened(name))
        self._tell("quarantined" if moved else "passed-over", known, fault, hint=hint)

    def _move_what_is_done(self) -> None:
        if self.request.places.done is None:
            return
        there = {known.sight for known in self.memory.known.values()}
        self.unmoved &= there
        for known in list(self.memory.known.values()):
            if known.verdict is Verdict.done and known.sight not in self.unmoved:
                if move_done(self.request.places, known.sight):
                    self.memory = decide.gone(self.memory, known.sight.name)
                    self._tell("moved", known)
                else:
                    self.unmoved.add(known.sight)
                    self._tell("unmoved", known)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell_import(self, claim: Claim, outcome: Outcome) -> None:
        result = outcome.result
        said: dict[str, Any] = {"bundle": claim.bundle, "release": result.target if result else None}
        if outcome.kind is Kind.imported or (outcome.kind is Kind.held and result is not None):
            activated = result is not None and result.activated
            if not outcome.repeated:
                self.teller.tell(self.clock.now(), "imported", **said)
                _keep(self.result.imported, claim.bundle)
            elif outcome.kind is Kind.imported and not activated:
                self.teller.tell(self.clock.now(), "repeated", **said)
            if result is not None and activated:
                self.counts.activated += 1
                _keep(self.result.activated, result.target or "")
                self.teller.tell(self.clock.now(), "activated", **said)
        if outcome.kind is Kind.imported and outcome.fault is not None:
            self.teller.tell(self.clock.now(), "held", fault=outcome.fault, **said)

    def _tell_waiting(self, step: Try, about: Known, kind: Kind, fault: Fault) -> None:
        """Tell why a bundle waits; that it is incomplete only when nothing more of it seems to come."""
        if kind is not Kind.incomplete or step.settled:
            event = "later" if kind is Kind.busy else kind.value
            self._tell(event, about, fault, name=None, volume=None)

    def _tell(self, event: str, about: Known, fault: Fault | None = None, **more: Any) -> None:
        self.teller.tell(self.clock.now(), event, about=about, fault=fault, **more)

    def _tell_once(self, event: str, error: AirliftError | None) -> None:
        said = {"code": error.code, "exit": error.exit_code} if error else {}
        self.teller.tell_once(self.clock.now(), event, error.message if error else None, **said)

    def _crowd(self) -> None:
        left = self.listing.left_out
        text = f"{left} volumes are beyond what is looked at" if left else None
        hint = "move away what was imported (--move-done DIR) and what is not wanted"
        self.teller.tell_once(self.clock.now(), "crowded", text, hint=hint)

    def _reason(self, known: Known, fault: Fault) -> Mapping[str, Any]:
        """Return what is written beside a bad volume; of its marking nothing is proven."""
        claim = known.claim
        ceiling = self.enclave.look(lambda state: policy.load(self.enclave, state).ceiling)
        return {
            "airlift": 1,
            "type": "quarantine",
            "marking": ceiling.to_json(),
            "time": format_time(self.clock.now()),
            "enclave": self.enclave.name,
            "name": shortened(known.sight.name),
            "bundle": claim.bundle if claim else None,
            "volume": claim.volume if claim else None,
            "volumes": claim.volumes if claim else None,
            "code": fault.code,
            "exit": fault.exit,
            "message": shortened(fault.message),
            "expected": shortened(fault.expected) if fault.expected else None,
            "found": shortened(fault.found) if fault.found else None,
        }

    def _measure(self) -> None:
        if self.request.metrics is None:
            return
        moments = (self.began.timestamp(), self.clock.now().timestamp())
        try:
            text = measure.render(self.counts, self.listing, self.memory, self._facts(), moments)
            files.write_durable(self.request.metrics, text, mode=0o644)
        except AirliftError as error:
            self._tell_once("unwritten", error)
        else:
            self._tell_once("unwritten", None)

    # -- the enclave -------------------------------------------------------------------------------------------------

    def _operator(self) -> Operator:
        return Operator(self.operator.actor, self.operator.signer, self.clock.now())

    def _moment(self) -> Moment:
        staged = frozenset(path.name for path in children(self.enclave.staging))
        return Moment(self.now, self._mark(), staged)

    def _mark(self) -> str:
        """Return what differs when the ledger has grown."""
        with files.reading(self.enclave.ledger_path):
            status = self.enclave.ledger_path.stat()
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def _facts(self) -> EnclaveFacts:
        mark = self._mark()
        if self.facts is None or self.facts[0] != mark:
            state = self.enclave.look(lambda state: state)
            issued = max((bundle.issued for bundle in state.bundles), default=None)
            active = self.enclave.load_release(state.active).label if state.active else None
            seconds = parse_time(issued).timestamp() if issued else None
            self.facts = mark, EnclaveFacts(active, state.size, seconds)
        return self.facts[1]

    def _bundle(self, key: str) -> str | None:
        claims = (known.claim for known in self.memory.known.values())
        return next((claim.bundle for claim in claims if claim and claim.key == key), None)


def _claim(known: Known) -> Claim:
    if known.claim is None:
        raise ValueError("a volume that was not read is not imported")
    return known.claim


def _keep(names: list[str], name: str) -> None:
    if len(names) < MAX_KEPT:
        names.append(name)
