"""Say in lines for people what a release brings, beside what its metadata change says (SPEC 4.3)."""

from collections.abc import Iterator

from airlift.bundle.release import Component, Release


def describe(new: Release, old: Release | None) -> tuple[str, ...]:
    """Return what ``new`` is, component by component, against ``old`` (an earlier release of that name, if any)."""
    since = f", compared with {old.label}" if old else ""
    head = f"release {new.label}, marking {new.marking}, digest {new.digest}{since}"
    return (head, *_components(new, old), *_rest(new, old))


def _components(new: Release, old: Release | None) -> Iterator[str]:
    before = {component.name: component for component in old.components} if old else {}
    for component in new.components:
        known = before.pop(component.name, None)
        if known is None:
            yield f"component added: {_shown(component)}"
        elif known.digest != component.digest:
            yield f"component changed: {known.version} -> {_shown(component)}"
        elif (known.kind, known.version) != (component.kind, component.version):
            yield f"component relabelled: {known.kind} {known.version} -> {_shown(component)}"
        else:
            yield f"component unchanged: {component.name} {component.version}"
    for component in before.values():
        yield f"component removed: {component.name} {component.version}"


def _rest(new: Release, old: Release | None) -> Iterator[str]:
    if old and old.marking != new.marking:
        yield f"marking: {old.marking} -> {new.marking}"
    for requirement in new.requires:
        yield f"requires: {requirement.component} needs {requirement.needs} {requirement.version}"
    if old:
        for requirement in old.requires:
            if requirement not in new.requires:
                yield f"no longer requires: {requirement.component} needs {requirement.needs} {requirement.version}"


def _shown(component: Component) -> str:
    size = sum(entry.size for entry in component.files)
    return (
        f"{component.name} {component.version} ({component.kind}, {len(component.files)} files, {size:,} bytes, "
        f"digest {component.digest[:32]})"
    )
