"""What is kept to be handed on: original volumes of bundles, by their digests (SPEC 7.12-2). Reads only."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import manifest, volume
from airlift.bundle.fields import NAME_HEX, is_hex
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError, NotHeldError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.recover import children
from airlift.store.release_lookup import MIN_PREFIX


@dataclass(frozen=True, slots=True)
class KeptBundle:
    """A bundle that is kept: its folder, and how many volumes and bytes these are.

    ``bundle`` is None if no volume has its manifest. Nothing is proven of the rest.
    """

    folder: Path
    bundle: Bundle | None
    volumes: int
    bytes: int

    @property
    def name(self) -> str:
        """What people call it: the bundle's id, or the beginning of its digest."""
        return self.bundle.id if self.bundle else self.folder.name


def kept_bundles(enclave: Enclave) -> tuple[KeptBundle, ...]:
    """Return what is kept, the newest bundle first."""
    found = [_load(path) for path in children(enclave.relay) if not path.name.startswith(".tmp-")]
    return tuple(sorted(found, key=lambda item: -item.bundle.sequence if item.bundle else 0))


def find_kept(enclave: Enclave, reference: str) -> KeptBundle:
    """Return the kept bundle of this id, or with a digest that begins with these 12 or more hex digits.

    Raises:
        NotHeldError: there is none, or more than one.
    """
    known = kept_bundles(enclave)
    prefix = reference if len(reference) >= MIN_PREFIX and is_hex(reference, len(reference)) else "-"
    found = [
        item for item in known if item.name == reference or item.folder.name.startswith(prefix[:NAME_HEX])
    ]
    if len(found) != 1:
        raise NotHeldError(
            f"{'more than one bundle' if found else 'no bundle'} named {reference!a} is kept to be handed on",
            expected="one of " + (", ".join(item.name for item in known) or "none"),
            hint="see what is kept: `airlift high status`",
        )
    return found[0]


def describe_kept(enclave: Enclave) -> tuple[Mapping[str, Any], ...]:
    """Return what is kept in plain values."""
    return tuple(
        {
            "bundle": item.bundle.id if item.bundle else None,
            "manifest": item.bundle.digest if item.bundle else item.folder.name,
            "target": item.bundle.target.label if item.bundle and item.bundle.target else None,
            "volumes": item.volumes,
            "bytes": item.bytes,
        }
        for item in kept_bundles(enclave)
    )


def _load(folder: Path) -> KeptBundle:
    volumes = [path for path in children(folder) if path.is_dir()]
    return KeptBundle(folder, _manifest(folder, volumes), len(volumes), sum(map(_size, volumes)))


def _manifest(folder: Path, volumes: list[Path]) -> Bundle | None:
    """Return the manifest that the folder is named by, from whichever volume has it."""
    for path in volumes:
        try:
            data = files.read_bounded(
                path / volume.MANIFESTS / volume.manifest_name(folder.name), manifest.MAX_BYTES
            )
            if hashlib.sha512(data).hexdigest()[:NAME_HEX] == folder.name:
                return manifest.parse(data)
        except AirliftError:
            continue
    return None


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    with files.reading(folder):
        return sum(
            os.lstat(Path(place) / name).st_size for place, _, names in os.walk(folder) for name in names
        )
