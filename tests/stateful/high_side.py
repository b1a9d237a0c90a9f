"""The commands of the high side, each with what docs/SPEC.md says of how it ends and what it leaves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.trust.statements import predicates, statement
from tests.stateful.ground import CUT, DAMAGED, LABELLED, policy_of
from tests.stateful.known import Bundle, Place, Release
from tests.stateful.low_side import LowSide
from tests.steps import rules
from tests.steps.memory import Memory, Said
from tests.support import keys

LOST = "lost"
"""One volume of several did not arrive."""

PEOPLE = 2
"""How many have to sign for what one may not do alone (7.7, 8.2-12)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How a look at a bundle ends: the exit code, the codes of a refusal, and how far it came.

    ``verified`` says that its signatures and place are right; ``learned`` that what it revokes counts from now on.
    """

    exit: int
    codes: frozenset[str] | None = None
    verified: bool = False
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """How volumes come in: what happened to them, whether what they bring is to run at once.

    ``unsigned`` says that it takes two people to let them in, who did not sign for it.
    """

    what: str | None
    activate: bool
    unsigned: bool = False


class HighSide(LowSide):
    """What is done to enclaves."""

    # -- bundles that come in ----------------------------------------------------------------------------------------

    def arriving(self, bundle: Bundle, copy: int, what: str | None) -> tuple[Path, ...]:
        """Return volumes of a bundle as they arrive."""
        paths = bundle.copies[copy % len(bundle.copies)]
        return paths[-1:] if what == LOST else self.on_the_way(bundle, paths, what)

    def judge_place(self, place: Place, bundle: Bundle, what: str | None) -> Judged:
        """Return how it ends to verify a bundle, before its chunks are read (7.2)."""
        memory, newest = place.memory, self.newest(place)
        if what == LABELLED:
            return Judged(3, frozenset({"digest-mismatch"}))
        if bundle.crossing in memory.committed:
            return Judged(0)
        overtaken = memory.is_overtaken(bundle.crossing)
        if newest and overtaken and bundle.id not in newest.listed:
            return Judged(3, frozenset({"replayed"}), verified=True)
        if not place.may_take(bundle.whom):
            return Judged(6, frozenset({"wrong-enclave"}), verified=True)
        return Judged(0, verified=True, learned=not overtaken)

    def judge_baseline(self, place: Place, bundle: Bundle) -> bool:
        """Say whether an enclave holds what a bundle builds on (7.1-1)."""
        brought = {item.digest for item in place.memory.committed}
        if bundle.baseline is not None and bundle.baseline.digest not in brought:
            return False
        lacking = self.lacking(place, bundle)
        return not lacking or (lacking <= bundle.files and bundle.bases <= place.content)

    def lacking(self, place: Place, bundle: Bundle) -> frozenset[str]:
        """Return what an enclave does not hold of what a bundle brings."""
        return (bundle.target.contents if bundle.target else frozenset()) - place.content

    def newest(self, place: Place) -> Bundle | None:
        """Return the bundle whose metadata an enclave trusts."""
        found = place.memory.newest()
        return self.bundle(found.sequence) if found else None

    @contextmanager
    def claims_of(self, place: Place, bundle: Bundle) -> Iterator[list[Said]]:
        """Let what a bundle carries count while it is judged; it stays if the body puts something into the list.

        One entry records all of it, so what does not pass is the last word of a key (4.5-5).
        """
        memory = place.memory
        before, kept = [*memory.said], list[Said]()
        if bundle.target is not None and bundle.crossing not in memory.committed:
            for kind, key, passes in sorted(bundle.claims, key=lambda claim: not claim[2]):
                self._hear(place, bundle.target, kind, key, passes=passes)
        try:
            yield kept
        finally:
            if not kept:
                memory.said = before

    def bring(self, place: Place, bundle: Bundle, copy: int, what: str | None, *, activate: bool) -> bool:
        """Import a bundle."""
        paths = self.arriving(bundle, copy, what)
        said = self.high(place, "import", *paths, "--workers", "1", *(["--activate"] if activate else []))
        verb = "high import" + (" --activate" if activate else "") + (f" {what}" if what else "")
        place.memory.now = self.desk.now
        judged = self.judge_place(place, bundle, what)
        judged = self.take_in(place, bundle, Way(what, activate), judged, said)
        return self.judge(verb, said, judged.exit, set(judged.codes) if judged.codes else None)

    def take_in(self, place: Place, bundle: Bundle, way: Way, judged: Judged, said: Any) -> Judged:
        """Do in memory what an import does that was judged so far; return how it ends."""
        memory, crossing = place.memory, bundle.crossing
        again = crossing in memory.committed
        if judged.verified:
            memory.verified.append(crossing)
        if judged.learned:
            place.size += bool(crossing.listed - memory.listed)
            memory.listed |= crossing.listed
        with self.claims_of(place, bundle) as kept:
            if not judged.exit:
                judged = self._judge_import(place, bundle, way)
            if not judged.exit and not again:
                kept.extend(memory.said)
        self._count(place, bundle, judged, way.what)
        if not judged.exit:
            if not again:
                self._commit(place, bundle)
            if way.activate and crossing.digest and memory.active != crossing.digest:
                self._switch(place, crossing.digest)
            assert said.data["already"] == again
        self.enforce(place, said)
        return judged

    def _judge_import(self, place: Place, bundle: Bundle, way: Way) -> Judged:
        """Return how an import ends once its bundle was verified (7.1-1)."""
        memory, again = place.memory, bundle.crossing in place.memory.committed
        if not again and not self.judge_baseline(place, bundle):
            return Judged(5)
        if way.unsigned and not again:
            return Judged(6, frozenset({rules.CODES[rules.QUORUM]}))
        against = rules.against_import(memory, bundle.crossing, activate=way.activate)
        if against:
            return Judged(5 if rules.NOT_HELD in against else 6, frozenset(rules.CODES[n] for n in against))
        read = not again and bundle.crossing.digest not in memory.held and self.lacking(place, bundle)
        if read and way.what == CUT:
            return Judged(4, frozenset({"volumes-missing"}))
        if read and way.what == DAMAGED:
            return Judged(3, frozenset({"digest-mismatch"}))
        return Judged(0)

    def _count(self, place: Place, bundle: Bundle, judged: Judged, what: str | None) -> None:
        """Count the entry of a refusal, and remember what is staged (7.1-2, 7.8-1)."""
        place.size += judged.exit in {3, 5, 6}
        if judged.exit == 4:
            newest = self.newest(place)
            place.staged[bundle.sequence] = max(bundle.version, newest.version if newest else 0)
        elif judged.exit == 3 and what == DAMAGED and judged.codes == frozenset({"digest-mismatch"}):
            place.staged.setdefault(bundle.sequence, None)

    def _commit(self, place: Place, bundle: Bundle) -> None:
        place.size += 2
        place.memory.commit(bundle.crossing)
        place.content |= bundle.target.contents if bundle.target else frozenset()
        place.staged.pop(bundle.sequence, None)

    def _switch(self, place: Place, digest: str | None) -> None:
        place.size += 2
        place.memory.switch(digest)

    def enforce(self, place: Place, said: Any) -> None:
        """Do what follows for an active release that is revoked, and check that the answer says so (7.9-3)."""
        before = place.memory.active
        what = rules.enforce(place.memory)
        place.size += 2 * (place.memory.active != before)
        told = said.data.get("enforced")
        assert (told is not None) == (what is not None), f"{said}: {told}, and {what} was expected"
        if what:
            self.counts[f"enforce {what} 0"] += 1

    # -- bundles that are looked at ----------------------------------------------------------------------------------

    def inspect(self, bundle: Bundle, what: str | None) -> bool:
        """Look at what volumes claim."""
        said = self.desk.run("high", "inspect", *self.arriving(bundle, 0, what))
        if what == LABELLED:
            return self.judge("high inspect", said, 3, {"digest-mismatch"})
        self.judge("high inspect", said, 0)
        assert said.data["bundle"] == bundle.id
        assert what == LOST or len(said.data["missing"]) == (bundle.chunks if what == CUT else 0)
        return True

    def verify(self, place: Place, bundle: Bundle, what: str | None) -> bool:
        """Prove what can be proven of a bundle."""
        said = self.high(place, "verify", *self.arriving(bundle, 0, what))
        judged = self.judge_place(place, bundle, what)
        new = bundle.crossing not in place.memory.committed
        if not judged.exit and new and not self.judge_baseline(place, bundle):
            judged = Judged(5)
        elif not judged.exit and what == CUT:
            judged = Judged(4, frozenset({"volumes-missing"}))
        elif not judged.exit and what == DAMAGED:
            judged = Judged(3, frozenset({"digest-mismatch"}))
        return self.judge("high verify", said, judged.exit, set(judged.codes) if judged.codes else None)

    def plan(self, place: Place, bundle: Bundle, what: str | None) -> bool:
        """Ask what an import with activation would do."""
        said, memory = self.high(place, "plan", *self.arriving(bundle, 0, what)), place.memory
        memory.now = self.desk.now
        judged = self.judge_place(place, bundle, what)
        again = bundle.crossing in memory.committed
        if not judged.exit and not again and not self.judge_baseline(place, bundle):
            judged = Judged(5)
        if judged.exit:
            return self.judge("high plan", said, judged.exit, set(judged.codes) if judged.codes else None)
        with self.claims_of(place, bundle):
            against = self._against_plan(place, bundle, again=again)
        self.judge("high plan", said, 0)
        assert {item["code"] for item in said.data["objections"]} == {
            rules.CODES[number] for number in against
        }
        return True

    def _against_plan(self, place: Place, bundle: Bundle, *, again: bool) -> set[str]:
        memory, crossing = place.memory, bundle.crossing
        if again:
            if crossing.digest is None or memory.active == crossing.digest:
                return set()
            old = {rules.OVERTAKEN} if rules.is_old(memory, crossing) else set()
            return old | rules.objections(memory, crossing.digest, aged=True)
        found = rules.import_objections(memory, crossing)
        found |= {rules.OVERTAKEN} if memory.is_overtaken(crossing) else set()
        if crossing.digest is not None:
            found |= rules.objections(memory, crossing.digest, aged=False, bundle=crossing)
        return found

    # -- what runs ---------------------------------------------------------------------------------------------------

    def activate(self, place: Place, release: Release, stale: tuple[str, ...] | None = None) -> bool:
        """Activate a release; ``stale`` are people who sign that old knowledge will do (8.2-12)."""
        more = [] if stale is None else ["--insecure-stale", "--reason", "no courier", *self.key_words(stale)]
        said, memory = self.high(place, "activate", release.label, *more), place.memory
        verb = "high activate" + (" --insecure-stale" if stale is not None else "")
        memory.now = self.desk.now
        if stale is not None and len(set(stale)) < PEOPLE:
            return self.judge(verb, said, 2, {"usage"})
        if release.digest not in memory.held:
            return self.judge(verb, said, 5, {"release-not-held"})
        against = self._against_stale(memory, release.digest, stale)
        if against:
            return self.judge(verb, said, 6, {rules.CODES[number] for number in against})
        if memory.active != release.digest:
            self._switch(place, release.digest)
        return self.judge(verb, said, 0)

    def _against_stale(self, memory: Memory, digest: str, stale: tuple[str, ...] | None) -> set[str]:
        """Return what stands against activating a release, unless two people accept its age, and only that."""
        against = rules.objections(memory, digest, aged=True)
        if stale is None or rules.AGE not in against:
            return against
        against -= {rules.AGE}
        if not against and not rules.are_two_approvers(memory, stale):
            return {rules.QUORUM}
        return against

    def roll_back(self, place: Place, to: Release | None) -> bool:
        """Roll back, to what was active before or to a release that is named."""
        said = self.high(place, "rollback", "--yes", *(["--to", to.label] if to else []))
        memory, verb = place.memory, "high rollback --to" if to else "high rollback"
        memory.now = self.desk.now
        digest = to.digest if to else memory.previous
        if digest is None or digest not in memory.held:
            return self.judge(verb, said, 5, {"release-not-held"})
        against = rules.objections(memory, digest, aged=digest not in memory.ran)
        if against:
            return self.judge(verb, said, 6, {rules.CODES[number] for number in against})
        if memory.active != digest:
            self._switch(place, digest)
        return self.judge(verb, said, 0)

    def approve(self, place: Place, release: Release, name: str, *, reject: bool) -> bool:
        """Approve a release, or withdraw that."""
        words = ("approve", release.label, "--key", self.key(name), *(["--reject"] if reject else []))
        said, memory = self.high(place, *words), place.memory
        if release.digest not in memory.held:
            return self.judge("high approve", said, 5, {"release-not-held"})
        if name not in {memory.keys[file] for file in memory.files()}:
            return self.judge("high approve", said, 6, {"refused"})
        self._hear(place, release, "approval", name, passes=not reject, word=f"entry {place.size}")
        place.size += 1
        return self.judge("high approve" + (" --reject" if reject else ""), said, 0)

    def attest_high(self, place: Place, release: Release, name: str, *, passes: bool) -> bool:
        """Record a scan that was made on the way."""
        predicate = {"verdict": "pass" if passes else "fail"}
        made = statement.attest(
            [(release.label, release.digest)], predicates.own_type("scan"), predicate, keys.signer(name)
        )
        path = self.new("scan.json")
        path.write_bytes(made.data)
        said, memory = self.high(place, "attest", path), place.memory
        if release.digest not in {*(item.digest for item in memory.committed), *memory.made}:
            return self.judge("high attest", said, 5, {"release-not-held"})
        if name not in memory.names and name not in {memory.keys[file] for file in memory.files()}:
            return self.judge("high attest", said, 7, {"key-unavailable"})
        self._hear(place, release, "scan", name, passes=passes)
        place.size += 1
        return self.judge("high attest", said, 0)

    def _hear(
        self, place: Place, release: Release, kind: str, name: str, *, passes: bool, word: str = ""
    ) -> None:
        """Remember a statement; with the same ``word`` it is the same statement, whoever carries it."""
        said, text = place.memory.said, f"{release.digest} {kind} {passes} {word}"
        said.append(Said(len(said), release.digest, kind, name, passes, text, self.desk.now))

    # -- what policy says --------------------------------------------------------------------------------------------

    def floor(self, place: Place, name: str, version: str | None, signers: tuple[str, ...]) -> bool:
        """Raise a floor, or lower or end one with the keys of two people."""
        words = ("floor", name, version or "none", "--reason", "why", *self.key_words(signers))
        said, memory = self.high(place, *words), place.memory
        found, stated = place.floors().get(name), memory.policy.get("floors", {}).get(name)
        if found == version:
            return self.judge("high floor again", said, 0)
        if found is not None and (version is None or rules.is_below(version, found)):
            if stated is not None and (version is None or rules.is_below(version, stated)):
                return self.judge("high floor lower", said, 6, {"below-floor"})
            if not signers:
                return self.judge("high floor lower", said, 2, {"usage"})
            if not rules.are_two_approvers(memory, signers):
                return self.judge("high floor lower", said, 6, {"quorum-unmet"})
        if version is None:
            memory.floors.pop(name, None)
        else:
            memory.floors[name] = version
        place.size += 1
        return self.judge("high floor", said, 0)

    def set_policy(self, place: Place, kind: str) -> bool:
        """Put another policy in force."""
        said = self.high(place, "policy", "set", self.write_policy(place.name, kind))
        memory, document = place.memory, policy_of(place.name, kind)
        memory.now = self.desk.now
        if document != memory.policy:
            kept, place.size = rules.in_force(memory), place.size + 1
            memory.policy = document
            memory.floors = rules.higher(kept, document.get("floors", {}))
        self.enforce(place, said)
        return self.judge("high policy set", said, 0)

    # -- room --------------------------------------------------------------------------------------------------------

    def collect(self, place: Place, keep: int) -> bool:
        """Collect garbage (8.5)."""
        said, memory = self.high(place, "gc", "--keep", str(keep), "--yes"), place.memory
        lost = {number for number in place.staged if self.is_hopeless(place, number)}
        builds_on = (self.bundle(number).baseline for number in place.staged if number not in lost)
        sacred = {memory.active, memory.previous, *memory.held[-keep:], *(b.digest for b in builds_on if b)}
        doomed = [digest for digest in memory.held if digest not in sacred]
        memory.held = [digest for digest in memory.held if digest in sacred]
        known = (*self.depot.releases.values(), *place.made.values())
        held = (item for item in known if item.digest in memory.held)
        place.content = frozenset().union(*(item.contents for item in held))
        place.size += bool(doomed)
        for number in lost:
            del place.staged[number]
        self.judge("high gc", said, 0)
        assert len(said.data["removed"]) == len(doomed)
        return True

    def is_hopeless(self, place: Place, number: int) -> bool:
        """Say whether what is staged of a bundle cannot be completed, as far as the enclave knows (7.8-6)."""
        newest, version = self.newest(place), place.staged[number]
        if version is None:
            return True
        return newest is not None and newest.version > version and self.bundle(number).id not in newest.listed

    def discard(self, place: Place, bundle: Bundle) -> bool:
        """Free what is staged of a bundle."""
        said = self.high(place, "discard", bundle.id, "--yes")
        if place.staged.get(bundle.sequence) is not None:
            del place.staged[bundle.sequence]
            return self.judge("high discard", said, 0)
        if bundle.crossing in place.memory.committed:
            return self.judge("high discard", said, 2, {"usage"})
        return self.judge("high discard", said, 5, {"release-not-held"})

    def rot(self, place: Place, bundle: Bundle) -> bool:
        """Damage a file at rest, have it found, and repaired from the volumes of a bundle that brought it (8.4)."""
        memory = place.memory
        held = [item for item in memory.committed if item.digest in memory.held]
        if bundle.crossing not in held or not bundle.files or bundle.target is None:
            said = self.high(place, "check", "--repair-from", *bundle.copies[0][:1])
            known = bundle.crossing in memory.committed
            refusal = self.judge_place(place, bundle, None)
            wanted = 0 if known else refusal.exit or 5
            return self.judge("high check --repair-from", said, wanted)
        part, entry = next(
            (part, entry)
            for part in bundle.target.document["components"]
            for entry in part["files"]
            if entry["sha512"] in bundle.files
        )
        path = place.folder / "releases" / bundle.target.digest[:64] / part["name"] / entry["path"]
        data = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        self.judge("high check", self.high(place, "check"), 3, {"content-damaged"})
        words = [word for volume in bundle.copies[0] for word in ("--repair-from", str(volume))]
        if bundle.bases <= place.content:
            self.judge("high check --repair-from", self.high(place, "check", *words), 0)
            assert path.read_bytes() == data
        else:
            self.judge("high check --repair-from", self.high(place, "check", *words), 5)
            path.write_bytes(data)
        return True

    # -- the way back ------------------------------------------------------------------------------------------------

    def receipt(self, place: Place, *, typed: bool) -> bool:
        """State what an enclave holds."""
        path = self.new("receipt")
        said = self.high(place, "receipt", *(["--code"] if typed else ["--output", path]))
        if typed:
            path.write_text("\n".join(said.data["code"]) + "\n")
        stated = {"size": place.size, "installed": [d for d in place.memory.held if d not in place.made]}
        place.returns.append(("receipt code" if typed else "receipt", path, stated))
        return self.judge("high receipt --code" if typed else "high receipt", said, 0)

    def request(self, place: Place, bundle: Bundle, what: str | None, *, typed: bool, named: bool) -> bool:
        """Ask for what is missing of a bundle, by its name or by volumes of it."""
        path, verb = self.new("request"), "high request" + (" --code" if typed else "")
        wanted = [bundle.id] if named else self.arriving(bundle, 0, what)
        said = self.high(place, "request", *wanted, *(["--code"] if typed else ["--output", path]))
        refused = self._judge_request(place, bundle, what, named=named)
        if refused is not None:
            return self.judge(verb, said, refused.exit, set(refused.codes or ()))
        self.judge(verb, said, 0)
        if typed:
            path.write_text("\n".join(said.data["code"]) + "\n")
        stated = {"size": place.size, "bundle": bundle.id}
        place.returns.append(("request code" if typed else "request", path, stated))
        return True

    def _judge_request(self, place: Place, bundle: Bundle, what: str | None, *, named: bool) -> Judged | None:
        """Return how a request is refused; None if it is made (9.14-3)."""
        if named:
            staged = place.staged.get(bundle.sequence) is not None
            return None if staged else Judged(5, frozenset({"release-not-held"}))
        judged = self.judge_place(place, bundle, what)
        if judged.exit:
            return judged
        if bundle.crossing in place.memory.committed or what not in {CUT, DAMAGED}:
            return Judged(2, frozenset({"usage"}))
        return None

    # -- looking -----------------------------------------------------------------------------------------------------

    def ask(self, place: Place) -> bool:
        """Ask what changes nothing: releases, policy, the record."""
        listed = self.high(place, "list")
        assert [item["digest"] for item in listed.data["releases"]] == place.memory.held
        shown = self.high(place, "policy", "show")
        asked = place.memory.policy.get("attestations", {}).get("approval", {}).get("keys", [])
        assert set(asked) <= set(shown.data["keys"])
        told = self.desk.run("provenance", "history", "--enclave", place.folder)
        assert len(told.data["entries"]) == place.size
        return all(
            self.judge(verb, said, 0)
            for verb, said in (
                ("high list", listed),
                ("high policy show", shown),
                ("provenance history", told),
            )
        )
