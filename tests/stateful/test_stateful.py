"""Every command of both sides, in random order: a depot and three enclaves do what docs/SPEC.md says, and no more.

After each step everybody says of themselves what the reference knows of them (tests/stateful/known.py), how a command
ended is how the reference says, and what was refused changed nothing but the ledger. ``AIRLIFT_STEPS=full`` walks
many more, others every time, and makes what fails shorter; the default walks the same steps on every run.
"""

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RULE_MARKER,
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.stateful import desk
from tests.stateful.beginning_side import BeginningSide
from tests.stateful.ground import CUT, DAMAGED, ENCLAVES, LABELLED, POLICIES, STRANGER
from tests.stateful.high_side import LOST
from tests.stateful.known import RELEASERS, ROOTS, Bundle, Change, Place, Release, RootChange
from tests.stateful.low_side import JOIN, REFUSE, REPLACE
from tests.stateful.record_side import DOCUMENTS
from tests.stateful.serving_side import NUMBERS
from tests.steps.quick import quick
from tests.support.web_server import serving

FULL = os.environ.get("AIRLIFT_STEPS") == "full"
STEPS = 50 if FULL else 30
EXAMPLES = 400 if FULL else 8
TOURS = 60 if FULL else 4
LONGEST = timedelta(days=100)
"""How far the clock goes: metadata is valid for 180 days."""
MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of small files: real disks would only be slow

AUTHORITY = (("dan", "erin"), ("frank", "dan"), ("dan",), ("erin", "frank"), ("erin",), ())
ROOT_KEYS = (("alice", "bob"), ("carol", "alice"), ("alice",), ())
BOTH = (("alice", "bob", "dan", "erin"), ("dan", "erin"), ("alice", "bob"), ("alice", "dan"))
SIGNING = (("dan",), ("erin",), ("frank",), ("alice",), ("bob", "carol"), (STRANGER,))
FLOORS = (None, "2.0", "2.1", "2.2", "2.3", "9.0")
TWO = ((), ("ann", "ben"), ("ann", STRANGER))

VERBS = {
    "high activate 0", "high activate 5", "high activate 6", "high activate --insecure-stale 0",
    "high activate --insecure-stale 2", "high activate --insecure-stale 6",
    "high approve 0", "high approve 5", "high approve 6",
    "high attest 0", "high attest 7", "high check --repair-from 0", "high check 0", "high check 3", "high discard 0",
    "high discard 5", "high export 0", "high export 2", "high export 5", "high export 6", "high export --follow 0",
    "high export --follow 2", "high export --follow 5", "high export --follow again 0",
    "high unfollow 0", "high unfollow 5", "high floor 0", "high floor lower 2", "high floor lower 6", "high gc 0",
    "high import late 6", "high import --insecure-expired 0", "high import --insecure-expired 2",
    "high import --insecure-expired 6",
    "high import 0", "high import 3", "high import 5", "high import 6", "high import --activate 0",
    "high import --activate 6",
    "high import cut 4", "high import damaged 3", "high import labelled 3", "high inspect 0", "high list 0",
    "high plan 0", "high plan 5", "high policy set 0", "high policy show 0", "high receipt 0",
    "high register 0", "high register 2", "high register 5", "high register 6",
    "high receipt --code 0",
    "high relay 0", "high relay 6", "high relay --drop 0", "high relay --store 0", "high relay kept 0",
    "high request 0", "high request --code 0", "high rollback 0", "high rollback --to 0", "high verify 0",
    "high verify 3", "high verify 4", "high watch 0", "high watch 3", "high watch 5", "high watch 6",
    "high watch --activate 0", "high watch --activate 6", "high watch cut 4", "high watch damaged 3",
    "high watch labelled 3",
    "low attest 0", "low bundle 0", "low bundle 6", "low bundle --for 0", "low bundle --for --for 0",
    "low bundle --from 0", "low check 0",
    "low check 3", "low check 4", "low emergency 0", "low enrol 0", "low enrol 2", "low log 0", "low policy set 0",
    "low policy show 0", "low recut 0", "low recut 5", "low recut --request 0", "low release 0", "low release 2",
    "low release again 0", "low renew 0", "low returns import receipt 0", "low returns import receipt code 0",
    "low returns import request 0", "low revoke 0", "low revoke 2", "low revoke --lift 0", "low rotate 0",
    "low scan 0", "low scan 5", "low sign 0", "low sign 2", "low sign 7", "low sign --export 0",
    "low sign --export 2",
    "low sign elsewhere 0", "low sign elsewhere 7", "low sign --import 0", "low sign --import 2",
    "low sign --import again 0", "low withdraw 0", "low withdraw 5",
    "keys generate 0", "keys generate 2", "keys show 0", "low init 0", "low init 2", "low draft 0", "low draft 2",
    "low outdated 0", "low outdated 5", "low fetch 0", "low fetch 3", "low fetch 5",
    "enforce fall-back 0", "provenance history 0", "provenance verify 0", "provenance verify --checkpoint 0",
    "provenance verify --checkpoint 3", "provenance verify --ledger 0", "provenance verify --ledger 3",
    "provenance checkpoint 0", "provenance checkpoint 2", "provenance witness 0", "provenance witness 2",
    "provenance witness 3", "provenance backup 0", "provenance export ledger 0",
    "provenance export --as cyclonedx 0", "provenance export --as spdx 0",
    "provenance export --as intoto 0", "provenance export --as oscal 0", "provenance report 0", "provenance at 0",
    "provenance at 5", "provenance during 0", "provenance during 5", "provenance where 0", "provenance show 0",
    "provenance show 5", "provenance trace 0", "provenance changes 0", "provenance changes 5",
}  # fmt: skip
"""What some walk has to do, by verb and exit code; otherwise the walks judge less than they seem to."""

