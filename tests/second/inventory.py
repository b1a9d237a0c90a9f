"""What lies in a volume (6.4-2, 6.4-7): names, kinds and bounds, before anything is opened."""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from tests.second.errors import Refused, demand

FOLDERS = ("metadata", "manifests", "chunks")
FILES = ("LABEL.txt", "volume.json", "SHA256SUMS")

_FILE = re.compile(
    r"\.ds_store|\._.+|\.apdisk|\.volumeicon\.icns|\.metadata_never_index|\.directory|thumbs\.db|ehthumbs\.db|desktop\.ini",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_FOLDER = re.compile(
    r"\.spotlight-v100|\.trashes|\.fseventsd|\.temporaryitems|\.documentrevisions-v100|\.trash|\.trash-[0-9]+"
    r"|system volume information|\$recycle\.bin|lost\+found",
    re.IGNORECASE | re.ASCII,
)
_MOST_LEFTOVERS, _LEFTOVER, _LEFTOVERS = 4096, 4 << 20, 64 << 20


@dataclass(slots=True)
class Inventory:
    """Files by name, of a volume and of its folders, and the leftovers that were passed over."""

    files: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    leftover_bytes: int = 0


def take(volume: Path) -> Inventory:
    """List a volume.

    Returns:
        Size by path, relative to the volume.

    Raises:
        Refused: ``inventory-mismatch``, or ``unreadable``.
    """
    found = Inventory()
    device = _stat(volume, follow=True).st_dev
    for name in names(volume):
        status = _stat(volume / name)
        if name in FOLDERS:
            demand(stat.S_ISDIR(status.st_mode), f"{name} is no folder", "inventory-mismatch")
            demand(status.st_dev == device, f"{name} is a mount point", "inventory-mismatch")
            for inner in names(volume / name):
                _add(found, f"{name}/{inner}", _stat(volume / name / inner), device)
        else:
            _add(found, name, status, device)
    return found


def is_leftover(name: str) -> bool:
    """Tell by its name alone whether something beside volumes is a leftover."""
    return name.isascii() and bool(_FILE.fullmatch(name) or _FOLDER.fullmatch(name))


def names(folder: Path) -> list[str]:
    """List a folder.

    Raises:
        Refused: ``unreadable``.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise Refused("unreadable", f"{folder}: {error.strerror}") from None


def read(path: Path, limit: int) -> bytes:
    """Read a file of a bounded size.

    Raises:
        Refused: ``unreadable``, or ``inventory-mismatch`` if it is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Refused("unreadable", f"{path}: {error.strerror}") from None
    demand(len(data) <= limit, f"{path.name} is too large", "inventory-mismatch")
    return data


def _stat(path: Path, *, follow: bool = False) -> os.stat_result:
    try:
        return path.stat() if follow else path.lstat()
    except OSError as error:
        raise Refused("unreadable", f"{path}: {error.strerror}") from None


def _add(found: Inventory, path: str, status: os.stat_result, device: int) -> None:
    folder, _, name = path.rpartition("/")
    demand(status.st_dev == device, f"{path} is a mount point", "inventory-mismatch")
    kind = status.st_mode
    file = name.isascii() and _FILE.fullmatch(name)
    either = name.isascii() and not folder and _FOLDER.fullmatch(name)
    if (stat.S_ISREG(kind) and (file or either)) or (stat.S_ISDIR(kind) and either):
        found.leftovers.append(path)
        size = status.st_size if stat.S_ISREG(kind) else 0
        found.leftover_bytes += size
        few = len(found.leftovers) <= _MOST_LEFTOVERS and found.leftover_bytes <= _LEFTOVERS
        demand(few and size <= _LEFTOVER, f"{path} is too much of a leftover", "inventory-mismatch")
        return
    declared = bool(folder) or name in FILES
    demand(stat.S_ISREG(kind) and declared, f"{path} is not declared", "inventory-mismatch")
    found.files[path] = status.st_size
