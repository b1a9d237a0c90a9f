"""What is trained inside in the walks: manifests drawn at random, and what SPEC 8.6 says comes of each."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.steps import rules
from tests.steps.memory import Memory
from tests.support import weights

NAMES = ("cases", "tuned", "merged")
MARKINGS: tuple[dict[str, Any], ...] = (
    {"level": "UNCLASSIFIED", "caveats": []},
    {"level": "CUI", "caveats": ["REL TO GBR, USA"]},
    {"level": "CUI", "caveats": ["NOFORN"]},
    {"level": "SECRET", "caveats": []},
    {"level": "TOP SECRET", "caveats": ["NOFORN"]},
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A registration: the release that it joins, its only component, and what it leaves out."""

    base: str
    item: Mapping[str, Any]
    without: tuple[str, ...]
    files: Mapping[str, bytes]

    def write(self, folder: Path) -> Path:
        """Write the manifest and the files."""
        weights.component(folder / self.item["source"]["path"], self.files)
        document = {
            "airlift": 1,
            "from": self.base,
            "version": f"r{self.item['version']}",
            "components": [self.item],
        }
        if self.without:
            document["without"] = [*self.without]
        path = folder / "registration.yaml"
        path.write_text(json.dumps(document))
        return path


def draw(dice: random.Random, memory: Memory, base: str, number: int) -> Drawn:
    """Draw what is registered upon ``base``; ``number`` is its version, and no other's."""
    document = memory.documents.get(base)
    known = [part["name"] for part in document["components"]] if document else ["base"]
    parents = dice.sample(known, min(len(known), dice.choice((0, 1, 1, 2)))) + (
        ["nobody"] if dice.random() < 0.05 else []
    )
    data = [
        {"name": name, "version": "1", "marking": dice.choices(MARKINGS, (8, 3, 3, 3, 1))[0]}
        for name in dice.sample(("letters", "cases"), dice.choice((0, 1, 2)))
    ]
    item: dict[str, Any] = {
        "name": dice.choice(NAMES), "kind": dice.choice(("adapter", "model")), "version": f"1.{number}",
        "source": {"path": f"made-{number}"},
    }  # fmt: skip
    if parents:
        item["parents"] = [{"component": name, "relation": "tuned-from"} for name in parents]
    if data:
        item["data"] = data
    if dice.random() < 0.25:
        item["marking"] = dice.choice(MARKINGS)
    without = tuple(name for name in ("base", "guard") if dice.random() < 0.07)
    return Drawn(base, item, without, {"model.safetensors": weights.weights(900 + number, rows=8, columns=8)})


def against(memory: Memory, drawn: Drawn) -> set[str] | None:
    """Return what stands against it; None if the manifest itself is no good (exit 2)."""
    document = memory.documents.get(drawn.base)
    if document is None or drawn.base not in memory.held:
        return {rules.NOT_HELD}
    parts = {part["name"]: part for part in document["components"]}
    if any(parts.get(name, {}).get("kind") not in {"model", "adapter"} for name in drawn.without):
        return None
    if any(above["component"] not in parts for above in drawn.item.get("parents", ())):
        return {rules.NOT_HELD}
    if "parents" not in drawn.item and "data" not in drawn.item:
        return None
    if any(above["component"] == drawn.item["name"] for above in drawn.item.get("parents", ())):
        return None
    least, stated = least_marking(memory, drawn), drawn.item.get("marking")
    if stated is not None and rules.means(rules.join([stated, least])) != rules.means(stated):
        return {"8.2-3"}
    release = release_of(memory, drawn)
    found = set(rules.content(memory, release))
    return found | {number for number in rules.requirements(memory, release) if number == "5.1-6"}


def least_marking(memory: Memory, drawn: Drawn) -> dict[str, Any]:
    """8.6-5: the join of the markings of parents and data."""
    document = memory.documents[drawn.base]
    parts = {part["name"]: part for part in document["components"]}
    above = [parts[item["component"]] for item in drawn.item.get("parents", ())]
    markings = [part.get("marking") or document["marking"] for part in above]
    return rules.join([*markings, *(item["marking"] for item in drawn.item.get("data", ()))])


def release_of(memory: Memory, drawn: Drawn) -> dict[str, Any]:
    """8.6-1 to 8.6-6: the release that comes of it, as far as rules ask."""
    document, item = memory.documents[drawn.base], drawn.item
    marking = item.get("marking") or least_marking(memory, drawn)
    whole = rules.join([document["marking"], marking])
    kept = [p for p in document["components"] if p["name"] not in {*drawn.without, item["name"]}]
    names = [above["component"] for above in item.get("parents", ())]
    own = [r for r in document["requires"] if r["component"] in names]
    stay = [r for r in document["requires"] if r["component"] in {part["name"] for part in kept}]
    return {
        "marking": whole,
        "requires": [*stay, *({**r, "component": item["name"]} for r in own)],
        "components": sorted(
            [*(_marked(part, document, whole) for part in kept), _component(document, drawn, marking)],
            key=lambda part: str(part["name"]),
        ),
    }


def _marked(
    part: Mapping[str, Any], document: Mapping[str, Any], whole: Mapping[str, Any]
) -> Mapping[str, Any]:
    if "marking" in part or rules.means(document["marking"]) == rules.means(whole):
        return part
    return {**part, "marking": document["marking"]}


def _component(document: Mapping[str, Any], drawn: Drawn, marking: Mapping[str, Any]) -> dict[str, Any]:
    files = [
        {
            "path": path, "size": len(data),
            "sha512": hashlib.sha512(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest(),
        }
        for path, data in sorted(drawn.files.items())
    ]  # fmt: skip
    listed = [[file["path"], file["size"], file["sha512"]] for file in files]
    return {
        "name": drawn.item["name"], "kind": drawn.item["kind"], "version": drawn.item["version"], "files": files,
        "digest": hashlib.sha512(json.dumps(listed, separators=(",", ":")).encode()).hexdigest(),
        "source": {"kind": "registered"}, "marking": marking, "parents": _ancestors(document, drawn),
    }  # fmt: skip


def _ancestors(document: Mapping[str, Any], drawn: Drawn) -> list[Mapping[str, Any]]:
    """8.6-4: its parents, and what those that were trained inside come from."""
    parts = {part["name"]: part for part in document["components"]}
    found: list[Mapping[str, Any]] = []
    for above in drawn.item.get("parents", ()):
        part = parts[above["component"]]
        found.append({"name": part["name"], "version": part["version"], "digest": part["digest"]})
        found += part["parents"] if rules.is_registered(part) else []
    return found
