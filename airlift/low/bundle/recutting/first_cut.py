"""The first cut of a bundle: how it was coded, where it was written, and what its volumes carry (SPEC 6.8-3, L4.13).

What the depot's log tells is a hint: where it is missing or wrong, other chunks or other metadata come out, and that
is noticed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift.bundle import fields, manifest, revocations, volume
from airlift.bundle.manifest import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Bundle
from airlift.bundle.volume import MAX_VOLUMES
from airlift.codec import Effort
from airlift.errors import ProvenBadError, RefusedError, UncheckedError
from airlift.low.bundle.publish import documents_of
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import Event, read_events
from airlift.media.volume_writer import SmallFiles
from airlift.trust.statements import dsse
from airlift.trust.tuf import bundling, metadata, targets
from airlift.trust.tuf.metadata import MAX_BYTES, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import BUNDLER
from airlift.trust.tuf.targets import Target

BUNDLED, RECUT = "bundle", "recut"
"""Events of the depot's log that tell where volumes of a bundle were written."""


@dataclass(frozen=True, slots=True)
class FirstCut:
    """What the log tells of a bundle: the folders of its volumes, how it was coded, the SHA-512 of its timestamp.

    ``folders`` are those of every cut, the newest first; ``chunk_limit`` is the most bytes of a chunk;
    ``baseline_variants`` are the names of the baseline's variants that counted as held, ``each_variants`` those of
    the baseline of each of several enclaves.
    """

    folders: tuple[Path, ...] = ()
    effort: Effort = Effort.NORMAL
    chunk_limit: int = MAX_CHUNK_BYTES
    timestamp: str | None = None
    baseline_variants: tuple[str, ...] = ()
    each_variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Carried:
    """What every volume of a re-cut carries; ``of_first_cut`` says whether the metadata is that of the first cut."""

    small: SmallFiles
    of_first_cut: bool


def recall(depot: Depot, bundle: Bundle) -> FirstCut:
    """Return what the depot's log tells of a bundle."""
    said = [item for item in told(depot) if item.detail.get("digest") == bundle.digest]
    places = [item.detail for item in reversed(said) if item.event in {BUNDLED, RECUT}]
    made = next((item.detail for item in said if item.event == BUNDLED), {})
    effort = str(made.get("effort")).upper()
    limit, timestamp = made.get("chunk_limit"), made.get("timestamp")
    several = made.get("portions")
    portions = [item for item in several if isinstance(item, dict)] if isinstance(several, list) else []
    return FirstCut(
        folders=tuple(folder for detail in places for folder in _folders(bundle, detail)),
        effort=Effort[effort] if effort in Effort.__members__ else Effort.NORMAL,
        chunk_limit=_count(limit, MIN_CHUNK_BYTES, MAX_CHUNK_BYTES) or MAX_CHUNK_BYTES,
        timestamp=timestamp if isinstance(timestamp, str) and fields.is_hex(timestamp, 128) else None,
        baseline_variants=_names(made.get("baseline_variants")),
        each_variants={str(item.get("enclave")): _names(item.get("baseline_variants")) for item in portions},
    )


def told(depot: Depot) -> tuple[Event, ...]:
    """Return the events of the depot's log, or none if it is damaged: nothing here depends on it."""
    try:
        return read_events(depot)
    except ProvenBadError:
        return ()


def carried_files(
    depot: Depot, bundle: Bundle, cut: FirstCut, seen: Sequence[bytes], now: datetime
) -> Carried:
    """Return what every volume of a re-cut carries.

    ``seen`` are the timestamps of volumes at hand. The first cut's metadata is taken while it is good, else the
    depot's newest.

    Raises:
        ExpiredError: that has expired too.
        RefusedError: it names another list of revocations than the bundle does.
        DigestError, UncheckedError: a document of the depot is damaged or missing.
    """
    first = _first_timestamps(depot, cut, seen)
    found = next(_good(depot, bundle, first, now), None)
    files, target = found or _led_to(depot, bundle, depot.store.raw(TIMESTAMP, None), now)
    release = None if bundle.target is None else depot.load_release(bundle.target.digest)
    documents = documents_of(depot, bundle, release)
    for digest in target.attestations:
        documents[volume.manifest_name(digest)] = depot.documents.load(digest, dsse.MAX_BYTES)
    return Carried(SmallFiles(files, documents), of_first_cut=files[metadata.NEWEST] in first)


# -- inside --------------------------------------------------------------------------------------------------------

Found = tuple[Mapping[str, bytes], Target]
"""The files of ``metadata/``, and what they list a bundle as."""


def _count(value: object, least: int, most: int) -> int | None:
    """Return a whole number of ``[least, most]``, or None if it is none."""
    return value if type(value) is int and least <= value <= most else None


def _names(value: object) -> tuple[str, ...]:
    """Return the texts of a list, none if it is no list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _folders(bundle: Bundle, detail: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folders that an event says volumes were written to."""
    output, cut = detail.get("output"), detail.get("cut", "")
    total = _count(detail.get("volumes"), 1, MAX_VOLUMES)
    if isinstance(output, str) and total and (not cut or fields.is_hex(cut, volume.CUT_HEX)):
        for number in range(1, total + 1):
            yield Path(output) / volume.folder_name(bundle, number, total, cut)


def _first_timestamps(depot: Depot, cut: FirstCut, seen: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the timestamp of the first cut, as kept; of an older bundle, of which none is, those of volumes."""
    if cut.timestamp is None or not depot.documents.path(cut.timestamp).is_file():
        return tuple(dict.fromkeys(seen))
    return (depot.documents.load(cut.timestamp, MAX_BYTES[TIMESTAMP]),)


def _good(depot: Depot, bundle: Bundle, timestamps: Iterable[bytes], now: datetime) -> Iterator[Found]:
    """Yield what those timestamps lead to that are good still."""
    for timestamp in timestamps:
        try:
            yield _led_to(depot, bundle, timestamp, now)
        except (ProvenBadError, RefusedError, UncheckedError):
            continue


def _led_to(depot: Depot, bundle: Bundle, timestamp: bytes, now: datetime) -> Found:
    """Return what a timestamp leads to, held against the bundle as importers will."""
    files = bundling.earlier_files(depot.store, timestamp, now)
    target = _listed(files, BUNDLER).get(manifest.target_name(bundle.digest))
    current = _listed(files, TARGETS)[revocations.TARGET].sha512
    if target is None or current != bundle.revocations:
        raise RefusedError(
            f"no metadata fits bundle {bundle.id} any more",
            expected=f"the list of revocations {bundle.revocations[:16]}..., which was signed when it was made",
            found=f"{current[:16]}..., signed since; the metadata of its first cut is not good, or not known",
            hint="make a new bundle: `airlift low bundle`",
        )
    return files, target


def _listed(files: Mapping[str, bytes], role: str) -> dict[str, Target]:
    (data,) = (data for name, data in files.items() if name.endswith(f".{role}.json"))
    return targets.listed(metadata.check(role, data), role)
