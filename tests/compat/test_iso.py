"""Volumes on real ISO 9660 images: written with xorriso, read back, imported."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.compat.crossing import cross, make_crossing


def through_iso(xorriso: str, volumes: Sequence[Path], folder: Path) -> list[Path]:
    """Write each volume into an image of its own, with Joliet and Rock Ridge, and read it back."""
    back = []
    for volume in volumes:
        image = folder / f"{volume.name}.iso"
        write = [
            xorriso,
            "-as",
            "mkisofs",
            "-quiet",
            "-R",
            "-J",
            "-joliet-long",
            "-V",
            "AIRLIFT",
            "-o",
            str(image),
        ]
        subprocess.run([*write, "-graft-points", f"{volume.name}={volume}"], check=True, capture_output=True)
        target = folder / f"{volume.name}.read"
        read = [xorriso, "-osirrox", "on", "-indev", str(image), "-extract", "/", str(target)]
        subprocess.run(read, check=True, capture_output=True)
        back.append(target)
    return back


def test_a_release_crosses_on_optical_media(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    xorriso = require_tool("xorriso")
    crossing = make_crossing(tmp_path)
    high = tmp_path / "high"
    high.mkdir()
    full = through_iso(xorriso, crossing.full, tmp_path)
    delta = through_iso(xorriso, crossing.delta, tmp_path)
    assert len(full) > 1
    cross(crossing, [sys.executable, "-m", "airlift"], full[::-1], delta, high)
