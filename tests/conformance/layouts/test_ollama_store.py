"""The store of Ollama, read as Ollama reads it; its blobs run by llama.cpp, the engine within it (SPEC 8.7.4).

Ollama itself is in no registry that tests reach. So names and manifests are held against what its sources say
(types/model/name.go, manifest/manifest.go, server/images.go), and the models are loaded and asked.

Source: https://github.com/ollama/ollama
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.component.parent import Parent
from airlift.layouts.build import build
from airlift.layouts.layouts import choose, plan_of
from tests.support.llama_files import NUMBERS, adapter, llama
from tests.support.served import component_of, keep, release_of

READERS = Path(__file__).parents[2] / "support" / "layout_readers.py"
LAYER = "application/vnd.ollama.image."
PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
BASE = {"model.gguf": llama(1), "LICENSE": b"free"}
TUNED = {"lora.gguf": adapter()}
WORDS = {
    "template.txt": b"{{ .System }}\n{{ .Prompt }}",
    "system.txt": b"Be brief.",
    "parameters.json": b'{"temperature": 0, "num_ctx": 64, "stop": ["</s>", "\\n"]}',
}
KNOWN = {"model", "adapter", "projector", "template", "system", "params", "license"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    release = release_of(
        component_of("base", "model", "1.0", BASE),
        component_of("tuned", "adapter", "2.0", TUNED, parents=(Parent("adapter-of", "base", "1.0"),)),
        component_of("words", "prompt", "3.0", WORDS),
    )
    content = keep(tmp_path / "content", BASE, TUNED, WORDS)
    build(plan_of(choose("ollama", (), {"base": "Team/Base"}), release, content), content, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def read(require_tool: Callable[[str], str]) -> Callable[..., Any]:
    python = require_tool(os.environ.get("AIRLIFT_LAYOUT_READERS", "airlift-layout-readers-python"))

    def run(*arguments: str | Path) -> Any:
        done = subprocess.run([python, READERS, *arguments], capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout.splitlines()[-1])

    return run


def opened(store: Path, layer: dict[str, Any]) -> Path:
    """Return where a layer lies; it has its digest and size."""
    assert re.fullmatch("sha256:[0-9a-f]{64}", layer["digest"])
    path = store / "blobs" / str(layer["digest"]).replace(":", "-")
    data = path.read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (layer["digest"][7:], layer["size"])
    return path


def listed(store: Path) -> dict[str, dict[str, list[Path]]]:
    """Return the paths of every model's layers by kind, as ``ollama list`` and ``ollama run`` find them."""
    models = {}
    for path in (store / "manifests").glob("*/*/*/*"):
        parts = path.relative_to(store / "manifests").parts
        assert all(re.fullmatch(PART, part) for part in parts)
        manifest = json.loads(path.read_bytes())
        assert set(manifest) == {"schemaVersion", "mediaType", "config", "layers"}
        layers: dict[str, list[Path]] = {"config": [opened(store, manifest["config"])]}
        for layer in manifest["layers"]:
            kind = layer["mediaType"].removeprefix(LAYER)
            assert kind in KNOWN
            layers.setdefault(kind, []).append(opened(store, layer))
        models["/".join(parts)] = layers
    return models


def test_nothing_lies_in_the_store_that_ollama_would_prune(store: Path) -> None:
    models = listed(store)
    named = {path for layers in models.values() for paths in layers.values() for path in paths}
    assert set((store / "blobs").iterdir()) == named
    assert sorted(models) == [
        "registry.ollama.ai/library/tuned/2.0",
        "registry.ollama.ai/team/base/latest",
    ]


def test_what_ollama_would_show(store: Path) -> None:
    models = listed(store)
    base, tuned = (
        models["registry.ollama.ai/team/base/latest"],
        models["registry.ollama.ai/library/tuned/2.0"],
    )
    shown = json.loads(base["config"][0].read_bytes())
    assert (shown["model_format"], shown["model_family"], shown["file_type"]) == ("gguf", "llama", "F32")
    assert shown["model_type"] == "74K"
    for model in (base, tuned):
        assert model["system"][0].read_bytes() == b"Be brief."
        assert model["template"][0].read_bytes() == WORDS["template.txt"]
        assert json.loads(model["params"][0].read_bytes())["stop"] == ["</s>", "\n"]
    assert base["license"][0].read_bytes() == b"free"
    assert base["model"] == tuned["model"]
    assert "adapter" not in base


def test_a_model_writes_and_its_adapter_changes_what(store: Path, read: Callable[..., Any]) -> None:
    models = listed(store)
    base, tuned = (
        models["registry.ollama.ai/team/base/latest"],
        models["registry.ollama.ai/library/tuned/2.0"],
    )
    header = read("gguf", base["model"][0])
    assert header == {"architecture": "llama", "numbers": NUMBERS}
    plain, again = (read("llama", base["model"][0]) for _ in range(2))
    adapted = read("llama", tuned["model"][0], tuned["adapter"][0])
    assert plain["usage"]["completion_tokens"] == 4
    assert plain["choices"][0]["text"] == again["choices"][0]["text"] != adapted["choices"][0]["text"]
