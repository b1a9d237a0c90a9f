"""What a registry takes: descriptors, manifests and indexes by digest, in an OCI image layout. Pure.

Source: https://github.com/opencontainers/image-spec (image-layout.md, manifest.md, image-index.md, annotations.md)
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airlift import strict
from airlift.bundle.component.component import Component
from airlift.errors import LayoutError
from airlift.layouts.blobs import Blob, blob_of_document, check_distinct, stored
from airlift.layouts.plan import Plan, Subject, Written

BLOBS = "blobs/sha256/"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MAX_MANIFEST = 4 << 20
"""The longest manifest in bytes that every registry must take (distribution-spec)."""
MAX_TAG = 128

REFERENCE = "org.opencontainers.image.ref.name"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
LICENSES = "org.opencontainers.image.licenses"
RELEASE = "vnd.airlift.release"
COMPONENT = "vnd.airlift.component"
MARKING = "vnd.airlift.marking"

_REFERENCE = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:/]|--)[A-Za-z0-9]+)*\Z")


def descriptor(
    media_type: str, blob: Blob, annotations: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Return how a manifest names a blob."""
    found = {"mediaType": media_type, "digest": f"sha256:{blob.digest}", "size": blob.size, **more}
    return {**found, "annotations": dict(annotations)} if annotations else found


def manifest_blob(owner: str, document: dict[str, Any]) -> Blob:
    """Return a manifest or an index; ``owner`` says of what.

    Raises:
        LayoutError: it is longer than a registry takes.
    """
    blob = blob_of_document({"schemaVersion": 2, **document})
    if blob.size > MAX_MANIFEST:
        raise LayoutError(
            f"{owner} has too many files for a manifest",
            expected=f"a manifest of at most {MAX_MANIFEST} bytes",
            found=f"{blob.size} bytes",
            hint="serve it with --layout oci-image, or leave it out: name the others with --component",
        )
    return blob


def annotations_of(subject: Subject, component: Component) -> dict[str, str]:
    """Return what is said of a component wherever it is named: nothing that another release would say otherwise."""
    return {
        TITLE: component.folder,
        VERSION: component.version,
        LICENSES: component.license,
        COMPONENT: f"sha512:{component.digest}",
        MARKING: str(component.marking or subject.release.marking),
    }


def release_annotation(subject: Subject) -> dict[str, str]:
    """Return the digest of the manifest that the release authority signed."""
    return {RELEASE: f"sha512:{subject.release.digest}"}


def references(subject: Subject) -> dict[str, str]:
    """Return the name in the layout for each component: its own and its version, or what the operator gave.

    Raises:
        LayoutError: a name is none that tools read, or two components have the same.
    """
    found = {
        c.folder: subject.names.get(c.folder, tag(f"{c.folder}-{c.version}")) for c in subject.components
    }
    for component, name in found.items():
        if not _REFERENCE.match(name) or len(name.rpartition(":")[2]) > MAX_TAG:
            raise LayoutError(
                f"{component} cannot be served under this name",
                expected="letters and digits with single ._-:/ between them, as in NAME:TAG",
                found=ascii(name),
                hint=f"serve it under another name: --as {component}=NAME",
            )
    check_distinct((name, component) for component, name in found.items())
    return found


def tag(text: str) -> str:
    """Return a version or the like as a tag: these have no plus, and do not end in what only separates."""
    return re.sub(r"[-._]+$", "", re.sub(r"[-._]{2,}", "-", text.replace("+", "_")))


def laid_out(entries: Sequence[dict[str, Any]], blobs: Iterable[Blob]) -> Plan:
    """Return an OCI image layout with these descriptors in its index, and these blobs."""
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
    return {
        "index.json": Written(strict.format(index)),
        "oci-layout": Written(strict.format({"imageLayoutVersion": "1.0.0"})),
        **stored(blobs, BLOBS),
    }
