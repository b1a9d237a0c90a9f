"""Which files an image of a registry is: layers under their titles, or the blobs of an OCI layout (SPEC L2.19). Pure.

Formats: OCI Image Specification 1.1 (manifest, index, layout), CNCF ModelPack. Nothing is unpacked.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle.component.file_entry import MAX_FILES
from airlift.errors import ForbiddenFileError, MalformedError
from airlift.low.sources.plan import HEX, Pin

MAX_BYTES = 4 << 20
"""How long a manifest may be; registries take no longer ones."""
MAX_MANIFESTS, MAX_DEPTH = 1024, 4
_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker.distribution"
INDEXES = (f"{_OCI}.index.v1+json", f"{_DOCKER}.manifest.list.v2+json")
MANIFESTS = (f"{_OCI}.manifest.v1+json", f"{_DOCKER}.manifest.v2+json")
_PLAIN = f"{_OCI}.layer.v1.tar"
"""What tools call a file whose type nobody gave; a folder that they packed is compressed, or says so."""
_TITLES = ("org.cncf.model.filepath", "org.opencontainers.image.title")
_UNPACK = "io.deis.oras.content.unpack"
_PACKED = re.compile(r"[./+-](?:tar|tgz|gzip|zip|zstd)\b", re.IGNORECASE)
_ELSEWHERE = re.compile(r"foreign|nondistributable", re.IGNORECASE)
_LAYOUT = "take the image as it is: `form: layout`; or ask its maker for layers that are the files themselves"
_EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@dataclass(frozen=True, slots=True)
class Blob:
    """What a manifest names: media type, digest, size in bytes, and annotations."""

    type: str
    pin: Pin
    size: int
    annotations: Mapping[str, str]

    @property
    def title(self) -> str | None:
        """The path that the annotations give it."""
        return next((self.annotations[name] for name in _TITLES if name in self.annotations), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as an index of a layout names it."""
        return {"mediaType": self.type, "digest": str(self.pin), "size": self.size}


def read_titled(data: bytes, reference: str) -> dict[str, Blob]:
    """Return the layers of a manifest by the path that their title gives them.

    Raises:
        MalformedError: it is no manifest.
        ForbiddenFileError: it cannot be told as files: an index, or a layer without a title, or packed.
    """
    document = _parse(data, reference)
    if "manifests" in document:
        raise ForbiddenFileError(
            f"{reference} is an index of several images",
            expected="the manifest of one, or `form: layout`",
            hint="pin the digest of one of its manifests, or take all of them: `form: layout`",
        )
    found: dict[str, Blob] = {}
    for layer in _blobs(document, "layers", reference):
        if str(layer.pin) == _EMPTY and layer.title is None:
            continue
        _check_plain(layer, reference)
        if layer.title is None or layer.title in found:
            raise ForbiddenFileError(
                f"a layer of {reference} has {'no path' if layer.title is None else 'the path of another one'}",
                expected="one path for each: " + " or ".join(_TITLES),
                found=f"{layer.type} {layer.pin}" if layer.title is None else ascii(layer.title[:80]),
                hint=_LAYOUT,
            )
        found[layer.title] = layer
    if not found:
        raise ForbiddenFileError(f"{reference} has no layers that are files", hint=_LAYOUT)
    return found


def read_layout(
    top: Blob, data: bytes, load: Callable[[Blob], bytes], reference: str
) -> tuple[dict[str, bytes], dict[str, Blob]]:
    """Return what a layout of an image holds, by path: bytes that are at hand, and blobs that are to be fetched.

    ``load`` gets a manifest that an index names.

    Raises:
        MalformedError: something is no manifest.
        ForbiddenFileError: a layer lies elsewhere, or there are too many of them.
    """
    index = {"mediaType": INDEXES[0], "manifests": [top.to_json()], "schemaVersion": 2}
    made = {"index.json": strict.format(index), "oci-layout": strict.format({"imageLayoutVersion": "1.0.0"})}
    blobs: dict[str, Blob] = {}
    waiting, manifests = [(top, data, 1)], 0
    while waiting:
        blob, read, depth = waiting.pop()
        manifests += 1
        if manifests > MAX_MANIFESTS or depth > MAX_DEPTH:
            raise ForbiddenFileError(
                f"{reference} names too many manifests, or too deeply",
                expected=f"at most {MAX_MANIFESTS}, {MAX_DEPTH} deep",
                hint="pin the digest of one of its manifests",
            )
        made[_path(blob)] = read
        document = _parse(read, reference)
        if "manifests" in document:
            below = list(_blobs(document, "manifests", reference))
            waiting += [(item, load(item), depth + 1) for item in below if _path(item) not in made]
            continue
        config = _blob(strict.member(document, "config", dict, reference), reference)
        for item in (config, *_blobs(document, "layers", reference)):
            _check_here(item, reference)
            blobs[_path(item)] = item
    if len(blobs) + len(made) > MAX_FILES:
        raise ForbiddenFileError(f"{reference} has too many layers", expected=f"at most {MAX_FILES} files")
    return made, {path: blob for path, blob in blobs.items() if path not in made}