SINGLY, PAIRS = tuple(combinations(ENCLAVES, 1)), tuple(combinations(ENCLAVES, 2))
"""Whom bundles are for: one enclave, or two."""

ELSEWHERE = {
    "completion": "writes what a shell reads, and knows nothing but the commands: tests/cli/test_completion.py",
    "doctor": "judges the machine: tests/cli/test_doctor.py",
}
"""Commands that are not walked, each with the reason."""

SEEN: Counter[str] = Counter()
TAKEN: Counter[str] = Counter()


class Walk(RuleBasedStateMachine):
    """A walk over a copy of the prepared ground."""

    start: BeginningSide
    room: Path
    number = 0

    @initialize()
    def begin(self) -> None:
        """Copy the ground; commands are told with what fails."""
        self.begin_at(note)

    def begin_at(self, tell: Callable[[str], object]) -> None:
        """Copy the ground, and say who is told of commands."""
        Walk.number += 1
        self.ground = self.start.copy(self.room / f"walk-{Walk.number}")
        self.ground.desk.tell = tell

    @rule(data=st.data())
    def look_at_all(self, data: Any) -> None:
        """Check all that was not looked at after the last steps, and every ledger."""
        del data
        self.ground.agree()
        self.ground.prove()

    def teardown(self) -> None:
        """Remove the ground."""
        if hasattr(self, "ground"):
            SEEN.update(self.ground.counts)
            self.ground.leave()

    # -- what is drawn -----------------------------------------------------------------------------------------------

    def one(self, data: Any, of: Any) -> Any:
        """Return one of some values, as hypothesis draws it, or dice."""
        values = list(of)
        return data.choice(values) if isinstance(data, random.Random) else data.draw(st.sampled_from(values))

    def a_place(self, data: Any) -> Place:
        """Return an enclave."""
        return self.ground.place(self.one(data, ENCLAVES))

    def a_hub(self, data: Any) -> Place:
        """Return an enclave, mostly the one that begins as a hub."""
        return self.ground.place(self.one(data, ("alpha", "alpha", *ENCLAVES)))

    def a_new_bundle(self, data: Any, place: Place) -> Bundle:
        """Return a bundle that an enclave may import and did not, if there is one."""
        fit = [
            item
            for item in self.ground.model.bundles.values()
            if place.may_take(item.whom) and item.crossing not in place.memory.committed
        ]
        found: Bundle = self.one(data, fit) if fit else self.a_bundle(data)
        return found

    def a_bundle(self, data: Any) -> Bundle:
        """Return a bundle, mostly a new one."""
        numbers = sorted(self.ground.model.bundles, reverse=True)
        return self.ground.bundle(self.one(data, [*numbers[:4], *numbers]))

    def a_release(self, data: Any) -> Release:
        """Return a release, mostly a new one."""
        known = [*reversed(self.ground.depot.releases.values())]
        found: Release = self.one(data, [*known[:3], *known])
        return found

    def a_held(self, data: Any, place: Place) -> Release:
        """Return a release, mostly one that an enclave holds."""
        known = [*self.ground.depot.releases.values(), *place.made.values()]
        held = [item for item in known if item.digest in place.memory.held]
        found: Release = self.one(data, [*held, *held, *held, *known])
        return found

    def a_way(self, data: Any, bundle: Bundle) -> str | None:
        """Return what happens to volumes on their way; mostly nothing."""
        several = len(bundle.copies[0]) > 1
        ways = (None, LOST, LABELLED) if several else (None, None, CUT, DAMAGED, LABELLED)
        found: str | None = self.one(data, ways if bundle.chunks else (None, LABELLED))
        return found

    def a_name(self, data: Any) -> str:
        """Return what is to be revoked: a component, or more rarely a release."""
        release = self.a_release(data)
        parts = [f"{part['name']}@{part['version']}" for part in release.document["components"]]
        return str(self.one(data, [*parts, release.label, "guard@77"]))

    def settle(self, *places: Place, low: bool = False) -> None:
        """Check that whoever was touched says of themselves what is known."""
        TAKEN["steps"] += 1
        if low:
            self.ground.agree_on_depot()
        for place in places:
            self.ground.agree_on(place)

    # -- the low side ------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def new_release(self, data: Any) -> None:
        numbers = self.ground.model.numbers
        base = self.one(data, range(1, numbers["base"] + 2))
        guard = self.one(data, range(1, numbers["guard"] + 2))
        beside = self.one(data, (REFUSE, REFUSE, REPLACE))
        self.ground.release(base, guard, self.one(data, AUTHORITY), beside)
        self.settle(low=True)

    @rule(data=st.data())
    def same_release(self, data: Any) -> None:
        self.ground.release_again(
            self.a_release(data), self.one(data, AUTHORITY), self.one(data, (REFUSE, REPLACE))
        )
        self.settle(low=True)

    @rule(data=st.data())
    def sign(self, data: Any) -> None:
        depot = self.ground.depot
        waiting = [
            *(sorted(RELEASERS) if depot.change else ()),
            *(sorted(ROOTS) if depot.root_change else ()),
        ]
        names = [(name,) for name in waiting] * 3
        self.ground.sign(self.one(data, [*names, *SIGNING]))
        self.settle(low=True)

    @rule(data=st.data())
    def carry(self, data: Any) -> None:
        """Sign elsewhere, and perhaps take the signatures in at once."""
        depot, carried = self.ground.depot, self.ground.depot.carried
        role = self.one(data, [*(["root"] * 2 if depot.root_change else []), "release"])
        members = sorted(ROOTS if role == "root" else RELEASERS)
        names = self.one(data, (*((name,) for name in members), tuple(members[:2]), (STRANGER,)))
        if self.ground.carry(role, names) and self.one(data, (True, False)):
            self.ground.take_back(carried[-1])
        self.settle(low=True)

    @rule(data=st.data())
    def take_back(self, data: Any) -> None:
        """Take in signatures that were made before, if any were: of what is pending, or was."""
        for carried in [self.one(data, known)] if (known := self.ground.depot.carried) else []:
            pending = self.ground.depot.pending(carried.role)
            if pending is carried.change or not _is_alike(pending, carried.change):
                self.ground.take_back(carried)
        self.settle(low=True)

    @rule(data=st.data())
    def rotate(self, data: Any) -> None:
        self.ground.rotate(self.one(data, ROOT_KEYS))
        self.settle(low=True)

    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        beside = self.one(data, (REFUSE, REPLACE, JOIN))
        self.ground.revoke(self.a_name(data), self.one(data, AUTHORITY), beside)
        self.settle(low=True)

    @rule(data=st.data())
    def lift(self, data: Any) -> None:
        listed = sorted(self.ground.depot.listed)
        names = [name for item in listed for name in self._named(item[0], item[1])]
        self.ground.lift(self.one(data, [*names, *names, self.a_name(data)]), self.one(data, BOTH))
        self.settle(low=True)

    def _named(self, kind: str, digest: str) -> list[str]:
        """Return what people call what is revoked."""
        for item in self.ground.depot.releases.values():
            if kind == "release" and item.digest == digest:
                return [item.label]
            for part in item.document["components"]:
                if kind == "component" and part["digest"] == digest:
                    return [f"{part['name']}@{part['version']}"]
        return []

    @rule(data=st.data())
    def low_attest(self, data: Any) -> None:
        kind, name = self.one(data, ("scan", "approval")), self.one(data, ("ann", "ann", "ben", STRANGER))
        passes = self.one(data, (True, True, False))
        self.ground.attest(self.a_release(data).label, kind, name, passes=passes)
        self.settle(low=True)

    @rule(data=st.data())
    def scan(self, data: Any) -> None:
        labels = [self.a_release(data).label, self.a_release(data).label, "assistant@99"]
        self.ground.scan(self.one(data, labels), self.one(data, ("ann", "ben")))
        self.settle(low=True)

    @rule(data=st.data())
    def depot_policy(self, data: Any) -> None:
        self.ground.set_depot_policy(scanned=self.one(data, (False, False, True)))
        self.settle(low=True)

    @rule(data=st.data())
    def pack(self, data: Any) -> None:
        label, whom = self.a_release(data).label, self.one(data, ((), *SINGLY, *PAIRS))
        self.ground.pack(label, "none", whom, parity=self.one(data, (False, False, True)))
        self.settle(low=True)

    @rule(data=st.data())
    def pack_from(self, data: Any) -> None:
        self.ground.pack(
            self.a_release(data).label, self.a_release(data).label, self.one(data, ((), *SINGLY))
        )
        self.settle(low=True)

    @rule(data=st.data())
    def pack_for(self, data: Any) -> None:
        self.ground.pack(self.a_release(data).label, None, self.one(data, SINGLY))
        self.settle(low=True)

    @rule(data=st.data())
    def renew(self, data: Any) -> None:
        self.ground.renew(self.one(data, (None, None, *ENCLAVES)))
        self.settle(low=True)

    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        self.ground.withdraw(self.a_bundle(data))
        self.settle(low=True)

    @rule(data=st.data())
    def recut(self, data: Any) -> None:
        self.ground.recut(self.a_bundle(data))
        self.settle(low=True)

    @rule(data=st.data())
    def low_check(self, data: Any) -> None:
        bundle = self.a_bundle(data)
        what = self.a_way(data, bundle)
        self.ground.check_low(bundle, None if what == LOST else what)
        self.settle(low=True)

    @rule(data=st.data())
    def enrol(self, data: Any) -> None:
        name = self.one(data, ENCLAVES)
        self.ground.enrol(name, self.one(data, (name, name, *ENCLAVES)))
        self.settle(low=True)

    @rule(data=st.data())
    def emergency(self, data: Any) -> None:
        names = self.one(data, (("alpha", "bravo"), ("alpha",), ("bravo",), ENCLAVES))
        self.ground.emergency(self.a_name(data), names, self.one(data, AUTHORITY[:3]))
        self.settle(low=True)

    @rule(data=st.data())
    def look(self, data: Any) -> None:
        del data
        self.ground.look()
        self.settle(low=True)

    # -- the high side -----------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def bring(self, data: Any) -> None:
        place, bundle = self.a_place(data), self.a_bundle(data)
        what, copy = self.a_way(data, bundle), self.one(data, range(3))
        self.ground.bring(place, bundle, copy, what, activate=self.one(data, (False, True)))
        self.settle(place)

    @rule(data=st.data())
    def watch(self, data: Any) -> None:
        """Drop a bundle into a watched folder."""
        place, bundle = self.a_place(data), self.a_bundle(data)
        if self.one(data, (True, True, False)):
            bundle = self.a_new_bundle(data, place)
        new = bundle.crossing not in place.memory.committed
        what, copy = self.a_way(data, bundle), self.one(data, range(3))
        self.ground.watch(place, bundle, copy, what, activate=new and self.one(data, (False, True)))
        self.settle(place)

    @rule(data=st.data())
    def bring_next(self, data: Any) -> None:
        """Import what may come in and did not."""
        place = self.a_place(data)
        bundle = self.a_new_bundle(data, place)
        self.ground.bring(place, bundle, 0, None, activate=self.one(data, (False, True)))
        self.settle(place)

    @rule(data=st.data())
    def bring_late(self, data: Any) -> None:
        """Import on a copy what comes in too late; on one that serves nothing, for that is served where it is."""
        place = self.a_place(data)
        if place.follows or place.stands:
            return
        bundle = (
            self.a_new_bundle(data, place) if self.one(data, (True, True, False)) else self.a_bundle(data)
        )
        people, activate = self.one(data, (None, *TWO, TWO[1])), self.one(data, (False, True))
        self.ground.late(place, bundle, people, activate=activate)
        self.settle(place)

    @rule(data=st.data())
    def look_at(self, data: Any) -> None:
        place, bundle = self.a_place(data), self.a_bundle(data)
        what = self.a_way(data, bundle)
        self.ground.inspect(bundle, what)
        self.ground.verify(place, bundle, what)
        self.ground.plan(place, bundle, what)
        self.settle(place)

    @rule(data=st.data())
    def activate(self, data: Any) -> None:
        place = self.a_place(data)
        stale = self.one(data, (None, None, *TWO))
        self.ground.activate(place, self.a_held(data, place), stale)
        self.settle(place)

    @rule(data=st.data())
    def roll_back(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.roll_back(place, self.a_held(data, place) if self.one(data, (False, True)) else None)
        self.settle(place)

    @rule(data=st.data())
    def approve(self, data: Any) -> None:
        place, name = self.a_place(data), self.one(data, ("ann", "ann", "ben", "ben", STRANGER))
        self.ground.approve(
            place, self.a_held(data, place), name, reject=self.one(data, (False, False, True))
        )
        self.settle(place)

    @rule(data=st.data())
    def high_attest(self, data: Any) -> None:
        place, name = self.a_place(data), self.one(data, ("dan", "ann", STRANGER))
        self.ground.attest_high(place, self.a_held(data, place), name, passes=self.one(data, (True, False)))
        self.settle(place)

    @rule(data=st.data())
    def floor(self, data: Any) -> None:
        place, name = self.a_place(data), self.one(data, ("guard", "guard", "kind:guard"))
        self.ground.floor(place, name, self.one(data, FLOORS), self.one(data, TWO))
        self.settle(place)

    @rule(data=st.data())
    def policy(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.set_policy(place, self.one(data, POLICIES))
        self.settle(place)

    @rule(data=st.data())
    def register(self, data: Any) -> None:
        """Register what was trained inside, mostly under a policy that permits it, and perhaps run it."""
        place = self.a_place(data)
        if self.one(data, (True, True, False)):
            self.ground.set_policy(place, "training")
        done = self.ground.register(place, self.a_held(data, place), self.one(data, range(1000)))
        if done and self.one(data, (True, False)):
            self.ground.activate(place, [*place.made.values()][-1])
        self.settle(place)

    @rule(data=st.data())
    def serve(self, data: Any) -> None:
        place, follow = self.a_place(data), self.one(data, (True, True, False))
        release = self.one(data, (None, None, None if follow else self.a_held(data, place)))
        self.ground.serve(place, self.one(data, NUMBERS), release, follow=follow)
        self.settle(place)

    @rule(data=st.data())
    def end(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.end(place, self.one(data, [*sorted(place.follows), *NUMBERS]))
        self.settle(place)

    @rule(data=st.data())
    def collect(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.collect(place, self.one(data, (1, 2, 3)))
        self.settle(place)

    @rule(data=st.data())
    def discard(self, data: Any) -> None:
        place = self.a_place(data)
        staged = [self.ground.bundle(number) for number in sorted(place.staged)]
        self.ground.discard(place, self.one(data, [*staged, *staged, self.a_bundle(data)]))
        self.settle(place)

    @rule(data=st.data())
    def rot(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.rot(place, self.a_bundle(data))
        self.settle(place)

    @rule(data=st.data())
    def receipt(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.receipt(place, typed=self.one(data, (False, True)))
        if self.one(data, (True, True, False)):
            self.ground.take_return(place.name, *place.returns[-1])
        self.settle(place, low=True)

    @rule(data=st.data())
    def request(self, data: Any) -> None:
        """Ask for what is missing, let it be taken in, and cut again."""
        place = self.a_place(data)
        bundle = (
            self.a_new_bundle(data, place) if self.one(data, (True, True, False)) else self.a_bundle(data)
        )
        named, typed = self.one(data, (False, False, True)), self.one(data, (False, True))
        what = self.one(data, (CUT, DAMAGED, None)) if bundle.chunks and len(bundle.copies[0]) == 1 else None
        if self.ground.request(place, bundle, what, typed=typed, named=named):
            done = self.ground.take_return(place.name, *place.returns[-1])
            if done:
                self.ground.recut(bundle, place.returns[-1][1])
        self.settle(place, low=True)

    @precondition(lambda self: any(place.returns for place in self.ground.model.places.values()))
    @rule(data=st.data())
    def old_return(self, data: Any) -> None:
        """Take in what came back before, or never arrived."""
        places = [place for place in self.ground.model.places.values() if place.returns]
        place = self.one(data, places)
        self.ground.take_return(place.name, *self.one(data, place.returns))
        self.settle(low=True)

    @rule(data=st.data())
    def hand_on(self, data: Any) -> None:
        place, to, bundle = self.a_hub(data), self.one(data, ENCLAVES), self.a_bundle(data)
        self.ground.hand_on(place, to, bundle, self.a_whole_way(data, bundle))
        self.settle(place)

    @rule(data=st.data())
    def store(self, data: Any) -> None:
        place, bundle = self.a_hub(data), self.a_bundle(data)
        self.ground.store(place, bundle, self.a_whole_way(data, bundle))
        self.settle(place)

    def a_whole_way(self, data: Any, bundle: Bundle) -> str | None:
        """Return what happens to volumes on their way to a hub, none of which is lost."""
        what = self.a_way(data, bundle)
        return None if what == LOST else what

    @rule(data=st.data())
    def hand_on_kept(self, data: Any) -> None:
        place = self.a_hub(data)
        self.ground.hand_on_kept(place, self.one(data, ENCLAVES))
        self.settle(place)

    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        place = self.a_hub(data)
        kept = [self.ground.bundle(number) for number in sorted(place.relayed)]
        self.ground.drop(place, self.one(data, [*kept, *kept, self.a_bundle(data)]))
        self.settle(place)

    @rule(data=st.data())
    def ask(self, data: Any) -> None:
        place = self.a_place(data)
        self.ground.ask(place)
        self.settle(place)

    @rule(data=st.data())
    def keep(self, data: Any) -> None:
        """Keep a checkpoint, and copies."""
        place = self.a_place(data)
        there = [path for path, _ in place.kept]
        self.ground.checkpoint(place, self.one(data, [None, None, *there[-1:]]))
        self.ground.back_up(place)
        self.ground.export_ledger(place, self.one(data, (place.name, place.name, *ENCLAVES)))
        self.ground.export_document(place, self.one(data, (*DOCUMENTS, "report")))
        self.settle(place)

    @rule(data=st.data())
    def witness(self, data: Any) -> None:
        place, name = self.a_place(data), self.one(data, ("ann", "ben", "alpha"))
        kept = self.a_kept(data, place)
        self.ground.witness(place, name, kept)
        if kept is not None:
            self.ground.hold_against(place, *kept[:2])
        self.settle(place)

    def a_kept(self, data: Any, place: Place) -> tuple[Place, Path, int] | None:
        """Return a checkpoint that was kept, mostly of this enclave; None for none."""
        own = [(place, *kept) for kept in place.kept]
        all_of_them = [(item, *kept) for item in self.ground.model.places.values() for kept in item.kept]
        found: tuple[Place, Path, int] | None = self.one(data, [*own, *own, *all_of_them, None])
        return found

    @rule(data=st.data())
    def inquire(self, data: Any) -> None:
        """Ask the record."""
        place, release, other = self.a_place(data), self.a_release(data), self.a_release(data)
        self.ground.stand(place)
        self.ground.at(place, self.one(data, range(4)))
        self.ground.during(place, self.one(data, ("base", "guard", "guard@2.1", "guard@2.2", "nobody")))
        self.ground.where(place, release)
        self.ground.lineage(place, self.a_held(data, place), deep=self.one(data, (False, True)))
        self.ground.changes(place, release, other)
        self.settle(place)

    @rule(data=st.data())
    def wait(self, data: Any) -> None:
        """Let time pass."""
        begun, days = self.start.desk.now, self.one(data, range(1, 5))
        self.ground.desk.now = min(self.ground.desk.now + timedelta(days=days), begun + LONGEST)
        TAKEN["steps"] += 1


def _is_alike(one: Change | RootChange | None, other: Change | RootChange) -> bool:
    """Say whether two changes may be the same to the byte: one was dropped, and proposed again."""
    if isinstance(one, Change) and isinstance(other, Change):
        return (one.releases, one.listed) == (other.releases, other.listed)
    if isinstance(one, RootChange) and isinstance(other, RootChange):
        return (one.lifted, one.grace) == (other.lifted, other.grace)
    return False


def prepare(folder: Path) -> BeginningSide:
    """Return a ground on which something has happened: releases, bundles, imports, a receipt, something staged."""
    ground = BeginningSide.begin(folder)
    for name in ENCLAVES[:2]:
        ground.enrol(name, name)
    ground.release(1, 1, ("dan", "erin"))
    ground.pack("assistant@1", "none", ())
    ground.release(2, 1, ("dan", "erin"))
    ground.pack("assistant@2", "assistant@1", ())
    ground.release(2, 2, ("erin", "frank"))
    alpha, bravo = (ground.place(name) for name in ENCLAVES[:2])
    ground.set_policy(alpha, "hub")
    for number in (1, 2):
        ground.bring(alpha, ground.bundle(number), 0, None, activate=True)
    ground.receipt(alpha, typed=False)
    ground.take_return("alpha", *alpha.returns[-1])
    ground.bring(bravo, ground.bundle(1), 0, None, activate=True)
    ground.pack("assistant@3", None, ("alpha",))
    ground.pack("assistant@3", "none", ("bravo",))
    ground.bring(bravo, ground.bundle(4), 0, CUT, activate=False)
    ground.agree()
    return ground


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """Return where walks take place, with the ground prepared."""
    place = Path(
        tempfile.mkdtemp(prefix="airlift-walks-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    )
    try:
        with quick(), desk.commands():
            Walk.start, Walk.room = prepare(place / "start"), place
            yield place
    finally:
        shutil.rmtree(place)


RULES = tuple(function for function in vars(Walk).values() if hasattr(function, RULE_MARKER))


@pytest.mark.usefixtures("room")
def test_every_command_is_walked() -> None:
    """Errands that run every command, done and refused: what walks do by chance, these do for certain."""
    ground = Walk.start.copy(Walk.room / "errands")
    ground.counts.update(Walk.start.counts)
    try:
        for errand in (
            _watch,
            _too_late,
            _serve,
            _bring_and_refuse,
            _run,
            _hub,
            _authority,
            _ways,
            _answers,
            _emergency,
            _record,
            _late,
            _train,
            _begin,
        ):
            errand(ground)
            ground.agree()
        ground.prove()
    finally:
        SEEN.update(ground.counts)
        ground.leave()
    assert sorted(VERBS - set(ground.counts)) == []
    missing = [verb for verb in desk.verbs() if not _is_done(verb, ground)]
    assert missing == sorted(ELSEWHERE), "walk new commands, or say in ELSEWHERE why not"


def _is_done(verb: str, ground: BeginningSide) -> bool:
    """Say whether a command was judged and ended well, with whatever options."""
    return any(key.startswith(f"{verb} ") and key.endswith(" 0") for key in ground.counts)


def _watch(ground: BeginningSide) -> None:
    """The same by a watched folder: complete, damaged, without a chunk, written on, for another, too early, again."""
    aside = Walk.start.copy(Walk.room / "watched")
    bravo, charlie = (aside.place(name) for name in ENCLAVES[1:])
    early, mine, full = (aside.bundle(number) for number in (2, 4, 1))
    for harm in (LABELLED, DAMAGED, CUT):
        aside.watch(bravo, mine, 0, harm, activate=False)
    aside.watch(charlie, early, 0, None, activate=False)
    aside.watch(charlie, mine, 0, None, activate=False)
    aside.set_policy(charlie, "approved")
    aside.watch(charlie, full, 0, None, activate=True)
    aside.watch(charlie, full, 0, None, activate=False)
    aside.watch(bravo, mine, 0, None, activate=True)
    aside.withdraw(early)
    aside.renew(None)
    aside.watch(bravo, aside.bundle(max(aside.model.bundles)), 0, None, activate=False)
    aside.watch(bravo, early, 0, None, activate=False)
    aside.agree()
    aside.prove()
    ground.counts.update(aside.counts)
    aside.leave()


def _serve(ground: BeginningSide) -> None:
    """What is active is served, goes along, and is ended; what may not run is not served."""
    alpha, charlie = ground.place("alpha"), ground.place("charlie")
    first, second, third = ground.depot.releases.values()
    ground.serve(charlie, 1, None, follow=True)
    ground.serve(charlie, 1, third, follow=False)
    for number in (1, 1, 2):
        ground.serve(alpha, number, None, follow=True)
    ground.roll_back(alpha, None)
    ground.serve(alpha, 1, first, follow=False)
    ground.serve(alpha, 1, second, follow=True)
    for _ in range(2):
        ground.end(alpha, 2)
    ground.roll_back(alpha, second)
    ground.serve(charlie, 1, first, follow=False)
    bravo = ground.place("bravo")
    ground.serve(bravo, 1, first, follow=False)
    ground.bring(bravo, ground.bundle(2), 0, None, activate=False)
    ground.set_policy(bravo, "approved")
    ground.serve(bravo, 2, second, follow=False)
    ground.set_policy(bravo, "open")


def _bring_and_refuse(ground: BeginningSide) -> None:
    """Volumes come in complete, damaged, without a chunk, written on, to the wrong place, too early."""
    bravo, charlie = (ground.place(name) for name in ENCLAVES[1:])
    early, mine, full = (ground.bundle(number) for number in (2, 4, 1))
    ground.discard(bravo, mine)
    ground.discard(bravo, mine)
    for typed in (False, True):
        ground.request(bravo, mine, CUT, typed=typed, named=False)
        ground.take_return("bravo", *bravo.returns[-1])
        ground.recut(mine, bravo.returns[-1][1])
    for harm in (LABELLED, DAMAGED, CUT):
        ground.bring(bravo, mine, 0, harm, activate=False)
    for what in (None, DAMAGED, CUT):
        ground.check_low(full, what)
        ground.inspect(mine, what)
        ground.verify(bravo, mine, what)
    ground.plan(bravo, mine, None)
    ground.plan(charlie, early, None)
    ground.bring(charlie, early, 0, None, activate=False)
    ground.bring(charlie, mine, 0, None, activate=False)


def _run(ground: BeginningSide) -> None:
    """Approvals, activations, roll backs, floors."""
    alpha, charlie = ground.place("alpha"), ground.place("charlie")
    first, second, third = ground.depot.releases.values()
    ground.set_policy(charlie, "approved")
    ground.bring(charlie, ground.bundle(1), 0, None, activate=True)
    ground.bring(charlie, ground.bundle(1), 0, None, activate=False)
    ground.activate(charlie, first)
    for name in (STRANGER, "ann"):
        ground.approve(charlie, first, name, reject=False)
    for release in (first, third):
        ground.activate(charlie, release)
    ground.approve(charlie, third, "ann", reject=False)
    for name in ("dan", STRANGER):
        ground.attest_high(charlie, first, name, passes=True)
    ground.roll_back(alpha, None)
    ground.roll_back(alpha, second)
    ground.floor(charlie, "guard", "2.0", ())
    for signers in TWO[:1] + TWO[2:] + TWO[1:2]:
        ground.floor(charlie, "guard", None, signers)


def _hub(ground: BeginningSide) -> None:
    """A hub keeps, hands on and drops; content rots and is repaired."""
    alpha, mine = ground.place("alpha"), ground.bundle(4)
    ground.store(alpha, mine, None)
    for to in ("bravo", "charlie"):
        ground.hand_on(alpha, to, mine, None)
    ground.hand_on_kept(alpha, "bravo")
    ground.drop(alpha, mine)
    ground.rot(alpha, ground.bundle(1))


def _authority(ground: BeginningSide) -> None:
    """Changes that wait for signatures, and are in each other's way."""
    ground.release(3, 1, ("dan",))
    ground.release(3, 2, ("dan",))
    ground.revoke("guard@2.1", ("dan", "erin"))
    for name in (STRANGER, "erin", "dan"):
        ground.sign((name,))
    ground.release_again(ground.depot.releases["assistant@1"], ())
    ground.rotate(("alice",))
    for role, name in (("root", STRANGER), ("root", "bob"), ("release", "dan")):
        ground.carry(role, (name,))
    for _ in range(2):
        ground.take_back(ground.depot.carried[0])
    ground.rotate(("alice", "bob"))
    ground.take_back(ground.depot.carried[0])
    ground.set_depot_policy(scanned=True)
    ground.pack("assistant@1", "none", ())
    for label in ("assistant@99", "assistant@2"):
        ground.scan(label, "ann")
    ground.attest("assistant@1", "scan", "ann", passes=True)
    ground.pack("assistant@1", "none", ("alpha", "charlie"), parity=True)
    ground.set_depot_policy(scanned=False)
    ground.look()


def _ways(ground: BeginningSide) -> None:
    """What was withdrawn, cut again, renewed."""
    charlie, gone = ground.place("charlie"), ground.bundle(2)
    for _ in range(2):
        ground.withdraw(gone)
    ground.recut(gone)
    ground.recut(ground.bundle(1))
    ground.renew(None)
    ground.bring(charlie, ground.bundle(max(ground.model.bundles)), 0, None, activate=False)
    ground.bring(charlie, gone, 0, None, activate=False)
    ground.verify(charlie, gone, None)
    ground.pack("assistant@3", None, ("bravo",))


def _answers(ground: BeginningSide) -> None:
    """What comes back from enclaves."""
    charlie = ground.place("charlie")
    for key in ("charlie", "bravo"):
        ground.enrol("charlie", key)
    for typed in (True, False):
        ground.receipt(charlie, typed=typed)
        ground.take_return("charlie", *charlie.returns[-1])
    ground.ask(charlie)


def _emergency(ground: BeginningSide) -> None:
    """Something is revoked, gives way to something else, and is lifted; a hot fix comes."""
    alpha = ground.place("alpha")
    ground.bring(alpha, ground.bundle(3), 0, None, activate=False)
    ground.revoke("guard@2.1", ("dan", "erin"))
    ground.renew(None)
    ground.bring(alpha, ground.bundle(max(ground.model.bundles)), 0, None, activate=False)
    ground.activate(alpha, ground.depot.releases["assistant@1"])
    ground.lift("guard@2.1", BOTH[0])
    ground.emergency("guard@2.2", ("alpha", "bravo"), ("dan", "erin"))
    ground.bring(alpha, ground.bundle(max(ground.model.bundles)), 0, None, activate=True)
    ground.collect(alpha, 1)


def _too_late(ground: BeginningSide) -> None:
    """What has expired comes in by the word of two people whom policy lists, and by no other."""
    aside = Walk.start.copy(Walk.room / "expired")
    alpha, bravo, charlie = (aside.place(name) for name in ENCLAVES)
    mine = aside.bundle(4)
    aside.late(bravo, mine, TWO[1], activate=True)
    for place in (bravo, charlie):
        aside.set_policy(place, "approved")
    for people in (None, *TWO, ("ann",), ("ann", "ann")):
        aside.late(bravo, mine, people, activate=False)
    aside.late(bravo, mine, TWO[1], activate=True)
    aside.late(charlie, mine, TWO[1], activate=False)
    aside.late(alpha, aside.bundle(1), None, activate=False)
    ground.counts.update(aside.counts)
    aside.leave()


def _train(ground: BeginningSide) -> None:
    """What dice draw is registered, or not; it runs beside its guard, and is named by no receipt."""
    alpha = ground.place("alpha")
    held = [item for item in ground.depot.releases.values() if item.digest in alpha.memory.held]
    ground.register(alpha, held[0], 0)
    ground.set_policy(alpha, "training")
    for seed in range(24):
        ground.register(alpha, held[seed % len(held)], seed)
    ground.register(alpha, ground.depot.releases["assistant@4"], 1)
    for release in alpha.made.values():
        ground.activate(alpha, release)
        ground.lineage(alpha, release, deep=True)
    ground.receipt(alpha, typed=True)
    ground.receipt(alpha, typed=False)
    ground.take_return("alpha", *alpha.returns[-1])
    ground.agree()
    ground.collect(alpha, 2)
    ground.set_policy(alpha, "open")
    for release in alpha.made.values():
        ground.activate(alpha, release)


def _begin(ground: BeginningSide) -> None:
    """Keys, a depot beside this one, drafts, and a file that a server on this machine has, or another one."""
    for _ in range(2):
        ground.make_key("heidi")
        ground.begin_depot(ground.folder / "second", ("alice", "bob"), ("dan", "erin"))
    source = ground.depot.releases["assistant@1"].manifest.parent
    for _ in range(2):
        ground.draft((source / "base", source / "guard"), ground.folder / "draft.yaml")
    ground.outdated(ground.folder / "second", released=False)
    ground.outdated(ground.home, released=True)
    good, other = b"as it was pinned\n" * 9, b"something else\n" * 9
    with serving() as server:
        for name, served in (("missing", None), ("other", other), ("good", good), ("good", good)):
            server.files |= {f"/{name}.txt": served} if served else {}
            ground.fetch(f"{server.url}/{name}.txt", good, served)


def _late(ground: BeginningSide) -> None:
    """Nothing new is activated when the last bundle is old, unless two people say so."""
    alpha = ground.place("alpha")
    ground.set_policy(alpha, "fresh")
    held = [item for item in ground.depot.releases.values() if item.digest in alpha.memory.held]
    for release in held:
        ground.approve(alpha, release, "ann", reject=False)
    ground.desk.now += timedelta(days=13)
    for stale in (None, (), ("ann", STRANGER), ("ann", "ben")):
        for release in held:
            ground.activate(alpha, release, stale)


def _record(ground: BeginningSide) -> None:
    """The record is asked, copied, countersigned, and held against what was kept of it, and of another one."""
    alpha, bravo = ground.place("alpha"), ground.place("bravo")
    empty = Walk.start.place("charlie")
    for place in (alpha, bravo):
        ground.stand(place)
        ground.checkpoint(place)
    ((mine, size),), ((strange, _),) = alpha.kept, bravo.kept
    ground.checkpoint(alpha, mine)
    ground.receipt(alpha, typed=False)
    ground.activate(alpha, ground.depot.releases["assistant@3"])
    for name, kept in (
        ("ann", None),
        ("ann", (alpha, mine, size)),
        ("alpha", None),
        ("ben", (bravo, strange, 1)),
    ):
        ground.witness(alpha, name, kept)
    ground.hold_against(alpha, alpha, mine)
    ground.hold_against(alpha, bravo, strange)
    ground.back_up(alpha)
    for name in ("alpha", "bravo"):
        ground.export_ledger(alpha, name)
    for kind in (*DOCUMENTS, "report"):
        ground.export_document(alpha, kind)
    ground.export_document(empty, DOCUMENTS[0])
    for back in range(4):
        ground.at(alpha, back)
    ground.at(empty, 0)
    for component in ("base", "guard@2.1", "nobody"):
        ground.during(alpha, component)
    first, second, third = list(ground.depot.releases.values())[:3]
    for release in (first, third):
        ground.where(alpha, release)
        for deep in (False, True):
            ground.lineage(alpha, release, deep=deep)
        ground.lineage(empty, release, deep=False)
    ground.changes(alpha, third, first)
    ground.changes(empty, third, second)


@pytest.mark.usefixtures("room")
def test_tours_of_all_commands() -> None:
    """Walks that take every step once, in an order that dice say: the same on every run."""
    for seed in range(TOURS):
        tour(random.Random(seed))


def tour(dice: random.Random) -> None:
    """Take every step once."""
    walk, steps = Walk(), list(RULES)
    dice.shuffle(steps)
    walk.begin_at(str)
    try:
        for step in steps:
            step(walk, data=dice)
        walk.look_at_all(data=dice)
    except AssertionError as error:
        trail = "\n".join(map(str, walk.ground.desk.trail[-30:]))
        raise AssertionError(f"{error}\nafter these commands:\n{trail}") from error
    finally:
        walk.teardown()


@pytest.mark.usefixtures("room")
def test_all_commands_do_what_the_reference_says() -> None:
    """Walks that hypothesis draws; of what fails it tells the commands."""
    run_state_machine_as_test(
        Walk,
        settings=settings(
            derandomize=not FULL,
            database=None,
            deadline=None,
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            phases=tuple(Phase) if FULL else (Phase.generate,),
        ),
    )
    print(f"{TAKEN['steps']} steps: {dict(sorted(SEEN.items()))}")  # noqa: T201 - for who counts
