"""Where walks take place: a depot, three enclaves, what is known of them, and that both agree."""

import itertools
import json
import shutil
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from airlift.bundle import volume
from tests.stateful.desk import Desk, Said
from tests.stateful.known import RELEASERS, Bundle, Change, Depot, Place, Release, RootChange
from tests.steps import rules
from tests.steps.media import Crossing
from tests.steps.memory import Memory
from tests.support import keys, weights
from tests.support.depots import BUNDLER, ROOTS, Site, make_site
from tests.support.enclaves import copy, overwrite

ENCLAVES = ("alpha", "bravo", "charlie")
APPROVERS = {"ann.pub": "ann", "ben.pub": "ben"}
STRANGER = "mallory"
PEOPLE = (*ROOTS, *sorted(RELEASERS), BUNDLER, *APPROVERS.values(), STRANGER, "grace")
RELAY = {name: {"ledger_key": f"{name}.pub", "ceiling": {"level": "UNCLASSIFIED"}} for name in ENCLAVES}

CUT, DAMAGED, LABELLED = "cut", "damaged", "labelled"
"""What happens to volumes on their way: a chunk is lost, or damaged, or somebody writes on the label."""


def policy_of(name: str, kind: str) -> dict[str, Any]:
    """Return the policy of an enclave as its owners write it, by a word for what it asks."""
    approval = {"keys": [*APPROVERS]}
    more: dict[str, dict[str, Any]] = {
        "open": {},
        "hub": {"relay": {other: RELAY[other] for other in ENCLAVES if other != name}},
        "approved": {"attestations": {"approval": {"threshold": 1, **approval}}},
        "approved twice": {"attestations": {"approval": {"threshold": 2, **approval}}, "revoked": "withdraw"},
        "fresh": {
            "staleness": {"refuse_new_after_days": 12, "refuse_behind": 3},
            "attestations": {"approval": {"threshold": 1, **approval}},
        },
        "training": {
            "register": ["adapter", "model"],
            "marking": {"ceiling": {"level": "SECRET", "caveats": ["NOFORN", "REL TO USA"]}},
        },
        "floored": {"floors": {"guard": "2.2"}},
        "withdrawing": {"revoked": "withdraw"},
        "reporting": {"revoked": "report", "attestations": {"approval": {"threshold": 1, **approval}}},
    }
    return {"airlift": 2, "enclave": name, **more[kind]}


POLICIES = (
    "open",
    "hub",
    "approved",
    "approved twice",
    "fresh",
    "training",
    "floored",
    "withdrawing",
    "reporting",
)


@dataclass(slots=True)
class Model:
    """All that is known."""

    depot: Depot = field(default_factory=Depot)
    places: dict[str, Place] = field(default_factory=dict)
    bundles: dict[int, Bundle] = field(default_factory=dict)
    numbers: dict[str, int] = field(
        default_factory=lambda: {"base": 0, "guard": 0, "release": 0, "trained": 0}
    )


