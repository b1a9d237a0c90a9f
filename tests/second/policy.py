"""What policy has to say about an import (8.2); what it says about activation is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.second.documents import fields
from tests.second.documents.fields import ORDERED
from tests.second.documents.variants import Rules
from tests.second.errors import demand
from tests.second.reader import Media
from tests.second.trust import keys
from tests.second.trust.keys import Key


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, with the safe defaults of [8.2-2]."""

    levels: tuple[str, ...] = ORDERED
    ceiling: str = ORDERED[0]
    caveats: frozenset[str] = frozenset()
    waivers: tuple[tuple[str, str | None], ...] = ()
    strict: bool = False
    digest: str = "sha512"
    keys: tuple[Key, ...] = ()
    refuse_after: int | None = None
    variants: Rules = ()


def make(value: Mapping[str, Any], folder: Path | None = None) -> Policy:
    """Make a policy of its parsed YAML, which is taken to be valid.

    Args:
        value: What was parsed.
        folder: Where the files of keys lie that it names.
    """
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
        tuple(
            keys.of_pem((folder / name).read_text())
            for quorum in value.get("attestations", {}).values()
            for name in quorum["keys"]
            if folder is not None
        ),
        value.get("staleness", {}).get("refuse_new_after_days"),
        tuple((rule.get("component"), rule["labels"]) for rule in value.get("variants", [])),
    )


def judge(policy: Policy, media: Media, now: datetime) -> None:
    """Judge markings, waivers and age [5.6-3] [8.2-3] [8.2-5] [8.2-7].

    Raises:
        Refused: ``marking-refused``, ``waiver-refused``, or ``expired``.
    """
    _judge_marking(policy, media.manifest["marking"])
    for component in (media.release or {"components": []})["components"]:
        if "marking" in component:
            _judge_marking(policy, component["marking"])
    for component in (media.release or {"components": []})["components"]:
        for waiver in component.get("accept", []):
            names = (None, component["name"], component.get("variant", {}).get("of"))
            permitted = {(waiver["what"], name) for name in names} & set(policy.waivers)
            demand(permitted, f"a waiver for {waiver['what']} in {component['name']}", "waiver-refused")
    age = now - fields.time(media.manifest["issued"])
    old = policy.refuse_after is not None and age > timedelta(days=policy.refuse_after)
    demand(not old, "a bundle that is too old", "expired")


def _judge_marking(policy: Policy, marking: dict[str, Any]) -> None:
    known = marking["level"] in policy.levels and policy.ceiling in policy.levels
    below = known and policy.levels.index(marking["level"]) <= policy.levels.index(policy.ceiling)
    held = fields.within(marking["caveats"], policy.caveats)
    demand(below and held, "a marking above the ceiling", "marking-refused")
