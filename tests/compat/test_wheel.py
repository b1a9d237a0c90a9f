"""What a wheel holds and claims, with the compiled part and without a compiler."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns
from zipfile import ZipFile

import pytest

from tests.conftest import find_tool
from tests.support.kernel_sources import EVERY_SOURCES

ROOT = Path(__file__).resolve().parents[2]
KERNELS = [folder.relative_to(ROOT).as_posix() for folder in EVERY_SOURCES]


def built(folder: Path, compiler: str) -> Path:
    """Return the wheel of this tree, built with a compiler."""
    tree = folder / "tree"
    for name in ("airlift", "manifests"):
        copytree(ROOT / name, tree / name, ignore=ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        (tree / name).write_bytes((ROOT / name).read_bytes())
    words = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", str(folder)]
    environment = os.environ | {"CC": compiler}
    done = subprocess.run(
        words, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("compiled", [True, False])
def test_a_wheel_claims_what_it_holds(tmp_path: Path, compiled: bool) -> None:
    wheel = built(tmp_path, find_tool("gcc") if compiled else find_tool("false"))
    names = ZipFile(wheel).namelist()
    assert sorted(name for name in names if name.endswith(".so")) == (
        sorted(f"{kernel}/_compiled.abi3.so" for kernel in KERNELS) if compiled else []
    )
    assert not [name for name in names if name.endswith((".c", ".h"))]
    assert wheel.name.endswith("-py3-none-any.whl") is not compiled
    assert ("-abi3-" in wheel.name) is compiled
    assert {"airlift/py.typed", *(f"{kernel}/__init__.py" for kernel in KERNELS)} <= set(names)
    assert any(name.startswith("airlift/manifests/") and name.endswith(".json") for name in names)
