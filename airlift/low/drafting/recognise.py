"""Recognise what a folder holds: the kind of component, its license, origin, and what it was made from (SPEC L3.5).

Files were written by others: reads are bounded, and nothing is believed beyond what a draft says.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from airlift import files
from airlift.intake.gate import code
from airlift.intake.gate.views import WINDOW, view_file

MAX_CONFIG_BYTES = 4 << 20
MAX_CARD_BYTES = 256 << 10
MAX_TEXT_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_LICENSE = 256
MAX_PARENTS = 16

_WEIGHTS = frozenset({
    ".bin", ".ckpt", ".ggml", ".gguf", ".h5", ".joblib", ".keras", ".mlmodel", ".npz", ".onnx", ".pb", ".pkl", ".pt",
    ".pth", ".safetensors", ".tflite",
})  # fmt: skip
_TOKENIZERS = frozenset({
    "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tekken.json", "tokenizer.json", "tokenizer.model",
    "tokenizer_config.json", "vocab.json", "vocab.txt",
})  # fmt: skip
_INSTALLERS = frozenset({
    ".appimage", ".deb", ".exe", ".img", ".iso", ".msi", ".qcow2", ".rpm", ".run", ".sif",
})  # fmt: skip
_CLASSIFIES = re.compile(r"For(Sequence|Token)Classification$")
_PIPELINES = frozenset({"text-classification", "token-classification", "zero-shot-classification"})
_GUARDS = re.compile(
    r"(^|[^a-z])(guard|guardrail|shield|moderation|jailbreak|prompt-injection)s?([^a-z]|$)|guard\b"
)
_NAMED = (
    ("blocklist", re.compile(r"block-?list|deny-?list|black-?list")),
    ("prompt", re.compile(r"prompt|^system\b|\.jinja2?$|\.j2$")),
    ("policy", re.compile(r"policy|policies|\.rego$|\.cedar$")),
)
_CACHED = re.compile(
    r"models--([A-Za-z0-9][A-Za-z0-9._-]*?)--([A-Za-z0-9][A-Za-z0-9._-]*)/snapshots/([0-9a-f]{40})"
)
_RELATIONS = {
    "adapter": "adapter-of",
    "finetune": "tuned-from",
    "merge": "merged-from",
    "quantized": "quantised-from",
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a component says that it was made from: a name that its vendor uses, and the file that says so."""

    reference: str
    relation: str
    told_by: str


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a folder seems to be; ``why`` says what of it tells the kind.

    ``license`` is empty if nothing tells it. ``hub`` is repository and commit of a folder in a hub's cache.
    """

    kind: str
    why: str
    license: str
    license_told_by: str
    bases: tuple[Base, ...]
    hub: tuple[str, str] | None


def recognise(folder: Path, paths: Mapping[str, Path]) -> Portrait:
    """Return what the folder is; ``paths`` are the real paths of its files, by relative path.

    Raises:
        UncheckedError: a file cannot be read.
    """
    config = _json(paths, "config.json")
    card = _front_matter(paths)
    kind, why = _kind(folder.name.lower(), paths, config, card)
    license_, told_by = _license(config, card)
    return Portrait(kind, why, license_, told_by, tuple(_bases(kind, paths, config, card)), _hub(folder))


# -- kinds ---------------------------------------------------------------------------------------------------------


def _kind(
    name: str, paths: Mapping[str, Path], config: Mapping[str, Any], card: Mapping[str, Any]
) -> tuple[str, str]:
    lower = [path.lower() for path in paths]
    names = {PurePosixPath(path).name for path in lower}
    formed = _formed(paths)
    if formed is not None:
        return formed
    if "adapter_config.json" in names:
        return "adapter", "adapter_config.json"
    weights = next((path for path in lower if PurePosixPath(path).suffix in _WEIGHTS), "")
    if weights or config.keys() & {"architectures", "model_type"}:
        guards = _guards(name, lower, config, card)
        return ("guard", guards) if guards else ("model", weights or "config.json")
    tokenizer = sorted(names & _TOKENIZERS)
    if tokenizer:
        return "tokenizer", tokenizer[0]
    for kind, pattern in _NAMED:
        told = next((text for text in (name, *sorted(names)) if pattern.search(text)), "")
        if told and all(map(_is_text, paths.values())):
            return kind, told
    program = next((path for path in sorted(paths) if _is_program(path, paths[path])), "")
    return ("file", program) if program else ("data", "nothing tells of another kind")


def _formed(paths: Mapping[str, Path]) -> tuple[str, str] | None:
    """Return the kind that has a form of its own, and what tells it; whether the form is right is for the gate."""
    if "oci-layout" in paths:
        return "image", "oci-layout"
    for kind, endings, besides in (
        ("wheels", (".whl",), {"requirements.lock"}),
        ("chart", (".tgz", ".tgz.prov"), set[str]()),
    ):
        told = [path for path in paths if path.endswith(endings) and "/" not in path]
        if told and set(paths) - set(told) <= besides:
            return kind, min(told)
    return ("chart", "Chart.yaml") if "Chart.yaml" in paths else None


def _guards(name: str, lower: list[str], config: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """Return what tells that a model is a guard, empty if nothing does."""
    for architecture in _texts(config.get("architectures")):
        if _CLASSIFIES.search(architecture):
            return f"config.json: {architecture}"
    for pipeline in _texts(card.get("pipeline_tag")):
        if pipeline in _PIPELINES:
            return f"README.md: {pipeline}"
    told = {
        "the folder": [name],
        "config.json": [*_texts(config.get("model_type")), *_texts(config.get("type"))],
        "README.md": _texts(card.get("tags")),
        "a file": [PurePosixPath(path).stem for path in lower],
    }
    for where, texts in told.items():
        for text in texts:
            if _GUARDS.search(text.lower()):
                return f"{where}: {text}"
    return ""


def _is_program(relative: str, path: Path) -> bool:
    if PurePosixPath(relative.lower()).suffix in _INSTALLERS:
        return True
    with files.opened(path) as descriptor:
        view = view_file(descriptor, relative)
        return bool(code.program(view, view.read(0, WINDOW)))


def _is_text(path: Path) -> bool:
    with files.opened(path) as descriptor, files.reading(path):
        data = files.read_at(descriptor, 0, MAX_TEXT_BYTES + 1)
    try:
        return len(data) <= MAX_TEXT_BYTES and "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


# -- what the vendor tells -----------------------------------------------------------------------------------------


def _license(config: Mapping[str, Any], card: Mapping[str, Any]) -> tuple[str, str]:
    """Return the license and the file that tells it; one that is more than plain words is not taken over."""
    named = card.get("license_name") if card.get("license") == "other" else card.get("license")
    for value, where in ((named, "README.md"), (config.get("license"), "config.json")):
        text = " OR ".join(_texts(value))
        if text and len(text) <= MAX_LICENSE and text.isascii() and text.isprintable():
            return text, where
    return "", ""


def _bases(
    kind: str, paths: Mapping[str, Path], config: Mapping[str, Any], card: Mapping[str, Any]
) -> Iterator[Base]:
    adapted = _json(paths, "adapter_config.json").get("base_model_name_or_path")
    told = [Base(text, "adapter-of", "adapter_config.json") for text in _texts(adapted)]
    quantised = "quantization_config" in config or any(path.lower().endswith(".gguf") for path in paths)
    listed = _texts(card.get("base_model"))[:MAX_PARENTS]
    usual = "adapter-of" if kind == "adapter" else "quantised-from" if quantised else "derived-from"
    usual = "merged-from" if len(listed) > 1 else usual
    relation = next(
        (_RELATIONS[t] for t in _texts(card.get("base_model_relation")) if t in _RELATIONS), usual
    )
    seen = set[str]()
    for base in (*told, *(Base(text, relation, "README.md") for text in listed)):
        last = base.reference.rstrip("/").rpartition("/")[2].lower()
        if last and last not in seen:
            seen.add(last)
            yield base


def _hub(folder: Path) -> tuple[str, str] | None:
    match = _CACHED.fullmatch("/".join(folder.absolute().parts[-3:]))
    return (f"{match[1]}/{match[2]}", match[3]) if match else None


def _texts(value: Any) -> list[str]:
    """Return the texts that a value is, or a list of."""
    return [
        item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item
    ]


def _read(paths: Mapping[str, Path], name: str, limit: int) -> bytes:
    """Return the first bytes of a file of the component, none if it has no such file."""
    if name not in paths:
        return b""
    with files.opened(paths[name]) as descriptor, files.reading(paths[name]):
        return files.read_at(descriptor, 0, limit)


def _json(paths: Mapping[str, Path], name: str) -> dict[str, Any]:
    """Return the object in a file, empty if there is none: whether it is valid is for the gate to say."""
    try:
        document = json.loads(_read(paths, name, MAX_CONFIG_BYTES))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _front_matter(paths: Mapping[str, Path]) -> dict[str, Any]:
    """Return what a model card states between two lines of dashes; empty if it is not plain YAML."""
    text = _read(paths, "README.md", MAX_CARD_BYTES).decode(errors="replace").replace("\r\n", "\n")
    if not text.startswith("---\n") or "\n---\n" not in text[3:]:
        return {}
    stated = text[4 : text.index("\n---\n", 3) + 1]
    try:
        document = yaml.safe_load(stated) if _is_plain(stated) else None
    except (yaml.YAMLError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_plain(text: str) -> bool:
    """Say whether YAML has no anchors and aliases, which may grow in memory, and is not nested deeply."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            return False
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return False
    return True
