"""Check volumes before they leave: re-read every byte that was written or burnt (SPEC L5).

Needs no depot; with one, the bundle must also be among those that it has published. Nothing is written.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift import progress as progress_module
from airlift.bundle import agreement, own, remarks, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.volume import CHUNKS
from airlift.errors import DigestError, IncompleteError, NotHeldError, UsageError
from airlift.low.depot import outstanding
from airlift.low.depot.depot import Depot
from airlift.media.claims import Claims, count_volumes, missing_chunks, read_claims
from airlift.media.volume_reader import Volume, passed_over, read_chunk, read_volumes
from airlift.media.volume_writer import VolumeInfo
from airlift.progress import Progress, Tally


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is on the volumes, all of it good.

    ``missing`` are the data chunks (SHA-512) on volumes that were not given, ``missing_parity`` the parity chunks.
    ``published`` says whether the depot lists the bundle; None without a depot. ``remarks`` are what people must know
    of components beside their names; ``passed_over`` are leftovers of desktops. ``enclaves`` are all that it is
    for, where these are several.
    """

    bundle: str
    sequence: int
    enclave: str | None
    baseline: str | None
    target: str | None
    marking: str
    volumes: tuple[VolumeInfo, ...]
    volumes_present: int
    volumes_total: int
    missing: tuple[str, ...]
    published: bool | None
    remarks: tuple[str, ...] = ()
    passed_over: tuple[Path, ...] = ()
    missing_parity: tuple[str, ...] = ()
    enclaves: tuple[str, ...] = ()


def check_volumes(
    paths: Sequence[Path], *, depot: Depot | None = None, progress: Progress = progress_module.silent
) -> CheckResult:
    """Re-read the volumes of one bundle, or folders that hold them.

    Raises:
        DigestError, InventoryError, MalformedError: a volume is not as it was written.
        IncompleteError: a volume lacks a chunk that it lists.
        MixedVolumesError: the volumes belong to different bundles.
        NotHeldError: the depot does not list the bundle.
        UncheckedError: there is no volume, or it cannot be read.
        UsageError: no volume was named.
    """
    if not paths:
        raise UsageError("there is nothing to check", expected="at least one volume")
    volumes = read_volumes(paths)
    claims = read_claims(volumes)
    bundle = claims.bundle
    published = None if depot is None else _published(depot, bundle)
    tally = Tally("checking", sum(item.size for item in volumes), progress)
    for item in volumes:
        tally.add(item.small_bytes)
        _check_chunks(item, bundle, tally)
    for stripe in bundle.parity:
        _check_stripe(stripe, volumes, bundle, tally)
    for item in volumes:
        _check_complete(item, bundle)
    return _result(claims, volumes, published)


def _result(claims: Claims, volumes: Sequence[Volume], published: bool | None) -> CheckResult:
    bundle = claims.bundle
    present, total = count_volumes(volumes, bundle.parity_chunks)
    return CheckResult(
        bundle=bundle.id,
        sequence=bundle.sequence,
        enclave=bundle.enclave,
        baseline=bundle.baseline.label if bundle.baseline else None,
        target=bundle.target.label if bundle.target else None,
        marking=str(bundle.marking),
        volumes=tuple(VolumeInfo(item.folder, item.size) for item in volumes),
        volumes_present=present,
        volumes_total=total,
        missing=missing_chunks(volumes, bundle.chunks),
        published=published,
        remarks=remarks.of_release(claims.carried),
        passed_over=passed_over(volumes),
        missing_parity=missing_chunks(volumes, bundle.parity_chunks),
        enclaves=bundle.enclaves if bundle.portions else (),
    )


def _published(depot: Depot, bundle: Bundle) -> bool:
    listed = {item.bundle.digest for item in outstanding.load(depot)}
    if bundle.digest not in listed:
        raise NotHeldError(f"bundle {bundle.id} is not one that this depot has published and not withdrawn")
    for item in own.every(bundle):
        if item.baseline is not None:
            agreement.check_baseline(item, depot.load_release(item.baseline.digest))
    return True


def _check_chunks(item: Volume, bundle: Bundle, tally: Tally) -> None:
    """Digest every chunk of a volume against the bundle manifest and SHA256SUMS; all else was digested when read.

    Where there is parity, :func:`_check_stripe` does it.
    """
    for chunk in () if bundle.parity else bundle.chunks:
        _read(chunk, item, tally)


def _read(chunk: FileDigest, item: Volume, tally: Tally) -> memoryview | None:
    """Return a chunk, held against manifest and SHA256SUMS; None if the volume does not have it."""
    name = volume.chunk_name(chunk.sha512)
    if name not in item.chunks:
        return None
    data = read_chunk(item.folder / CHUNKS / name, chunk, item.sums[name])
    tally.add(len(data))
    return data


def _check_stripe(stripe: Stripe, volumes: Sequence[Volume], bundle: Bundle, tally: Tally) -> None:
    """Digest every copy of the chunks of a stripe, each once; where all data is at hand, compute its parity anew.

    Raises:
        DigestError: a copy is damaged, or the parity is not that of the data.
    """
    from airlift import erasure  # noqa: PLC0415 - NumPy: only a bundle with parity needs it

    members = stripe.members(bundle.chunks)
    good: dict[str, memoryview] = {}
    for chunk in dict.fromkeys(members):
        for item in volumes:
            data = _read(chunk, item, tally)
            if data is not None:
                good[chunk.sha512] = data
    wanted = [chunk.sha512 for chunk in members[: len(stripe.data)]]
    if not good.keys() >= set(wanted):
        return
    made = erasure.encode([good[sha512] for sha512 in wanted], len(stripe.parity))
    for signed, found in zip(stripe.parity, made, strict=True):
        if hashlib.sha512(found).hexdigest() != signed.sha512:
            raise DigestError(
                f"parity chunk {volume.chunk_name(signed.sha512)} is not computed from the data of its stripe",
                hint="bundle again: no import could rebuild anything from this parity",
            )


def _check_complete(item: Volume, bundle: Bundle) -> None:
    """Check that a volume has the chunks that it lists, wherever else they may lie.

    Raises:
        IncompleteError: it lacks one.
    """
    absent = set(item.sums) - set(item.chunks)
    if absent:
        digests = [one.sha512 for one in bundle.all_chunks if volume.chunk_name(one.sha512) in absent]
        raise IncompleteError(
            f"{item.folder} lacks chunks that it lists",
            expected=f"{len(item.sums)} chunks",
            found=f"{len(item.chunks)} chunks",
            hint="copy the volume again from its source",
            data={"missing": digests},
        )
