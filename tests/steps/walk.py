"""A walk: one enclave, one random step after the other, and after each what it did is held against the rules."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from airlift.errors import AirliftError, KeyUnavailableError, NotHeldError, RefusedError, UsageError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Operator, open_enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.governance.approve import approve
from airlift.high.governance.consent import Consent
from airlift.high.governance.floor import FloorRequest, set_floor
from airlift.high.governance.record_attestations import record_attestations
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.registering.register import register
from airlift.trust.statements import predicates, statement
from tests.steps import policies, registering, rules
from tests.steps.media import Crossing, Media
from tests.steps.memory import Memory, Said
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS
from tests.support.enclaves import copy

LONGEST = timedelta(days=110)
"""How far the clock of a walk goes: metadata is valid for 180 days."""


@dataclass(frozen=True, slots=True)
class Before:
    """What an enclave was before a step, to be compared with what it is afterwards."""

    size: int
    active: str | None
    policy: str
    state: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Where walks begin: an enclave, what is to be remembered of it, and the first bundle that it has not seen."""

    folder: Path
    memory: Memory
    next: int


def enrolled(media: Media) -> Start:
    """Return the start at which nothing was imported yet."""
    names = (*ROOTS, *RELEASERS, BUNDLER)
    people = {*policies.FILES.values(), *names}
    memory = Memory(
        policy={"airlift": 1, "enclave": "alpha"},
        keys=policies.FILES,
        names={name: name for name in names},
        key_ids={name: keys.signer(name).public.key_id for name in people},
        now=NOW,
        moments=[NOW],
    )
    return Start(media.enclave.folder, memory, 0)


