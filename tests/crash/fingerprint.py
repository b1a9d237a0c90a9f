"""Knows the state of a folder again, so that what was judged once is not judged again."""

import hashlib
import os
import re
import struct
from pathlib import Path

RANDOM = re.compile(r"\.tmp-[0-9a-f]{16}\b")
_HEADER = struct.Struct(">8sIIIII")
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
    """Return the bytes of a file; of a journal, and of digests that were kept by inode, what tells states apart."""
    data = path.read_bytes()
    if path.name.endswith(".db-journal"):
        return _journal(data)
    return re.sub(rb"\d|run-\w+", b"", data) if path.name in {"verified.json", "log.jsonl"} else data


def _journal(data: bytes) -> bytes:
    """Return the pages that a journal gives back, without what is random in it: the nonce, and the sums made with it.

    SQLite goes by the first bytes: one that was not finished counts for nothing.
    """
    if not data.startswith(_JOURNAL) or len(data) < _HEADER.size:
        return b""
    _, count, nonce, size, sector, page = _HEADER.unpack_from(data)
    found = [b"%d %d %d %d" % (count, size, sector, page)]
    for start in range(sector, len(data) - page - 7, page + 8):
        number, total = data[start : start + 4 + page], int.from_bytes(data[start + 4 + page :][:4], "big")
        expected = nonce + sum(number[4:][page - 200 : 0 : -200])
        found.append(number + (b"good" if total == expected & 0xFFFFFFFF else b"bad"))
    return b"".join(found)


def _steady(name: str) -> str:
    return RANDOM.sub(".tmp-", name)
