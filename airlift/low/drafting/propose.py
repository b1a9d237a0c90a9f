"""Propose names, versions and parents by what was published (SPEC L3.5). Pure but for :func:`published`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.low.depot.depot import Depot
from airlift.low.drafting.recognise import Base

FIRST = "1"
MAX_NAME = 64

_ODD = re.compile(r"[^a-z0-9._-]+")
_VERSIONED = re.compile(r"(.+)-v?([0-9][A-Za-z0-9.+_]*)")
_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Known:
    """A component by the names that others may know it by; without ``version`` it is of the draft itself."""

    name: str
    version: str | None
    also: frozenset[str]


def published(depot: Depot) -> tuple[Release, ...]:
    """Return the published releases of a depot, oldest first."""
    return tuple(
        depot.load_release(item.digest) for item in depot.releases() if depot.is_published(item.digest)
    )


def slug(text: str) -> str:
    """Return a name for a component that resembles ``text``."""
    return _ODD.sub("-", text.lower()).strip("-._")[:MAX_NAME] or "component"


def component_name(text: str, taken: Iterable[str], newest: Release | None) -> str:
    """Return the name of the component in a folder of this name: that of a published one, if it fits, or a new one.

    A published one fits if it has this name, or has it up to a version.
    """
    name = slug(text)
    match = _VERSIONED.fullmatch(name)
    known = {component.name for component in newest.components} if newest else set()
    if name not in known and match and match[1] in known:
        name = match[1]
    used, number = set(taken), 2
    found = name
    while found in used:
        found = f"{name[: MAX_NAME - 4]}-{number}"
        number += 1
    return found


def bump(version: str) -> str:
    """Return the version with its last number raised: 2026.11.1 becomes 2026.11.2, and 2.0-rc1 2.0-rc2."""
    match = _LAST_NUMBER.fullmatch(version)
    if match is None:
        return f"{version}.1"
    before, number, after = match[1], match[2], match[3]
    while longer := _LAST_NUMBER.fullmatch(after):
        before, number, after = before + number + longer[1], longer[2], longer[3]
    return f"{before}{int(number) + 1:0{len(number)}d}{after}"


def release_version(releases: Sequence[Release], name: str) -> str:
    """Return a version of the release that was not published yet."""
    used = [release.version for release in releases if release.name == name]
    return _free(used[-1], used) if used else FIRST


def component_version(releases: Sequence[Release], name: str, digest: str | None) -> tuple[str, str]:
    """Return a version for a component, and why; ``digest`` is that of its files, None if the gate refuses one."""
    used: dict[str, tuple[str, str]] = {}
    for release in releases:
        for component in release.components:
            if component.name == name:
                used.pop(component.version, None)
                used[component.version] = (component.digest, release.label)
    for version, (published_digest, label) in reversed(used.items()):
        if published_digest == digest:
            return version, f"the same files as in {label}"
    if not used:
        return FIRST, "new here"
    newest = next(reversed(used))
    return _free(newest, used), f"other files than {newest} in {used[newest][1]}"


def _free(version: str, used: Iterable[str]) -> str:
    found = bump(version)
    while found in used:
        found = bump(found)
    return found


def known_components(newest: Release | None) -> list[Known]:
    """Return the components of the newest release, to be found as parents."""
    return [Known(item.name, item.version, _also(item)) for item in (newest.components if newest else ())]


def _also(component: Component) -> frozenset[str]:
    source = component.source.get("repo") or component.source.get("path") or ""
    return frozenset({component.name, f"{component.name}-{component.version}", *names(str(source))})


def names(text: str) -> set[str]:
    """Return what a path or the name of a repository may be known by."""
    last = text.rstrip("/").rpartition("/")[2]
    return {slug(last)} if last else set()


def parent(base: Base, name: str, known: Iterable[Known]) -> dict[str, Any] | None:
    """Return the parent that a component ``name`` names, as a manifest states it, or None if nobody here is it.

    A component of the draft itself goes before one that was published.
    """
    wanted = names(base.reference)
    fitting = [item for item in known if item.name != name and item.also & wanted]
    if not fitting:
        return None
    found = min(fitting, key=lambda item: item.version is not None)
    version = {} if found.version is None else {"version": found.version}
    return {"component": found.name, **version, "relation": base.relation}
