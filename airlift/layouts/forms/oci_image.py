"""``oci-image``: an OCI image layout of plain images, one a component, with its files below ``/models`` (SPEC 8.7.6).

Source: https://github.com/opencontainers/image-spec (config.md, layer.md)
"""

from collections.abc import Iterator, Sequence
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import LayoutError
from airlift.layouts import registry
from airlift.layouts.blobs import Blob, blob_of_document, blob_of_joined
from airlift.layouts.plan import Joined, Plan, Subject
from airlift.layouts.tar_layer import layer

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PLATFORMS = ("amd64", "arm64")
FOLDER = "models"
ALONE_BYTES = 4 << 20
"""A file of as many bytes is a layer of its own: where it did not change, no registry takes it again."""
MAX_ALONE = 63
"""How many layers there are beside that of small files: engines stack 127."""

_WHITEOUT = ".wh."


def lay_out(subject: Subject) -> Plan:
    """Return the layout: ``index.json`` names an image for each component, for all platforms the same.

    Raises:
        LayoutError: two components have one name, or a file would delete others in an image.
        ContentDamagedError, UncheckedError: a file is damaged or cannot be read.
    """
    names, entries, blobs = registry.references(subject), [], list[Blob]()
    known: dict[Joined, Blob] = {}
    for component in subject.components:
        _check(component)
        said = registry.annotations_of(subject, component)
        layers = [_digested(subject, joined, known) for joined in _layers(component.files)]
        images = [_image(platform, said, layers) for platform in PLATFORMS]
        index = {
            "mediaType": registry.INDEX,
            "manifests": [
                registry.descriptor(
                    registry.MANIFEST, manifest, platform={"architecture": platform, "os": "linux"}
                )
                for platform, (_, manifest) in zip(PLATFORMS, images, strict=True)
            ],
            "annotations": {**said, **registry.release_annotation(subject)},
        }
        whole = registry.manifest_blob(component.folder, index)
        named = {**said, registry.REFERENCE: names[component.folder]}
        entries.append(registry.descriptor(registry.INDEX, whole, named))
        for platform, (_, manifest) in zip(PLATFORMS, images, strict=True):
            one = {registry.REFERENCE: f"{names[component.folder]}-{platform}"}
            entries.append(registry.descriptor(registry.MANIFEST, manifest, one))
        blobs += [*layers, *(blob for image in images for blob in image), whole]
    return registry.laid_out(entries, blobs)


def _check(component: Component) -> None:
    for entry in component.files:
        if any(name.startswith(_WHITEOUT) for name in entry.path.split("/")):
            raise LayoutError(
                f"{component.folder}/{entry.path} would delete a file of an image, not be one",
                expected=f"no name that starts with {_WHITEOUT}",
                hint="leave the component out: name the others with --component",
            )


def _layers(files: Sequence[FileEntry]) -> Iterator[Joined]:
    """Yield the layers of a component: small files together, then each large one, or runs of many."""
    small = [entry for entry in files if entry.size < ALONE_BYTES]
    large = [entry for entry in files if entry.size >= ALONE_BYTES]
    count = min(len(large), MAX_ALONE)
    runs = [large[len(large) * i // count : len(large) * (i + 1) // count] for i in range(count)]
    for run in ([small] if small else []) + runs:
        yield layer([(f"{FOLDER}/{entry.path}", entry) for entry in run])


def _digested(subject: Subject, joined: Joined, known: dict[Joined, Blob]) -> Blob:
    if joined not in known:
        known[joined] = blob_of_joined(joined, subject.digest_joined(joined))
    return known[joined]


def _image(platform: str, said: dict[str, str], layers: Sequence[Blob]) -> tuple[Blob, Blob]:
    """Return the configuration and the manifest of an image."""
    labels: dict[str, Any] = {
        "architecture": platform,
        "os": "linux",
        "config": {"Labels": said},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{blob.digest}" for blob in layers]},
    }
    config = blob_of_document(labels)
    document = {
        "mediaType": registry.MANIFEST,
        "config": registry.descriptor(CONFIG, config),
        "layers": [registry.descriptor(LAYER, blob) for blob in layers],
        "annotations": said,
    }
    return config, registry.manifest_blob(said[registry.TITLE], document)
