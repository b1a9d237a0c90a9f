"""Leftovers: what desktops leave on a medium that somebody only looked at, known by name alone (SPEC 6.4-7). Pure."""

import re

MAX_LEFTOVERS = 4096
MAX_FILE_BYTES = 4 << 20
MAX_BYTES = 64 << 20

_FILES = re.compile(
    r"\.ds_store|\._.+|\.apdisk|\.volumeicon\.icns|\.metadata_never_index|\.directory"
    r"|thumbs\.db|ehthumbs\.db|desktop\.ini"
)
_FOLDERS = re.compile(
    r"\.spotlight-v100|\.trashes|\.fseventsd|\.temporaryitems|\.documentrevisions-v100|\.trash(-[0-9]+)?"
    r"|system volume information|\$recycle\.bin|lost\+found"
)


def is_file(name: str) -> bool:
    """Say whether a desktop leaves files of this name, in any folder."""
    return name.isascii() and _FILES.fullmatch(name.lower()) is not None


def is_folder(name: str) -> bool:
    """Say whether a desktop leaves folders of this name, or files in their place, at the top of a medium."""
    return name.isascii() and _FOLDERS.fullmatch(name.lower()) is not None


def is_leftover(name: str) -> bool:
    """Say whether a desktop leaves anything of this name on a medium."""
    return is_file(name) or is_folder(name)
