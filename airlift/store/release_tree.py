"""Release trees: a release as the folders that are read, ``<folder>/<path>``, of hard links into content."""

import os
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError
from airlift.store.content import ContentFolder
from airlift.store.whole_folders import building


def lay_out(content: ContentFolder, place: Path, release: Release) -> Path:
    """Build the tree of a release, in a choice, at ``place``, where nothing may stand yet; it appears whole, durably.

    Raises:
        ContentDamagedError: content of the release has vanished.
        StorageError: it cannot be written.
    """
    with building(place) as temporary:
        folders = {temporary}
        for component, entry in release.files():
            target = temporary / component.folder / entry.path
            if target.parent not in folders:
                folders.add(files.make_folder(target.parent))
            _link(content.path(entry.sha512), target)
        for folder in folders:
            files.sync_folder(folder)
    return place


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ContentDamagedError("content has vanished", expected=str(source), found=os.fspath(target.name))
    files.link_durable(source, target)
