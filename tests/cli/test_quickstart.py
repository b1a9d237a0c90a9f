"""The commands of docs/quickstart.md, run as they stand there: from a hub into a process, and into a registry."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.arch.tree import ROOT
from tests.conftest import find_file, find_tool
from tests.support import pages
from tests.support.registries import free_port

PAGE = "docs/quickstart.md"
MINUTES = 15


def test_the_whole_way_in_fifteen_minutes(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    for program in ("docker-registry", "skopeo"):
        find_tool(program)
    said, seconds = pages.run(PAGE, tmp_path, {"REGISTRY_HTTP_ADDR": f"127.0.0.1:{free_port()}"})
    assert "\ncode: def read" in said
    assert "\nprose: The package" in said
    assert "application/vnd.oci.image.index.v1+json" in said
    assert len(seconds) == len(pages.blocks(PAGE)) == 6
    print(f"the commands took {sum(seconds):.1f} s:", *(f"{part:.1f}" for part in seconds))  # noqa: T201 - a figure
    assert sum(seconds) < MINUTES * 60
    python = find_file("AIRLIFT_TRANSFORMERS", "a Python with transformers and onnxruntime")
    served = {"HF_HUB_CACHE": str(tmp_path / "try/cache"), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    words: list[str | Path] = [python, ROOT / "examples/quickstart/load.py", "org/tiny"]
    done = subprocess.run(words, env={**os.environ, **served}, capture_output=True, text=True, check=True)
    assert "configuration read by transformers" in done.stdout
    assert done.stdout.count("tokens by transformers") == 2
