"""The high side as README tells it: installed from a folder of wheels, without network or huggingface_hub."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.crossing import cross, make_crossing

WHEELS = Path(__file__).parents[2] / "wheels"


def wheels() -> Path:
    """Return the folder that ``make wheels`` fills; skip without it, or fail when AIRLIFT_REQUIRE_TOOLS=1."""
    if any(WHEELS.glob("airlift-*.whl")):
        return WHEELS
    if os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1":
        pytest.fail("there are no wheels: run `make wheels` first", pytrace=False)
    pytest.skip("there are no wheels to install from: `make wheels` fetches them, which needs a network once")


def unplugged() -> list[str]:
    """Return the words that run a command without any network interface, where that is possible."""
    tool = shutil.which("unshare")
    words = [tool, "-n"] if tool else []
    works = words and subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0
    return [word for word in words if word] if works else []


def test_a_high_side_installs_and_works_without_a_network(tmp_path: Path) -> None:
    folder = wheels()
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [
        str(python),
        "-I",
        "-m",
        "pip",
        "--isolated",
        "install",
        "--no-index",
        "--find-links",
        str(folder),
    ]
    subprocess.run([*unplugged(), *install, "airlift"], check=True, capture_output=True)
    probe = "import importlib.util as u; print(u.find_spec('huggingface_hub'), u.find_spec('pytest'))"
    seen = subprocess.run(
        [str(python), "-c", probe], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert seen.stdout.split() == ["None", "None"]
    crossing = make_crossing(tmp_path)
    high = tmp_path / "high"
    high.mkdir()
    command = [*unplugged(), str(environment / "bin" / "airlift")]
    cross(crossing, command, crossing.full, crossing.delta, high)
