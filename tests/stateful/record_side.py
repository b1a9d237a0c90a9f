"""What is asked of the records of enclaves, proven by them, and kept elsewhere (SPEC 9.5 to 9.13)."""

import json
from pathlib import Path

from tests.stateful.desk import Said
from tests.stateful.hub_side import HubSide
from tests.stateful.known import Place, Release
from tests.steps.memory import Release as Manifest

DOCUMENTS = ("cyclonedx", "spdx", "intoto", "oscal")
OF_RELEASES = frozenset(DOCUMENTS[:2])
"""What is about a release, the active one unless told otherwise (SPEC 15.2, 15.3)."""


class RecordSide(HubSide):
    """What is asked of enclaves, and all the rest."""

    def asked(self, place: Place, *words: str | Path) -> Said:
        """Ask the record of an enclave."""
        return self.desk.run("provenance", *words, "--enclave", place.folder)

    def stand(self, place: Place) -> bool:
        """Ask how the depot and an enclave stand, which changes nothing: the next steps, and nothing that is bad."""
        said = self.desk.run("status", "--depot", self.home, "--enclave", place.folder)
        assert (said.data["depot"], said.data["enclave"]) == (str(self.home), str(place.folder))
        points = said.data["points"]
        assert {item["side"] for item in points} == {"low", "high"}
        waiting = self.depot.change is not None or self.depot.root_change is not None
        signing = [item for item in points if item["side"] == "low" and "low sign" in (item["next"] or "")]
        assert bool(signing) == waiting
        return self.judge("status", said, 0)

    # -- copies ------------------------------------------------------------------------------------------------------

    def checkpoint(self, place: Place, output: Path | None = None) -> bool:
        """Write the newest checkpoint, to a new file or one that is there."""
        path = output or self.new("kept.note")
        said, verb = self.asked(place, "checkpoint", "--output", path), "provenance checkpoint"
        if output is not None:
            return self.judge(verb, said, 2, {"exists"})
        assert said.data["size"] == place.size
        place.kept.append((path, place.size))
        return self.judge(verb, said, 0)

    def hold_against(self, place: Place, other: Place, kept: Path) -> bool:
        """Hold a record against a checkpoint that was kept of some enclave."""
        said, verb = self.asked(place, "verify", "--checkpoint", kept), "provenance verify --checkpoint"
        if other is not place:
            return self.judge(verb, said, 3)
        assert (said.data["size"], said.data["kept"]) == (place.size, 1)
        return self.judge(verb, said, 0)

    def witness(self, place: Place, name: str, kept: tuple[Place, Path, int] | None) -> bool:
        """Let somebody countersign the newest checkpoint, who may have kept one of some enclave."""
        more = ["--checkpoint", str(kept[1])] if kept else []
        said, verb = (
            self.asked(place, "witness", "--key", self.key(name), *more, "--output", self.new("w.note")),
            "provenance witness",
        )
        if name == place.name:
            return self.judge(verb, said, 2, {"usage"})
        if kept is not None and kept[0] is not place:
            return self.judge(verb, said, 3)
        before = place.witnessed.get(name)
        seen = [size for size in (before, kept[2] if kept else None) if size is not None]
        self.judge(verb, said, 0)
        assert (said.data["size"], said.data["already"]) == (place.size, before == place.size)
        assert said.data["held_against"] == max(seen, default=None)
        place.witnessed[name] = place.size
        return True

    def back_up(self, place: Place) -> bool:
        """Write a copy of the ledger's database, which is as the ledger is now."""
        path = self.new("backup.db")
        said = self.asked(place, "backup", "--output", path)
        assert said.data["size"] == place.size
        assert path.read_bytes() == (place.folder / "ledger.db").read_bytes()
        return self.judge("provenance backup", said, 0)

    def export_ledger(self, place: Place, key: str) -> bool:
        """Write the whole ledger, and verify it without the enclave by the key of some enclave."""
        path = self.new("ledger.jsonl")
        said = self.asked(place, "export", "--as", "ledger", "--output", path)
        self.judge("provenance export ledger", said, 0)
        assert said.data["entries"] == place.size
        public = self.site.keys / f"{key}.pub"
        proven = self.desk.run("provenance", "verify", "--ledger", path, "--public-key", public)
        verb = "provenance verify --ledger"
        if key != place.name:
            return self.judge(verb, proven, 3)
        assert (proven.data["ok"], proven.data["size"]) == (True, place.size)
        return self.judge(verb, proven, 0)

    def export_document(self, place: Place, kind: str) -> bool:
        """Write the record as others read it, or a page for people."""
        path = self.new(f"{kind}.json")
        words = ["report"] if kind == "report" else ["export", "--as", kind]
        said, verb = self.asked(place, *words, "--output", path), f"provenance {' '.join(words)}"
        active = place.memory.active
        self.judge(verb, said, 0)
        assert said.data["release"] == (self._label(active) if active else None)
        if kind in OF_RELEASES:
            named = "components" if kind == "cyclonedx" else "@graph"
            told = json.loads(path.read_text()).get(named, [])
            assert any(item.get("name") == "guard" for item in told) == (active is not None)
        return True

    # -- questions ---------------------------------------------------------------------------------------------------

    def at(self, place: Place, back: int) -> bool:
        """Ask what was active some switches ago (9.9-2)."""
        switched = place.memory.switched
        time = switched[-back][0] if back and back <= len(switched) else self.desk.now
        then = [digest for moment, digest in switched if moment <= time]
        said = self.asked(place, "at", time.isoformat())
        if not then or then[-1] is None:
            return self.judge("provenance at", said, 5, {"release-not-held"})
        assert said.data["digest"] == then[-1]
        return self.judge("provenance at", said, 0)

    def during(self, place: Place, component: str) -> bool:
        """Ask for all periods in which a release with a component was active."""
        said, memory = self.asked(place, "during", component, "--limit", "0"), place.memory
        having = {digest for digest, document in memory.documents.items() if _has(document, component)}
        if not having:
            return self.judge("provenance during", said, 5, {"release-not-held"})
        ran = [digest for _, digest in memory.switched if digest in having]
        assert [item["digest"] for item in said.data["periods"]] == ran
        ended = [digest for _, digest in memory.switched[:-1] if digest in having]
        assert sum(item["until"] is not None for item in said.data["periods"]) == len(ended)
        return self.judge("provenance during", said, 0)

    def where(self, place: Place, release: Release) -> bool:
        """Ask for the imports that mention a release: those that brought it or built on it."""
        said, committed = self.asked(place, "where", release.label, "--type", "import-commit"), place.memory
        bundles = [self.bundle(item.sequence) for item in committed.committed]
        telling = [item for item in bundles if release in {item.target, item.baseline}]
        assert [item["bundle"] for item in said.data["entries"]] == [item.id for item in telling]
        return self.judge("provenance where", said, 0)

    def lineage(self, place: Place, release: Release, *, deep: bool) -> bool:
        """Ask where a release comes from."""
        word = "trace" if deep else "show"
        said, verb = self.asked(place, word, release.label), f"provenance {word}"
        if release.digest not in place.memory.documents:
            return self.judge(verb, said, 5, {"release-not-held"})
        node = said.data["node"]
        assert (node["kind"], node["digest"]) == ("release", release.digest)
        parts = {(part["name"], part["version"]) for part in release.document["components"]}
        above = [item for item in node["parents"] if item["relation"] == "contains"]
        assert {(item["name"], item["version"]) for item in above} == parts
        assert deep or not any(item["parents"] for item in node["parents"])
        return self.judge(verb, said, 0)

    def changes(self, place: Place, release: Release, since: Release) -> bool:
        """Ask what a release changed against another (9.13)."""
        said = self.asked(place, "changes", release.label, "--from", since.label)
        if not {release.digest, since.digest} <= place.memory.documents.keys():
            return self.judge("provenance changes", said, 5, {"release-not-held"})
        if release is since:
            return self.judge("provenance changes", said, 2, {"usage"})
        found = {item["name"]: item["change"] for item in said.data["components"]}
        assert found == _changes(since.document, release.document)
        return self.judge("provenance changes", said, 0)


def _has(document: Manifest, component: str) -> bool:
    return any(
        component in {part["name"], f"{part['name']}@{part['version']}"} for part in document["components"]
    )


def _changes(before: Manifest, after: Manifest) -> dict[str, str]:
    """Return what became of each component: of the same content, under the same version or another."""
    old, new = ({part["name"]: part for part in item["components"]} for item in (before, after))
    found = {name: "removed" if name in old else "added" for name in old.keys() ^ new.keys()}
    for name in old.keys() & new.keys():
        one, other = old[name], new[name]
        if one["digest"] != other["digest"]:
            found[name] = "changed"
        else:
            found[name] = "unchanged" if one["version"] == other["version"] else "relabelled"
    return found
