"""airlift itself, by its own commands: a depot and an enclave that hold the base, then the target as a delta.

Without a base they hold nothing, and the target goes in full.

What is measured is ``low bundle`` and ``high import`` complete: every block decoded again as a check, volumes signed
and synced; every chunk verified, every file digested and synced, the ledger written, the release activated.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.trust.keys.file import generate, write_key_pair
from tests.bench.pairs import Sides
from tests.bench.peers import compare
from tests.bench.process import Cost, run

ONE_CORE = "airlift, one core"
CONTENT_BYTES = 4 << 20
"""No other file of an enclave is as large."""
KEYS = ("root", "release", "bundler", "ledger")
MANIFEST = """\
airlift: 1
release: bench
version: "{version}"
marking: {{level: UNCLASSIFIED}}
components:
  - name: model
    kind: model
    version: "{version}"
    source: {{path: "./{version}"}}
"""


class AirliftRun:
    """airlift at work on two sides: its depot in one folder, its enclave and volumes in another."""

    name = "airlift"

    def __init__(self, sides: Sides, low: Path, high: Path, *, repeats: bool) -> None:
        self.sides, self.low, self.high, self.repeats = sides, low, high, repeats
        self.size = 0
        self.cores: int | None = None
        self.volumes: list[str] = []
        low.mkdir()
        high.mkdir()
        self._prepare()

    def make(self) -> Cost:
        """Bundle the target: as a delta, if there is a base."""
        cost, made = self._bundle("2", "--from", "bench@1" if self.sides.base else "none")
        self.size = made["chunk_bytes"]
        return cost

    def apply(self) -> Cost:
        """Import it, into a copy of the enclave if there are repetitions; compare every file."""
        enclave = self.high / "enclave"
        if self.repeats:
            enclave = shutil.copytree(enclave, self.high / "copy", symlinks=True, copy_function=_take)
        cost, _ = self._import(enclave)
        for name, path in self.sides.target.items():
            compare(enclave / "active" / "model" / name, path)
        if self.repeats:
            shutil.rmtree(enclave)
        return cost

    def _prepare(self) -> None:
        for key in KEYS:
            write_key_pair(generate(), self.low / "keys", key, None)
        _, depot = self._run(
            *("low", "init", "--root-key", "keys/root.key", "--root-threshold", "1"),
            *("--release-key", "keys/release.key", "--release-threshold", "1"),
            *("--bundler-key", "keys/bundler.key"),
        )
        self._run(
            *("high", "init", "--root", depot["root"], "--expect-fingerprint", depot["fingerprint"]),
            *("--name", "bench", "--ledger-key", "keys/ledger.key", "--enclave", self.high / "enclave"),
        )
        for version, sources in (("1", self.sides.base), ("2", self.sides.target)):
            if sources:
                self._release(version, sources)
        if self.sides.base:
            self._bundle("1", "--from", "none")
            self._import(self.high / "enclave")

    def _release(self, version: str, sources: Mapping[str, Path]) -> None:
        folder = self.low / version
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source, folder / name)
        (self.low / f"{version}.yaml").write_text(MANIFEST.format(version=version))
        self._run("low", "release", f"{version}.yaml", "--key", "keys/release.key")
        shutil.rmtree(folder)

    def _bundle(self, version: str, *options: str) -> tuple[Cost, Any]:
        output = self.high / "volumes"
        shutil.rmtree(output, ignore_errors=True)
        words = ("low", "bundle", f"bench@{version}", "--bundler-key", "keys/bundler.key", "--output", output)
        cost, made = self._run(*words, *options)
        self.volumes = [volume["path"] for volume in made["volumes"]]
        return cost, made

    def _import(self, enclave: Path) -> tuple[Cost, Any]:
        return self._run("high", "import", *self.volumes, "--activate", "--enclave", enclave)

    def _run(self, *words: str | Path) -> tuple[Cost, Any]:
        command = [sys.executable, "-m", "airlift", *words, "--format", "json"]
        cost, answer = run(
            command, self.low, os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, self.cores
        )
        return cost, json.loads(answer)["data"]


@dataclass(frozen=True, slots=True)
class OneCore:
    """The same work, each command on one core."""

    of: AirliftRun
    name: str = ONE_CORE

    @property
    def size(self) -> int:
        """Bytes that cross."""
        return self.of.size

    def make(self) -> Cost:
        """Bundle the target."""
        with self._alone():
            return self.of.make()

    def apply(self) -> Cost:
        """Import it."""
        with self._alone():
            return self.of.apply()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.of.cores = 1
        try:
            yield
        finally:
            self.of.cores = None


def _take(source: str, target: str) -> str:
    """Copy a file, or name it once more if it is content, which nobody ever changes."""
    if Path(source).stat().st_size < CONTENT_BYTES:
        return str(shutil.copy2(source, target))
    os.link(source, target)
    return target


def _link(source: Path, target: Path) -> None:
    """Name a file a second time, or copy it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
