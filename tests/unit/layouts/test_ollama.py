"""The store of Ollama: names, layers, words, and what is refused (SPEC 8.7.4)."""

import json
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.bundle.release import Release
from airlift.errors import LayoutError
from airlift.layouts.build import build
from airlift.layouts.compare import differences
from airlift.layouts.layouts import choose, plan_of
from airlift.layouts.plan import Linked, Plan, Written
from airlift.store.content import ContentFolder
from tests.support.gguf_files import U32, gguf, number, pair
from tests.support.llama_files import NUMBERS, adapter, llama, projector
from tests.support.served import component_of, entry_of, keep, release_of

MODEL, ADAPTER, PROJECTOR = llama(1), adapter(), projector()
TEMPLATE, SYSTEM, PARAMETERS = (
    b"{{ .System }} {{ .Prompt }}",
    b"Be brief.",
    b'{"stop": ["</s>"], "temperature": 0.2}',
)
LAYER = "application/vnd.ollama.image."


class Given:
    """Components with their content, and the store that they are served as."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.components: list[Component] = []
        self.held: list[dict[str, bytes]] = []

    def add(
        self, name: str, held: dict[str, bytes], kind: str = "model", version: str = "1.0", **more: Any
    ) -> None:
        self.components.append(component_of(name, kind, version, held, **more))
        self.held.append(held)

    @property
    def release(self) -> Release:
        return release_of(*self.components)

    @property
    def content(self) -> ContentFolder:
        return keep(self.folder / "content", *self.held)

    def plan(self, *components: str, **names: str) -> Plan:
        return plan_of(choose("ollama", components, names), self.release, self.content)

    def refused(self, *components: str, **names: str) -> LayoutError:
        with pytest.raises(LayoutError) as caught:
            self.plan(*components, **names)
        assert caught.value.exit_code == 2
        return caught.value


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path)


def manifests(plan: Plan) -> list[str]:
    return sorted(path.removeprefix("manifests/") for path in plan if path.startswith("manifests/"))


def document(plan: Plan, path: str) -> dict[str, Any]:
    part = plan[path]
    assert isinstance(part, Written)
    found = json.loads(part.data)
    assert isinstance(found, dict)
    return found


def layers(plan: Plan, name: str) -> list[tuple[str, str]]:
    """Return kind and SHA-256 of the layers of a model; each is a blob of its size."""
    found = []
    for layer in document(plan, f"manifests/registry.ollama.ai/library/{name}")["layers"]:
        digest = layer["digest"].removeprefix("sha256:")
        part = plan[f"blobs/sha256-{digest}"]
        assert layer["size"] == (part.entry.size if isinstance(part, Linked) else len(part.data))  # type: ignore[union-attr]
        found.append((layer["mediaType"].removeprefix(LAYER), digest))
    return found


def told(kind: str, data: bytes) -> tuple[str, str]:
    return kind, entry_of("", data).sha256


def test_a_model_is_its_file(given: Given, tmp_path: Path) -> None:
    given.add("base", {"model.gguf": MODEL, "README.md": b"read me"}, license="MIT")
    plan = given.plan()
    assert manifests(plan) == ["registry.ollama.ai/library/base/1.0"]
    assert layers(plan, "base/1.0") == [told("model", MODEL), told("license", b"MIT\n")]
    manifest = document(plan, "manifests/registry.ollama.ai/library/base/1.0")
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    config = document(plan, "blobs/" + manifest["config"]["digest"].replace(":", "-"))
    assert config == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": f"{NUMBERS / 1000:.0f}K",
        "file_type": "F32",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{digest}" for _, digest in layers(plan, "base/1.0")],
        },
    }
    built = build(plan, given.content, tmp_path / "store")
    assert (built.linked_bytes, built.copied_bytes) == (len(MODEL), 0)
    assert differences(plan, given.content, tmp_path / "store") == []


@pytest.mark.parametrize(
    ("version", "served_as", "name"),
    [
        ("1.0+cu", None, "registry.ollama.ai/library/base/1.0_cu"),
        ("1.0RC", None, "registry.ollama.ai/library/base/1.0rc"),
        ("1.0", "triage", "registry.ollama.ai/library/triage/latest"),
        ("1.0", "Triage:8B", "registry.ollama.ai/library/triage/8b"),
        ("1.0", "org/triage", "registry.ollama.ai/org/triage/latest"),
        ("1.0", "hub.example/org/triage:1", "hub.example/org/triage/1"),
    ],
)
def test_names(given: Given, version: str, served_as: str | None, name: str) -> None:
    given.add("base", {"model.gguf": MODEL}, version=version)
    assert manifests(given.plan(**({"base": served_as} if served_as else {}))) == [name]


@pytest.mark.parametrize(
    "name", ["a/b/c/d", "a:b:c", "a:b/c", "host:1/a/b", "x" * 81, "a:" + "x" * 81, "-a", "a."]
)
def test_names_that_ollama_does_not_read(given: Given, name: str) -> None:
    given.add("base", {"model.gguf": MODEL})
    if name == "-a":
        name = "a/-b"
    assert "--as base=NAME:TAG" in given.refused(base=name).hint


def test_several_models_of_a_component_are_told_apart(given: Given) -> None:
    given.add("base", {"q8/Base Q8.gguf": MODEL, "base-f32.gguf": llama(3)})
    assert manifests(given.plan(base="base:2")) == [
        "registry.ollama.ai/library/base/2-base-f32",
        "registry.ollama.ai/library/base/2-base-q8",
    ]
    given.add("more", {"a/x.gguf": MODEL, "b/x.gguf": llama(4)})
    assert "would both be served" in given.refused().message


def test_two_components_under_one_name_are_refused(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("other", {"model.gguf": MODEL})
    assert "--as" in given.refused(base="x:1", other="X:1").hint
    assert manifests(given.plan(base="x:1", other="x:2"))[0].endswith("x/1")


def test_adapters_and_projectors(given: Given) -> None:
    given.add(
        "base", {"model.gguf": MODEL, "mmproj.gguf": PROJECTOR, "LICENSE": b"free", "system.txt": b"of base"}
    )
    parents = (Parent("adapter-of", "base", "1.0"),)
    given.add("tuned", {"lora.gguf": ADAPTER}, "adapter", "2", parents=parents, license="MIT")
    plan = given.plan()
    base = [told("model", MODEL), told("projector", PROJECTOR)]
    assert layers(plan, "base/1.0") == [*base, told("system", b"of base"), told("license", b"free")]
    assert layers(plan, "tuned/2") == [
        *base,
        told("adapter", ADAPTER),
        told("system", b"of base"),
        told("license", b"MIT\n"),
        told("license", b"free"),
    ]
    assert given.refused("tuned").hint == "serve its base too: --component base"


def test_an_adapter_needs_a_base_with_one_model(given: Given) -> None:
    given.add("lonely", {"lora.gguf": ADAPTER}, "adapter")
    assert "adapter-of" in given.refused().hint
    given.add("base", {"a.gguf": MODEL, "b.gguf": llama(5)})
    given.add("tuned", {"lora.gguf": ADAPTER}, "adapter", parents=(Parent("adapter-of", "base", "1"),))
    assert given.refused("tuned", "base").expected == "one GGUF model in base"


def test_a_base_that_took_anothers_place(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL}, replaces=("old",))
    given.add("tuned", {"lora.gguf": ADAPTER}, "adapter", parents=(Parent("adapter-of", "old", "1"),))
    assert told("model", MODEL) in layers(given.plan(), "tuned/1.0")


def test_words_of_a_prompt(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL, "system": b"of hub", "params": b"{}"})
    given.add("other", {"model.gguf": llama(6)})
    words = {
        "template.txt": TEMPLATE,
        "other/system.txt": SYSTEM,
        "parameters.json": PARAMETERS,
        "more.md": b"",
    }
    given.add("prompts", words, "prompt")
    plan, common = given.plan(), [told("template", TEMPLATE), told("params", PARAMETERS)]
    assert manifests(plan) == ["registry.ollama.ai/library/base/1.0", "registry.ollama.ai/library/other/1.0"]
    expected = [told("model", MODEL), common[0], told("system", b"of hub"), common[1]]
    assert layers(plan, "base/1.0")[:-1] == expected
    assert layers(plan, "other/1.0")[1:-1] == [common[0], told("system", SYSTEM), common[1]]
    assert layers(given.plan("other"), "other/1.0")[1:-1] == []


def test_an_adapter_has_its_own_words_or_those_of_its_base(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("tuned", {"lora.gguf": ADAPTER}, "adapter", parents=(Parent("adapter-of", "base", "1"),))
    words = {
        "base/system.txt": b"base",
        "tuned/template": TEMPLATE,
        "base/template": b"x",
        "system.txt": b"all",
    }
    given.add("prompts", words, "prompt")
    found = layers(given.plan(), "tuned/1.0")
    assert found[2:4] == [told("template", TEMPLATE), told("system", b"base")]


def test_what_is_said_twice_is_refused(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("one", {"system.txt": b"one"}, "prompt")
    given.add("two", {"system.txt": b"two"}, "prompt")
    assert given.refused().message == "one and two both say what is the system of every model"
    assert told("system", b"two") in layers(given.plan("base", "two"), "base/1.0")
    given.add("three", {"system.txt": b"x", "system": b"y"}, "prompt")
    assert "say the same thing" in given.refused("base", "three").message


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("template.txt", b"{% for m in messages %}", "Jinja"),
        ("template.txt", b"\xff", "cannot be read"),
        ("system.txt", b"x" * ((1 << 20) + 1), "too long"),
        ("parameters.json", b"[]", "does not take"),
        ("parameters.json", b"{", "cannot be read"),
        ("parameters.json", b'{"a":1,"a":2}', "cannot be read"),
        ("parameters.json", b'{"stop": "x"}', "does not take"),
        ("parameters.json", b'{"stop": [1]}', "does not take"),
        ("parameters.json", b'{"x": null}', "does not take"),
        ("parameters.json", b'{"x": {}}', "does not take"),
    ],
)
def test_words_that_ollama_cannot_read(given: Given, name: str, data: bytes, reason: str) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("prompts", {name: data}, "prompt")
    assert reason in given.refused().message


def test_what_is_no_gguf_is_never_left_out_silently(given: Given) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("guard", {"model.safetensors": b"x"}, "guard")
    given.add("prompts", {"sytem.txt": b"misspelt"}, "prompt")
    refused = given.refused()
    assert refused.message == "Ollama cannot serve guard, prompts"
    assert refused.hint == "serve what can be: --component base"
    assert "convert" in given.refused("guard").hint
    assert "convert" in given.refused("prompts").hint
    assert len(manifests(given.plan("base"))) == 1


def test_only_prompts_are_no_model(given: Given) -> None:
    given.add("prompts", {"system.txt": SYSTEM}, "prompt")
    assert given.refused().message == "Ollama cannot serve assistant@1"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gguf([], [number("split.no", 0), number("split.count", 2)]), "part 1 of 2"),
        (b"GGUF\x09\0\0\0" + bytes(16), "cannot be read as GGUF"),
        (b"no", "cannot be read as GGUF"),
        (b"", "cannot be read as GGUF"),
    ],
)
def test_files_that_ollama_does_not_take(given: Given, data: bytes, reason: str) -> None:
    given.add("base", {"model.GGUF": data})
    assert reason in given.refused().message


def test_a_header_without_a_word_is_served_as_unknown(given: Given) -> None:
    given.add("base", {"x.gguf": gguf([], [pair("general.file_type", U32, b"\xff\xff\0\0")])})
    plan = given.plan()
    config = document(plan, "manifests/registry.ollama.ai/library/base/1.0")["config"]["digest"]
    found = document(plan, f"blobs/{config.replace(':', '-')}")
    assert (found["model_family"], found["file_type"], found["model_type"]) == ("unknown", "unknown", "0")


def test_the_same_file_in_two_components_is_one_blob(given: Given, tmp_path: Path) -> None:
    given.add("base", {"model.gguf": MODEL})
    given.add("copy", {"deep/other.gguf": MODEL, "LICENSE": b"Apache-2.0\n"})
    plan = given.plan()
    assert build(plan, given.content, tmp_path / "store").linked_bytes == len(MODEL) + len(b"Apache-2.0\n")
    assert differences(plan, given.content, tmp_path / "store") == []
