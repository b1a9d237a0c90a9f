"""Times every command on a release of very many small files, and says what each file costs of the processor.

python -m tests.bench.many_files FOLDER [FILES]

Files of 1 to 8 KiB (100,000 unless given), half text and half noise, are released, carried and imported by the
command line in FOLDER; then a second release in which 5 % of them changed, 1 % are new and 1 % gone. Each command is
a process of its own; what it costs on three files is what it costs to start, and is told beside it.
"""

import json
import os
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airlift.trust.keys.file import generate, write_key_pair
from tests.bench import machine
from tests.bench.process import Cost, run

COUNT = 100_000
FOLDERS = 100
SIZES = (1024, 8192)
CHANGED, ADDED = 20, 100
"""One file in so many is changed, one is new and one gone."""
KEYS = ("root", "release", "bundler", "ledger")
MANIFEST = """\
airlift: 1
release: many
version: "{version}"
marking: {{level: UNCLASSIFIED}}
components:
  - name: files
    kind: data
    version: "{version}"
    source: {{path: files}}
"""


def write_file(top: Path, number: int, version: int) -> None:
    """Write the file of this number as it is in a version: the same bytes for the same words."""
    made = random.Random(f"{number} {version}")
    size = made.randrange(*SIZES)
    path = top / f"{number % FOLDERS:02d}" / f"part-{number:06d}.{'txt' if number % 2 else 'bin'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = made.randbytes(size)
    path.write_bytes((noise.hex().encode() if number % 2 else noise)[:size])


def change_files(top: Path, count: int) -> None:
    """Make the second version of the first."""
    for number in range(0, count, CHANGED):
        write_file(top, number, 2)
    for number in range(1, count, ADDED):
        (top / f"{number % FOLDERS:02d}" / f"part-{number:06d}.txt").unlink()
        write_file(top, count + number, 2)


class ManyFiles:
    """A depot and an enclave in one folder, and what each command cost there."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.costs: dict[str, Cost] = {}

    def measure(self) -> dict[str, Cost]:
        """Run every command; return what each cost, by name."""
        self._prepare()
        for number in range(self.count):
            write_file(self.folder / "files", number, 1)
        self._carry(1)
        self._command("high check")
        change_files(self.folder / "files", self.count)
        self._carry(2, "--from", "many@1")
        self._command("high check", "high check, two releases")
        self._command("high rollback", "high rollback", "--yes")
        self._command("high activate", "high activate", "many@2")
        self._command("high export", "high export", "active", "--layout", "tree", "--output", "tree")
        self._command("high gc", "high gc, nothing to do")
        self._command("high import", "high import --dry-run", *self.volumes, "--dry-run")
        shutil.rmtree(self.folder / "files")
        write_file(self.folder / "files", 0, 3)
        self._carry(3, "--from", "none", quiet=True)
        self._command("high gc", "high gc, all files", "--keep", "1", "--yes")
        self._command("high gc", "high gc, all files, once more", "--keep", "1", "--yes")
        return self.costs

    def _prepare(self) -> None:
        self.folder.mkdir()
        for key in KEYS:
            write_key_pair(generate(), self.folder / "keys", key, None)
        depot = self._run(
            *("low", "init", "--root-key", "keys/root.key", "--root-threshold", "1"),
            *("--release-key", "keys/release.key", "--release-threshold", "1"),
            *("--bundler-key", "keys/bundler.key"),
        )[1]
        self._run(
            *("high", "init", "--root", depot["root"], "--expect-fingerprint", depot["fingerprint"]),
            *("--name", "many", "--ledger-key", "keys/ledger.key"),
        )

    def _carry(self, version: int, *options: str, quiet: bool = False) -> None:
        """Release, bundle and import a version, and activate it."""
        name = "" if quiet else f" {version}"
        (self.folder / "many.yaml").write_text(MANIFEST.format(version=version))
        self._command("low release", f"low release{name}", "many.yaml", "--key", "keys/release.key")
        shutil.rmtree(self.folder / "volumes", ignore_errors=True)
        words = (f"many@{version}", "--bundler-key", "keys/bundler.key", "--output", "volumes", *options)
        made = self._command("low bundle", f"low bundle{name}", *words)
        self.volumes = [volume["path"] for volume in made["volumes"]]
        self._command("high import", f"high import{name}", *self.volumes, "--activate")

    def _command(self, verb: str, name: str = "", *words: str) -> Any:
        cost, answer = self._run(*verb.split(), *words)
        self.costs[name or verb] = cost
        return answer

    def _run(self, *words: str) -> tuple[Cost, Any]:
        command = [sys.executable, "-m", "airlift", *words, "--format", "json"]
        os.sync()
        cost, answer = run(command, self.folder, os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        return cost, json.loads(answer)["data"]


def lines(costs: dict[str, Cost], start: dict[str, Cost], count: int) -> Sequence[str]:
    """Return a line for each command: seconds, core seconds, those of its start, and the rest for each file."""
    rows = [f"{'command':32} {'seconds':>8} {'core s':>8} {'start':>7} {'ms a file':>10} {'MiB':>6}"]
    for name, cost in costs.items():
        each = (cost.cpu - start[name].cpu) / count * 1000
        rows.append(
            f"{name:32} {cost.seconds:8.2f} {cost.cpu:8.2f} {start[name].cpu:7.2f} {each:10.3f}"
            f" {cost.anonymous / (1 << 20):6.0f}"
        )
    return rows


def main() -> None:
    """Run from the command line."""
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else COUNT
    for name, text in machine.describe().items():
        print(f"{name:12} {text}")
    print(f"{count} files of {SIZES[0]} to {SIZES[1]} bytes on {machine.storage(folder.parent)}", flush=True)
    start = ManyFiles(folder / "few", 3).measure()
    print(*lines(ManyFiles(folder / "many", count).measure(), start, count), sep="\n")


if __name__ == "__main__":
    main()
