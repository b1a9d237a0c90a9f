"""Find what a component was made from: the names that a person wrote become components by digest (SPEC 5.1-7)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.errors import ManifestError
from airlift.low.depot.depot import Depot


def find_parents(
    depot: Depot, item: Mapping[str, Any], components: Sequence[Component]
) -> tuple[Parent, ...]:
    """Return the parents that an authored component names.

    Without a version it is the component of that name in the same release. The digest is found in the same release
    first, then in the depot's releases, newest first; unknown ones are named without.

    Raises:
        ManifestError: a parent without version is not part of the release.
    """
    own = {component.name: component for component in components}
    found = []
    for authored in item.get("parents", ()):
        name = authored["component"]
        if "version" not in authored and name not in own:
            raise ManifestError(
                f"component {item['name']}: its parent {name!r} is not part of the release",
                expected="a component of this release, or a version",
            )
        version = authored.get("version") or own[name].version
        found.append(Parent(authored["relation"], name, version, _digest(depot, name, version, own.values())))
    return tuple(sorted(set(found)))


def _digest(depot: Depot, name: str, version: str, own: Iterable[Component]) -> str:
    for component in own:
        if (component.name, component.version) == (name, version):
            return component.digest
    for reference in reversed(depot.releases()):
        for component in depot.load_release(reference.digest).components:
            if (component.name, component.version) == (name, version):
                return component.digest
    return ""
