"""Compare two releases by their manifests: which components and files were added, removed or changed (SPEC 9.13)."""

from collections.abc import Iterator
from dataclasses import dataclass

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release

ADDED, REMOVED, CHANGED, RELABELLED, UNCHANGED, RENAMED = (
    "added", "removed", "changed", "relabelled", "unchanged", "renamed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileChange:
    """What became of a file: ``change`` is added, removed, changed, or renamed (same content under another path)."""

    change: str
    before: FileEntry | None
    after: FileEntry | None

    @property
    def path(self) -> str:
        """The path that it has now, or had."""
        entry = self.after or self.before
        return entry.path if entry else ""


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """What became of a component: added, removed, changed, unchanged, or relabelled: other version, same content."""

    change: str
    before: Component | None
    after: Component | None
    files: tuple[FileChange, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        component = self.after or self.before
        return component.name if component else ""


def compare_releases(new: Release, old: Release | None) -> tuple[ComponentChange, ...]:
    """Return what ``new`` changes, component by component: its own in manifest order, then those that are gone."""
    before = {component.name: component for component in old.components} if old else {}
    own = [_component(component, before.pop(component.name, None)) for component in new.components]
    return (*own, *(ComponentChange(REMOVED, gone, None) for gone in before.values()))


def _component(new: Component, old: Component | None) -> ComponentChange:
    if old is None:
        return ComponentChange(ADDED, None, new)
    if old.digest != new.digest:
        return ComponentChange(CHANGED, old, new, tuple(_files(new, old)))
    same = (old.kind, old.version) == (new.kind, new.version)
    return ComponentChange(UNCHANGED if same else RELABELLED, old, new)


def _files(new: Component, old: Component) -> Iterator[FileChange]:
    before = {entry.path: entry for entry in old.files}
    paths = {entry.path for entry in new.files}
    moved = {entry.sha512: entry for entry in old.files if entry.path not in paths}
    for entry in new.files:
        known = before.pop(entry.path, None)
        if known is None and entry.sha512 in moved:
            source = moved.pop(entry.sha512)
            before.pop(source.path, None)
            yield FileChange(RENAMED, source, entry)
        elif known is None:
            yield FileChange(ADDED, None, entry)
        elif known.sha512 != entry.sha512:
            yield FileChange(CHANGED, known, entry)
    for gone in before.values():
        if gone.path not in paths:
            yield FileChange(REMOVED, gone, None)
