"""Blobs: files that are named by their SHA-256, as stores and registries keep them. Pure.

>>> blob_of_data(b"{}").digest[:8]
'44136fa3'
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from airlift import strict
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import LayoutError
from airlift.layouts.plan import Joined, Linked, Part, Plan, Written


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a store: its SHA-256 (hex), its size in bytes, and what stands there."""

    digest: str
    size: int
    part: Part


def blob_of_file(entry: FileEntry) -> Blob:
    """Return a file of the release, as it is."""
    return Blob(entry.sha256, entry.size, Linked(replace(entry, path=entry.sha256)))


def blob_of_data(data: bytes) -> Blob:
    """Return what a form wrote itself."""
    return Blob(hashlib.sha256(data).hexdigest(), len(data), Written(data))


def blob_of_document(document: Any) -> Blob:
    """Return canonical JSON of plain values."""
    return blob_of_data(strict.format(document))


def blob_of_joined(joined: Joined, digested: tuple[str, int]) -> Blob:
    """Return a joined file, of which SHA-256 (hex) and size are known."""
    return Blob(*digested, joined)


def stored(blobs: Iterable[Blob], prefix: str) -> Plan:
    """Return where blobs lie: each once, under ``prefix`` and its digest, as a file of the release if it is one."""
    plan: dict[str, Part] = {}
    for blob in blobs:
        path = f"{prefix}{blob.digest}"
        if path not in plan or isinstance(blob.part, Linked):
            plan[path] = blob.part
    return plan


def check_distinct(names: Iterable[tuple[str, str]]) -> None:
    """Check that no two things are served as one name; ``names`` are pairs of that name and what is served.

    Raises:
        LayoutError: two are.
    """
    owners: dict[str, str] = {}
    for name, owner in names:
        other = owners.setdefault(name, owner)
        if other != owner:
            raise LayoutError(
                f"{other} and {owner} would both be served as {name}",
                hint="serve one under another name (--as COMPONENT=NAME), or leave it out (--component)",
            )
