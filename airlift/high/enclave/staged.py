"""What is staged: bundles of which an import has kept chunks (SPEC 7.1-3). Everything here reads."""

import hashlib
from pathlib import Path

from airlift import files
from airlift.bundle import manifest
from airlift.bundle.fields import NAME_HEX
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.recover import children

MANIFEST = "bundle.json"


def staged_folders(enclave: Enclave) -> list[Path]:
    """Return the folder of every staged bundle, committed or not."""
    return [path for path in children(enclave.staging) if path.is_dir() and not path.name.startswith(".tmp-")]


def load_manifest(folder: Path) -> Bundle | None:
    """Return the bundle manifest that was verified when it was staged, if it still is the one of this folder."""
    try:
        data = files.read_bounded(folder / MANIFEST, manifest.MAX_BYTES)
        right = hashlib.sha512(data).hexdigest()[:NAME_HEX] == folder.name
        return manifest.parse(data) if right else None
    except AirliftError:
        return None
