"""What stands where in a tree that is served: content, text, pointers, by relative path (SPEC 8.7-3). Pure.

>>> from airlift.bundle.component.file_entry import FileEntry
>>> weights = FileEntry("a.bin", 3, "5" * 128, "2" * 64)
>>> sorted(checked({"blobs/x": Linked(weights), "now": Pointer("blobs/x")}))
['blobs/x', 'now']
"""

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.paths import check_no_collision, check_relative
from airlift.bundle.release import Release
from airlift.errors import LayoutError

MAX_READ = 64 << 20
"""The longest file, in bytes, that a form may read: configurations, templates, tokenizers."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A file of the release: a hard link to its content, or a copy where that cannot be."""

    entry: FileEntry


@dataclass(frozen=True, slots=True)
class Written:
    """A file that the form wrote itself."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """A file made of bytes and whole files of the release, one after the other: a second copy of these."""

    parts: tuple[bytes | FileEntry, ...]


@dataclass(frozen=True, slots=True)
class Pointer:
    """A symbolic link to another path of the tree, relative to the folder that it stands in."""

    target: str


Part = Linked | Written | Joined | Pointer
Plan = Mapping[str, Part]
"""What stands at each relative path; folders are those that the paths name."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a form lays out: components of a release, and what it may know of them.

    ``names`` maps a component to the name that it is served as, where the operator gave one. ``read`` returns the
    bytes of a file of at most :data:`MAX_READ` bytes; ``digest_joined`` the SHA-256 (hex) of a :class:`Joined` file
    and its size in bytes; ``head`` the first bytes of a file, at most as many as it is told, as they stand.
    """

    release: Release
    components: tuple[Component, ...]
    names: Mapping[str, str]
    read: Callable[[FileEntry], bytes]
    digest_joined: Callable[[Joined], tuple[str, int]]
    head: Callable[[FileEntry, int], bytes]


Form = Callable[[Subject], Plan]
"""A layout: it returns the same plan for the same subject."""


def merged(parts: Iterable[tuple[str, Part]]) -> Plan:
    """Return a plan of what stands where; one path may be named twice for the same thing.

    Raises:
        LayoutError: two different things would stand at one path.
    """
    plan: dict[str, Part] = {}
    for path, part in parts:
        if plan.setdefault(path, part) != part:
            raise LayoutError(
                f"two files would stand at {path}", hint="serve them under other names: --as COMPONENT=NAME"
            )
    return plan


def checked(plan: Plan) -> Plan:
    """Return a plan whose paths are portable, do not collide, and whose pointers lead to something in it.

    Raises:
        MalformedError: a path is not relative or not portable, or two collide.
        LayoutError: a pointer leads nowhere in the tree.
    """
    check_no_collision([check_relative(path) for path in plan])
    folders = {parent for path in plan for parent in _parents(path)}
    for path, part in plan.items():
        if isinstance(part, Pointer):
            to = posixpath.normpath(posixpath.join(posixpath.dirname(path), part.target))
            if posixpath.isabs(part.target) or (to not in plan and to not in folders):
                raise LayoutError(f"{path} of the layout points at nothing in it", found=ascii(part.target))
    return plan


def _parents(path: str) -> list[str]:
    """Return the folders above a path, the nearest first."""
    found = []
    while path := posixpath.dirname(path):
        found.append(path)
    return found
