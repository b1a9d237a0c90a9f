"""Variants (5.7): what a manifest says of them, and what rules choose among them."""

from collections.abc import Collection, Sequence
from typing import Any

from tests.second.documents import fields, paths
from tests.second.errors import demand

KEY = r"[a-z][a-z0-9-]{0,31}"
VALUE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
Rules = Sequence[tuple[str | None, dict[str, str]]]
"""Pairs of the component that a rule names, if any, and its labels."""


def check(component: dict[str, Any]) -> None:
    """Hold what a component says of itself as a variant [5.7-2]."""
    variant = fields.members(component["variant"], "of labels")
    paths.check(fields.matching(variant["of"], fields.NAME))
    demand(isinstance(variant["labels"], dict) and 1 <= len(variant["labels"]) <= 16, "labels [5.7-2]")
    for key, value in variant["labels"].items():
        fields.matching(key, KEY)
        fields.matching(value, VALUE)


def groups(release: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the variants of each component that has any, by its name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for component in release["components"]:
        if "variant" in component:
            found.setdefault(component["variant"]["of"], []).append(component)
    return found


def check_release(release: dict[str, Any]) -> None:
    """Hold what is said of all variants of a release together [5.7-1] [5.7-3]."""
    varied = groups(release)
    names = {component["name"] for component in release["components"]}
    gone = {name for component in release["components"] for name in component.get("replaces", [])}
    demand(not set(varied) & (names | gone), "variants of what is there, or was given up [5.7-1]")
    for variants in varied.values():
        demand(len({(one["kind"], one["version"]) for one in variants}) == 1, "other variants [5.7-1]")
        labels = [one["variant"]["labels"].items() for one in variants]
        for at, one in enumerate(labels):
            demand(not any(one <= other for other in labels[:at] + labels[at + 1 :]), "labels [5.7-1]")
    own = {one["name"] for variants in varied.values() for one in variants}
    for requirement in release["requires"]:
        demand(not {requirement["component"], requirement["needs"]} & own, "one variant is required [5.7-3]")


def carried(manifest: dict[str, Any], release: dict[str, Any]) -> set[str]:
    """Return the names of the variants that a bundle carries [6.2-7]."""
    return set(manifest.get("variants") or [one["name"] for each in groups(release).values() for one in each])


def check_bundle(manifest: dict[str, Any], release: dict[str, Any]) -> None:
    """Hold which variants a bundle says that it carries [6.2-7]."""
    if "variants" not in manifest:
        return
    varied, named = groups(release), set(manifest["variants"])
    known = {one["name"] for variants in varied.values() for one in variants}
    demand(named < known, "no variants of the release, or all of them [6.2-7]")
    for variants in varied.values():
        demand(named & {one["name"] for one in variants}, "a component without a variant [6.2-7]")


def only(release: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a release without its other variants [5.7-4]."""
    stays = [c for c in release["components"] if "variant" not in c or c["name"] in names]
    return {**release, "components": stays}


def choose(release: dict[str, Any], rules: Rules) -> set[str] | None:
    """Return the names of the variants that rules choose, or nothing if they make no choice [5.7-5]."""
    chosen = set()
    for of, variants in groups(release).items():
        for component, labels in rules:
            fitting = [one for one in variants if labels.items() <= one["variant"]["labels"].items()]
            if component in (None, of) and fitting:
                break
        else:
            return None
        if len(fitting) != 1:
            return None
        chosen.add(fitting[0]["name"])
    return chosen
