"""An image: an OCI image layout in which every blob is reached, and is what names it (SPEC L2.15).

What is in the layers is not looked at: that is for scanners, which know file systems. No layer is unpacked.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import ForbiddenFileError, MalformedError
from airlift.intake.gate.forms import image_documents as documents
from airlift.intake.gate.forms.image_documents import Descriptor
from airlift.intake.gate.forms.reading import Whole, refusing
from airlift.intake.gate.wrappings import tars

MARKER, INDEX = "oci-layout", "index.json"
MAX_DEPTH = 8
MAX_NAMED = 65_536
"""How many descriptors all documents of a layout may have."""
MAX_TEXT = 64 << 20
"""Bytes of all documents of a layout."""
_BLOB = re.compile(r"blobs/(sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})")
_COPY = "make the layout again: skopeo copy --all docker://NAME@DIGEST oci:FOLDER:TAG"
_HEAD = 512


def check_paths(paths: Iterable[str]) -> None:
    """Refuse a set of files that is no OCI image layout, judging by their paths.

    Raises:
        ForbiddenFileError: it is none.
    """
    found = set(paths)
    missing = sorted({MARKER, INDEX} - found)
    if missing:
        raise ForbiddenFileError(
            "it is no OCI image layout",
            expected=f"{MARKER}, {INDEX}, blobs/",
            found=f"no {missing[0]}",
            hint=_COPY,
        )
    other = sorted(path for path in found - {MARKER, INDEX} if not _BLOB.fullmatch(path))
    if other:
        raise ForbiddenFileError(
            f"{other[0]} is no part of an OCI image layout",
            expected=f"{MARKER}, {INDEX}, blobs/sha256/HEX",
            hint="leave it out: `exclude: [...]` in the source of the component",
        )


def check_whole(whole: Whole) -> None:
    """Refuse a layout unless every blob is reached from its index and is what names it.

    Raises:
        ForbiddenFileError: a blob is missing, is another, or is reached by nothing; or a document is malformed.
        UncheckedError: a file cannot be read.
    """
    with refusing(_COPY):
        documents.check_marker(whole.document(MARKER, documents.MAX_BYTES))
        walk = _Walk(whole)
        walk.index(INDEX, documents.parse_index(walk.text(INDEX), INDEX), 0)
    lost = sorted(set(whole.files) - walk.reached - {MARKER, INDEX})
    if lost:
        raise ForbiddenFileError(
            f"{len(lost)} blobs are reached by nothing in {INDEX}",
            found=lost[0],
            hint=f"{_COPY}; or umoci gc --layout FOLDER",
        )


@dataclass(slots=True)
class _Walk:
    """A walk over all that an index names: what was reached, and what the walk may still cost."""

    whole: Whole
    reached: set[str] = field(default_factory=set)
    followed: set[Descriptor] = field(default_factory=set)
    named: int = field(default_factory=lambda: MAX_NAMED)
    bytes_left: int = field(default_factory=lambda: MAX_TEXT)

    def text(self, path: str) -> bytes:
        """Return a document, within the bounds of all of them."""
        data = self.whole.document(path, documents.MAX_BYTES)
        self.bytes_left -= len(data)
        if self.bytes_left < 0:
            raise MalformedError(
                "the documents of the layout are too long", expected=f"at most {MAX_TEXT} bytes"
            )
        return data

    def index(self, what: str, items: tuple[Descriptor, ...], depth: int) -> None:
        """Follow what an index names, at most ``MAX_DEPTH`` deep."""
        if depth > MAX_DEPTH:
            raise MalformedError("indexes are nested too deeply", expected=f"at most {MAX_DEPTH}")
        for item in items:
            self._reach(item, what)
            if item in self.followed:
                continue
            self.followed.add(item)
            if item.media_type in documents.INDEXES:
                inner = documents.parse_index(self.text(item.path), item.path, item.media_type)
                self.index(item.path, inner, depth + 1)
            elif item.media_type in documents.MANIFESTS:
                self._manifest(item)
            else:
                raise _unknown(what, item)

    def _manifest(self, item: Descriptor) -> None:
        manifest = documents.parse_manifest(self.text(item.path), item.path, item.media_type)
        if manifest.config.media_type not in documents.CONFIGS:
            raise _unknown(item.path, manifest.config)
        self._reach(manifest.config, item.path)
        stated = documents.parse_config(self.text(manifest.config.path), manifest.config.path)
        if len(stated) != len(manifest.layers):
            raise MalformedError(
                f"{item.path} has other layers than its configuration states",
                expected=f"{len(stated)} layers",
                found=str(len(manifest.layers)),
            )
        for layer, unpacked in zip(manifest.layers, stated, strict=True):
            self._layer(layer, unpacked, item.path)

    def _layer(self, layer: Descriptor, unpacked: str, what: str) -> None:
        form = documents.LAYERS.get(layer.media_type)
        if form is None:
            raise _unknown(what, layer)
        self._reach(layer, what)
        if not _starts_as(form, self.whole.read(layer.path, _HEAD)):
            raise MalformedError(f"{layer.path} is not what {what} says", expected=form)
        if form == documents.TAR and unpacked != layer.digest:
            raise MalformedError(
                f"{what} has another layer than its configuration states",
                expected=unpacked,
                found=layer.digest,
            )

    def _reach(self, item: Descriptor, what: str) -> None:
        """Note that something names a blob, which must be there and be that one."""
        self.named -= 1
        if self.named < 0:
            raise MalformedError("the layout names too many blobs", expected=f"at most {MAX_NAMED}")
        entry = self.whole.files.get(item.path)
        if entry is None:
            raise MalformedError(f"{what} names a blob that is not there", found=item.digest)
        if entry.size != item.size:
            raise MalformedError(
                f"{item.path} has another size than {what} says",
                expected=f"{item.size} bytes",
                found=f"{entry.size} bytes",
            )
        if _digest(entry, item) != item.digest:
            raise MalformedError(
                f"{item.path} is not what its name says", expected=item.digest, found=_digest(entry, item)
            )
        self.reached.add(item.path)


def _digest(entry: FileEntry, item: Descriptor) -> str:
    algorithm = item.digest.partition(":")[0]
    return f"{algorithm}:{entry.sha256 if algorithm == 'sha256' else entry.sha512}"


def _starts_as(form: str, head: bytes) -> bool:
    """Say whether first bytes are those of a form; a tar archive without members is all zeros."""
    if form == documents.TAR:
        return tars.is_tar(head) or (len(head) == _HEAD and not head.strip(b"\0"))
    if form == documents.JSON:
        return head.lstrip()[:1] in {b"{", b"["}
    return head.startswith(b"\x1f\x8b\x08" if form == documents.GZIP else b"\x28\xb5\x2f\xfd")


def _unknown(what: str, item: Descriptor) -> MalformedError:
    return MalformedError(
        f"{what} names something of a media type that an image does not have",
        expected="an index, a manifest, a configuration or a layer of OCI or Docker",
        found=ascii(item.media_type[:120]),
    )
