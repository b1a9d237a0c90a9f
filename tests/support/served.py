"""A release with its content, made of plain values: what layouts are tried on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.store.content import ContentFolder

PATH_SOURCE = {"kind": "path", "path": "somewhere"}


def entry_of(path: str, data: bytes) -> FileEntry:
    """Return how a manifest lists a file of these bytes."""
    return FileEntry(path, len(data), hashlib.sha512(data).hexdigest(), hashlib.sha256(data).hexdigest())


def component_of(name: str, kind: str, version: str, held: Mapping[str, bytes], **more: Any) -> Component:
    """Return a component of files given by path; ``more`` are other fields, ``source`` for instance."""
    listed = tuple(entry_of(path, data) for path, data in sorted(held.items()))
    return Component(
        name,
        kind,
        version,
        more.pop("license", "Apache-2.0"),
        more.pop("source", PATH_SOURCE),
        listed,
        **more,
    )


def release_of(*components: Component, version: str = "1") -> Release:
    """Return a release of these components."""
    ordered = tuple(sorted(components, key=lambda item: item.name))
    return Release("assistant", version, Marking("UNCLASSIFIED"), "", ordered, ())


def keep(folder: Path, *held: Mapping[str, bytes]) -> ContentFolder:
    """Return a folder of content in which all of these files lie."""
    content = ContentFolder(folder)
    for data in {data for part in held for data in part.values()}:
        path = content.path(hashlib.sha512(data).hexdigest())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)
    return content
