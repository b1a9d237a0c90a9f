"""What docs/SPEC.md says of running a release, written once more from its text: each rule yields what it refuses by.

Nothing of airlift is used; versions are compared by PEP 440 as the packaging library implements it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from tests.steps.media import Crossing
from tests.steps.memory import Memory, Release, Said

KINDS = frozenset({"model", "adapter", "guard", "policy", "blocklist", "prompt", "tokenizer", "data"})
LEVELS = ("UNCLASSIFIED", "CUI", "CONFIDENTIAL", "SECRET", "TOP SECRET")
REPORT = "report"
AGE, REVOKED, QUORUM, NOT_HELD, OVERTAKEN = "8.2-12", "5.4-1", "4.5-13", "not held", "7.1-1a"
CODES = {
    "8.2-3": "marking-refused",
    "8.2-5": "waiver-refused",
    "8.6-2": "registration-refused",
    REVOKED: "revoked",
    "5.1-6": "requirement-unmet",
    "8.2 requires": "requirement-unmet",
    "8.2-8": "below-floor",
    "8.2-9": "below-floor",
    QUORUM: "quorum-unmet",
    "8.2-22": "quorum-unmet",
    AGE: "stale",
    "8.2-7": "expired",
    OVERTAKEN: "overtaken",
    NOT_HELD: "release-not-held",
}
"""The code of the refusal by each rule."""


def objections(memory: Memory, digest: str, *, aged: bool, bundle: Crossing | None = None) -> set[str]:
    """Return the numbers of what stands against running a release; ``bundle`` is about to bring it."""
    release = bundle.release if bundle and bundle.release else memory.documents[digest]
    found = set(content(memory, release))
    found |= {REVOKED} if is_revoked(memory, digest, release, bundle) else set()
    found |= {*requirements(memory, release), *floors(memory, release)}
    found |= set(quorums(memory, digest, bundle))
    return found | (set(age(memory, digest)) if aged else set())


# -- markings and waivers --------------------------------------------------------------------------------------------


def content(memory: Memory, release: Release) -> Iterator[str]:
    """8.2-3, 8.2-5 and 8.6-2: what is marked beyond the ceiling, has a waiver, or was trained inside."""
    for part in (release, *release["components"]):
        if part.get("marking") and not is_below_ceiling(memory, part["marking"]):
            yield "8.2-3"
    permitted = memory.policy.get("waivers", [])
    for part in release["components"]:
        for waiver in part.get("accept", []):
            what = waiver["what"]
            if {"what": what} not in permitted and {"what": what, "component": part["name"]} not in permitted:
                yield "8.2-5"
        if is_registered(part) and part["kind"] not in memory.policy.get("register", []):
            yield "8.6-2"


def is_registered(part: Mapping[str, Any]) -> bool:
    """5.1-17: say whether a component was trained inside."""
    return bool(part["source"]["kind"] == "registered")


def join(markings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """5.6-2: the lowest marking that covers all."""
    found = list(markings)
    restricts = set[str]().union(*(_caveats(marking)[0] for marking in found))
    lists = [admits for marking in found if (admits := _caveats(marking)[1]) is not None]
    common = set.intersection(*lists) if lists else set[str]()
    names = sorted(f"REL TO {name}" for name in common or {"NONE"}) if lists else []
    level = max((marking["level"] for marking in found), key=LEVELS.index)
    return {"level": level, "caveats": sorted([*restricts, *names])}


def means(marking: Mapping[str, Any]) -> tuple[str, frozenset[str], frozenset[str] | None]:
    """Return what a marking says, however its caveats are written."""
    restricts, admits = _caveats(marking)
    return marking["level"], frozenset(restricts), None if admits is None else frozenset(admits - {"NONE"})


def is_below_ceiling(memory: Memory, marking: Mapping[str, Any]) -> bool:
    """5.6-3: what may be held."""
    levels = memory.policy.get("marking", {}).get("levels", LEVELS)
    ceiling = memory.policy.get("marking", {}).get("ceiling", {"level": levels[0]})
    limits, admitted = _caveats(ceiling)
    restricts, admits = _caveats(marking)
    return (
        marking["level"] in levels
        and levels.index(marking["level"]) <= levels.index(ceiling["level"])
        and restricts <= limits
        and (admits is None or bool(admits & (admitted or set())))
    )


def _caveats(marking: Mapping[str, Any]) -> tuple[set[str], set[str] | None]:
    """Return the caveats that restrict, and whom the others admit, None if there are none."""
    words = marking.get("caveats", [])
    lists = [word[len("REL TO ") :] for word in words if word.startswith("REL TO ")]
    admits = {name.strip() for text in lists for name in text.split(",") if name.strip()} if lists else None
    return {word for word in words if not word.startswith("REL TO ")}, admits


# -- revocations -----------------------------------------------------------------------------------------------------


def is_revoked(memory: Memory, digest: str, release: Release, bundle: Crossing | None = None) -> bool:
    """5.4-1: the release, a component or a file of it is listed, or what something in it was made of inside."""
    listed = {(kind, what) for kind, what, _ in memory.revoked(bundle)}
    parts = release["components"]
    return (
        ("release", digest) in listed
        or any(("component", part["digest"]) in listed for part in parts)
        or any(
            ("file", entry[name]) in listed
            for part in parts
            for entry in part["files"]
            for name in ("sha512", "sha256")
        )
        or any(
            ("component", above["digest"]) in listed
            for part in parts
            if is_registered(part)
            for above in part["parents"]
        )
    )


# -- requirements and floors -----------------------------------------------------------------------------------------


def requirements(memory: Memory, release: Release) -> Iterator[str]:
    """5.1-6: the release's own, and policy's for every component of a kind."""
    for rule in release["requires"]:
        if not _has(release, rule["needs"], rule["version"]):
            yield "5.1-6"
    kinds = {part["kind"] for part in release["components"]}
    for rule in memory.policy.get("requires", []):
        if rule["kind"] in kinds and not _has(release, rule["needs"], rule["version"]):
            yield "8.2 requires"


def _has(release: Release, what: str, within: str) -> bool:
    of_kind = what in KINDS or any(part["kind"] == what for part in release["components"])
    for part in release["components"]:
        meant = part["kind"] == what if of_kind else what in _names(part)
        version = _version(part["version"])
        if meant and version is not None and SpecifierSet(within).contains(version, prereleases=True):
            return True
    return False


def _names(part: Mapping[str, Any]) -> set[str]:
    """5.1-15: the names that a component answers to."""
    return {part["name"], *part.get("replaces", [])}


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def higher(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """8.2-10: the higher of two floors for each name."""
    both = {name: [floors[name] for floors in (one, other) if name in floors] for name in {*one, *other}}
    return {name: max(versions, key=Version) for name, versions in both.items()}


def is_below(version: str, floor: str) -> bool:
    """Say whether a version is older than a floor."""
    return Version(version) < Version(floor)


def in_force(memory: Memory) -> dict[str, str]:
    """Return the floors in force."""
    return higher(memory.floors, memory.policy.get("floors", {}))


def floors(memory: Memory, release: Release) -> Iterator[str]:
    """8.2-8 and 8.2-9."""
    for name, floor in in_force(memory).items():
        if name.startswith("kind:"):
            bound = [part for part in release["components"] if f"kind:{part['kind']}" == name]
        else:
            bound = [part for part in release["components"] if name in _names(part)]
            if not bound and _slips(memory, release, name):
                yield "8.2-9"
            bound = [*bound, *_made_of(release, name)]
        versions = [_version(part["version"]) for part in bound]
        if any(version is None or version < Version(floor) for version in versions):
            yield "8.2-8"


def _made_of(release: Release, name: str) -> list[Mapping[str, Any]]:
    """8.6-6: the parents of that name of what was trained inside."""
    inside = [part for part in release["components"] if is_registered(part)]
    return [above for part in inside for above in part["parents"] if above["name"] == name]


def _slips(memory: Memory, release: Release, name: str) -> bool:
    """8.2-9: say whether a new component of its kind is there, and nothing that answers to ``name``."""
    came = [item.release["components"] for item in memory.committed if item.release]
    with_it = [parts for parts in came if any(name in _names(part) for part in parts)]
    kinds = {part["kind"] for parts in with_it for part in parts if name in _names(part)}
    known = {part["name"] for parts in with_it for part in parts if name not in _names(part)}
    known -= {part["name"] for parts in with_it for part in parts if name in _names(part)}
    new = [part for part in release["components"] if part["kind"] in kinds and part["name"] not in known]
    return any(not _made_of({"components": [part]}, name) for part in new)


# -- quorums ---------------------------------------------------------------------------------------------------------


def quorums(memory: Memory, digest: str, bundle: Crossing | None = None) -> Iterator[str]:
    """4.5-13: enough holders in each kind, and no bar broken."""
    asked: Mapping[str, Any] = memory.policy.get("attestations", {})
    bars = {frozenset(pair) for words in memory.policy.get("bar", []) for pair in combinations(words, 2)}
    roles = _roles(memory, digest, bundle)
    if frozenset({"build", "release"}) in bars and roles["build"] & roles["release"]:
        yield "8.2-22"
    revoked = {what for kind, what, _ in memory.revoked(bundle) if kind == "key"}
    moment = max([memory.reference(), *memory.moments, *([bundle.issued] if bundle else [])])
    able: dict[str, set[str]] = {}
    for kind, quorum in asked.items():
        keys = {memory.keys[file] for file in quorum["keys"]}
        keys = {key for key in keys if memory.key_ids[key] not in revoked}
        barred = set().union(*(roles[role] for role in roles if frozenset({role, kind}) in bars))
        able[kind] = (
            _who_speak(memory, digest, kind, keys, (quorum.get("expires_after_days"), moment)) - barred
        )
        if len(able[kind]) < quorum["threshold"]:
            yield QUORUM
            return
    if not _assigned({kind: quorum["threshold"] for kind, quorum in asked.items()}, able, bars):
        yield QUORUM


def _roles(memory: Memory, digest: str, bundle: Crossing | None) -> dict[str, set[str]]:
    """Return who built and released a release: with each bundle that brought it (8.2-22)."""
    hands, imported = memory.holders(), memory.imported(digest)
    brought = [item for item in memory.committed if item.digest == imported] + ([bundle] if bundle else [])
    own = set() if imported == digest else {"ledger"}
    return {
        "build": {hands["machine"] for _ in brought} | own,
        "release": {hands[name] for item in brought for name in item.releasers},
    }


def _who_speak(
    memory: Memory, digest: str, kind: str, keys: set[str], until: tuple[int | None, datetime]
) -> set[str]:
    """4.5-5, 4.5-12 and 8.2-21: the holders whose last word is for it, and young enough."""
    hands, last, repeated = memory.holders(), dict[str, Said](), set[tuple[str, str]]()
    for word in sorted(memory.said, key=lambda item: item.order):
        if (word.key, word.statement) in repeated:
            continue
        repeated.add((word.key, word.statement))
        if word.release == digest and word.kind == kind and word.key in keys:
            last[hands[word.key]] = word
    days, moment = until
    return {
        hand
        for hand, word in last.items()
        if word.passes and (days is None or moment - word.time <= timedelta(days=days))
    }


def _assigned(wanted: Mapping[str, int], able: Mapping[str, set[str]], bars: set[frozenset[str]]) -> bool:
    """Say whether people can be found for each kind, none of them in two that bar each other."""
    kinds = sorted(wanted)
    for chosen in product(*(combinations(sorted(able[kind]), wanted[kind]) for kind in kinds)):
        found = dict(zip(kinds, map(set, chosen), strict=True))
        pairs = combinations(kinds, 2)
        if not any(found[a] & found[b] for a, b in pairs if frozenset({a, b}) in bars):
            return True
    return False


def are_two_approvers(memory: Memory, keys: tuple[str, ...]) -> bool:
    """7.7 and 8.2-10: say whether these are keys of two people whom policy lists for approvals."""
    files = memory.policy.get("attestations", {}).get("approval", {"keys": []})["keys"]
    revoked = {
        what for kind, what, _ in memory.revoked() if kind == "key"
    }  # 5.4-3: such a key accepts nothing
    listed = {key for key in (memory.keys[file] for file in files) if memory.key_ids[key] not in revoked}
    hands = memory.holders()
    return len({hands.get(key, key) for key in keys if key in listed}) > 1


# -- age -------------------------------------------------------------------------------------------------------------


def age(memory: Memory, digest: str) -> Iterator[str]:
    """8.2-12: how old what is known is, and how far behind the newest bundle that of the release is."""
    staleness, newest = memory.policy.get("staleness", {}), memory.newest()
    if newest is None:
        return
    days, behind = staleness.get("refuse_new_after_days"), staleness.get("refuse_behind")
    moment = max([memory.reference(), *memory.moments])
    own = max(item.sequence for item in memory.committed if item.digest == memory.imported(digest))
    if (days is not None and moment - newest.issued > timedelta(days=days)) or (
        behind is not None and newest.sequence - own > behind
    ):
        yield AGE


def import_objections(memory: Memory, bundle: Crossing) -> set[str]:
    """Return what stands against letting a bundle in: 8.2-3, 8.2-5 and 8.2-7; a renewal is marked as nothing is."""
    found = set(content(memory, bundle.release)) if bundle.release else set()
    days = memory.policy.get("staleness", {}).get("refuse_new_after_days")
    if days is not None and memory.reference() - bundle.issued > timedelta(days=days):
        found.add("8.2-7")
    return found


# -- imports ---------------------------------------------------------------------------------------------------------


def against_import(memory: Memory, bundle: Crossing, *, activate: bool) -> set[str]:
    """Return what stands against an import: policy, and with activation what stands against running it (7.1-1)."""
    if bundle in memory.committed:
        return _against_again(memory, bundle) if activate else set()
    found = import_objections(memory, bundle)
    if not found and activate:
        found = set(objections(memory, bundle.digest, aged=False, bundle=bundle)) if bundle.digest else set()
        found |= {OVERTAKEN} if memory.is_overtaken(bundle) else set()
    return found


def _against_again(memory: Memory, bundle: Crossing) -> set[str]:
    """7.1-1a: what stands against activating what a bundle brought that was committed before."""
    digest = bundle.digest
    if digest is None or memory.active == digest:
        return set()
    if digest not in memory.held:
        return {NOT_HELD}
    found = set(objections(memory, digest, aged=True))
    return found | ({OVERTAKEN} if is_old(memory, bundle) else set())


def is_old(memory: Memory, bundle: Crossing) -> bool:
    """7.1-1a: say whether a committed bundle was overtaken, or a newer one with a release was committed since."""
    place = memory.committed.index(bundle)
    earlier, later = memory.committed[:place], memory.committed[place + 1 :]
    overtaken = any(item.sequence > bundle.sequence for item in earlier)
    return overtaken or any(item.digest and item.sequence > bundle.sequence for item in later)


def enforce(memory: Memory) -> str | None:
    """7.9-3: do in memory what becomes of an active release that is revoked; return policy's word if it is one."""
    what, active = memory.policy.get("revoked", "fall-back"), memory.active
    if active is None or not is_revoked(memory, active, memory.documents[active]):
        return None
    if what != REPORT:
        others = [digest for digest in reversed(memory.held) if digest != active]
        fit = (digest for digest in others if not objections(memory, digest, aged=False))
        memory.switch(next(fit, None) if what == "fall-back" else None)
    return str(what)
