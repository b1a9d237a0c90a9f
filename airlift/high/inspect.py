"""Inspect: what volumes claim to be. No trust is needed and nothing is proven (SPEC 6.6)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.bundle import manifest, volume
from airlift.bundle import release as releases
from airlift.errors import InventoryError
from airlift.high.medium import check_claims, read_volumes
from airlift.trust import carried


@dataclass(frozen=True, slots=True)
class InspectResult:
    """The claims of a set of volumes; ``verified`` is always False."""

    bundle: str
    sequence: int
    enclave: str | None
    baseline: str | None
    target: str | None
    marking: Mapping[str, Any]
    issued: str
    volumes_present: int
    volumes_total: int
    volumes: tuple[Mapping[str, Any], ...]
    missing: tuple[str, ...]
    chunk_bytes: int
    components: tuple[Mapping[str, Any], ...]
    installed: bool = False
    activated: bool = False
    already: bool = False
    verified: bool = False


def inspect(paths: Sequence[Path]) -> InspectResult:
    """Return what the volumes say; only their consistency with themselves is checked.

    Raises:
        UncheckedError: nothing there, unreadable, or a newer format.
        ProvenBadError: a volume contradicts itself.
    """
    volumes = read_volumes(paths)
    first = volumes[0]
    carried.check(first.part(volume.METADATA), first.part(volume.METADATA).get(carried.NEWEST))
    manifests = first.part(volume.MANIFESTS)
    data = manifests.get(volume.manifest_name(first.index.manifest))
    if data is None or hashlib.sha512(data).hexdigest() != first.index.manifest:
        raise InventoryError(f"{first.folder} lacks the bundle manifest that it names")
    bundle = manifest.parse(data)
    check_claims(volumes, bundle)
    target = bundle.target and manifests.get(volume.manifest_name(bundle.target.digest))
    present = {name for item in volumes for name in item.chunks}
    return InspectResult(
        **volume.summary(bundle),
        issued=bundle.issued,
        volumes_present=len({item.index.volume for item in volumes}),
        volumes_total=max(item.index.volumes for item in volumes),
        volumes=tuple(
            {
                "path": str(item.folder),
                "volume": item.index.volume,
                "chunks": len(item.chunks),
                "bytes": sum(map(len, item.small.values())) + sum(item.chunks.values()),
            }
            for item in volumes
        ),
        missing=tuple(c.sha512 for c in bundle.chunks if volume.chunk_name(c.sha512) not in present),
        chunk_bytes=sum(chunk.size for chunk in bundle.chunks),
        components=tuple(
            {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
            for c in (releases.parse(target).components if target else ())
        ),
    )
