"""Decide what to do next, from what is known of a drop folder: no I/O, no clock (SPEC 7.13-2 to 7.13-6)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from airlift.bundle.fields import NAME_HEX
from airlift.high.watching.sights import (
    Condemn,
    Fault,
    Kind,
    Known,
    Listing,
    Memory,
    Moment,
    Sight,
    Step,
    Tried,
    Try,
    Verdict,
)

MAX_VOLUMES_GIVEN = 256
"""As many as the reader of volumes takes at a time (SPEC 6.4-3)."""
AGAIN_AFTER = 60.0
"""Seconds until what could not be checked or written is tried again."""
_PROVEN_BAD, _UNCHECKED = 3, 7


@dataclass(frozen=True, slots=True)
class Pace:
    """For how many seconds a volume has to rest until it has settled."""

    settle: float

    def has_settled(self, known: Known, now: float) -> bool:
        """Say whether a volume did not change for so long, in two looks at least."""
        return _rests(known) and now - known.since >= self.settle


def see(memory: Memory, listing: Listing, now: float) -> Memory:
    """Return what is known after a look: nothing of what is gone, and of what has changed only that it did."""
    known = {sight.name: _seen(memory.known.get(sight.name), sight, now) for sight in listing.volumes}
    keys = {item.claim.key for item in known.values() if item.claim}
    return Memory(known, {key: tried for key, tried in memory.tried.items() if key in keys})


def _seen(before: Known | None, sight: Sight, now: float) -> Known:
    if before is None or before.sight != sight:
        return Known(sight, now)
    return replace(before, looks=before.looks + 1)


def due_for_survey(memory: Memory, now: float) -> list[str]:
    """Return the names of volumes that rest and were not read yet, or could not be read a while ago."""
    return [name for name, known in memory.known.items() if _rests(known) and _unread(known, now)]


def _rests(known: Known) -> bool:
    return known.looks > 1


def _unread(known: Known, now: float) -> bool:
    if known.fault is None:
        return known.claim is None and known.verdict is None
    return known.fault.exit == _UNCHECKED and now - known.surveyed >= AGAIN_AFTER


def next_step(memory: Memory, moment: Moment, pace: Pace) -> Step | None:
    """Return what to do now, or None until something changes."""
    for name, known in memory.known.items():
        if known.verdict is None and _is_bad(known.fault) and pace.has_settled(known, moment.now):
            assert known.fault is not None  # noqa: S101 - for the type checker
            return Condemn(name, known.fault)
    for key, volumes in _bundles(memory):
        step = _import(key, volumes, memory.tried.get(key), moment, pace)
        if step is not None:
            return step
    return None


def _is_bad(fault: Fault | None) -> bool:
    return fault is not None and fault.exit == _PROVEN_BAD


def _bundles(memory: Memory) -> Iterator[tuple[str, list[Known]]]:
    """Yield the volumes of each bundle that are not dealt with, by sequence."""
    found: defaultdict[tuple[int, str], list[Known]] = defaultdict(list)
    for known in memory.known.values():
        if known.claim is not None and known.verdict is None:
            found[known.claim.sequence, known.claim.key].append(known)
    for (_, key), volumes in sorted(found.items(), key=lambda item: item[0]):
        yield key, volumes


def _import(key: str, volumes: Sequence[Known], last: Tried | None, moment: Moment, pace: Pace) -> Try | None:
    settled = {known.sight for known in volumes if pace.has_settled(known, moment.now)}
    whole = [known for known in volumes if known.claim and known.claim.whole]
    others = [known for known in volumes if known not in whole and known.sight in settled]
    ready = [*whole, *others][:MAX_VOLUMES_GIVEN]
    given = frozenset(known.sight for known in ready)
    if not given:
        return None
    step = Try(key, tuple(sorted(sight.name for sight in given)), ask=False, settled=given <= settled)
    if last is not None and last.given == given:
        return _again(step, last, moment)
    fresh = given - last.given if last else given
    held = last is not None and last.kind is Kind.held
    if _has_all_numbers(ready) or fresh & settled:
        return replace(step, ask=held or not step.settled)
    if fresh and _is_staged(ready, moment):
        return replace(step, ask=True)
    return None


def _again(step: Try, last: Tried, moment: Moment) -> Try | None:
    """Return whether the same volumes are to be tried again."""
    match last.kind:
        case Kind.held:
            if step.settled and not last.settled:
                return step  # to be recorded
            return replace(step, ask=True) if last.mark != moment.mark else None
        case Kind.later:
            return replace(step, ask=not step.settled) if moment.now - last.when >= AGAIN_AFTER else None
        case Kind.busy:
            return replace(step, ask=not step.settled) if moment.now > last.when else None
        case Kind.suspect | Kind.incomplete:
            return step if step.settled and not last.settled else None
        case _:
            return None


def _has_all_numbers(ready: Sequence[Known]) -> bool:
    """Say whether the whole ones among these are all volumes of one cut, as they claim."""
    numbers: defaultdict[int, set[int]] = defaultdict(set)
    for known in ready:
        if known.claim and known.claim.whole:
            numbers[known.claim.volumes].add(known.claim.volume)
    return any(len(there) == count for count, there in numbers.items())


def _is_staged(ready: Sequence[Known], moment: Moment) -> bool:
    return any(known.claim and known.claim.manifest[:NAME_HEX] in moment.staged for known in ready)


def is_at_rest(memory: Memory, moment: Moment, pace: Pace) -> bool:
    """Say whether everything in the folder has settled and was dealt with."""
    if next_step(memory, moment, pace) is not None or due_for_survey(memory, moment.now):
        return False
    if any(tried.kind is Kind.busy for tried in memory.tried.values()):
        return False
    return all(known.verdict or pace.has_settled(known, moment.now) for known in memory.known.values())


# -- what was done ---------------------------------------------------------------------------------------------------


def surveyed(memory: Memory, name: str, known: Known) -> Memory:
    """Return what is known when a volume was read."""
    return replace(memory, known={**memory.known, name: known})


def judged(memory: Memory, names: Sequence[str], verdict: Verdict) -> Memory:
    """Return what is known when it is clear what became of volumes."""
    known = dict(memory.known)
    for name in names:
        known[name] = replace(known[name], verdict=verdict)
    return replace(memory, known=known)


def gone(memory: Memory, name: str) -> Memory:
    """Return what is known when a volume was moved away."""
    return replace(memory, known={other: known for other, known in memory.known.items() if other != name})


def tried(memory: Memory, key: str, attempt: Tried | None) -> Memory:
    """Return what is known after an import; without ``attempt`` as if none had been tried."""
    rest = {other: known for other, known in memory.tried.items() if other != key}
    return replace(memory, tried=rest if attempt is None else {**rest, key: attempt})
