"""Where the files of a commit lie in the local cache of Hugging Face (SPEC L2.10b).

``models--ORG--NAME/blobs/<digest>`` are the files, ``snapshots/<commit>/<path>`` links to them: the layout that
``huggingface_hub`` reads, so that what was fetched serves everything else on this machine, and the other way round.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import PermissionDeniedError, StorageError
from airlift.low.release.hub.proof import Listed

INCOMPLETE = ".airlift-incomplete"


@dataclass(frozen=True, slots=True)
class Cache:
    """The place of one commit in the cache."""

    folder: Path
    revision: str

    @property
    def files(self) -> Path:
        """The folder in which the files of the commit have their names."""
        return self.folder / "snapshots" / self.revision

    def pointer(self, listed: Listed) -> Path:
        """Return the link to a file, whether it is there or not."""
        return self.files / listed.path

    def blob(self, listed: Listed) -> Path:
        """Return where the bytes of a file lie, whether they are there or not."""
        return self.folder / "blobs" / listed.digest

    def partial(self, listed: Listed) -> Path:
        """Return where the bytes of a file are collected until it is whole."""
        return self.folder / "blobs" / f"{listed.digest}{INCOMPLETE}"

    def find(self, listed: Listed) -> Path | None:
        """Return the real path of a regular file of the listed size, if there is one; its bytes are not read."""
        for path in (self.pointer(listed), self.blob(listed)):
            with files.reading(path):
                if path.is_file() and path.stat().st_size == listed.size:
                    return path.resolve()
        return None

    def collected(self, listed: Listed) -> int:
        """Return how many bytes of a file were collected by earlier commands."""
        partial = self.partial(listed)
        with files.reading(partial):
            return partial.stat().st_size if partial.is_file() else 0

    def point(self, listed: Listed, real: Path) -> Path:
        """Let the link of a file lead to ``real``; return where the file lies then.

        A file system without links gets the file itself in the place of the link, as ``huggingface_hub`` does it.

        Raises:
            StorageError: the cache cannot be written.
        """
        pointer = self.pointer(listed)
        if pointer.exists() and pointer.resolve() == real.resolve():
            return real
        files.make_folder(pointer.parent)
        try:
            files.point_link(pointer, os.path.relpath(real, pointer.parent))
        except (PermissionDeniedError, StorageError):
            files.rename_durable(real, pointer)
            return pointer
        return real


def find_cache(folder: Path, repo: str, revision: str) -> Cache:
    """Return the place of a commit in the cache ``folder``."""
    return Cache(folder / "--".join(["models", *repo.split("/")]), revision)