class Ground:
    """A depot and three enclaves in a folder of their own; ``counts`` says what commands did, by verb and exit."""

    def __init__(self, folder: Path, model: Model, site: Site, desk: Desk) -> None:
        self.folder, self.model, self.site, self.desk = folder, model, site, desk
        self.counts: Counter[str] = Counter()
        self.fresh = itertools.count()

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Make a depot without releases, and enclaves that have imported nothing."""
        site = make_site(folder / "site")
        keys.write(site.keys, *PEOPLE, *ENCLAVES)
        ground = cls(folder, Model(), site, Desk())
        for name in ENCLAVES:
            ground.enter(name)
        return ground

    def copy(self, folder: Path) -> Self:
        """Return the same ground in another folder, where a walk may change it."""
        copy(self.folder, folder)
        shutil.rmtree(folder / "work", ignore_errors=True)  # volumes and receipts stay where they are
        made = type(self)(folder, deepcopy(self.model), Site(folder / "site"), Desk(self.desk.now))
        for place in made.model.places.values():
            place.folder = folder / place.name
        return made

    def leave(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder)

    # -- what is at hand ---------------------------------------------------------------------------------------------

    @property
    def depot(self) -> Depot:
        """What is known of the depot."""
        return self.model.depot

    @property
    def home(self) -> Path:
        """The depot's folder."""
        return self.site.folder / "depot"

    def place(self, name: str) -> Place:
        """Return what is known of an enclave."""
        return self.model.places[name]

    def bundle(self, number: int) -> Bundle:
        """Return a bundle by its number."""
        return self.model.bundles[number]

    def named(self, bundle: str) -> Bundle:
        """Return a bundle by its id."""
        return next(item for item in self.model.bundles.values() if item.id == bundle)

    def new(self, name: str) -> Path:
        """Return a path at which nothing is yet."""
        path = self.folder / "work" / f"{next(self.fresh)}-{name}"
        path.parent.mkdir(exist_ok=True)
        return path

    def key(self, name: str) -> str:
        """Return the file of a private key."""
        return str(self.site.keys / f"{name}.key")

    def key_words(self, names: tuple[str, ...]) -> list[str]:
        """Return the options that name these people's keys."""
        return [word for name in names for word in ("--key", self.key(name))]

    # -- commands ----------------------------------------------------------------------------------------------------

    def low(self, *words: str | Path) -> Said:
        """Run a command on the depot."""
        return self.desk.run("low", *words, "--depot", self.home)

    def high(self, place: Place, *words: str | Path) -> Said:
        """Run a command on an enclave."""
        return self.desk.run("high", *words, "--enclave", place.folder)

    def judge(self, verb: str, said: Said, wanted: int, codes: set[str] | None = None) -> bool:
        """Check how a command ended, count it, and say whether it was done; ``codes`` are those of its refusal."""
        self.counts[f"{verb} {said.exit}"] += 1
        assert said.exit == wanted, f"{said}, and {wanted} was expected ({codes or ''})"
        if wanted and codes is not None:
            assert said.codes == codes, f"{said}: {sorted(said.codes)}, and {sorted(codes)} were expected"
        return wanted == 0

    def enter(self, name: str) -> None:
        """Enrol an enclave on the high side, with an open policy."""
        folder, policy = self.folder / name, self.write_policy(name, "open")
        words = ("--root", self.home / "root.json", "--name", name, "--policy", policy, "--yes")
        said = self.desk.run("high", "init", *words, "--ledger-key", self.key(name), "--enclave", folder)
        self.judge("high init", said, 0)
        who = (*ROOTS, *sorted(RELEASERS), BUNDLER)
        memory = Memory(
            policy=policy_of(name, "open"),
            keys=APPROVERS,
            names={person: person for person in who},
            key_ids={person: keys.signer(person).public.key_id for person in PEOPLE},
            now=self.desk.now,
            moments=[self.desk.now],
        )
        self.model.places[name] = Place(name, folder, memory)

    def write_policy(self, name: str, kind: str) -> Path:
        """Write a policy beside the keys that it names."""
        path = self.site.keys / f"{name}-{kind.replace(' ', '-')}.yaml"
        if not path.exists():
            path.write_text(yaml.safe_dump(policy_of(name, kind)))
        return path

    # -- releases and bundles ----------------------------------------------------------------------------------------

    def write_manifest(self, base: int, guard: int) -> tuple[str, Path]:
        """Write a new release as a person would: a base model and a guard, each of some version."""
        self.model.numbers["release"] += 1
        version = f"{self.model.numbers['release']}"
        parts = {"base": (f"1.{base}", "model", base), "guard": (f"2.{guard}", "guard", 1000 + guard)}
        folder = self.new(f"source-{version}")
        items = []
        for name, (number, kind, seed) in parts.items():
            data = weights.weights(2 * seed, rows=8, columns=8)
            weights.component(folder / name, {"model.safetensors": data})
            items.append({"name": name, "kind": kind, "version": number, "source": {"path": name}})
        path = folder / "release.yaml"
        document = {"airlift": 1, "release": "assistant", "version": version, "components": items}
        path.write_text(yaml.safe_dump({**document, "marking": {"level": "UNCLASSIFIED"}}))
        return f"assistant@{version}", path

    def remember_release(self, label: str, digest: str, manifest: Path) -> Release:
        """Remember a release whose digest a command has told."""
        document = json.loads(self.site.depot.documents.load(digest))
        made = Release(label, digest, document, manifest)
        self.depot.releases[label] = made
        return made

    def remember_bundle(
        self, told: dict[str, Any], target: Release | None, baseline: Release | None
    ) -> Bundle:
        """Remember a bundle that was made, and check what its answer says of it."""
        depot, paths = self.depot, tuple(Path(item["path"]) for item in told["volumes"])
        depot.sequence, depot.version = depot.sequence + 1, max(depot.version + 1, depot.sequence + 1)
        assert told["sequence"] == depot.sequence
        assert told["baseline"] == (baseline.label if baseline else None)
        depot.outstanding.append(told["bundle"])
        whom = [one["enclave"] for one in told.get("portions", ())]
        index = json.loads((paths[0] / volume.INDEX).read_bytes())
        manifest = json.loads(
            (paths[0] / volume.MANIFESTS / volume.manifest_name(index["manifest"])).read_bytes()
        )
        made = Bundle(
            id=told["bundle"],
            digest=index["manifest"],
            crossing=Crossing(
                paths=paths,
                sequence=depot.sequence,
                issued=self.desk.now,
                digest=target.digest if target else None,
                release=target.document if target else None,
                listed=depot.listed,
                root=depot.root,
                lifted=depot.lifted,
                releasers=("dan", "erin"),
            ),
            whom=frozenset({told["enclave"]} if told["enclave"] else whom),
            target=target,
            baseline=baseline,
            files=frozenset(item["sha512"] for item in manifest["files"]),
            bases=frozenset(item["sha512"] for item in manifest["bases"]),
            chunks=len(manifest["chunks"]),
            listed=frozenset(depot.outstanding),
            version=depot.version,
            claims=tuple(target.claims) if target else (),
            copies=[paths],
        )
        self.model.bundles[made.sequence] = made
        return made

    def on_the_way(self, bundle: Bundle, paths: tuple[Path, ...], what: str | None) -> tuple[Path, ...]:
        """Return copies of volumes to which something happened on the way; the volumes themselves if nothing did."""
        if what is None:
            return paths
        copies = tuple(copy(path, self.new("way") / path.name) for path in paths)
        for folder in copies:
            chunks = sorted((folder / volume.CHUNKS).glob("*"))
            if what == LABELLED:
                overwrite(folder / volume.LABEL, (folder / volume.LABEL).read_bytes() + b"seen\n")
            for chunk in chunks if what == CUT else ():
                chunk.unlink()
            for chunk in chunks if what == DAMAGED else ():
                data = bytearray(chunk.read_bytes())
                data[-1] ^= 1
                overwrite(chunk, bytes(data))
        assert bundle.chunks or what == LABELLED
        return copies

    # -- that both agree ---------------------------------------------------------------------------------------------

    def agree(self) -> None:
        """Check that the depot and all enclaves say of themselves what is known of them."""
        self.agree_on_depot()
        for place in self.model.places.values():
            self.agree_on(place)

    def look_at(self, verb: str) -> dict[str, Any]:
        """Return what a command says of the depot."""
        said = self.low(verb)
        self.judge(f"low {verb}", said, 0)
        return said.data

    def agree_on_depot(self) -> None:
        """Check what `low status` and `low list` say."""
        depot, status, listed = self.depot, self.look_at("status"), self.look_at("list")
        found = {key: status[key] for key in ("sequence", "releases", "outstanding", "enclaves")}
        assert found == {
            "sequence": depot.sequence,
            "releases": len(depot.releases),
            "outstanding": len(depot.outstanding),
            "enclaves": sorted(depot.enrolled),
        }
        changes = (("release", depot.change), ("root", depot.root_change))
        waiting = {role: len(_signed(change)) for role, change in changes if change is not None}
        assert {item["role"]: item["signatures"] for item in status["pending"]} == waiting
        versions = {item["role"]: item["version"] for item in status["roles"]}
        assert versions["root"] == depot.root
        assert (versions["bundler"] or 0) == depot.version
        assert {(r["kind"], r["digest"], r["serial"]) for r in status["revocations"]} == depot.in_force()
        assert {item["release"]: item["state"] for item in listed["releases"]} == {
            label: item.state for label, item in depot.releases.items()
        }
        assert [item["bundle"] for item in listed["bundles"]] == depot.outstanding
        names = {item.digest: item.label for item in depot.releases.values()}
        assert {
            item["enclave"]: (item["holds"], item["ledger"], item["word"]) for item in listed["enclaves"]
        } == {
            name: ([names[digest] for digest, _ in record.holds], record.newest, record.word)
            for name, record in depot.enrolled.items()
        }

    def agree_on(self, place: Place) -> None:
        """Check what `high status` says of an enclave, and that what is served is what is active."""
        memory, told = place.memory, self.high(place, "status")
        self.judge("high status", told, 0)
        said = told.data
        names = {digest: self._label(digest) for digest in memory.documents}
        newest = max((self.bundle(item.sequence).version for item in memory.committed), default=None)
        found = {key: said[key] for key in ("enclave", "active", "previous", "installed", "floors")}
        assert found == {
            "enclave": place.name,
            "active": names.get(memory.active or ""),
            "previous": names.get(memory.previous or ""),
            "installed": [names[digest] for digest in memory.held],
            "floors": place.floors(),
        }
        assert said["ledger"]["size"] == place.size, f"{said['ledger']['size']} entries, and not {place.size}"
        assert said["trust"]["root"]["version"] == place.root
        assert said["trust"].get("timestamp", {"version": None})["version"] == newest
        assert {(item["kind"], item["digest"]) for item in said["revocations"]} == {
            (kind, digest) for kind, digest, _ in memory.revoked()
        }
        self._agree_on_work(place, said)
        self._agree_on_service(place, said)
        link = place.folder / "active"
        served = link.readlink().name if link.is_symlink() else ""
        assert served == (memory.active or "")[:64]
        warned = any(text.startswith("revoked, and active") for text in said["warnings"])
        active = memory.active
        assert warned == bool(active and rules.is_revoked(memory, active, memory.documents[active]))

    def _agree_on_work(self, place: Place, said: dict[str, Any]) -> None:
        """Check what is staged, and what is kept to be handed on."""
        known = {number for number, version in place.staged.items() if version is not None}
        assert {item["bundle"] for item in said["staged"]} - {None} == {self.bundle(n).id for n in known}
        assert len(said["staged"]) == len(place.staged)
        assert {item["bundle"] for item in said["relay"]} == {
            self.bundle(number).id for number in place.relayed
        }

    def _agree_on_service(self, place: Place, said: dict[str, Any]) -> None:
        """Check what is served; :class:`tests.stateful.serving_side.ServingSide` knows."""

    def _label(self, digest: str) -> str:
        made = (item for place in self.model.places.values() for item in place.made.values())
        return next(item.label for item in (*self.depot.releases.values(), *made) if item.digest == digest)

    def prove(self) -> None:
        """Check every ledger, and everything at rest."""
        for place in self.model.places.values():
            said = self.desk.run("provenance", "verify", "--enclave", place.folder)
            self.judge("provenance verify", said, 0)
            assert (said.data["ok"], said.data["size"]) == (True, place.size)
            self.judge("high check", self.high(place, "check"), 0)


def _signed(change: Change | RootChange) -> set[str]:
    """Return whose signatures a pending change shows."""
    return change.signers
