"""What policy has to say about an import (8.2); what it says about activation is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.second.documents.fields import ORDERED
from tests.second.errors import demand
from tests.second.reader import Media


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, with the safe defaults of [8.2-2]."""

    levels: tuple[str, ...] = ORDERED
    ceiling: str = ORDERED[0]
    caveats: frozenset[str] = frozenset()
    waivers: tuple[tuple[str, str | None], ...] = ()
    strict: bool = False
    digest: str = "sha512"


def make(value: Mapping[str, Any]) -> Policy:
    """Make a policy of its parsed YAML, which is taken to be valid."""
    marking = value.get("marking", {})
    levels = tuple(marking.get("levels", ORDERED))
    ceiling = marking.get("ceiling", {"level": levels[0]})
    return Policy(
        levels,
        ceiling["level"],
        frozenset(ceiling.get("caveats", [])),
        tuple((waiver["what"], waiver.get("component")) for waiver in value.get("waivers", [])),
        value.get("inventory") == "strict",
        value.get("digest", "sha512"),
    )


def judge(policy: Policy, media: Media) -> None:
    """Judge markings and waivers [8.2-3] [8.2-5].

    Raises:
        Refused: ``marking-refused``, or ``waiver-refused``.
    """
    _judge_marking(policy, media.manifest["marking"])
    for component in (media.release or {"components": []})["components"]:
        if "marking" in component:
            _judge_marking(policy, component["marking"])
    for component in (media.release or {"components": []})["components"]:
        for waiver in component.get("accept", []):
            permitted = {(waiver["what"], None), (waiver["what"], component["name"])} & set(policy.waivers)
            demand(permitted, f"a waiver for {waiver['what']} in {component['name']}", "waiver-refused")


def _judge_marking(policy: Policy, marking: dict[str, Any]) -> None:
    known = marking["level"] in policy.levels and policy.ceiling in policy.levels
    below = known and policy.levels.index(marking["level"]) <= policy.levels.index(policy.ceiling)
    demand(
        below and set(marking["caveats"]) <= policy.caveats, "a marking above the ceiling", "marking-refused"
    )
