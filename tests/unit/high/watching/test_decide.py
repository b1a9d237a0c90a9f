"""What to do next, from plain values alone."""

from dataclasses import replace

import pytest

from airlift.high.watching import decide
from airlift.high.watching.decide import Pace
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

PACE = Pace(10)
BAD = Fault("malformed", 3, "no")


def volume(name: str, number: int = 1, of: int = 2, **more: object) -> Known:
    """Return a volume that was read and rests since the beginning."""
    claim = Claim(
        bundle=str(more.pop("bundle", "any-1")),
        manifest="m" * 128,
        key=str(more.pop("key", "k")),
        volume=number,
        volumes=of,
        whole=bool(more.pop("whole", True)),
    )
    known = Known(Sight(name, "s"), 0.0, looks=2, claim=claim)
    return replace(known, **more)  # type: ignore[arg-type]


def memory(*volumes: Known, **tried: Tried) -> Memory:
    return Memory({known.sight.name: known for known in volumes}, tried)


def given(*names: str) -> frozenset[Sight]:
    return frozenset(Sight(name, "s") for name in names)


def at(now: float, mark: str = "", *staged: str) -> Moment:
    return Moment(now, mark, frozenset(staged))


def test_a_volume_that_changes_is_as_new() -> None:
    first = decide.see(Memory(), Listing((Sight("a", "1"),)), 0)
    assert decide.due_for_survey(first, 0) == []
    again = decide.see(first, Listing((Sight("a", "1"),)), 1)
    assert decide.due_for_survey(again, 1) == ["a"]
    changed = decide.see(again, Listing((Sight("a", "2"),)), 2)
    assert (changed.known["a"].since, changed.known["a"].looks) == (2, 1)
    assert decide.see(again, Listing(), 2).known == {}


def test_what_could_not_be_read_is_read_again_after_a_while() -> None:
    known = Known(Sight("a", "1"), 0.0, looks=2, fault=Fault("unreadable", 7, "no"), surveyed=5)
    assert decide.due_for_survey(memory(known), 5 + decide.AGAIN_AFTER - 1) == []
    assert decide.due_for_survey(memory(known), 5 + decide.AGAIN_AFTER) == ["a"]


def test_all_whole_volumes_of_a_cut_are_tried_at_once() -> None:
    assert decide.next_step(memory(volume("a", 1)), at(1), PACE) is None
    assert decide.next_step(memory(volume("a", 1), volume("b", 2, whole=False)), at(1), PACE) is None
    assert decide.next_step(memory(volume("a", 1), volume("b", 2, 3)), at(1), PACE) is None
    step = decide.next_step(memory(volume("b", 2), volume("a", 1)), at(1), PACE)
    assert step == Try("k", ("a", "b"), ask=True, settled=False)


def test_what_has_settled_is_tried_with_what_is_whole() -> None:
    late = volume("b", 2, since=8)
    step = decide.next_step(
        memory(volume("a", 1, 3, whole=False), late, volume("c", 3, whole=False, since=9)), at(10), PACE
    )
    assert step == Try("k", ("a", "b"), ask=True, settled=False)


@pytest.mark.parametrize(
    ("kind", "settled", "now", "mark", "again"),
    [
        (Kind.held, True, 99, "old", None),
        (Kind.held, True, 99, "new", "ask"),
        (Kind.suspect, False, 9, "new", None),
        (Kind.suspect, False, 10, "old", "try"),
        (Kind.suspect, True, 99, "new", None),
        (Kind.incomplete, False, 10, "old", "try"),
        (Kind.incomplete, True, 99, "new", None),
        (Kind.later, True, 59, "new", None),
        (Kind.later, True, 60, "old", "try"),
        (Kind.busy, True, 0, "new", None),
        (Kind.busy, True, 1, "old", "ask"),
        (Kind.busy, True, 10, "old", "try"),
        (Kind.held, False, 9, "old", None),
        (Kind.held, False, 10, "old", "try"),
    ],
)
def test_when_the_same_volumes_are_tried_again(
    kind: Kind, settled: bool, now: float, mark: str, again: str | None
) -> None:
    last = Tried(given("a", "b"), 0, kind, "old", settled)
    step = decide.next_step(memory(volume("a", 1), volume("b", 2), k=last), at(now, mark), PACE)
    assert (step and ("ask" if isinstance(step, Try) and step.ask else "try")) == again


@pytest.mark.parametrize(("kind", "ask"), [(Kind.later, False), (Kind.held, True)])
def test_a_volume_more_is_a_reason_unless_policy_was_against_it(kind: Kind, ask: bool) -> None:
    volumes = (volume("a", 1), volume("b", 2), volume("c", 2))
    last = Tried(given("a", "b"), 0, kind, "", settled=True)
    step = decide.next_step(memory(*volumes, k=last), at(10), PACE)
    assert step == Try("k", ("a", "b", "c"), ask=ask, settled=True)


def test_what_is_staged_counts_by_the_plan() -> None:
    step = decide.next_step(memory(volume("b", 2, since=9)), at(10, "", "m" * 64), PACE)
    assert step == Try("k", ("b",), ask=True, settled=False)


def test_bundles_come_in_the_order_of_their_numbers() -> None:
    volumes = [
        volume(str(number), 1, 1, bundle=f"any-{number}", key=f"{99 - number}") for number in (10, 9, 2)
    ]
    tried = []
    known = memory(*volumes)
    while isinstance(step := decide.next_step(known, at(1), PACE), Try):
        tried.append(step.names[0])
        known = decide.judged(known, step.names, Verdict.done)
    assert tried == ["2", "9", "10"]


def test_what_is_refused_is_bad_only_when_it_has_settled() -> None:
    known = Known(Sight("a", "1"), 0.0, looks=2, fault=BAD)
    assert decide.next_step(memory(known), at(9), PACE) is None
    assert decide.next_step(memory(known), at(10), PACE) == Condemn("a", BAD)
    assert decide.next_step(memory(replace(known, looks=1)), at(99), PACE) is None
    assert decide.next_step(memory(replace(known, verdict=Verdict.bad)), at(99), PACE) is None


def test_no_more_volumes_are_given_than_the_reader_takes() -> None:
    volumes = [volume(f"{number:03d}", 1, 1) for number in range(300)]
    step = decide.next_step(memory(*volumes), at(1), PACE)
    assert isinstance(step, Try)
    assert len(step.names) == 256


def test_all_is_done_when_nothing_grows_and_nobody_is_in_the_way() -> None:
    assert decide.is_at_rest(Memory(), at(0), PACE)
    arriving = volume("a", 1, since=5)
    assert not decide.is_at_rest(memory(arriving), at(14), PACE)
    last = Tried(given("a"), 15, Kind.incomplete, "", settled=True)
    assert decide.is_at_rest(memory(arriving, k=last), at(15), PACE)
    assert not decide.is_at_rest(memory(arriving, k=replace(last, kind=Kind.busy)), at(15), PACE)
    assert decide.is_at_rest(memory(replace(arriving, verdict=Verdict.done)), at(0), PACE)
