"""``hf-cache``: what ``huggingface_hub`` finds without a network where ``HF_HUB_CACHE`` leads (SPEC 8.7.2)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from airlift import strict
from airlift.bundle.component.file_entry import FileEntry
from airlift.layouts.plan import Linked, Part, Plan, Pointer, Subject, Written, merged
from airlift.layouts.repositories import Repository, each_file, lfs_pointer, repositories, up

TREE_FORMAT = 1
TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by airlift: a release, laid out as a cache of huggingface_hub. Backups may leave it out.
"""
"""What says that a folder is a cache; the first line is given. Source: Cache Directory Tagging Specification."""


def lay_out(subject: Subject) -> Plan:
    """Return blobs by SHA-256, commits as links to them, and what names a revision leads to.

    Raises:
        LayoutError: a component cannot be served as a repository, or two as one.
    """
    return merged(_parts(subject))


def _parts(subject: Subject) -> Iterator[tuple[str, Part]]:
    yield "CACHEDIR.TAG", Written(TAG)
    for repository in repositories(subject):
        top = "--".join([repository.group, *repository.name.split("/")])
        for commit, entry in each_file(repository):
            yield f"{top}/blobs/{entry.sha256}", Linked(replace(entry, path=entry.sha256))
            yield (
                f"{top}/snapshots/{commit}/{entry.path}",
                Pointer(f"{up(entry.path)}../../blobs/{entry.sha256}"),
            )
        for revision, commit in repository.revisions.items():
            yield f"{top}/refs/{revision}", Written(commit.encode())
        for commit in repository.commits:
            yield f"{top}/trees/{commit}.json", Written(_tree(repository, commit))


def _tree(repository: Repository, commit: str) -> bytes:
    """Return the list of a commit's files, by which the library tells whether all are there."""
    listed = {path: _listed(entry) for path, entry in repository.commits[commit].items()}
    return strict.format({"format_version": TREE_FORMAT, "files": listed})


def _listed(entry: FileEntry) -> dict[str, Any]:
    return {
        "size": entry.size,
        "blob_id": lfs_pointer(entry)[0],
        "lfs_sha256": entry.sha256,
        "lfs_size": entry.size,
    }
