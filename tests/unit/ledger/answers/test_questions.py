"""The state that entries add up to, and the questions asked of them."""

from collections.abc import Iterable
from typing import Any

import pytest

from airlift.bundle.manifest import ReleaseRef
from airlift.errors import LedgerError
from airlift.ledger.entries.activations import ActivatePrepare
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.state import State, Trust, fold_entries
from tests.support import details, scan
from tests.support.ledgers import R1, R2, R3


def at(day: int) -> str:
    return f"2026-03-{day:02}T12:00:00Z"


def commit(number: int, release: str | None, **change: Any) -> Draft:
    said = details.commit(number, release=release and ReleaseRef(release, "assistant", str(number)))
    detail = {**said.format(), **change}
    return Draft("import-commit", "importer", at(number), release, f"alpha-{number}", detail)


def entries(drafts: Iterable[Draft]) -> list[Entry]:
    return [draft.at(index) for index, draft in enumerate(drafts)]


def switched(previous: str | None, release: str) -> dict[str, Any]:
    return ActivatePrepare(previous, ReleaseRef(release, "assistant", "1")).format()


ENROLL = Draft("enroll", "admin", at(1), detail=details.enroll().format())
STORY = entries(
    [
        ENROLL,
        Draft("import-prepare", "importer", at(1), R1, "alpha-1", details.prepare(1).format()),
        commit(1, R1),
        Draft("activate-prepare", "admin", at(1), R1, None, switched(None, R1)),
        Draft("activate-commit", "admin", at(2), R1, None, switched(None, R1)),
        Draft("policy", "admin", at(2), detail={"sha512": "f" * 128, "keys": {}}),
        commit(2, R2),
        Draft("activate-prepare", "admin", at(3), R2, None, switched(R1, R2)),
        Draft("activate-commit", "admin", at(3), R2, None, switched(R1, R2)),
        Draft("import-reject", "importer", at(4), None, "alpha-3", {"code": "replayed", "exit": 3}),
        commit(4, None),
        Draft("roots", "importer", at(4), detail={"versions": {"2": "aa"}}),
    ]
)


def test_the_state_of_a_whole_story() -> None:
    state = fold_entries(STORY)
    assert (state.size, state.enclave, state.active, state.previous) == (12, "alpha", R2, R1)
    assert state.installed == (R1, R2)
    assert state.policy == "f" * 128
    assert state.trust == Trust("00000004", f"{4:0128x}")
    assert state.open == ()
    assert state.enrolment == state.enrolled() == details.enroll()
    assert [(b.bundle, b.sequence, b.release) for b in state.bundles] == [
        ("alpha-1", 1, R1),
        ("alpha-2", 2, R2),
        ("alpha-4", 4, None),
    ]
    found = state.committed(f"{2:0128x}")
    assert found is not None
    assert (found.index, found.bundler_keys, found.overtaken) == (6, ("ab" * 32,), False)
    assert state.committed("ff") is None
    assert state.at_sequence(2) == (found,)
    assert fold_entries([]) == State()
    with pytest.raises(LedgerError, match="enrolment"):
        State().enrolled()


def test_an_intent_is_open_until_its_own_commit_or_abort() -> None:
    prepare = Draft("import-prepare", "importer", at(5), R3, "alpha-5", {})
    other = Draft("activate-prepare", "admin", at(5), R1, None, {})
    begun = entries([ENROLL, prepare, other])
    assert fold_entries(begun).open == tuple(begun[1:])
    assert fold_entries([*begun, commit(6, R2).at(3)]).open == tuple(begun[1:])
    assert fold_entries([*begun, commit(5, R3).at(3)]).open == (begun[2],)
    abort = Draft("abort", "recovery", at(6), R3, "alpha-5", {"undoes": 1, "reason": "interrupted"})
    assert fold_entries([*begun, abort.at(3)]).open == (begun[2],)
    with pytest.raises(LedgerError, match="not open"):
        fold_entries([*begun, abort.at(3), abort.at(4)])


def test_rollback_and_gc() -> None:
    back = Draft("rollback-commit", "admin", at(6), R1, None, switched(R2, R1))
    gc = Draft("gc", "admin", at(7), detail={"releases": [R2, R3]})
    state = fold_entries([*STORY, back.at(12), gc.at(13)])
    assert (state.active, state.previous, state.installed) == (R1, None, (R1,))
    with pytest.raises(LedgerError, match="active"):
        fold_entries([*STORY, gc.at(12)])


@pytest.mark.parametrize(
    "draft",
    [
        Draft("enroll", "a", at(1), detail={}),
        Draft("policy", "a", at(1), detail={"sha512": 1, "keys": {}}),
        Draft("activate-commit", "a", at(1)),
        Draft("activate-commit", "a", at(1), R1, None, {**switched(None, R1), "previous": 7}),
        Draft("activate-commit", "a", at(1), R1, None, {"release": switched(None, R1)["release"]}),
        Draft("abort", "a", at(1), detail={}),
        Draft("gc", "a", at(1), detail={}),
        Draft("import-commit", "a", at(1), R1, None, commit(1, R1).detail),
        commit(1, R1, sequence="1"),
        commit(1, R1, overtaken=None),
        commit(1, R1, trust={"folder": "x"}),
        commit(1, R1, trust=None),
    ],
)
def test_an_entry_that_does_not_say_enough(draft: Draft) -> None:
    with pytest.raises(LedgerError):
        fold_entries([draft.at(0)])


def test_entries_must_be_in_order() -> None:
    with pytest.raises(LedgerError, match="not in order"):
        fold_entries(STORY[1:])


def test_what_was_active_when() -> None:
    def release(time: str) -> str | None:
        found = scan.active_at(STORY, time)
        return found.release if found is not None else None

    assert release(at(1)) is None
    assert release("2026-03-02T11:59:59Z") is None
    assert release(at(2)) == R1
    assert release("2026-03-03T11:59:59Z") == R1
    assert release(at(3)) == release("2030-01-01T00:00:00Z") == R2
    assert list(scan.activations([])) == []
    periods = list(scan.activations(STORY))
    assert [(p.release, p.since.index, p.until and p.until.index) for p in periods] == [
        (R1, 4, 8),
        (R2, 8, None),
    ]


def test_history() -> None:
    def indices(**conditions: str) -> list[int]:
        return [entry.index for entry in scan.history(STORY, **conditions)]

    assert indices() == list(range(12))
    assert indices(since=at(4)) == [9, 10, 11]
    assert indices(component="guard") == [2, 3, 4, 6, 7, 8, 10]
    assert indices(component="guard@2.2") == indices(component=f"{2:0128x}") == [6, 7, 8]
    assert indices(component="guard", since=at(3)) == [7, 8, 10]
    assert indices(component="none") == []
    odd = Draft("import-commit", "a", at(9), detail={"components": "odd"}).at(0)
    with pytest.raises(LedgerError, match="components"):
        list(scan.history([odd], component="local"))


def test_where() -> None:
    def indices(text: str) -> list[int]:
        return [entry.index for entry in scan.where(STORY, text)]

    assert indices("guard") == indices("Ada") == [2, 6, 10]
    assert indices("guard@2.2") == [6]
    assert indices(R1) == indices(R1[:8]) == indices(R1[:8].upper()) == [1, 2, 3, 4, 7, 8]
    assert indices("AB" * 32) == indices("abababab") == [2, 6, 10]
    assert indices("alpha-3") == [9]
    assert indices("replayed") == [9]
    assert indices(R1[:7]) == []
    assert indices("gua") == []
