"""What keeps a command in bounds: namespaces and limits, by the tools of util-linux (SPEC 7.10-2).

``unshare`` gives it a network of its own with nothing in it, its own processes, which all end with it, and its own
view of the file system, in which everything but one scratch folder is read-only, and /run, where services have their
sockets, is empty; ``prlimit`` bounds its memory, files and processes. Where the kernel or the machine lacks
namespaces, the limits remain; what was enforced is told.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TIME, MEMORY, PROCESSES = "time", "memory", "processes"
OFFLINE, READ_ONLY, ENDS = "offline", "read-only", "ends with all its processes"
MAX_FILE_BYTES = 1 << 30
TRIAL_SECONDS = 30

_SCRIPT = """\
set -e
scratch=$1
shift
mount --bind "$scratch" "$scratch"
case $scratch/:$PWD/ in
  /run/*|*:/run/*) ;;
  *) [ ! -d /run ] || mount -t tmpfs -o ro,nosuid,nodev,noexec,size=4k none /run ;;
esac
while read -r _ _ _ _ point _; do
  point=$(printf '%b' "$point")
  [ "$point" = "$scratch" ] || mount -o remount,bind,ro "$point" 2>/dev/null || :
done < /proc/self/mountinfo
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""
_NAMESPACES = (
    "--user", "--map-root-user", "--net", "--ipc", "--pid", "--mount", "--propagation", "private", "--fork",
    "--mount-proc", "--kill-child=KILL",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a command may take: seconds, bytes of memory for each process, and processes."""

    seconds: int
    memory: int
    processes: int


@dataclass(frozen=True, slots=True)
class Confined:
    """A command line that is confined, and what is enforced by it."""

    argv: tuple[str, ...]
    enforced: tuple[str, ...]


def confine(argv: tuple[str, ...], bounds: Bounds, scratch: Path) -> Confined:
    """Return the command line that runs ``argv`` offline and in bounds; only ``scratch`` can be written."""
    limited = (*_limits(bounds), *argv)
    counted = (
        (PROCESSES,) if os.getuid() and shutil.which("prlimit") else ()
    )  # the kernel never counts root's
    bounded = (TIME, *((MEMORY,) if shutil.which("prlimit") else ()), *counted)
    if not has_namespaces():
        return Confined(limited, bounded)
    return Confined(_unshared(limited, scratch), (*bounded, OFFLINE, READ_ONLY, ENDS))


@lru_cache(maxsize=1)
def has_namespaces() -> bool:
    """Say whether this machine lets a command have a network, processes and a file system of its own: by a trial."""
    probe = '! touch "$0" 2>/dev/null && touch "$1" && [ "$(grep -c : /proc/net/dev)" = 1 ]'
    with tempfile.TemporaryDirectory(prefix="airlift-") as place:
        scratch = Path(place).resolve() / "scratch"
        scratch.mkdir()
        argv = ("sh", "-c", probe, str(scratch.parent / "outside"), str(scratch / "inside"))
        try:
            tried = subprocess.run(  # noqa: S603 - our own words
                _unshared(argv, scratch),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return tried.returncode == 0


def _limits(bounds: Bounds) -> tuple[str, ...]:
    if shutil.which("prlimit") is None:
        return ()
    return (
        "prlimit", f"--as={bounds.memory}", f"--nproc={bounds.processes}", f"--fsize={MAX_FILE_BYTES}", "--core=0",
        "--",
    )  # fmt: skip


def _unshared(argv: tuple[str, ...], scratch: Path) -> tuple[str, ...]:
    return ("unshare", *_NAMESPACES, "--", "sh", "-c", _SCRIPT, "confined", str(scratch), *argv)
