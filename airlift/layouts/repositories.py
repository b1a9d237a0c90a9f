"""Repositories of a hub: which components are served as which revision of which (SPEC 8.7.2). Pure.

>>> from airlift.bundle.release import FileEntry
>>> lfs_pointer(FileEntry("model.safetensors", 4, "5" * 128, "2" * 64))
('b6e64bfb943fadbe8900938766f29813186468ab', 126)
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import LayoutError
from airlift.layouts.plan import Subject

MAIN = "main"
COMMIT_HEX = 40

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_PART}(?:/{_PART})?\Z")
_REVISION = re.compile(rf"{_PART}\Z")
_COMMIT = re.compile(rf"[0-9a-f]{{{COMMIT_HEX}}}\Z")
_OTHER_NAME = "serve it under another name: --as COMPONENT=ORG/NAME, or ORG/NAME:REVISION"


@dataclass(slots=True)
class Repository:
    """A repository: ``group`` is ``models`` or ``datasets``, ``name`` is ``ORG/NAME`` or ``NAME``.

    ``commits`` maps each commit (40 hex digits) to its files by path, ``revisions`` the name of a revision to its
    commit.
    """

    group: str
    name: str
    commits: dict[str, dict[str, FileEntry]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)


def repositories(subject: Subject) -> tuple[Repository, ...]:
    """Return the repositories that components are served as, sorted by group and name.

    Raises:
        LayoutError: a name is none of a repository, or two things would be served as one.
    """
    found: dict[tuple[str, str], Repository] = {}
    for component in subject.components:
        group = "datasets" if component.kind == "data" else "models"
        name, revision = _served_as(component, subject)
        repository = found.setdefault((group, name), Repository(group, name))
        _add(repository, component, revision)
    return tuple(repository for _, repository in sorted(found.items()))


def lfs_pointer(entry: FileEntry) -> tuple[str, int]:
    """Return what stands in git for a file that is kept by LFS: the id of the pointer's blob, and its size in bytes.

    Source: git-lfs, docs/spec.md, "The Pointer".
    """
    text = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry.sha256}\nsize {entry.size}\n".encode()
    )
    blob = b"blob %d\0%s" % (len(text), text)
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest(), len(text)


def up(path: str) -> str:
    """Return the way from the folder in which a relative path lies up to where the path begins."""
    return "../" * path.count("/")


def each_file(repository: Repository) -> Iterator[tuple[str, FileEntry]]:
    """Yield every file of a repository with its commit, sorted by both."""
    for commit, held in sorted(repository.commits.items()):
        for _, entry in sorted(held.items()):
            yield commit, entry


def _add(repository: Repository, component: Component, revision: str) -> None:
    commit = _commit(component)
    if repository.revisions.setdefault(revision, commit) != commit:
        raise LayoutError(
            f"two components would be revision {revision} of {repository.name}",
            found=f"{component.folder}, and one before it",
            hint=_OTHER_NAME,
        )
    held = repository.commits.setdefault(commit, {})
    for entry in component.files:
        if held.setdefault(entry.path, entry) != entry:
            raise LayoutError(
                f"two files would stand at {entry.path} of {repository.name}",
                found=f"one of {component.folder}, and one of a component before it",
                hint=_OTHER_NAME,
            )


def _served_as(component: Component, subject: Subject) -> tuple[str, str]:
    """Return the name of the repository that a component is served as, and that of the revision."""
    hub = _hub(component)
    default = hub["repo"] if hub else f"{subject.release.name}/{component.folder}"
    name, colon, revision = subject.names.get(component.folder, default).partition(":")
    if not _NAME.match(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise LayoutError(
            f"{component.folder} cannot be served as this repository",
            expected="ORG/NAME of letters, digits and ._-, without -- and .., no . or - at either end, no .git",
            found=ascii(name[:100]),
            hint=_OTHER_NAME,
        )
    if colon and (not _REVISION.match(revision) or _COMMIT.match(revision)):
        raise LayoutError(
            f"{component.folder} cannot be served as this revision",
            expected="letters, digits and ._-, and not 40 hex digits",
            found=ascii(revision[:100]),
            hint=_OTHER_NAME,
        )
    return name, revision or MAIN


def _commit(component: Component) -> str:
    """Return the commit that a component's files are served as."""
    revision: str = _hub(component).get("revision", "")
    return revision if _COMMIT.match(revision) else component.digest[:COMMIT_HEX]


def _hub(component: Component) -> Mapping[str, str]:
    """Return the hub that a component came from, perhaps through enclaves; nothing if it came from none."""
    first = sources.first(component.source)
    return first if first.get("kind") == sources.HUB else {}
