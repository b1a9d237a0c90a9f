"""Describe a release in lines for people who are asked to sign it (SPEC 4.3)."""

from collections.abc import Iterator

from airlift.bundle import piece_table
from airlift.bundle.component.component import Component
from airlift.bundle.difference import RELABELLED, UNCHANGED, compare_releases
from airlift.bundle.release import Release
from airlift.bundle.remarks import of_component


def describe_release(new: Release, old: Release | None) -> tuple[str, ...]:
    """Return what ``new`` is, component by component, against ``old`` (an earlier release of that name, if any)."""
    since = f", compared with {old.label}" if old else ""
    head = f"release {new.label}, marking {new.marking}, digest {new.digest}{since}"
    return (head, *_components(new, old), *_rest(new, old))


def _components(new: Release, old: Release | None) -> Iterator[str]:
    for item in compare_releases(new, old):
        before, after = item.before, item.after
        if after is None:
            yield f"component removed: {item.name} {before.version if before else ''}"
        elif before is None:
            yield f"component added: {after.name} {_shown(after)}"
        elif item.change == UNCHANGED:
            yield f"component unchanged: {after.name} {after.version}"
        else:
            kind = f", {before.kind}" if item.change == RELABELLED else ""
            yield f"component {item.change}: {after.name} {before.version}{kind} -> {_shown(after)}"
        yield from _remarks(before, after)


def _remarks(old: Component | None, new: Component | None) -> Iterator[str]:
    """Yield what else is to be told of a component, also of one that did not change: who signs, signs for it."""
    before = tuple(of_component(old)) if old else ()
    after = tuple(of_component(new)) if new else ()
    for remark in after:
        yield f"  {'new: ' if old and remark not in before else ''}{remark}"
    for remark in before if new else ():
        if remark not in after:
            yield f"  no longer: {remark}"


def _rest(new: Release, old: Release | None) -> Iterator[str]:
    if new.pieces:
        count = piece_table.length(new) // piece_table.DIGEST_BYTES
        yield f"pieces: {count}, of {len(new.large_contents())} large contents, table {new.pieces[:32]}"
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
        f"{component.version} ({component.kind}, {len(component.files)} files, {size:,} bytes, "
        f"digest {component.digest[:32]})"
    )
