"""Code again what no volume at hand has: the same plan gives the same chunks (SPEC 6.8-4, 6.5-2)."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import zstandard

import airlift
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.errors import IncompleteError
from airlift.low.bundle import chunks
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.encode import check_bases, encode
from airlift.low.bundle.job import Coding
from airlift.low.bundle.planning.coding_plan import CodingPlan, plan_coding
from airlift.low.bundle.recutting.first_cut import FirstCut
from airlift.low.depot.digest_cache import DigestCache
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

    Coding ends with the last of them.

    Raises:
        IncompleteError: other chunks came out.
        NotHeldError: the depot does not have a release any more.
        DigestError, UncheckedError: content of the depot has changed, or cannot be read.
    """
    if not wanted:
        return ()
    plan = _plan(bundle, cache)
    made: tuple[StagedChunk, ...] = ()
    if tuple(item.content for item in plan.files) == bundle.files:
        check_bases(plan, cache, workers, progress)
        made = _code(plan, wanted, folder, cut=cut, cache=cache, workers=workers, progress=progress)
    if len(made) < len(wanted):
        raise _others(bundle, {item.sha512 for item in wanted} - {item.digest.sha512 for item in made})
    return made


def _plan(bundle: Bundle, cache: DigestCache) -> CodingPlan:
    target, baseline = (
        None if reference is None else cache.depot.load_release(reference.digest)
        for reference in (bundle.target, bundle.baseline)
    )
    return CodingPlan((), (), (), ()) if target is None else plan_coding(cache.depot, target, baseline)


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
        data={"missing": [item.sha512 for item in bundle.chunks if item.sha512 in lacking]},
    )
