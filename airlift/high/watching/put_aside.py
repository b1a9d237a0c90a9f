"""Put volumes aside by one rename: what is bad with a reason, what was imported if that is asked for (SPEC 7.13-5).

Nothing is copied, deleted, or written to a volume.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift import files, strict
from airlift.errors import PermissionDeniedError, StorageError, UsageError
from airlift.high.watching.sights import Sight

REASON, VOLUME = "reason.json", "volume"
MAX_NAME = 64
STAMP_HEX = 12
_OTHERS = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Places:
    """The drop folder, where bad volumes go, and where imported ones go, if anywhere."""

    drop: Path
    quarantine: Path
    done: Path | None = None

    @property
    def inside(self) -> frozenset[str]:
        """The names in the drop folder that are no volumes, whatever they hold."""
        return frozenset(
            place.name for place in (self.quarantine, self.done) if place and place.parent == self.drop
        )


def check_places(places: Places) -> bool:
    """Check that volumes can be moved by a rename; return whether the drop folder is read-only.

    Raises:
        UsageError: a folder is on another mount than the drop folder, or is the drop folder.
        StorageError: a folder cannot be made.
    """
    read_only = not os.access(places.drop, os.W_OK | os.X_OK)
    for place, option in ((places.quarantine, "--quarantine"), (places.done, "--move-done")):
        if place is None or read_only:
            continue
        if places.drop.is_relative_to(place):
            raise UsageError(f"{place} holds the drop folder", hint=f"name a folder beside it: {option} DIR")
        files.make_folder(place)
        if _mount(place) != _mount(places.drop):
            raise UsageError(
                f"{place} is on another mount than {places.drop}: a volume cannot be moved there by a rename",
                expected=f"a folder on the mount of {places.drop}",
                hint=f"name one: {option} DIR; it may be in {places.drop}",
            )
    return read_only


def _mount(folder: Path) -> str:
    """Return what tells the mount of a folder from others: two mounts of one file system are two (rename(2))."""
    with files.reading(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            device = os.fstat(descriptor).st_dev
            return f"{device} {_mount_id(descriptor)}"
        finally:
            os.close(descriptor)


def _mount_id(descriptor: int) -> str:
    """Return Linux's number of the mount of an open file (proc(5), fdinfo); nothing where there is none."""
    try:
        text = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    except OSError:
        return ""
    return next((line for line in text.splitlines() if line.startswith("mnt_id:")), "")


def quarantine(places: Places, sight: Sight, reason: Mapping[str, Any]) -> tuple[Path, bool]:
    """Write why a volume is bad, then move it; return the folder of both, and whether it could be moved.

    Raises:
        StorageError: the reason cannot be written, or there is an I/O error.
    """
    folder = places.quarantine / place_name(sight)
    files.make_folder(folder)
    files.write_durable(folder / REASON, strict.format(dict(reason)))
    return folder, _move(places.drop / sight.name, folder / VOLUME)


def move_done(places: Places, sight: Sight) -> bool:
    """Move a volume that was imported to where such volumes go; say whether that was permitted."""
    if places.done is None:
        return False
    target = places.done / _safe(sight.name)
    if target.exists() or target.is_symlink() or target.name != sight.name:
        target = places.done / place_name(sight)
    return _move(places.drop / sight.name, target)


def place_name(sight: Sight) -> str:
    """Return the name of a volume's place: the same for the same volume as long as nothing in it changes."""
    digest = hashlib.sha256(os.fsencode(sight.name) + sight.stamp.encode()).hexdigest()
    return f"{_safe(sight.name)}-{digest[:STAMP_HEX]}"


def _safe(name: str) -> str:
    """Return a name as plain ASCII that is no hidden file's."""
    return _OTHERS.sub("_", name)[:MAX_NAME].lstrip(".") or "volume"


def _move(source: Path, target: Path) -> bool:
    """Rename a volume; say whether it is where it belongs, or gone."""
    try:
        files.rename_durable(source, target)
    except (PermissionDeniedError, StorageError):
        return not os.path.lexists(source)
    return True
