"""The system calls that change a folder, and how one of them is recognised in another run."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.crash.fingerprint import RANDOM

CHANGING = {
    # name: number on x86-64, and its arguments: d descriptor, a descriptor of the folder of the next path, p path
    "write": (1, "d"),
    "open": (2, "p"),
    "ioctl": (16, "d"),
    "pwrite64": (18, "d"),
    "writev": (20, "d"),
    "sendfile": (40, "d"),
    "flock": (73, "d"),
    "fsync": (74, "d"),
    "fdatasync": (75, "d"),
    "truncate": (76, "p"),
    "ftruncate": (77, "d"),
    "rename": (82, "pp"),
    "mkdir": (83, "p"),
    "rmdir": (84, "p"),
    "creat": (85, "p"),
    "link": (86, "pp"),
    "unlink": (87, "p"),
    "symlink": (88, ".p"),
    "chmod": (90, "p"),
    "fchmod": (91, "d"),
    "chown": (92, "p"),
    "fchown": (93, "d"),
    "setxattr": (188, "p"),
    "fsetxattr": (190, "d"),
    "openat": (257, "ap"),
    "mkdirat": (258, "ap"),
    "unlinkat": (263, "ap"),
    "renameat": (264, "apap"),
    "linkat": (265, "apap"),
    "symlinkat": (266, ".ap"),
    "fchmodat": (268, "ap"),
    "splice": (275, "..d"),
    "sync_file_range": (277, "d"),
    "utimensat": (280, "ap"),
    "fallocate": (285, "d"),
    "pwritev": (296, "d"),
    "renameat2": (316, "apap"),
    "copy_file_range": (326, "..d"),
    "pwritev2": (328, "d"),
}
NAMES = {number: name for name, (number, _) in CHANGING.items()}
OPENING = {"open": 1, "openat": 2}
"""Which argument holds the flags."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
REQUESTS = {
    0x40049409: "FICLONE",
    0x4020940D: "FICLONERANGE",
    0x40305828: "_IOC(_IOC_WRITE, 0x58, 0x28, 0x30)",  # FS_IOC_RESVSP
}
"""Of ioctl, as strace tells them: those that share blocks, or set them aside."""
LENGTHS = {"write": 2, "pwrite64": 2}
"""Which argument says how many bytes are written."""
_NAMELESS = re.compile(r"/#\d+")
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{32,}")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call of a run: the ``ordinal``-th of its name in its thread, from 1; thread 0 is the first.

    ``place`` is what it works on, relative to the folder of the run; empty if the call does not change that.
    ``length`` is how many bytes it was to write, 0 for other calls.
    """

    name: str
    thread: int
    ordinal: int
    place: str = ""
    length: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A call to be spoilt: the ``repeat``-th (from 1) of this name at this place, by whichever thread.

    ``ordinal`` is set where no other thread than the first may make as many calls of this name, so that it alone
    identifies the call.
    """

    name: str
    place: str
    repeat: int
    length: int
    ordinal: int | None

    def __str__(self) -> str:
        """Return how it is called in messages."""
        return f"{self.name} {self.place} ({self.repeat})"


def changes(name: str, arguments: Sequence[int]) -> bool:
    """Say whether a call with these arguments may change what it works on."""
    if name in OPENING:
        return bool(arguments[OPENING[name]] & WRITING)
    return name != "ioctl" or arguments[1] & 0xFFFFFFFF in REQUESTS


def place_of(paths: Iterable[str], top: str) -> str:
    """Return the paths that are ``top`` or below it, relative to it, without what differs between runs."""
    found = [os.path.relpath(path, top) for path in paths if f"{path}/".startswith(f"{top}/")]
    return steady(" ".join(found))


def steady(text: str) -> str:
    """Return a text without random names, digests (signatures are random) and what nameless files are shown as."""
    return _NAMELESS.sub("/#", _DIGEST.sub("DIGEST", RANDOM.sub(".tmp-", text)))


def points(calls: Sequence[Call]) -> list[Point]:
    """Return the calls of a run that change its folder."""
    most = Counter[str]()
    for call in calls:
        if call.thread:
            most[call.name] = max(most[call.name], call.ordinal)
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for call in calls:
        if call.place:
            seen[call.name, call.place] += 1
            alone = not call.thread and call.ordinal > most[call.name]
            ordinal = call.ordinal if alone else None
            repeat = seen[call.name, call.place]
            found.append(Point(call.name, call.place, repeat, call.length, ordinal))
    return found
