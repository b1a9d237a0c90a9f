"""Code again what no volume at hand has: the same plan gives the same chunks (SPEC 6.8-4, 6.5-2)."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import zstandard

import airlift
from airlift import erasure, files
from airlift.bundle import choice, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.parity.stripe import Stripe
from airlift.errors import IncompleteError
from airlift.low.bundle import chunks
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.encode import check_bases, encode
from airlift.low.bundle.job import Coding
from airlift.low.bundle.planning.coding_plan import CodingPlan, plan_coding
from airlift.low.bundle.recutting.first_cut import FirstCut
from airlift.low.depot.digest_cache import DigestCache
from airlift.media.volume_reader import read_chunk
from airlift.media.volume_writer import StagedChunk
from airlift.progress import Progress, Tally


def code_again(
    bundle: Bundle,
    wanted: Sequence[FileDigest],
    folder: Path,
    *,
    cut: FirstCut,
    cache: DigestCache,
    workers: int,
    progress: Progress,
) -> tuple[StagedChunk, ...]:
    """Code a bundle again, as ``cut`` says that it was, and write the chunks that are wanted into ``folder``.

    Parity that is wanted is computed from the data of its stripes, which is written there too.

    Raises:
        IncompleteError: other chunks came out.
        NotHeldError: the depot does not have a release any more.
        DigestError, UncheckedError: content of the depot has changed, or cannot be read.
    """
    if not wanted:
        return ()
    plan = _plan(bundle, cut, cache)
    made: tuple[StagedChunk, ...] = ()
    if tuple(item.content for item in plan.files) == bundle.files:
        check_bases(plan, cache, workers, progress)
        data = [*wanted, *_beneath(bundle, wanted)]
        made = _code(plan, data, folder, cut=cut, cache=cache, workers=workers, progress=progress)
        made += _parity(bundle, wanted, {item.digest.sha512: item for item in made}, folder)
    there = {item.digest.sha512 for item in made}
    lacking = {item.sha512 for item in wanted} - there
    if lacking:
        raise _others(bundle, lacking)
    return made


def _stripes(bundle: Bundle, wanted: Sequence[FileDigest]) -> list[Stripe]:
    """Return the stripes whose parity is wanted."""
    names = {item.sha512 for item in wanted} - {item.sha512 for item in bundle.chunks}
    return [stripe for stripe in bundle.parity if any(item.sha512 in names for item in stripe.parity)]


def _beneath(bundle: Bundle, wanted: Sequence[FileDigest]) -> list[FileDigest]:
    """Return the data chunks that wanted parity is computed from."""
    return [bundle.chunks[index] for stripe in _stripes(bundle, wanted) for index in stripe.data]


def _parity(
    bundle: Bundle, wanted: Sequence[FileDigest], made: Mapping[str, StagedChunk], folder: Path
) -> tuple[StagedChunk, ...]:
    """Write the parity that is wanted into ``folder``, where its data was ``made``; return what came out right."""
    names, found = {item.sha512 for item in wanted}, []
    for stripe in _stripes(bundle, wanted):
        data = [made.get(bundle.chunks[index].sha512) for index in stripe.data]
        there = [item for item in data if item is not None]
        if len(there) < len(data):
            continue
        members = [
            read_chunk(folder / volume.chunk_name(item.digest.sha512), item.digest, item.sha256)
            for item in there
        ]
        for stated, coded in zip(stripe.parity, erasure.encode(members, len(stripe.parity)), strict=True):
            if stated.sha512 in names and hashlib.sha512(coded).hexdigest() == stated.sha512:
                files.write_durable(folder / volume.chunk_name(stated.sha512), bytes(coded))
                found.append(StagedChunk(stated, hashlib.sha256(coded).hexdigest()))
    return tuple(found)


def _plan(bundle: Bundle, cut: FirstCut, cache: DigestCache) -> CodingPlan:
    target, baseline = (
        None if reference is None else cache.depot.load_release(reference.digest)
        for reference in (bundle.target, bundle.baseline)
    )
    if target is None:
        return CodingPlan((), (), (), ())
    held = None if baseline is None else baseline.only(cut.baseline_variants)
    return plan_coding(cache.depot, choice.carried_part(bundle, target), held)


def _code(
    plan: CodingPlan,
    wanted: Sequence[FileDigest],
    folder: Path,
    *,
    cut: FirstCut,
    cache: DigestCache,
    workers: int,
    progress: Progress,
) -> tuple[StagedChunk, ...]:
    numbering, tally = Numbering(plan), Tally("encoding", plan.target_bytes, progress)
    coding, limits = Coding(workers, effort=cut.effort), chunks.block_limits(cut.chunk_limit)
    with closing(encode(plan, cache, limits, coding, read=tally.add)) as encoded:
        packed = chunks.pack(chunks.merge(numbering.number(item) for item in encoded), cut.chunk_limit)
        return tuple(chunks.write_wanted(packed, folder, {item.sha512 for item in wanted}))


def _others(bundle: Bundle, lacking: set[str]) -> IncompleteError:
    release = bundle.target.label if bundle.target else "RELEASE"
    from_ = bundle.baseline.label if bundle.baseline else "none"
    return IncompleteError(
        f"{len(lacking)} chunks of bundle {bundle.id} are on no volume at hand, and coding it again gives others",
        expected="the chunks that its manifest lists: the same versions of libraries, and the coding as it was",
        found=f"airlift {airlift.__version__}, zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
        hint="give volumes that hold them (--volumes DIR), or make a new bundle: "
        f"`airlift low bundle {release} --from {from_}`",
        data={"missing": [item.sha512 for item in bundle.all_chunks if item.sha512 in lacking]},
    )
