"""What is shown: one release that crosses the gap, on a terminal of 80 columns, in a low and a high folder.

What differs from run to run (digests, times, the user) is replaced before it is drawn; lines that are left out are
marked.
"""

import hashlib
import itertools
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.arch.tree import ROOT
from tests.cli.transcript import inside, on_a_terminal
from tests.recorded import screen
from tests.recorded.screen import Line

STACK = ROOT / "examples/stack"
COLUMNS = 80
MARK = "..."
TIME = "2026-11-30T09:12:40Z"
ENVIRONMENT = {
    "COLUMNS": str(COLUMNS),
    "LOGNAME": "ops",
    "TERM": "xterm",
    "NO_COLOR": "",
    "AIRLIFT_DEPOT": "depot",
    "AIRLIFT_ENCLAVE": "enclave",
}
KEYS = {"low": ("ada", "cy", "di", "build"), "high": ("ledger",)}
TOUCHED = 5_000  # the byte that is scratched


@dataclass(frozen=True)
class Step:
    """A command of one side, as it is typed, its exit code, and how the lines begin that are shown; all, if none."""

    side: str
    typed: str
    shown: tuple[str, ...] = ()
    code: int = 0


@dataclass(frozen=True)
class Told:
    """A step with the lines of its answer that are shown."""

    step: Step
    lines: tuple[Line, ...]


STEPS = (
    Step("low", "airlift low release release.yaml --key cy.key", ("release  ", "sig", "thr", "pub")),
    Step("low", "airlift"),
    Step("low", "airlift low sign release --key di.key", ("published",)),
    Step(
        "low",
        "airlift low bundle assistant@2026.11.1 --for alpha \\\n         --bundler-key build.key --output disc",
        ("bundle", "baseline  ", "chunk bytes", "target bytes"),
    ),
    Step("high", "airlift high import scratched --activate", ("error", "  exp", "  fou", "hint"), 3),
    Step("high", "airlift high import disc --activate", ("target", "installed", "activated")),
    Step("high", "airlift provenance during guard@2.1"),
)
"""One root holder signs; two of two people sign a release; what the disc brings starts from what alpha has."""


def tell(folder: Path) -> Iterator[Told]:
    """Run the steps in a folder and yield what the terminal shows after each.

    Raises:
        AssertionError: a command ended with another exit code than its step says.
    """
    prepare(folder)
    carried = False
    for step in STEPS:
        if step.side == "high" and not carried:
            carry(folder)
            carried = True
        words = shlex.split(step.typed.replace("\\\n", " "))
        code, said = on_a_terminal(words[1:], folder / step.side, (), **ENVIRONMENT)
        assert code == step.code, said
        yield Told(step, tuple(_shown(screen.lines(fixed(said)), step.shown)))


def prepare(folder: Path) -> None:
    """Make keys, a depot and an enclave that has the release before, and knows it to the depot."""
    for side, names in KEYS.items():
        (folder / side).mkdir()
        for name in names:
            _run(folder, side, "keys", "generate", name, "--no-passphrase")
    _run(
        *(folder, "low", "low", "init", "--root-key", "ada.key", "--root-threshold", "1"),
        *("--release-key", "cy.key", "--release-key", "di.key", "--release-threshold", "2"),
        *("--bundler-key", "build.key"),
    )
    manifest(folder / "low/first.yaml", "2026.11.0", ("base-1.0", "guard-2.0", "blocklist-1"))
    manifest(folder / "low/release.yaml", "2026.11.1", ("base-1.0.1", "guard-2.1", "blocklist-1"))
    _run(folder, "low", "low", "release", "first.yaml", "--key", "cy.key", "--key", "di.key")
    _run(
        *(folder, "low", "low", "bundle", "assistant@2026.11.0", "--for", "alpha"),
        *("--bundler-key", "build.key", "--output", "../high/first"),
    )
    _run(
        *(folder, "high", "high", "init", "--root", "../low/depot/root.json", "--yes"),
        *("--name", "alpha", "--ledger-key", "ledger.key"),
    )
    _run(folder, "high", "high", "import", "first", "--activate")
    _run(folder, "high", "high", "receipt", "--output", "../low/receipt.json")
    _run(folder, "low", "low", "enrol", "alpha", "--ledger-key", "../high/ledger.pub")
    _run(folder, "low", "low", "returns", "import", "receipt.json")


def manifest(path: Path, version: str, components: tuple[str, ...]) -> None:
    """Write the manifest of a release of the example stack."""
    kinds = {"base": "model"}
    lines = ["airlift: 1", "release: assistant", f"version: {version}", "marking: {level: UNCLASSIFIED}"]
    lines.append("components:")
    for folder in components:
        name, _, number = folder.partition("-")
        named = f"name: {name}, kind: {kinds.get(name, name)}, version: '{number}', license: Apache-2.0"
        lines.append(f"  - {{{named}, source: {{path: '{STACK / folder}'}}}}")
    path.write_text("\n".join([*lines, ""]))


def carry(folder: Path) -> None:
    """Put two copies of the disc on the high side, one of them scratched in one byte."""
    for name in ("disc", "scratched"):
        shutil.copytree(folder / "low/disc", folder / "high" / name)
    chunk = next((folder / "high/scratched").glob("*/chunks/*"))
    data = bytearray(chunk.read_bytes())
    data[TOUCHED] ^= 1
    chunk.chmod(0o600)
    chunk.write_bytes(data)


def fixed(said: str) -> str:
    """Return what was said with every digest and every time replaced by one of the same length that never differs."""
    names = dict[str, str]()
    order = itertools.count(1)

    def other(found: re.Match[str]) -> str:
        start = found[0][:16]
        if start not in names:
            names[start] = hashlib.sha512(f"digest {next(order)}".encode()).hexdigest()
        return names[start][: len(found[0])]

    said = re.sub(r"(?<![0-9A-Za-z])[0-9a-f]{16,128}(?![0-9A-Za-z])", other, said)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", TIME, said)


def _shown(lines: list[Line], beginnings: tuple[str, ...]) -> Iterator[Line]:
    """Yield the lines that begin so, all if nothing is asked for, and a mark that says how many are left out."""
    kept = [line for line in lines if not beginnings or screen.text(line).startswith(beginnings)]
    for line in kept:
        yield from screen.broken(line, COLUMNS)
    if left_out := len(lines) - len(kept):
        yield ((f"{MARK} {left_out} more {'line' if left_out == 1 else 'lines'}", "dim"),)


def _run(folder: Path, side: str, *words: str) -> None:
    inside(*words, cwd=folder / side).expect(0)
