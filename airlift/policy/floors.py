"""Floors: no activation below a version, by the name of a component or by kind (SPEC 8.2-8 to 8.2-10). Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from airlift.bundle.component import source
from airlift.bundle.component.component import KINDS, Component
from airlift.bundle.release import Release
from airlift.errors import FloorError, ManifestError, UsageError
from airlift.policy.document import KIND_PREFIX
from airlift.policy.ruling import FLOOR, Ruling
from airlift.policy.versions import is_below


def check_name(name: str) -> str:
    """Return ``name`` if a floor can be for it: a name, or ``kind:KIND``.

    Raises:
        UsageError: it names no kind.
    """
    kind = name.removeprefix(KIND_PREFIX)
    if kind != name and kind not in KINDS:
        raise UsageError("there is no such kind", expected=", ".join(KINDS), found=ascii(kind[:40]))
    return name


def higher(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return the floors that hold if both do: of two for one name the higher, sorted by name.

    Raises:
        ManifestError: a floor cannot be compared.
    """
    found = dict(one)
    for name, version in other.items():
        if name not in found or is_below(found[name], version):
            found[name] = version
    return dict(sorted(found.items()))


def unanswered(release: Release, floors: Iterable[str]) -> bool:
    """Say whether nothing in a release is meant by one of these floors, so that the releases before it matter."""
    return any(not name.startswith(KIND_PREFIX) and not _bound(release, name) for name in floors)


def floor_rulings(
    release: Release, floors: Mapping[str, str], known: Collection[Release]
) -> Iterator[Ruling]:
    """Yield what floors say of a release; ``known`` are the imported ones, which tell what kind a name was of."""
    for name, floor in floors.items():
        bound = _bound(release, name)
        yield from (_judge(component, name, floor) for component in bound)
        yield from _made_of(release, name, floor)
        if not bound and not name.startswith(KIND_PREFIX):
            yield from (
                Ruling.against(FLOOR, f"component {name}", error)
                for error in _renamed(release, name, floor, known)
            )


def _bound(release: Release, name: str) -> list[Component]:
    """Return the components that a floor is for."""
    kind = name.removeprefix(KIND_PREFIX)
    if kind != name:
        return [component for component in release.components if component.kind == kind]
    return [component for component in release.components if _means(name, component)]


def _means(name: str, component: Component) -> bool:
    """Say whether a floor by name is for a component: a variant is meant by its own name, too (SPEC 5.7-3)."""
    return component.answers_to(name) or component.name == name


def _judge(component: Component, name: str, floor: str) -> Ruling:
    whose = "its" if name == component.name else f"the {_describe(name)}"
    below, why = _is_below(component.version, floor)
    message, expected = f"component {component.name} is below {whose} floor", f">= {floor}"
    if why:
        message = f"component {component.name} has a floor{why}"
    refusal = FloorError(message, expected=expected, found=component.version) if below else None
    return Ruling(FLOOR, f"component {component.name}", expected, component.version, refusal)


def _made_of(release: Release, name: str, floor: str) -> Iterator[Ruling]:
    """Yield what a floor says of what was trained inside of a parent with that name (SPEC 8.6-6)."""
    for component in release.components:
        for parent in component.parents if source.is_registered(component.source) else ():
            if parent.name == name:
                below, why = _is_below(parent.version, floor)
                message = f"component {component.name} was made of {name}, which is below its floor{why}"
                found = f"{parent.name} {parent.version}"
                refusal = FloorError(message, expected=f">= {floor}", found=found) if below else None
                yield Ruling(FLOOR, f"component {component.name}", f">= {floor}", found, refusal)


def _is_below(version: str, floor: str) -> tuple[bool, str]:
    """Say whether a version is below a floor; one that does not compare is, and why is added."""
    try:
        return is_below(version, floor), ""
    except ManifestError as error:
        return True, f": {error.message}"


def _renamed(release: Release, name: str, floor: str, known: Collection[Release]) -> Iterator[FloorError]:
    """Yield each component that seems to have taken the place of ``name`` without saying so (SPEC 8.2-9)."""
    before = [item.components for item in known if any(_means(name, part) for part in item.components)]
    meant = [part for parts in before for part in parts if _means(name, part)]
    alone = any(part.variant is not None and part.name == name for part in meant)  # one form of it, not all

    def called(part: Component) -> str:
        return part.name if alone else part.folder

    kinds, answered = {part.kind for part in meant}, {called(part) for part in meant}
    beside = {called(part) for parts in before for part in parts} - answered
    for component in release.components:
        if component.kind in kinds and called(component) not in beside and not _comes_from(component, name):
            how = "replaces it no more" if called(component) in answered else "is new"
            yield FloorError(
                f"component {name} has a floor and is not in the release, where {component.name} of its kind {how}",
                expected=f"{name} >= {floor}, or `replaces: [{name}]` in {component.name}",
                found=f"{component.name} {component.version}",
            )


def _comes_from(component: Component, name: str) -> bool:
    """Say whether a component was trained inside, and of one with this name: of that its floor judges the version."""
    return source.is_registered(component.source) and any(parent.name == name for parent in component.parents)


def _describe(name: str) -> str:
    kind = name.removeprefix(KIND_PREFIX)
    return f"{kind}s'" if kind != name else f"{name}'s"
