"""A release that real libraries load, in the layouts of a hub, and the real servers and readers of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.release import Release
from airlift.layouts.build import build
from airlift.layouts.layouts import choose, plan_of
from airlift.store.content import ContentFolder
from tests.arch.tree import ROOT
from tests.conftest import find_file, find_tool
from tests.support.served import component_of, keep, release_of
from tests.support.web_servers import SERVERS, serving

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
SOURCE = {"kind": "hub", "repo": "acme/tiny", "revision": COMMIT, "include": []}
ODD = "a folder/é # 100% [x] &+~.txt"
TINY = {"config.json": b'{"of": "tiny"}', "onnx/deep/model.bin": bytes(range(256)) * 12_000, ODD: b"odd"}
OLD = {"config.json": b'{"of": "old"}'}
LINES = {"train.jsonl": b'{"text": "one"}\n{"text": "two"}\n'}
RELEASE: Release = release_of(
    component_of("tiny", "model", "2.0", TINY, source=SOURCE),
    component_of("old", "model", "1.0", OLD),
    component_of("lines", "data", "1", LINES),
    component_of("plain", "guard", "1", OLD, source={**SOURCE, "repo": "gpt2"}),
)
NAMES = {"old": "acme/tiny:v1"}
OLD_COMMIT = next(c for c in RELEASE.components if c.name == "old").digest[:40]
READER = ROOT / "tests" / "support" / "hub_reader.py"


@dataclass(frozen=True)
class Reader:
    """A process with the real libraries: a Python, and what its environment says of the hub."""

    python: str
    environment: Mapping[str, str]

    def do(self, action: str, **asked: Any) -> Any:
        """Return what the reader answers."""
        run = subprocess.run(
            [self.python, READER, action, json.dumps(asked)],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    def hf(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the `hf` command of the same environment."""
        command = find_tool(str(Path(self.python).with_name("hf")))
        return subprocess.run(
            [command, *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def reader(home: Path, python: str = sys.executable, **environment: object) -> Reader:
    """Return a reader that keeps what it keeps below ``home``, and asks nobody but whom ``environment`` names."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "COVERAGE"))}
    quiet = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    stated = {key: str(value) for key, value in environment.items()}
    return Reader(python, {**kept, **quiet, "HOME": str(home), "HF_HOME": str(home / "hf"), **stated})


def laid_out(
    layout: str,
    place: Path,
    content: ContentFolder,
    release: Release = RELEASE,
    *,
    names: Mapping[str, str] | None = None,
) -> Path:
    """Build the tree of a release in a layout at ``place``; return it."""
    build(plan_of(choose(layout, (), names), release, content), content, place)
    return place


@pytest.fixture(scope="session")
def transformers_python() -> str:
    """Return a Python with transformers, onnxruntime and safetensors."""
    return str(find_file("AIRLIFT_TRANSFORMERS", "a Python with transformers and onnxruntime"))


@pytest.fixture(scope="session")
def loadable(transformers_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a component that public libraries load: the example guard, and a tokenizer trained here."""
    home = tmp_path_factory.mktemp("trained")
    made = reader(home, transformers_python, HF_HUB_OFFLINE=1).do("vocabulary")
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 300}
    guard = ROOT / "examples" / "stack" / "guard-2.0"
    config |= {
        key: value for key, value in json.loads((guard / "config.json").read_bytes()).items() if key != "type"
    }
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": (guard / "guard.safetensors").read_bytes(),
        **{name: text.encode() for name, text in made.items()},
    }


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Give a function that serves a place with a real server, by the configuration that ships."""
    program = find_tool(request.param)
    opened = list[AbstractContextManager[str]]()

    def start(root: Path) -> str:
        context = serving(request.param, program, root, tmp_path / f"server{len(opened)}")
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return keep(tmp_path / "content", TINY, OLD, LINES)
