"""OCI image layouts and layers for tests, made by hand after the OCI image specification 1.1.

A layer is a tar archive with entries in order and without times, so that the same files give the same bytes.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def layer(files: Mapping[str, bytes]) -> bytes:
    """Return a layer with these files, by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def folder_layer(folder: Path) -> bytes:
    """Return a layer with all files of a folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return layer({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Return what names a blob."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data), **more}


def dump(document: Any) -> bytes:
    """Return a document as tools write it."""
    return json.dumps(document).encode()


def image(layers: Sequence[bytes], *, packed: bool = False, tag: str = "1") -> dict[str, bytes]:
    """Return the files of a layout with one image; ``packed`` compresses its layers."""
    config = dump(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/app/run"]},
            "rootfs": {"type": "layers", "diff_ids": [descriptor("", data)["digest"] for data in layers]},
        }
    )
    blobs = [gzip.compress(data, mtime=0) if packed else data for data in layers]
    kind = f"{LAYER}+gzip" if packed else LAYER
    manifest = dump(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(kind, data) for data in blobs],
        }
    )
    named = {"org.opencontainers.image.ref.name": tag}
    top = {
        "schemaVersion": 2,
        "manifests": [descriptor(MANIFEST, manifest, annotations=named)],
    }
    return layout(top, [config, manifest, *blobs])


def layout(index: Any, blobs: Sequence[bytes]) -> dict[str, bytes]:
    """Return the files of a layout with this index and these blobs."""
    return {
        "oci-layout": dump({"imageLayoutVersion": "1.0.0"}),
        "index.json": dump(index),
        **{f"blobs/sha256/{hashlib.sha256(data).hexdigest()}": data for data in blobs},
    }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder, and return it."""
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder
