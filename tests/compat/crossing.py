"""A low side with a full and a delta bundle of the example stack, for tests that carry it across in odd ways."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.bundle.media_sizes import Medium
from tests.support import depots, keys

STACK = Path(__file__).parents[2] / "examples" / "stack"
SMALL = Medium(volume_bytes=2_500_000)


@dataclass(frozen=True)
class Crossing:
    """What there is to carry: the root with its fingerprint, and the volumes of two bundles."""

    folder: Path
    root: Path
    fingerprint: str
    full: tuple[Path, ...]
    delta: tuple[Path, ...]


def stack(base: str, guard: str) -> dict[str, dict[str, bytes]]:
    """Return components of the example stack as files."""
    return {
        name: {path.name: path.read_bytes() for path in sorted((STACK / source).iterdir())}
        for name, source in (("base", base), ("guard", guard), ("system-prompt", "prompt-1"))
    }


def make_crossing(folder: Path) -> Crossing:
    """Release base 1.0 and guard 2.0, then base 1.0.1 and guard 2.1, and bundle the second as a delta."""
    site = depots.signed_site(folder)
    keys.write(site.keys, "ledger")
    site.release(stack("base-1.0", "guard-2.0"), "1")
    site.release(stack("base-1.0.1", "guard-2.1"), "2")
    full = site.bundle("assistant@1", "full", medium=SMALL)
    delta = site.bundle("assistant@2", "delta", from_="assistant@1", medium=SMALL)
    root = site.folder / "depot" / "root.json"
    fingerprint = depots.fingerprint(root)
    return Crossing(
        site.folder, root, fingerprint, *(tuple(Path(v.path) for v in b.volumes) for b in (full, delta))
    )


def cross(
    crossing: Crossing, command: Sequence[str], full: Sequence[Path], delta: Sequence[Path], cwd: Path
) -> None:
    """Enrol an enclave with ``command`` (the airlift to use), import both bundles, and compare every byte."""

    def run(*words: str | Path) -> dict[str, Any]:
        done = subprocess.run(
            [*command, *map(str, words), "--format", "json"],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        return data

    run(
        *("high", "init", "--root", crossing.root, "--expect-fingerprint", crossing.fingerprint),
        *("--name", "alpha", "--ledger-key", crossing.folder / "keys" / "ledger.key"),
    )
    for volumes, version, base, guard in (
        (full, "1", "base-1.0", "guard-2.0"),
        (delta, "2", "base-1.0.1", "guard-2.1"),
    ):
        assert run("high", "plan", *volumes)["objections"] == []
        assert run("high", "import", *volumes, "--activate")["activated"]
        assert run("high", "status")["active"] == f"assistant@{version}"
        for component, files in stack(base, guard).items():
            for name, data in files.items():
                assert (cwd / "enclave" / "active" / component / name).read_bytes() == data
    run("high", "check")
    assert run("provenance", "verify")["ok"]
