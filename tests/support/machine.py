"""A real systemd as the first process of a machine within this one: own processes, mounts, groups and network.

Nothing that it does is seen outside: what it writes to /etc, /usr/local, /run, /srv and /var lies in memory, and is
gone with it. It starts what a test tells it to, and no unit of this machine but the journal and, if asked, the bus.
Where the kernel or a container forbids such a machine, tests skip: there is nothing to install.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.arch.tree import ROOT
from tests.conftest import find_tool, lacking

SYSTEMD = Path("/lib/systemd/systemd")
SHIPPED = Path("/lib/systemd/system")
OURS = (
    "systemd-journald.service",
    "systemd-journald.socket",
    "dbus.service",
    "dbus.socket",
    "polkit.service",
)
EMPTY = ("basic", "sysinit", "shutdown", "sockets", "paths", "multi-user", "network", "local-fs")
"""Targets that units want and that mean nothing here."""
UNIT_PATH = "/etc/systemd/system"
PATIENCE = 120.0
SECONDS = 120
IN_MEMORY = ("/etc", "/usr/local", "/var")

BOOT = """\
set -e
mount -t tmpfs -o mode=755 tmpfs {over}
cover() {{
    mkdir -p "{over}/$1.upper" "{over}/$1.work"
    chmod --reference="$2" "{over}/$1.upper"
    mount -t overlay -o "lowerdir=$2,upperdir={over}/$1.upper,workdir={over}/$1.work" overlay "$2"
}}
{covers}
mount -t tmpfs -o mode=755 tmpfs /srv
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind -o ro /proc/sys /proc/sys
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p {unit_path}
mount -t tmpfs -o mode=755 tmpfs {unit_path}
cp -a {units}/. {unit_path}
exec env -i PATH="$PATH" LANG=C.UTF-8 container=airlift-tests SYSTEMD_UNIT_PATH={unit_path} \\
    SYSTEMD_GENERATOR_PATH={nothing} SYSTEMD_ENVIRONMENT_GENERATOR_PATH={nothing} \\
    {systemd} --system --unit=machine.target --log-target=journal --show-status=no
"""


@dataclass(frozen=True)
class Machine:
    """A systemd that runs; ``pid`` is that of its first process, as seen from here."""

    pid: int

    def words(self, *words: str | Path, user: str | None = None) -> list[str]:
        """Return the words that run a command there, as ``user``."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user else []
        return [*enter, *become, *map(str, words)]

    def run(self, *words: str | Path, user: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command there to its end."""
        return subprocess.run(
            self.words(*words, user=user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def do(self, *words: str | Path, user: str | None = None) -> str:
        """Run a command there that has to end well; return what it says."""
        done = self.run(*words, user=user)
        assert done.returncode == 0, (
            f"{shlex.join(map(str, words))}\n{done.stdout}{done.stderr}{self.journal()}"
        )
        return done.stdout

    def shell(self, lines: str) -> str:
        """Run lines of a shell there."""
        return self.do("sh", "-euc", lines)

    def page(self, lines: str) -> str:
        """Run commands of a page as root, from the folder of the sources."""
        return self.do("bash", "-euc", f"cd {shlex.quote(str(ROOT))}\n{lines}")

    def state(self, unit: str, of: str = "ActiveState") -> str:
        """Return a property of a unit."""
        return self.do("systemctl", "show", "--value", f"--property={of}", unit).strip()

    def journal(self) -> str:
        """Return what was logged last."""
        kinds = ("_TRANSPORT=stdout", "+", "_TRANSPORT=journal", "+", "_TRANSPORT=syslog")
        return self.run("journalctl", "--no-pager", "--lines=80", "--output=short-precise", *kinds).stdout


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Start a systemd, which writes what it boots from to ``folder``, until the end of the body."""
    unshare = find_tool("unshare")
    if not SYSTEMD.is_file():
        lacking("systemd is not installed")
    if os.geteuid() != 0:
        pytest.skip("a systemd of its own takes root's rights")
    group = _group()
    _write(folder)
    words = [
        *(unshare, "--pid", "--fork", "--kill-child=SIGKILL", "--mount", "--mount-proc", "--cgroup", "--net"),
        *("--ipc", "--uts", "sh", str(folder / "boot.sh")),
    ]
    joined = f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))} && exec {shlex.join(words)}"
    with (folder / "boot.log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", joined], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield _booted(process, folder / "boot.log")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        _remove(group)


def _group() -> Path:
    """Make a control group for the machine to live in."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [line[4] for line in mounts if line[line.index("-") + 1] == "cgroup2"]
    if not found:
        pytest.skip("no control groups of version 2 are mounted")
    group = Path(found[0]) / f"airlift-tests-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    return group


def _remove(group: Path) -> None:
    """Remove a control group and those in it, as soon as the last process has ended."""
    end = time.monotonic() + PATIENCE
    while group.is_dir() and time.monotonic() < end:
        for path in [*sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True), group]:
            with suppress(OSError):
                path.rmdir()
        time.sleep(0.05)


def _write(folder: Path) -> None:
    """Write what it boots from: a script, and units that mean nothing, or are those of this machine."""
    here = folder / "units"
    for made in (here, folder / "over", folder / "nothing"):
        made.mkdir()
    for name in EMPTY:
        (here / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    for name in OURS:
        if (SHIPPED / name).is_file():
            (here / name).symlink_to(SHIPPED / name)
    (here / "machine.target").write_text(
        "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.service\nAfter=systemd-journald.service\n"
    )
    places = [*IN_MEMORY, *closed_folders()]
    covers = "\n".join(f"cover {number} {shlex.quote(place)}" for number, place in enumerate(places))
    covers += "".join(f"\nchmod 755 {shlex.quote(place)}" for place in closed_folders())
    text = BOOT.format(
        over=folder / "over",
        covers=covers,
        units=here,
        unit_path=UNIT_PATH,
        nothing=folder / "nothing",
        systemd=SYSTEMD,
    )
    (folder / "boot.sh").write_text(text)


def closed_folders() -> list[str]:
    """Return the folders above this Python and these sources that other users may not enter: there they may."""
    places = [Path(sys.prefix), Path(sys.base_prefix), ROOT]
    above = {str(parent) for place in places for parent in place.parents}
    return sorted(place for place in above if not Path(place).stat().st_mode & 0o001)


def _booted(process: "subprocess.Popen[bytes]", log: Path) -> Machine:
    """Wait until it answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.skip(f"no systemd of its own may run here: {log.read_text(errors='replace')[-400:]}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            there = Machine(int(children[0]))
            if there.run("systemctl", "is-active", "machine.target").returncode == 0:
                return there
        time.sleep(0.1)
    raise AssertionError(f"systemd does not come up: {log.read_text(errors='replace')[-2000:]}")
