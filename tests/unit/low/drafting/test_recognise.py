"""What a folder is told to be by its files, whatever its files say (SPEC L3.5)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airlift.intake.collect import survey
from airlift.low.drafting.recognise import MAX_PARENTS, Base, Portrait, recognise
from tests.support.weights import component, weights

W = {"model.safetensors": weights(1)}
CONFIG = {"architectures": ["LlamaForCausalLM"]}


def seen(folder: Path, files: Mapping[str, bytes]) -> Portrait:
    """Return what a folder of these files is."""
    component(folder, files)
    return recognise(folder, survey("x", folder).paths)


def card(text: str, body: str = "# A model\n") -> dict[str, bytes]:
    """Return a model card."""
    return {"README.md": f"---\n{text}\n---\n{body}".encode()}


def config(**members: Any) -> dict[str, bytes]:
    """Return a configuration."""
    return {"config.json": json.dumps(members).encode()}


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        ("model", "m", W),
        ("model", "m", {"m.GGUF": b"x"}),
        ("model", "m", config(architectures=["LlamaForCausalLM"])),
        ("model", "m", W | config(architectures=["ViTForImageClassification"])),
        ("model", "m", W | card("tags: [safe, guardian-fiction]")),
        ("guard", "m", W | config(architectures=["BertForSequenceClassification"])),
        ("guard", "m", W | card("pipeline_tag: text-classification")),
        ("guard", "m", W | card("tags: [x, moderation]")),
        ("guard", "llama-guard-3", W | config(**CONFIG)),
        ("guard", "m", {"guard.safetensors": weights(1)}),
        ("guard", "m", W | config(type="trigram-guard")),
        ("adapter", "guard-adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": weights(1)}),
        ("tokenizer", "t", {"tokenizer.json": b"{}", "special_tokens_map.json": b"{}"}),
        ("model", "t", W | {"tokenizer.json": b"{}"}),
        ("blocklist", "b", {"blocklist.txt": b"a\n"}),
        ("blocklist", "deny-list", {"terms.csv": b"a\n"}),
        ("prompt", "p", {"system.txt": b"Be good.\n"}),
        ("prompt", "p", {"chat.jinja": b"{{ x }}\n"}),
        ("policy", "p", {"policy.json": b"{}"}),
        ("policy", "p", {"allow.rego": b"package x\n"}),
        ("data", "policy", {"policy.dat": b"\xff\0"}),
        ("data", "prompts", {"big.txt": b"a" * (1 << 20) + b"b"}),
        ("data", "d", {"rows.jsonl": b"{}\n"}),
        ("data", "d", config(name="of a data set")),
        ("image", "engine", {"oci-layout": b"{}", "index.json": b"{}", "blobs/sha256/a": b""}),
        ("wheels", "guard-tools", {"a-1-py3-none-any.whl": b"x", "requirements.lock": b""}),
        ("data", "w", {"a-1-py3-none-any.whl": b"x", "notes.csv": b""}),
        ("chart", "c", {"Chart.yaml": b"", "templates/a.yaml": b""}),
        ("chart", "c", {"a-1.0.0.tgz": b"x", "a-1.0.0.tgz.prov": b""}),
        ("data", "c", {"a.tgz": b"x", "rows.csv": b""}),
        ("file", "f", {"run": b"\x7fELF\x02", "rows.csv": b""}),
        ("file", "f", {"driver.deb": b"!<arch>\ndebian-binary"}),
        ("model", "m", W | {"run": b"\x7fELF\x02"}),
    ],
)
def test_kinds(tmp_path: Path, kind: str, name: str, files: dict[str, bytes]) -> None:
    found = seen(tmp_path / name, files)
    assert found.kind == kind
    assert found.why


@pytest.mark.parametrize(
    ("files", "license_", "where"),
    [
        (card("license: apache-2.0"), "apache-2.0", "README.md"),
        (card("license: [mit, apache-2.0]"), "mit OR apache-2.0", "README.md"),
        (card("license: other\nlicense_name: house-1"), "house-1", "README.md"),
        (config(license="MIT"), "MIT", "config.json"),
        (card("license: mit") | config(license="BSD"), "mit", "README.md"),
        (card('license: "a\\nb"') | config(license="MIT"), "MIT", "config.json"),
        (card(f"license: {'x' * 257}"), "", ""),
        (card("license: 3"), "", ""),
        (W, "", ""),
    ],
)
def test_licenses(tmp_path: Path, files: dict[str, bytes], license_: str, where: str) -> None:
    found = seen(tmp_path, files)
    assert (found.license, found.license_told_by) == (license_, where)


@pytest.mark.parametrize(
    ("files", "bases"),
    [
        (
            {"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'}
            | card("base_model: Org/Base"),
            [("org/base", "adapter-of", "adapter_config.json")],
        ),
        (W | card("base_model: o/b\nbase_model_relation: finetune"), [("o/b", "tuned-from", "README.md")]),
        (W | card("base_model: o/b\nbase_model_relation: odd"), [("o/b", "derived-from", "README.md")]),
        (W | card("base_model: o/b"), [("o/b", "derived-from", "README.md")]),
        ({"m.gguf": b""} | card("base_model: [o/b]"), [("o/b", "quantised-from", "README.md")]),
        (
            W | config(quantization_config={}) | card("base_model: o/b"),
            [("o/b", "quantised-from", "README.md")],
        ),
        (
            W | card("base_model: [o/b, p/c, q/b]"),
            [("o/b", "merged-from", "README.md"), ("p/c", "merged-from", "README.md")],
        ),
        ({"adapter_config.json": b'{"base_model_name_or_path": 3}'}, []),
        ({"adapter_config.json": b'{"base_model_name_or_path": "/"}'}, []),
        (W | card("base_model: {a: b}"), []),
    ],
)
def test_what_it_was_made_from(
    tmp_path: Path, files: dict[str, bytes], bases: list[tuple[str, str, str]]
) -> None:
    assert seen(tmp_path, files).bases == tuple(Base(*base) for base in bases)


def test_parents_are_bounded(tmp_path: Path) -> None:
    listed = ", ".join(f"o/m{number}" for number in range(100))
    assert len(seen(tmp_path, W | card(f"base_model: [{listed}]")).bases) == MAX_PARENTS


@pytest.mark.parametrize(
    "text",
    [
        "license: &a mit\nx: *a",
        "license: !!python/object/apply:os.system [true]",
        "license: 2026-99-99",
        "license: [",
        "[" * 40 + "]" * 40,
        "- mit",
        "\0",
        "license: \ud800".encode(errors="replace").decode(),
    ],
)
def test_hostile_cards_tell_nothing(tmp_path: Path, text: str) -> None:
    """Threat: a model card is a stranger's YAML; nothing grows, runs or is raised."""
    assert seen(tmp_path, W | card(text)).license in {"", "?"}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"license": {"a": 1}}'])
def test_hostile_configurations_tell_nothing(tmp_path: Path, data: bytes) -> None:
    found = seen(tmp_path, W | {"config.json": data})
    assert (found.kind, found.license) == ("model", "")


def test_a_card_without_an_end_tells_nothing(tmp_path: Path) -> None:
    assert seen(tmp_path, W | {"README.md": b"---\nlicense: mit\n"}).license == ""
    assert seen(tmp_path, W | {"README.md": b"---\r\nlicense: mit\r\n---\r\n"}).license == "mit"


def test_a_folder_of_a_hubs_cache(tmp_path: Path) -> None:
    commit = "0123456789" * 4
    folder = tmp_path / "hub" / "models--org--my.model-1" / "snapshots" / commit
    assert seen(folder, W).hub == ("org/my.model-1", commit)
    assert seen(tmp_path / "models--org--m" / "snapshots" / "main", W).hub is None
