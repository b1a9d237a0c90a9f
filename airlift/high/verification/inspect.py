"""Inspect: what volumes claim to be. No trust is needed and nothing is proven (SPEC 6.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.bundle import own, remarks, volume
from airlift.bundle.parity.stripe import lost_for_good, repairable
from airlift.media.claims import count_volumes, missing_chunks, read_claims
from airlift.media.volume_reader import passed_over, read_volumes


@dataclass(frozen=True, slots=True)
class InspectResult:
    """The claims of a set of volumes; ``verified`` is always False, ``passed_over`` are leftovers of desktops.

    ``enclaves`` are those that it is for, where these are several; the baseline of each is on the label.
    ``missing`` are data chunks (SHA-512) that are not there; ``repairable`` those of which parity would be enough.
    """

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
    remarks: tuple[str, ...] = ()
    passed_over: tuple[Path, ...] = ()
    installed: bool = False
    activated: bool = False
    already: bool = False
    verified: bool = False
    repairable: tuple[str, ...] = ()
    parity_chunks: int = 0
    parity_bytes: int = 0
    enclaves: tuple[str, ...] = ()


def inspect_volumes(paths: Sequence[Path]) -> InspectResult:
    """Return what the volumes say; only their consistency with themselves is checked.

    Raises:
        UncheckedError: nothing there, unreadable, or a newer format.
        ProvenBadError: a volume contradicts itself.
    """
    volumes = read_volumes(paths)
    claimed = read_claims(volumes)
    bundle, release = claimed.bundle, claimed.carried
    present, total = count_volumes(volumes, bundle.parity_chunks)
    absent = set(missing_chunks(volumes, bundle.all_chunks))
    there = {item.sha512 for item in bundle.all_chunks} - absent
    return InspectResult(
        **volume.summary(own.whole(bundle)),
        issued=bundle.issued,
        volumes_present=present,
        volumes_total=total,
        volumes=tuple(
            {
                "path": str(item.folder),
                "volume": item.index.volume,
                "chunks": len(item.chunks),
                "bytes": item.size,
            }
            for item in volumes
        ),
        missing=lost_for_good(bundle.parity, bundle.chunks, there),
        chunk_bytes=sum(chunk.size for chunk in bundle.chunks),
        components=remarks.summaries(release),
        remarks=remarks.of_release(release),
        passed_over=passed_over(volumes),
        repairable=repairable(bundle.parity, bundle.chunks, there),
        parity_chunks=len(bundle.parity_chunks),
        parity_bytes=sum(item.size for item in bundle.parity_chunks),
    )
