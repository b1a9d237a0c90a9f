"""Release trees: a release as the folders that are read, ``<folder>/<path>``, of hard links into content."""

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
    with building(place) as temporary, files.naming() as names:
        made = {str(temporary)}
        for component, entry in release.files():
            target = f"{temporary}/{component.folder}/{entry.path}"
            _make_folder(target.rpartition("/")[0], made, names)
            if not content.has(entry.sha512):
                raise _vanished(content.path(entry.sha512), target)
            names.link(content.place(entry.sha512), target)
    return place


def _make_folder(folder: str, made: set[str], names: files.Names) -> None:
    """Make a folder with those that it lies in, unless they were made."""
    if folder not in made:
        _make_folder(folder.rpartition("/")[0], made, names)
        names.make_folder(folder)
        made.add(folder)


def _vanished(source: Path, target: str) -> ContentDamagedError:
    return ContentDamagedError("content has vanished", expected=str(source), found=target.rpartition("/")[2])