def type_of(data: bytes, stated: str, reference: str) -> str:
    """Return the media type of a manifest: its own, or else what the registry states.

    Raises:
        MalformedError: it is neither a manifest nor an index.
    """
    document = _parse(data, reference)
    found = document.get("mediaType", stated.partition(";")[0].strip())
    known = INDEXES if "manifests" in document else MANIFESTS
    if found not in known:
        raise MalformedError(
            f"{reference} is not an image as registries hold them",
            expected=" or ".join(known),
            found=ascii(found)[:80],
        )
    return str(found)


def _path(blob: Blob) -> str:
    return f"blobs/{blob.pin.algorithm}/{blob.pin.digest}"


def _parse(data: bytes, reference: str) -> dict[str, Any]:
    what = f"the manifest of {reference}"
    document = strict.parse_any(data, limit=MAX_BYTES, what=what, floats=True)
    if type(document) is not dict or document.get("schemaVersion") != 2:
        raise MalformedError(f"{what} is none of OCI", expected="schemaVersion 2")
    return document


def _blobs(document: Mapping[str, Any], key: str, reference: str) -> Iterator[Blob]:
    listed = strict.member(document, key, list, reference)
    if len(listed) > MAX_FILES:
        raise ForbiddenFileError(f"{reference} has too many {key}", expected=f"at most {MAX_FILES}")
    for item in listed:
        yield _blob(item, reference)


def _blob(item: Any, reference: str) -> Blob:
    what = f"the manifest of {reference}"
    digest: str = strict.member(item, "digest", str, what)
    algorithm, _, digits = digest.partition(":")
    size: int = strict.member(item, "size", int, what)
    if size < 0 or len(digits) != HEX.get(algorithm) or not re.fullmatch("[0-9a-f]+", digits):
        raise MalformedError(
            f"{what} names something without a good digest or size", found=ascii(digest[:80])
        )
    annotations = item.get("annotations") or {}
    if type(annotations) is not dict or not all(isinstance(value, str) for value in annotations.values()):
        raise MalformedError(f"{what} has annotations that are no texts")
    kind: str = strict.member(item, "mediaType", str, what)
    if item.get("urls"):
        kind = f"{kind} (foreign)"
    return Blob(kind, Pin(algorithm, digits), size, annotations)


def _check_plain(layer: Blob, reference: str) -> None:
    """Check that a layer is a file as it is."""
    _check_here(layer, reference)
    unpack = layer.annotations.get(_UNPACK, "").lower() == "true"
    plain = layer.type == _PLAIN and layer.title is not None
    if unpack or (_PACKED.search(layer.type) and not plain):
        raise ForbiddenFileError(
            f"a layer of {reference} is an archive, and nothing is unpacked",
            expected="layers that are files, for instance application/vnd.cncf.model.weight.v1.raw",
            found=f"{ascii(layer.type[:120])[1:-1]}{', to be unpacked' if unpack else ''}",
            hint=_LAYOUT,
        )


def _check_here(blob: Blob, reference: str) -> None:
    if _ELSEWHERE.search(blob.type):
        raise ForbiddenFileError(
            f"a layer of {reference} lies outside of the registry",
            found=ascii(blob.type[:120])[1:-1],
            hint="ask its maker for an image whose layers may be handed on",
        )
