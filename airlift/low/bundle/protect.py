"""Protect a bundle with parity: lay its chunks out in stripes and volumes, and code the parity chunks (SPEC 6.7)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from airlift import erasure, strict
from airlift import progress as progress_module
from airlift.bundle import manifest, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MIN_CHUNK_BYTES
from airlift.bundle.parity import layout
from airlift.bundle.parity.layout import Layout
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.release import Release
from airlift.low.bundle.chunks import Parts, write_chunks
from airlift.low.bundle.job import Destination, Job
from airlift.low.bundle.publish import Coded, Protection, describe, documents_of
from airlift.low.depot import attestation_index
from airlift.low.depot.depot import Depot
from airlift.media import volume_writer
from airlift.media.volume_reader import read_chunk
from airlift.media.volume_writer import StagedChunk
from airlift.progress import Progress, Tally
from airlift.trust.tuf import bundling, targets
from airlift.trust.tuf.metadata import ATTESTATIONS
from airlift.trust.tuf.roles import BUNDLER

STATEMENT_BYTES = 64 << 10
"""What is set aside for each statement about how a bundle was made, which is signed only when it is complete."""


def chunk_limit(destination: Destination, target_bytes: int) -> int:
    """Return the bytes of the largest chunk for a destination; ``target_bytes`` are to be rebuilt.

    Raises:
        VolumeTooSmallError: the medium takes no chunk.
    """
    medium, asked = destination.medium, destination.redundancy
    if asked is None:
        return medium.chunk_bytes
    return layout.chunk_bytes(asked, medium.chunk_bytes, MIN_CHUNK_BYTES, medium.volume_bytes, target_bytes)


def protect(
    depot: Depot, job: Job, coded: Coded, folder: Path | None, progress: Progress = progress_module.silent
) -> Coded:
    """Return a coded bundle with the parity that was asked for; its chunks are in ``folder``, None: nowhere yet.

    Without a folder nothing is computed but sizes. Each chunk is held against its digest when it is read again.

    Raises:
        VolumeTooSmallError: chunks and parity do not fit.
        DigestError: a chunk in staging has changed.
    """
    asked, chunks = job.destination.redundancy, tuple(item.digest for item in coded.chunks)
    if asked is None or not chunks:
        return coded
    capacity = job.destination.medium.volume_bytes
    found = layout.lay_out(
        chunks,
        asked,
        most_volumes=volume.MAX_VOLUMES,
        least=1 if capacity is None else -(-sum(item.size for item in chunks) // capacity),
        fits=lambda made: _fits(depot, job, coded, made),
    )
    if folder is None:
        return replace(coded, protection=_provisional(found, chunks))
    tally = Tally("computing parity", sum(item.size for item in chunks), progress)
    written = write_chunks(_parity(found, coded.chunks, folder, tally), folder)
    return replace(coded, protection=_protection(found, chunks, written))


def _parity(found: Layout, chunks: Sequence[StagedChunk], folder: Path, tally: Tally) -> Iterator[Parts]:
    """Yield the parity chunks, stripe by stripe."""
    for stripe in found.stripes:
        data = []
        for item in (chunks[index] for index in stripe.data):
            data.append(read_chunk(folder / volume.chunk_name(item.digest.sha512), item.digest, item.sha256))
            tally.add(item.digest.size)
        for made in erasure.encode(data, stripe.parity):
            yield (memoryview(made),)


def _protection(found: Layout, chunks: Sequence[FileDigest], written: Sequence[StagedChunk]) -> Protection:
    """Give the parity chunks, written stripe by stripe, their places in stripes and volumes."""
    following = iter(written)
    stripes = [
        Stripe(plan.data, tuple(next(following).digest for _ in range(plan.parity))) for plan in found.stripes
    ]
    shares = (
        {chunks[index].sha512 for index in share.data}
        | {stripes[stripe].parity[number].sha512 for stripe, number in share.parity}
        for share in found.shares
    )
    return Protection(tuple(stripes), tuple(map(frozenset, shares)), tuple(written))


def _provisional(found: Layout, chunks: Sequence[FileDigest]) -> Protection:
    """Return stripes and shares before parity is computed: sizes are right, digests stand for those to come."""
    sizes = [plan.size for plan in found.stripes for _ in range(plan.parity)]
    return _protection(
        found,
        chunks,
        [StagedChunk(FileDigest(f"{number:0128x}", size), "") for number, size in enumerate(sizes)],
    )


def _fits(depot: Depot, job: Job, coded: Coded, found: Layout) -> bool:
    """Say whether the volumes of a layout fit their medium, with room for what is signed later."""
    if job.destination.medium.volume_bytes is None:
        return True
    chunks = [item.digest for item in coded.chunks]
    made = describe(depot, job, replace(coded, protection=_provisional(found, chunks)))
    statements = _statement_sizes(depot, job.target)
    documents = documents_of(depot, made, job.target)
    documents |= {f"{number}.json": bytes(size) for number, size in enumerate(statements)}
    listed = {ATTESTATIONS: [f"{number:0128x}" for number in range(len(statements))]}
    target = targets.describe(manifest.target_name(made.digest), BUNDLER, b"", listed)
    sizes = bundling.planned_sizes(depot.store, target, made.sequence, job.signer.public, job.now)
    shares = [found.sizes(share, chunks) for share in found.shares]
    return volume_writer.fit(made, shares, job.destination.medium, sizes, documents)


def _statement_sizes(depot: Depot, release: Release | None) -> list[int]:
    """Return the bytes of the attestations that go along, those that are not made yet at their largest."""
    if release is None:
        return []
    kept = [len(item.data) for item in attestation_index.load(depot, release.digest)]
    said = sum(2 * len(strict.format(item.source)) + 1024 for item in release.components)
    return [*kept, STATEMENT_BYTES, STATEMENT_BYTES + said]
