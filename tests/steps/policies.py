"""Policies as owners might write them, drawn at random, and the keys that lie beside them."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import keys

FILES = {
    "ann.pub": "ann", "Ann.pub": "laptop", "ben.pub": "ben", "cyd.pub": "cyd", "dan.pub": "dan",
    "kim.pub": "erin", "erin.pub": "tablet", "machine.pub": "machine", "Machine.pub": "frank",
}  # fmt: skip
"""Whose key lies in which file: one person has two of one name, one stands under another, a machine is a person's."""
FLOORED = ("guard", "base", "shield", "filter", "kind:guard", "kind:model", "nobody", "cases", "kind:adapter")
VERSIONS = ("0.9", "1.0", "1.1", "2.0", "2.1", "2.2", "2.4", "3.0")
CEILINGS: tuple[Mapping[str, Any], ...] = (
    {"level": "UNCLASSIFIED"},
    {"level": "CUI", "caveats": ["REL TO GBR"]},
    {"level": "SECRET", "caveats": ["NOFORN", "REL TO GBR, USA"]},
    {"level": "TOP SECRET", "caveats": ["REL TO FRA"]},
)
OPEN: Mapping[str, Any] = {
    "airlift": 2, "enclave": "alpha", "waivers": [{"what": "code"}, {"what": "remote-code"}],
    "register": ["adapter", "model"],
    "marking": {"ceiling": {"level": "TOP SECRET", "caveats": ["NOFORN", "REL TO USA"]}},
}  # fmt: skip
"""Under which everything may run."""
REQUIRES = (
    ("model", "guard", ">=2.0"),
    ("model", "guard", ">=2.3"),
    ("model", "shield", ">=2.6"),
    ("guard", "model", "<3.1"),
    ("data", "guard", ">=9"),
    ("model", "filter", ">=0"),
    ("adapter", "guard", ">=2.2"),
    ("guard", "cases", ">=1"),
)
WAIVERS = (
    {"what": "code"},
    {"what": "remote-code", "component": "words"},
    {"what": "code", "component": "words"},
)


def write_keys(folder: Path) -> Mapping[str, str]:
    """Write the key files, and return whose key each holds."""
    folder.mkdir(parents=True)
    for file, name in FILES.items():
        (folder / file).write_bytes(keys.signer(name).public.pem())
    return FILES


def floor(dice: random.Random) -> str:
    """Return for what a floor is set: mostly what most releases have."""
    return dice.choices(FLOORED, (6, 6, 1, 1, 4, 4, 2, 2, 1))[0]


def version(dice: random.Random) -> str | None:
    """Return where a floor is set, more often low than high; None ends it."""
    return None if dice.random() < 0.15 else min(dice.choice(VERSIONS), dice.choice(VERSIONS))


def draw(dice: random.Random, files: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a policy: mostly one under which something may run."""
    if dice.random() < 0.25:
        return OPEN
    document: dict[str, Any] = {"airlift": 2, "enclave": "alpha"}
    document["marking"] = {"ceiling": dice.choices(CEILINGS, (2, 2, 6, 1))[0]}
    document["attestations"] = _attestations(dice, files)
    document["requires"] = [
        {"kind": kind, "needs": needs, "version": version}
        for kind, needs, version in REQUIRES
        if dice.random() < 0.07
    ]
    document["floors"] = {floor(dice): dice.choice(VERSIONS[:4]) for _ in range(dice.choice((0, 0, 0, 1, 2)))}
    document["waivers"] = [item for item in WAIVERS if dice.random() < 0.6]
    document["bar"] = _bars(dice, ["build", "release", *document["attestations"]])
    document["staleness"] = {
        key: value
        for key, value in (
            ("refuse_new_after_days", dice.choice((4, 12, 40))),
            ("refuse_behind", dice.choice((2, 6))),
        )
        if dice.random() < 0.3
    }
    document["register"] = [kind for kind in ("adapter", "model") if dice.random() < 0.7]
    document["revoked"] = dice.choice(("fall-back", "fall-back", "withdraw", "report"))
    return {key: value for key, value in document.items() if value not in ({}, [])}


def _attestations(dice: random.Random, files: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("approval", "scan"):
        if dice.random() < (0.35 if kind == "approval" else 0.2):
            listed = sorted(dice.sample([*files], dice.randint(3, len(files))))
            found[kind] = {"threshold": dice.choice((1, 1, 1, 1, 2)), "keys": listed}
            if dice.random() < 0.4:
                found[kind]["expires_after_days"] = dice.choice((3, 8, 30))
    return found


def _bars(dice: random.Random, words: list[str]) -> list[list[str]]:
    return [dice.sample(words, dice.randint(2, len(words))) for _ in range(dice.choice((0, 0, 0, 1, 2)))]
