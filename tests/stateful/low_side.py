"""The commands of the low side, each with what docs/SPEC.md says of how it ends and what it leaves."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.stateful.desk import Said
from tests.stateful.ground import CUT, DAMAGED, LABELLED, Ground
from tests.stateful.known import (
    PENDING,
    PUBLISHED,
    RELEASERS,
    ROOTS,
    Bundle,
    Carried,
    Record,
    Release,
    RootChange,
)
from tests.steps.media import Subject
from tests.support.depots import BUNDLER

REFUSE, REPLACE, JOIN = "refuse", "--replace", "--with-pending"
"""What becomes of a pending change."""


class LowSide(Ground):
    """What is done to the depot."""

    # -- the authority -----------------------------------------------------------------------------------------------

    def release(self, base: int, guard: int, signers: tuple[str, ...], beside: str = REFUSE) -> bool:
        """Propose a new release of a base and a guard, signed by some."""
        label, path = self.write_manifest(base, guard)
        done = self._release("low release", label, path, signers, beside)
        self.model.numbers["base"] = max(self.model.numbers["base"], base)
        self.model.numbers["guard"] = max(self.model.numbers["guard"], guard)
        return done

    def release_again(self, known: Release, signers: tuple[str, ...], beside: str = REFUSE) -> bool:
        """Propose a release that was proposed before: pending, published, or dropped."""
        return self._release("low release again", known.label, known.manifest, signers, beside)

    def _release(self, verb: str, label: str, path: Path, signers: tuple[str, ...], beside: str) -> bool:
        depot, known = self.depot, self.depot.releases.get(label)
        more = [] if beside == REFUSE else [beside]
        said = self.low("release", path, *self.key_words(signers), *more)
        if depot.change and label not in depot.change.releases and not more:
            return self.judge(verb, said, 2, {"change-pending"})
        draft = known or Release(label, "", {"components": self._parts(path)}, path)
        if depot.is_revoked(draft):
            return self.judge(verb, said, 6, {"revoked"})
        self.judge(verb, said, 0)
        known = known or self.remember_release(label, said.data["digest"], path)
        if known.state != PUBLISHED:
            if not (depot.change and label in depot.change.releases):
                depot.propose([label])
            depot.sign(signers)
        assert said.data["published"] == (known.state == PUBLISHED)
        return True

    def _parts(self, path: Path) -> list[dict[str, Any]]:
        """Return the components of a release that is not known yet, as far as other releases have them."""
        wanted = {
            (item["name"], str(item["version"])) for item in yaml.safe_load(path.read_text())["components"]
        }
        found = {
            (part["name"], part["version"]): part
            for item in self.depot.releases.values()
            for part in item.document["components"]
        }
        return [found[named] for named in sorted(wanted) if named in found]

    def sign(self, names: tuple[str, ...]) -> bool:
        """Sign whatever is pending."""
        depot, said = self.depot, self.low("sign", *self.key_words(names))
        members = (RELEASERS if depot.change else frozenset()) | (ROOTS if depot.root_change else frozenset())
        if not (depot.change or depot.root_change):
            return self.judge("low sign", said, 2, {"usage"})
        if not set(names) <= members:
            return self.judge("low sign", said, 7, {"key-unavailable"})
        depot.sign(names)
        return self.judge("low sign", said, 0)

    def carry(self, role: str, names: tuple[str, ...]) -> bool:
        """Sign a change elsewhere: it goes there in a file, and its signatures wait in another (4.3-4)."""
        out, back, change = self.new("change.json"), self.new("signed.json"), self.depot.pending(role)
        said, members = self.low("sign", role, "--export", out), ROOTS if role == "root" else RELEASERS
        if change is None:
            return self.judge("low sign --export", said, 2, {"usage"})
        self.judge("low sign --export", said, 0)
        words: tuple[str | Path, ...] = (
            "--import",
            out,
            "--export",
            back,
            *self.key_words(names),
            "--depot",
            self.folder / "nowhere",
        )
        told, verb = self.desk.run("low", "sign", *words), "low sign elsewhere"
        if not set(names) <= members:
            assert not back.exists()
            return self.judge(verb, told, 7, {"key-unavailable"})
        assert not told.data["published"]
        self.depot.carried.append(Carried(role, change, names, back))
        return self.judge(verb, told, 0)

    def take_back(self, carried: Carried) -> bool:
        """Take signatures from a file, which count only if they are of what is pending here."""
        depot, said, verb = self.depot, self.low("sign", "--import", carried.path), "low sign --import"
        pending, known = depot.pending(carried.role), depot.newest.get(carried.role)
        if known is carried.change:
            return self.judge(f"{verb} again", said, 0)
        if pending is not carried.change:
            return self.judge(verb, said, 2, {"change-pending"})
        self.judge(verb, said, 0)
        carried.change.signers |= {*carried.signers}
        depot.settle()
        return True

    def rotate(self, signers: tuple[str, ...]) -> bool:
        """Let grace sign releases, or not any more."""
        depot, new = self.depot, not self.depot.grace
        change = ("--add", self.site.keys / "grace.pub") if new else ("--remove", "grace")
        said = self.low("rotate", "release", *change, *self.key_words(signers))
        if depot.root_change:
            return self.judge("low rotate", said, 2, {"change-pending"})
        self.judge("low rotate", said, 0)
        depot.root_change = RootChange(depot.lifted, new)
        depot.sign(signers)
        assert said.data["published"] == (depot.root_change is None)
        return True

    # -- revocations -------------------------------------------------------------------------------------------------

    def subject(self, name: str) -> tuple[str, str] | None:
        """Return kind and digest of a release or component by its name, None if the depot knows none of it."""
        for item in self.depot.releases.values():
            if item.label == name:
                return "release", item.digest
            for part in item.document["components"]:
                if f"{part['name']}@{part['version']}" == name:
                    return "component", part["digest"]
        return None

    def revoke(self, name: str, signers: tuple[str, ...], beside: str = REFUSE) -> bool:
        """Revoke a release or a component."""
        depot, subject, change = self.depot, self.subject(name), self.depot.change
        more = [] if beside == REFUSE else [beside]
        said = self.low("revoke", name, "--reason", "why", *self.key_words(signers), *more)
        if subject is None:
            return self.judge("low revoke", said, 5, {"release-not-held"})
        before = change.listed if change and beside != REPLACE else depot.listed
        if any(item[:2] == subject for item in before - depot.lifted):
            if change and any(item[:2] == subject for item in change.listed - depot.listed):
                depot.sign(signers)
            return self.judge("low revoke again", said, 0)
        if change and beside == REFUSE:
            return self.judge("low revoke", said, 2, {"change-pending"})
        waiting = [depot.releases[label] for label in change.releases] if change and beside == JOIN else []
        if any(depot.is_revoked(item, [(*subject, 0)]) for item in waiting):
            return self.judge("low revoke", said, 6, {"revoked"})
        self.judge("low revoke", said, 0)
        listed = self._listed(said.data["revoked"], before, subject)
        depot.propose((item.label for item in waiting), listed)
        depot.sign(signers)
        assert said.data["published"] == (depot.change is None)
        return True

    def _listed(
        self, told: list[dict[str, Any]], before: frozenset[Subject], subject: tuple[str, str]
    ) -> frozenset[Subject]:
        """Return a list with a new entry, whose number no list and no root has used (5.4-2)."""
        (entry,) = [item for item in told if (item["kind"], item["digest"]) == subject]
        used = {serial for _, _, serial in before | self.depot.lifted}
        assert entry["serial"] > max(used, default=0)
        kept = {item for item in before if item[:2] != subject}
        return frozenset({*kept, (*subject, entry["serial"])})

    def lift(self, name: str, signers: tuple[str, ...]) -> bool:
        """Let root lift what is revoked."""
        depot, subject = self.depot, self.subject(name)
        said = self.low("revoke", name, "--lift", "--reason", "mended", *self.key_words(signers))
        before = depot.change.listed if depot.change else depot.listed
        lifted = depot.root_change.lifted if depot.root_change else depot.lifted
        entries = {item for item in lifted | depot.listed | before if item[:2] == subject}
        if not entries:
            return self.judge("low revoke --lift", said, 5, {"release-not-held"})
        entry = max(entries, key=lambda item: (item in before, item in depot.listed, item[2]))
        if entry not in before and entry in lifted:
            members = self._members_for(entry)
            if members and not set(signers) <= members:
                return self.judge("low revoke --lift again", said, 7, {"key-unavailable"})
            depot.sign(signers if members else ())
            return self.judge("low revoke --lift again", said, 0)
        if depot.change or depot.root_change:
            return self.judge("low revoke --lift", said, 2, {"change-pending"})
        self.judge("low revoke --lift", said, 0)
        depot.propose((), depot.listed - {entry})
        depot.root_change = RootChange(depot.lifted | {entry}, depot.grace)
        depot.sign(signers)
        return True

    def _members_for(self, entry: Subject) -> frozenset[str]:
        """Return who may sign the pending changes that take an entry off the list, or lift it."""
        depot, found = self.depot, frozenset[str]()
        if depot.change and entry in depot.listed ^ depot.change.listed:
            found |= RELEASERS
        if depot.root_change and entry in depot.root_change.lifted - depot.lifted:
            found |= ROOTS
        return found

    # -- what is said of releases ------------------------------------------------------------------------------------

    def attest(self, label: str, kind: str, name: str, *, passes: bool) -> bool:
        """Sign a claim about a release."""
        path, known = self.new("claim.json"), self.depot.releases.get(label)
        path.write_text(json.dumps({"verdict": "pass" if passes else "fail"}))
        words = ("attest", label, "--type", kind, "--predicate", path, "--key", self.key(name))
        said = self.low(*words)
        if known is None:
            return self.judge("low attest", said, 5, {"release-not-held"})
        known.claims.append((kind, name, passes))
        return self.judge("low attest", said, 0)

    def scan(self, label: str, name: str) -> bool:
        """Have the gate look at a release; without scanners it finds nothing in these."""
        said, known = self.low("scan", label, "--key", self.key(name)), self.depot.releases.get(label)
        if known is None:
            return self.judge("low scan", said, 5, {"release-not-held"})
        known.claims.append(("scan", name, True))
        return self.judge("low scan", said, 0)

    def set_depot_policy(self, *, scanned: bool) -> bool:
        """Ask for a scan by ann before a release is bundled, or for nothing."""
        path = self.site.keys / "depot-policy.yaml"
        asked = "attestations: {scan: {threshold: 1, keys: [ann.pub]}}\n" if scanned else ""
        path.write_text("airlift: 1\n" + asked)
        self.depot.scanned = scanned
        return self.judge("low policy set", self.low("policy", "set", path), 0)

    # -- bundles -----------------------------------------------------------------------------------------------------

    def pack(self, label: str, from_: str | None, whom: tuple[str, ...], *, parity: bool = False) -> bool:
        """Bundle a release, from another or from nothing, for one enclave, for several (from nothing), or for any."""
        several = len(whom) > 1
        words: list[str | Path] = [
            "bundle",
            label,
            "--output",
            self.new("out"),
            "--bundler-key",
            self.key(BUNDLER),
        ]
        words += ["--from", from_] if from_ and not several else []
        words += [word for name in whom for word in ("--for", name)]
        words += [word for name in whom if several for word in ("--from", f"{name}=none")]
        words += ["--parity", "1"] if parity else []
        said, depot = self.low(*words, "--workers", "1"), self.depot
        target = depot.releases.get(label)
        baseline = depot.releases.get(from_) if from_ else depot.acknowledged(whom[0]) if whom else None
        for item, wanted in ((target, True), (baseline, from_ not in {None, "none"})):
            if wanted and item is None:
                return self.judge("low bundle", said, 5, {"release-not-held"})
            if item is not None and item.state != PUBLISHED:
                return self.judge("low bundle", said, 6, {"unpublished"})
        assert target is not None
        if depot.is_revoked(target):
            return self.judge("low bundle", said, 6, {"revoked"})
        if depot.lacks_scan(target):
            return self.judge("low bundle", said, 6, {"quorum-unmet"})
        self.judge("low bundle" + " --for" * len(whom) + (" --from" if baseline else ""), said, 0)
        self.remember_bundle(said.data, target, baseline)
        return True

    def renew(self, for_: str | None) -> bool:
        """Write a bundle without chunks."""
        more = ["--for", for_] if for_ else []
        said = self.low("renew", "--output", self.new("out"), "--bundler-key", self.key(BUNDLER), *more)
        self.judge("low renew", said, 0)
        self.remember_bundle(said.data, None, None)
        return True

    def withdraw(self, bundle: Bundle) -> bool:
        """Take a bundle off the list."""
        depot, said = self.depot, self.low("withdraw", bundle.id, "--bundler-key", self.key(BUNDLER))
        if bundle.id not in depot.outstanding:
            return self.judge("low withdraw", said, 5, {"release-not-held"})
        depot.outstanding.remove(bundle.id)
        depot.version += 1
        return self.judge("low withdraw", said, 0)

    def recut(self, bundle: Bundle, request: Path | None = None) -> bool:
        """Cut a bundle again, all of it or what somebody asks for."""
        more: list[str | Path] = ["--request", request] if request else []
        said, depot = (
            self.low("recut", bundle.id, "--output", self.new("cut"), "--workers", "1", *more),
            self.depot,
        )
        verb = "low recut --request" if request else "low recut"
        if bundle.id not in depot.outstanding:
            return self.judge(verb, said, 5, {"release-not-held"})
        if bundle.target and depot.is_revoked(bundle.target):
            return self.judge(verb, said, 6, {"revoked"})
        self.judge(verb, said, 0)
        assert said.data["of_first_cut"]
        if not request or bundle.chunks == 1:
            bundle.copies.append(tuple(Path(item["path"]) for item in said.data["volumes"]))
        return True

    def check_low(self, bundle: Bundle, what: str | None) -> bool:
        """Read what was written before it leaves."""
        paths = self.on_the_way(bundle, bundle.copies[-1], what)
        said = self.low("check", *paths)
        if what == LABELLED:
            return self.judge("low check", said, 3, {"digest-mismatch"})
        if bundle.id not in self.depot.outstanding:
            return self.judge("low check", said, 5, {"release-not-held"})
        if what == DAMAGED:
            return self.judge("low check", said, 3, {"digest-mismatch"})
        if what == CUT:
            return self.judge("low check", said, 4, {"volumes-missing"})
        return self.judge("low check", said, 0)

    # -- enclaves ----------------------------------------------------------------------------------------------------

    def enrol(self, name: str, key: str) -> bool:
        """Enrol an enclave by the public key of its ledger, or by another."""
        said, depot = self.low("enrol", name, "--ledger-key", self.site.keys / f"{key}.pub"), self.depot
        record = depot.enrolled.setdefault(name, Record(key))
        if record.key != key:
            return self.judge("low enrol", said, 2, {"exists"})
        return self.judge("low enrol", said, 0)

    def _recorded(self, name: str, kind: str) -> tuple[Record | None, str, str]:
        """Return the record that something is held against, its name, and the refusal without one (L6.1)."""
        ours = {other: record for other, record in self.depot.enrolled.items() if record.key == name}
        if kind.endswith("code"):
            other = next(iter(ours)) if len(ours) == 1 else ""
            return ours.get(other), other, "signature-invalid"
        return ours.get(name), name, "ledger-inconsistent" if ours else "signature-invalid"

    def take_return(self, name: str, kind: str, path: Path, stated: dict[str, Any]) -> bool:
        """Take in a receipt or a request of an enclave, signed or typed: new, old, or once more (L6)."""
        said, verb, size = self.low("returns", "import", path), f"low returns import {kind}", stated["size"]
        record, known_as, refusal = self._recorded(name, kind)
        if record is None:
            return self.judge(verb, said, 3, {refusal})
        if kind != "request code" and record.newest is not None and size < record.newest:
            return self.judge(verb, said, 3, {"replayed"})
        if not kind.startswith("request"):
            return self._take_receipt(record, kind, said, stated)
        if stated["bundle"] not in self.depot.outstanding:
            return self.judge(verb, said, 5, {"release-not-held"})
        if (whom := self.named(stated["bundle"]).whom) and known_as not in whom:
            return self.judge(verb, said, 6, {"wrong-enclave"})
        record.newest = size if kind == "request" else record.newest
        return self.judge(verb, said, 0)

    def _take_receipt(self, record: Record, kind: str, said: Said, stated: dict[str, Any]) -> bool:
        """Record what a receipt says that is not older than what was signed before (L6.2, L6.3)."""
        size, verb, installed = stated["size"], f"low returns import {kind}", stated["installed"]
        if record.receipt and record.receipt == size:
            assert said.data["already"]
            return self.judge(verb + " again", said, 0)
        if kind == "receipt":
            record.holds = [(digest, "receipt") for digest in installed]
            record.newest, record.receipt, record.word = size, size, None
            return self.judge(verb, said, 0)
        if record.word is not None and size < record.word:
            return self.judge(verb, said, 3, {"replayed"})
        if installed and installed[-1] not in {digest for digest, _ in record.holds}:
            record.holds.append((installed[-1], "operator"))
        record.word = size
        return self.judge(verb, said, 0)

    # -- emergencies -------------------------------------------------------------------------------------------------

    def emergency(self, name: str, names: tuple[str, ...], signers: tuple[str, ...]) -> bool:
        """Release a hot fix of both parts, revoke what it mends, and bundle it for these enclaves (L4.16)."""
        numbers, depot, subject = self.model.numbers, self.depot, self.subject(name)
        numbers["base"], numbers["guard"] = numbers["base"] + 1, numbers["guard"] + 1
        label, path = self.write_manifest(numbers["base"], numbers["guard"])
        given = [word for one in names for word in ("--for", one)]
        words: list[str | Path] = [
            "emergency",
            path,
            "--revoke",
            name,
            "--reason",
            "a hole",
            *given,
            *self.key_words(signers),
        ]
        end = ("--output", self.new("fix"), "--bundler-key", self.key(BUNDLER), "--workers", "1")
        said = self.low(*words, *end)
        if not set(names) <= set(depot.enrolled) or subject is None:
            return self.judge("low emergency", said, 5, {"release-not-held"})
        if depot.change:
            return self.judge("low emergency", said, 2, {"change-pending"})
        made = self.remember_release(label, self._digest(label), path)
        if any(item[:2] == subject for item in depot.in_force()):
            depot.propose([label])
        else:
            listed = self._listed(self._revoked(said, subject), depot.listed, subject)
            depot.propose([label], listed)
        depot.sign(signers)
        if made.state == PUBLISHED and depot.scanned:
            return self.judge("low emergency", said, 6, {"quorum-unmet"})
        self.judge("low emergency", said, 0)
        assert said.data["published"] == (made.state == PUBLISHED)
        assert made.state in {PUBLISHED, PENDING}
        self._served(said.data, made, names)
        return True

    def _digest(self, label: str) -> str:
        """Return the digest of a release that the depot has since the last command."""
        return next(item.digest for item in self.site.depot.releases() if item.label == label)

    def _revoked(self, said: Said, subject: tuple[str, str]) -> list[dict[str, Any]]:
        """Return what a command says that it revoked; of one that was refused afterwards, what the depot says."""
        told: list[dict[str, Any]] = said.data.get("revoked") or self.low("status").data["revocations"]
        return [item for item in told if (item["kind"], item["digest"]) == subject]

    def _served(self, told: dict[str, Any], target: Release, names: tuple[str, ...]) -> None:
        """Check whom the bundles of an emergency serve, and remember them."""
        held = {name: [digest for digest, _ in self.depot.enrolled[name].holds] for name in names}
        published = [item for item in self.depot.published() if item is not target]
        common = [item for item in published if all(item.digest in held[name] for name in names)]
        assert set(told["serves"]) == (set(names) if target.state == PUBLISHED else set())
        for one in told["bundles"]:
            baseline = self.depot.releases.get(one["baseline"] or "")
            assert baseline is (common[-1] if common else baseline)
            served = {name for name, bundle in told["serves"].items() if bundle == one["bundle"]}
            assert baseline is None or all(baseline.digest in held[name] for name in served)
            assert one["enclave"] == (next(iter(served)) if len(served) == 1 else None)
            self.remember_bundle(one, target, baseline)

    # -- looking -----------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Ask for the log and the policy of the depot, which change nothing."""
        log = self.low("log")
        assert [item["event"] for item in log.data["events"]][:1] == ["init"]
        shown = self.low("policy", "show")
        assert bool((shown.data["policy"] or {}).get("attestations")) == self.depot.scanned
        return self.judge("low log", log, 0) and self.judge("low policy show", shown, 0)
