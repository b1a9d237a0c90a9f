"""The documents of an image: marker, index, manifest, configuration (OCI image specification 1.1; SPEC L2.15). Pure.

Docker's schema 2 is read as well. JSON is strict (SPEC 3, with any spacing); members that the specification does not
name are passed over, as it demands.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.errors import MalformedError

MAX_BYTES = 4 << 20
"""The longest document: more no registry takes."""
_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker"
INDEXES = frozenset({f"{_OCI}.index.v1+json", f"{_DOCKER}.distribution.manifest.list.v2+json"})
MANIFESTS = frozenset({f"{_OCI}.manifest.v1+json", f"{_DOCKER}.distribution.manifest.v2+json"})
CONFIGS = frozenset({f"{_OCI}.config.v1+json", f"{_DOCKER}.container.image.v1+json"})
TAR, GZIP, ZSTD, JSON = "tar", "gzip", "zstd", "JSON"
LAYERS = {
    f"{_OCI}.layer.v1.tar": TAR,
    f"{_OCI}.layer.v1.tar+gzip": GZIP,
    f"{_OCI}.layer.v1.tar+zstd": ZSTD,
    f"{_DOCKER}.image.rootfs.diff.tar": TAR,
    f"{_DOCKER}.image.rootfs.diff.tar.gzip": GZIP,
    f"{_DOCKER}.image.rootfs.diff.tar.zstd": ZSTD,
    "application/vnd.in-toto+json": JSON,
    "application/vnd.dev.cosign.simplesigning.v1+json": JSON,
}
"""What a layer starts with, by its media type: file systems, attestations of builders, signatures."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob: media type, digest as ``ALGORITHM:HEX``, size in bytes."""

    media_type: str
    digest: str
    size: int

    @property
    def path(self) -> str:
        """Where the blob lies in a layout."""
        return f"blobs/{self.digest.replace(':', '/')}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its configuration and its layers, from the lowest on."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


def check_marker(data: bytes) -> None:
    """Check the file ``oci-layout``.

    Raises:
        MalformedError: it is none, or of another version.
    """
    what = "oci-layout"
    document = strict.parse_any(data, limit=MAX_BYTES, what=what)
    version = strict.member(document, "imageLayoutVersion", str, what)
    if version != "1.0.0":
        raise MalformedError(f"{what} states an unknown version", expected="1.0.0", found=ascii(version[:40]))


def parse_index(data: bytes, what: str, media_type: str = "") -> tuple[Descriptor, ...]:
    """Return what an index names; ``media_type`` is what names the index itself, "" for nothing.

    Raises:
        MalformedError: it is no index.
    """
    document = _document(data, what, media_type)
    return _descriptors(document, "manifests", what)


def parse_manifest(data: bytes, what: str, media_type: str) -> Manifest:
    """Return what the manifest of an image names.

    Raises:
        MalformedError: it is no manifest.
    """
    document = _document(data, what, media_type)
    config = _descriptor(strict.member(document, "config", dict, what), f"{what}: 'config'")
    return Manifest(config, _descriptors(document, "layers", what))


def parse_config(data: bytes, what: str) -> tuple[str, ...]:
    """Return the digests of the unpacked layers that a configuration states.

    Raises:
        MalformedError: it is no configuration.
    """
    document = strict.parse_any(data, limit=MAX_BYTES, what=what)
    for key in ("architecture", "os"):
        strict.member(document, key, str, what)
    found = strict.member(
        strict.member(document, "rootfs", dict, what), "diff_ids", list, f"{what}: 'rootfs'"
    )
    if any(type(item) is not str or not _DIGEST.fullmatch(item) for item in found):
        raise MalformedError(f"{what}: 'diff_ids' must be digests", expected="sha256:HEX")
    return tuple(found)


def _document(data: bytes, what: str, media_type: str) -> dict[str, Any]:
    document: dict[str, Any] = strict.parse_any(data, limit=MAX_BYTES, what=what)
    version = strict.member(document, "schemaVersion", int, what)
    if version != 2:
        raise MalformedError(f"{what} is of an unknown version", expected="2", found=str(version))
    stated = strict.member(document, "mediaType", str, what) if "mediaType" in document else media_type
    if stated != media_type and (media_type or stated not in INDEXES):
        raise MalformedError(
            f"{what} states another media type than what names it",
            expected=media_type or max(INDEXES),
            found=ascii(stated)[:120],
        )
    return document


def _descriptors(document: dict[str, Any], key: str, what: str) -> tuple[Descriptor, ...]:
    items = strict.member(document, key, list, what)
    return tuple(_descriptor(item, f"{what}: {key!r}") for item in items)


def _descriptor(item: Any, what: str) -> Descriptor:
    digest = strict.member(item, "digest", str, what)
    if not _DIGEST.fullmatch(digest):
        raise MalformedError(
            f"{what} has a digest that is none", expected="sha256:HEX or sha512:HEX", found=ascii(digest[:80])
        )
    size = strict.member(item, "size", int, what)
    found = Descriptor(strict.member(item, "mediaType", str, what), digest, size)
    if "data" in item:
        _check_embedded(strict.member(item, "data", str, what), found, what)
    return found


def _check_embedded(text: str, named: Descriptor, what: str) -> None:
    """Check that bytes which stand beside a digest are those that it is of: some readers take them."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    algorithm, _, expected = named.digest.partition(":")
    if len(data) != named.size or hashlib.new(algorithm, data).hexdigest() != expected:
        raise MalformedError(f"{what} has 'data' that is not what its digest is of", expected=named.digest)