class Walk:
    """One walk through ``media``; ``counts`` says how often each step did something, or was refused."""

    def __init__(self, media: Media, start: Start, folder: Path, seed: int) -> None:
        self.media, self.folder, self.random = media, folder, random.Random(seed)
        self.enclave = open_enclave(copy(start.folder, folder / "enclave"))
        self.keys = policies.write_keys(folder / "policy")
        self.counts: Counter[str] = Counter()
        self.trail: list[str] = []
        self.memory, self.next = deepcopy(start.memory), start.next

    def take(self, count: int) -> Start:
        """Import the next bundles under a policy that lets everything in; return where walks may begin."""
        self.set_policy(policies.OPEN)
        for bundle in self.media.crossings[self.next : self.next + count]:
            self.memory.now = bundle.issued
            self.bring_bundle(bundle, activate=False)
        return Start(self.enclave.folder, self.memory, self.next + count)

    @property
    def operator(self) -> Operator:
        """Who does all of it, at the time of the walk."""
        return Operator("walker", keys.signer("ledger"), self.memory.now)

    # -- the steps -----------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Take one step, and judge it."""
        steps: dict[Callable[[], None], int] = {
            self.bring: 8, self.activate: 28, self.roll_back: 16, self.floor: 5, self.policy: 10,
            self.approve: 18, self.scan: 8, self.wait: 5, self.collect: 1, self.register: 6,
        }  # fmt: skip
        chosen = (
            self.bring if not self.memory.committed else self.random.choices([*steps], [*steps.values()])[0]
        )
        chosen()
        self.agree()

    def bring(self) -> None:
        """Import the next bundle, or one that was passed over or is committed, with or without activation."""
        older = self.next and self.random.random() < 0.3
        index = self.random.randrange(self.next) if older else min(self.next, len(self.media.crossings) - 1)
        self.next = max(self.next, index + 1)
        if not older and self.random.random() < 0.15:
            self.note("bring", "passed over")
        else:
            self.bring_bundle(self.media.crossings[index], activate=self.random.random() < 0.5)

    def bring_bundle(self, bundle: Crossing, *, activate: bool) -> None:
        """Import a bundle, and hold what came of it against the rules."""
        memory, again, before = self.memory, bundle in self.memory.committed, self.size()
        overtaken = memory.is_overtaken(bundle)
        if not again and not overtaken:
            memory.learn(bundle)
        against = rules.against_import(memory, bundle, activate=activate)
        error = self.attempt(
            lambda: import_bundle(
                self.enclave, bundle.paths, operator=self.operator, activate=activate, workers=1
            )
        )
        self.note("bring", f"{bundle.sequence} {activate=} {again=} {overtaken=}", error)
        check_same(against, error)
        if error is None:
            if not again:
                memory.commit(bundle)
            if activate and bundle.digest and memory.active != bundle.digest:
                memory.switch(bundle.digest)
        self.grown(before)
        self.enforce()

    def activate(self) -> None:
        """Activate some release, sometimes with the word of two people that old knowledge will do."""
        digest, who = self.a_release(), self.two()
        against = self.against(digest, aged=True)
        stale = Consent("why", [keys.signer(name) for name in who]) if self.random.random() < 0.3 else None
        if stale and rules.AGE in against:
            against -= {rules.AGE}
            lacking = not against and not rules.are_two_approvers(self.memory, who)
            against |= {rules.QUORUM} if lacking else set()
        self.switched(
            "activate", against, digest,
            lambda dry: activate(self.enclave, digest, operator=self.operator, stale=stale, dry_run=dry),
        )  # fmt: skip

    def roll_back(self) -> None:
        """Roll back, to what was active before or to a release that is named."""
        named = self.a_release() if self.random.random() < 0.6 else None
        digest = named or self.memory.previous
        against = self.against(digest, aged=digest not in self.memory.ran)
        self.switched(
            "roll back", against, digest,
            lambda dry: roll_back(self.enclave, named, operator=self.operator, dry_run=dry),
        )  # fmt: skip

    def switched(
        self, what: str, against: set[str], digest: str | None, switch: Callable[[bool], object]
    ) -> None:
        """Make a switch, or in a tenth of all cases only ask, and hold what came of it against the rules."""
        dry = self.random.random() < 0.1
        before = self.before()
        error = self.attempt(lambda: switch(dry))
        self.note(what, f"{(digest or 'nothing')[:8]} {sorted(against)} {dry=}", error)
        check_same(against, error)
        if error is not None or dry:
            assert self.before() == before, "what was refused, or asked, changed something"
        elif self.memory.active != digest:
            self.memory.switch(digest)
        self.grown(before.size)

    def floor(self) -> None:
        """Raise a floor, or lower or end one with the keys of two people."""
        name, version = policies.floor(self.random), policies.version(self.random)
        signers = self.two() if self.random.random() < 0.7 else ()
        request = FloorRequest(name, version, "why", [keys.signer(key) for key in signers])
        memory, found = self.memory, rules.in_force(self.memory).get(name)
        lowers = found is not None and (version is None or rules.is_below(version, found))
        stated = memory.policy.get("floors", {}).get(name)
        allowed = not lowers or (
            (stated is None or (version is not None and not rules.is_below(version, stated)))
            and rules.are_two_approvers(memory, signers)
        )
        before = self.before()
        error = self.attempt(lambda: set_floor(self.enclave, request, operator=self.operator))
        self.note("floor", f"{name} {found} -> {version} by {signers}", error)
        assert allowed == (error is None), f"{allowed=}, and {error!r}"
        if error is not None:
            assert self.before() == before
        elif version is not None:
            memory.floors[name] = version
        else:
            memory.floors.pop(name, None)
        self.grown(before.size)

    def policy(self) -> None:
        """Put another policy in force."""
        self.set_policy(policies.draw(self.random, self.keys))

    def set_policy(self, document: Mapping[str, Any]) -> None:
        """Put a policy in force, and do in memory what follows."""
        before = self.size()
        path = self.folder / "policy" / "policy.yaml"
        path.write_text(yaml.safe_dump(document))
        self.note("policy", str(document))
        change_policy(self.enclave, path, operator=self.operator)
        kept = rules.in_force(self.memory)
        self.memory.policy = document
        self.memory.floors = rules.higher(kept, document.get("floors", {}))
        self.grown(before)
        self.enforce()

    def approve(self) -> None:
        """Approve a release, or withdraw that."""
        digest, name = self.a_release(), self.somebody("approval")
        reject, before, memory = self.random.random() < 0.2, self.before(), self.memory
        error = self.attempt(
            lambda: approve(
                self.enclave, digest, signer=keys.signer(name), operator=self.operator, reject=reject
            )
        )
        files = memory.policy.get("attestations", {}).get("approval", {"keys": []})["keys"]
        allowed = digest in memory.held and name in {memory.keys[file] for file in files}
        self.note("approve", f"{digest[:8]} {name} {reject=}", error)
        assert allowed == (error is None), f"{allowed=}, and {error!r}"
        if error is None:
            self.says(digest, "approval", name, f"approval {before.size} {reject}", passes=not reject)
        else:
            assert self.before() == before
        self.grown(before.size)

    def scan(self) -> None:
        """Record a scan, a new one without a time, or one that was signed before, signed again."""
        name = self.somebody("scan")
        digest, passes = self.a_release(), self.random.random() < 0.85
        number = self.random.randrange(6)
        predicate = {"verdict": "pass" if passes else "fail", "note": str(number)}
        made = statement.attest([("it", digest)], predicates.own_type("scan"), predicate, keys.signer(name))
        path = self.folder / "scan.json"
        path.write_bytes(made.data)
        before, memory = self.before(), self.memory
        error = self.attempt(lambda: record_attestations(self.enclave, [path], operator=self.operator))
        known = name in memory.names or name in {memory.keys[file] for file in memory.files()}
        brought = digest in memory.made or any(item.digest == digest for item in memory.committed)
        self.note("scan", f"{digest[:8]} {name} {passes=}", error)
        assert (known and brought) == (error is None), repr(error)
        if error is None:
            self.says(digest, "scan", name, f"scan {digest} {passes} {number}", passes=passes, told=False)
        else:
            assert self.before() == before
        self.grown(before.size)

    def register(self) -> None:
        """Register what was trained inside, upon some release."""
        drawn = registering.draw(self.random, self.memory, self.a_release(), len(self.trail))
        path, memory, before = drawn.write(self.folder / "trained"), self.memory, self.before()
        against, made = registering.against(memory, drawn), list[str]()
        error = self.attempt(lambda: made.append(register(self.enclave, path, operator=self.operator).digest))
        self.note("register", f"{drawn.base[:8]} {drawn.item} {drawn.without} {against}", error)
        if against is None:
            assert isinstance(error, UsageError), repr(error)
        else:
            check_same(against, error)
        if error is not None:
            assert self.before() == before, "what was refused changed something"
            return
        (digest,) = made
        memory.documents[digest] = registering.release_of(memory, drawn)
        memory.made[digest] = drawn.base
        memory.held.append(digest)
        self.grown(before.size)

    def wait(self) -> None:
        """Let time pass, or set the clock back."""
        days = self.random.choice((1, 2, 5, 9, -1, -4))
        self.memory.now = min(max(self.memory.now + timedelta(days=days), NOW), NOW + LONGEST)
        self.note("wait", str(days))

    def collect(self) -> None:
        """Collect garbage."""
        before, memory, keep = self.size(), self.memory, self.random.choice((2, 4, 6))
        collect_garbage(self.enclave, keep, operator=self.operator)
        sacred = {memory.active, memory.previous, *memory.held[-keep:]}
        memory.held = [digest for digest in memory.held if digest in sacred]
        self.note("collect", str(keep))
        self.grown(before)

    # -- what is drawn -------------------------------------------------------------------------------------------

    def a_release(self) -> str:
        """Return a release, mostly one that is held."""
        known = [*(item.digest for item in self.media.crossings if item.digest), *self.memory.made]
        held = self.memory.held
        return self.random.choice(held if held and self.random.random() < 0.95 else known)

    def somebody(self, kind: str) -> str:
        """Return whose key makes a statement, mostly one that policy asks."""
        listed = self.memory.policy.get("attestations", {}).get(kind, {"keys": []})["keys"]
        return self.keys[
            self.random.choice(listed if listed and self.random.random() < 0.85 else [*self.keys])
        ]

    def two(self) -> tuple[str, ...]:
        """Return two people, approvers or not."""
        return tuple(self.random.sample([*self.keys.values()], 2))

    # -- what is judged ------------------------------------------------------------------------------------------

    def against(self, digest: str | None, *, aged: bool) -> set[str]:
        """Return what stands against a switch."""
        if digest is None or digest not in self.memory.held:
            return {rules.NOT_HELD}
        return rules.objections(self.memory, digest, aged=aged)

    def enforce(self) -> None:
        """Do in memory what 7.9-3 says of an active release that is revoked."""
        what = rules.enforce(self.memory)
        self.counts[f"{what} enforced"] += what not in {None, rules.REPORT}

    def says(self, digest: str, kind: str, key: str, text: str, *, passes: bool, told: bool = True) -> None:
        """Remember a statement; one that does not tell its time is as old as the newest bundle (4.5-11)."""
        issued = max((item.issued for item in self.memory.committed), default=NOW)
        time = self.memory.now if told else issued
        self.memory.said.append(Said(len(self.memory.said), digest, kind, key, passes, text, time))

    def attempt(self, step: Callable[[], object]) -> AirliftError | None:
        """Return how a step was refused, None if it was not."""
        try:
            step()
        except (RefusedError, NotHeldError, UsageError, KeyUnavailableError) as error:
            return error
        return None

    def before(self) -> Before:
        """Return what the enclave is now, by its links and its ledger."""
        state, link = self.enclave.state(), self.enclave.active
        return Before(
            state.size,
            str(link.readlink()) if link.is_symlink() else None,
            str(self.enclave.policy_link.readlink()),
            (state.installed, state.bundles, state.floors, state.revocations, state.previous, state.open),
        )

    def size(self) -> int:
        """Return how many entries there are."""
        with self.enclave.ledger() as log:
            return log.size

    def grown(self, before: int) -> None:
        """Remember that entries were made now, if any were."""
        if self.size() > before:
            self.memory.moments.append(self.memory.now)

    def agree(self) -> None:
        """Check that what is served is what the rules let become active, and that nothing revoked is."""
        memory, link = self.memory, self.enclave.active
        found = link.readlink().name if link.is_symlink() else None
        wanted = memory.active[:64] if memory.active else None
        assert found == wanted, f"{found} is active, and {wanted} should be"
        if memory.active is not None:
            parts = {part["name"] for part in memory.documents[memory.active]["components"]}
            assert {path.name for path in link.iterdir()} == parts
            revoked = rules.is_revoked(memory, memory.active, memory.documents[memory.active])
            assert not revoked or memory.policy.get("revoked") == "report", "what is revoked runs"

    def note(self, what: str, how: str, error: AirliftError | None = None) -> None:
        """Write down what was done, for whoever has to find out why it was wrong."""
        self.trail.append(f"{len(self.trail)}: {what} {how}: {type(error).__name__ if error else 'done'}")
        self.counts[f"{what} {'refused' if error else 'done'}"] += 1


def check_same(against: set[str], error: AirliftError | None) -> None:
    """Check that a step was refused for what stands against it, all of it and nothing else."""
    told = {} if error is None else error.data
    found = {item["code"] for item in told.get("objections", [])} or ({error.code} if error else set())
    assert found == {rules.CODES[number] for number in against}, f"{sorted(against)}, and {error!r}"
