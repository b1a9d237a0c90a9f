"""``oci``: an OCI image layout of ModelPack manifests; layers are the files as they are (SPEC 8.7.5).

Source: https://github.com/modelpack/model-spec (docs/spec.md, docs/config.md, docs/annotations.md)
"""

import posixpath
import re
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import LayoutError
from airlift.layouts import registry
from airlift.layouts.blobs import Blob, blob_of_document, blob_of_file
from airlift.layouts.plan import Plan, Subject

MODEL = "application/vnd.cncf.model."
MANIFEST_TYPE = f"{MODEL}manifest.v1+json"
CONFIG = f"{MODEL}config.v1+json"
FILE_PATH = "org.cncf.model.filepath"
UNTESTED = "org.cncf.model.file.mediatype.untested"

WEIGHTS = (
    "safetensors", "gguf", "onnx", "onnx_data", "tflite", "mlmodel", "npy", "npz", "h5", "keras", "msgpack",
    "ot", "pdparams", "caffemodel", "ckpt", "pt", "pth", "bin", "ftz",
)  # fmt: skip
FORMATS = ("safetensors", "gguf", "onnx", "tflite")
"""Names of formats that files end with, in the order in which they name that of a component."""

_CODE = ("py", "ipynb", "sh", "js", "ts", "c", "cc", "cpp", "h", "cu", "go", "rs", "java")
_DOCUMENT = re.compile(
    r"readme|licen[cs]e|unlicense|notice|copying|authors|changelog|citation", re.IGNORECASE
)
_DOCUMENTS = ("md", "rst", "pdf", "html")


def lay_out(subject: Subject) -> Plan:
    """Return the layout: ``index.json`` names a manifest for each component, and an index of these for the release.

    Raises:
        LayoutError: two components have one name, or a component has too many files.
    """
    entries, blobs = [], list[Blob]()
    for component in subject.components:
        config = blob_of_document(_config(component))
        manifest = registry.manifest_blob(component.folder, _manifest(subject, component, config))
        said = registry.annotations_of(subject, component)
        entries.append(registry.descriptor(registry.MANIFEST, manifest, said))
        blobs += [config, manifest, *map(blob_of_file, component.files)]
    whole = registry.manifest_blob(subject.release.label, _whole(subject, entries))
    names = registry.references(subject)
    own = registry.tag(subject.release.version)
    if own in names.values():
        raise LayoutError(
            f"a component would be served as {own}, as the release is",
            hint="serve it under another name: --as COMPONENT=NAME",
        )
    named = [
        _named(entry, names[component.folder])
        for entry, component in zip(entries, subject.components, strict=True)
    ]
    release = _named(registry.descriptor(registry.INDEX, whole), own)
    return registry.laid_out([release, *named], [*blobs, whole])


def _named(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {**entry, "annotations": {**entry.get("annotations", {}), registry.REFERENCE: name}}


def _whole(subject: Subject, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the index of a release: its components, and the digest that the release authority signed."""
    return {
        "mediaType": registry.INDEX,
        "manifests": entries,
        "annotations": {
            registry.TITLE: subject.release.name,
            registry.VERSION: subject.release.version,
            registry.MARKING: str(subject.release.marking),
            **registry.release_annotation(subject),
        },
    }


def _manifest(subject: Subject, component: Component, config: Blob) -> dict[str, Any]:
    return {
        "mediaType": registry.MANIFEST,
        "artifactType": MANIFEST_TYPE,
        "config": registry.descriptor(CONFIG, config),
        "layers": [
            registry.descriptor(
                f"{MODEL}{role(component.kind, entry.path)}.v1.raw",
                blob_of_file(entry),
                {FILE_PATH: entry.path, UNTESTED: "true", registry.TITLE: entry.path},
            )
            for entry in component.files
        ],
        "annotations": registry.annotations_of(subject, component),
    }


def _config(component: Component) -> dict[str, Any]:
    """Return what ModelPack says of a model, as far as the release's manifest tells."""
    revision = component.source.get("revision")
    return {
        "descriptor": {
            "name": component.folder,
            "version": component.version,
            "licenses": [component.license],
            **({"revision": revision} if isinstance(revision, str) else {}),
        },
        "config": _format(component.files),
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{entry.sha256}" for entry in component.files]},
    }


def _format(files: tuple[FileEntry, ...]) -> dict[str, str]:
    there = {_suffix(entry.path) for entry in files}
    return next(({"format": name} for name in FORMATS if name in there), {})


def role(kind: str, path: str) -> str:
    """Return what ModelPack calls a file of a component of this kind, by the file's name.

    >>> role("model", "model.safetensors"), role("model", "tokenizer.json"), role("data", "train.json")
    ('weight', 'weight.config', 'dataset')
    """
    if _DOCUMENT.match(posixpath.basename(path)) or _suffix(path) in _DOCUMENTS:
        return "doc"
    if kind in ("data", "blocklist"):
        return "dataset"
    if _suffix(path) in WEIGHTS:
        return "weight"
    return "code" if _suffix(path) in _CODE else "weight.config"


def _suffix(path: str) -> str:
    return posixpath.basename(path).rpartition(".")[2].lower()
