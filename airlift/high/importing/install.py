"""Install: move staged files into content and lay out the release's tree of hard links (SPEC 7.4).

Nothing here is visible to a model server, and nothing counts until the ledger's commit entry: recovery removes a tree
that the ledger does not know. Content that nobody refers to is harmless; a later run uses it, ``gc`` removes it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.apply import StagedRelease
from airlift.store.folders import building


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release whose tree stands complete at ``path``; it counts once the ledger says so."""

    release: Release
    path: Path


def install(enclave: Enclave, staged: StagedRelease) -> InstalledRelease:
    """Make a staged release complete on disk, durably, without activating it.

    Raises:
        ContentDamagedError: content that the release shares with older ones has vanished.
        StorageError: no space, I/O error.
    """
    for item in staged.built:
        enclave.content.adopt(staged.folder / item.sha512, item.sha512)
    return InstalledRelease(staged.release, _lay_out(enclave, staged.release))


def _lay_out(enclave: Enclave, release: Release) -> Path:
    """Build ``releases/<digest>/<component>/...`` from content; the tree must not exist yet."""
    final = enclave.release_path(release.digest)
    with building(final) as temporary:
        folders = {temporary}
        for component, entry in release.files():
            target = temporary / component.name / entry.path
            if target.parent not in folders:
                folders.add(files.make_folder(target.parent))
            _link(enclave.content.path(entry.sha512), target)
        for folder in folders:
            files.sync_folder(folder)
    return final


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ContentDamagedError("content has vanished", expected=str(source), found=os.fspath(target.name))
    files.link_durable(source, target)
