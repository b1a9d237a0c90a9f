"""The commands of a page of docs, as they stand there, run in one real shell."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.arch.tree import ROOT

SECONDS = 900
"""A bound on what hangs, not on what is slow: a guide takes a minute, and ten on a machine that does much else."""
MARK = "== seconds: "


def blocks(page: str, language: str = "sh") -> list[str]:
    """Return the blocks of a page (``docs/relay.md``) that are marked as of a language."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def write_programs(folder: Path) -> None:
    """Make ``airlift``, ``airlift-verify`` and ``python`` be those of this test."""
    folder.mkdir()
    programs = {"airlift": ["-m", "airlift"], "airlift-verify": ["-m", "airlift.verify"], "python": []}
    for name, words in programs.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *words])} "$@"\n')
        program.chmod(0o755)


def run(page: str, folder: Path, environment: Mapping[str, str]) -> tuple[str, list[float]]:
    """Run all commands of a page in ``folder``/try beside the examples; return what they said, and seconds by block.

    The shell ends at the first command that fails, and what it left running is ended with it.
    """
    (folder / "try").mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    write_programs(folder / "bin")
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
    for block in blocks(page):
        lines += ["began=$(date +%s.%N)", block, f'echo "{MARK}$began $(date +%s.%N)"']
    paths = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1"}
    paths["PYTHONPATH"] = f"{os.environ.get('PYTHONPATH', '')}:{ROOT}".strip(":")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(
            ("AIRLIFT_D", "AIRLIFT_E", "HF_", "COV")
        )  # what is covered is measured elsewhere
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder / "try",
        env={**kept, **paths, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    times = re.findall(rf"{MARK}(\S+) (\S+)$", done.stdout, re.MULTILINE)
    return done.stdout, [float(end) - float(start) for start, end in times]
