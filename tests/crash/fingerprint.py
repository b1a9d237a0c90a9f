"""Knows the state of a folder again, so that what was judged once is not judged again."""

import hashlib
import os
import re
from pathlib import Path

RANDOM = re.compile(r"\.tmp-[0-9a-f]{16}\b")
_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a journal begins with once it is whole (https://sqlite.org/fileformat2.html#the_rollback_journal)."""


def fingerprint(top: Path) -> bytes:
    """Return a digest of a tree: names (but what is random in them), links, hard links, modes and bytes."""
    found, files = hashlib.sha256(), dict[int, int]()
    for folder, folders, names in os.walk(top):
        folders.sort(key=_steady)
        found.update(f"folder {_steady(os.path.relpath(folder, top))}\0".encode())
        for path in sorted(
            (Path(folder, name) for name in (*names, *folders)), key=lambda path: _steady(path.name)
        ):
            status = path.lstat()
            number = files.setdefault(status.st_ino, len(files))
            found.update(f"{_steady(path.name)} {status.st_mode:o} {number}\0".encode())
            if path.is_symlink():
                found.update(os.fsencode(path.readlink()) + b"\0")
            elif path.is_file():
                found.update(hashlib.sha256(_what_counts(path)).digest())
    return found.digest()


def _what_counts(path: Path) -> bytes:
    """Return the bytes of a file; of a journal that was not finished, nothing: SQLite goes by its first byte."""
    data = path.read_bytes()
    return b"" if path.name.endswith(".db-journal") and not data.startswith(_JOURNAL) else data


def _steady(name: str) -> str:
    return RANDOM.sub(".tmp-", name)
