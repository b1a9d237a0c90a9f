"""Code again what no volume at hand has: the same plan gives the same chunks (SPEC 6.8-4, 6.5-2)."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import zstandard

import airlift
from airlift import erasure, files
from airlift.bundle import choice, own, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.release import Release
from airlift.errors import IncompleteError
from airlift.low.bundle import chunks
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.encode import check_bases, encode
from airlift.low.bundle.job import Coding
from airlift.low.bundle.planning.coding_plan import CodingPlan, plan_coding
from airlift.low.bundle.planning.joint_plan import JointPlan, plan_groups
from airlift.low.bundle.planning.receivers import Receiver
from airlift.low.bundle.recutting.first_cut import FirstCut
from airlift.low.depot.digest_cache import DigestCache
from airlift.low.depot.enclaves import OPERATOR
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
    joint = _plan(bundle, cut, cache)
    plan = joint.plan
    made: tuple[StagedChunk, ...] = ()
    if tuple(item.content for item in plan.files) == bundle.files:
        check_bases(plan, cache, workers, progress)
        data = [*wanted, *_beneath(bundle, wanted)]
        made = _code(joint, data, folder, cut=cut, cache=cache, workers=workers, progress=progress)
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


def _plan(bundle: Bundle, cut: FirstCut, cache: DigestCache) -> JointPlan:
    target, baseline = (
        None if reference is None else cache.depot.load_release(reference.digest)
        for reference in (bundle.target, bundle.baseline)
    )
    if target is None:
        return JointPlan(CodingPlan((), (), (), ()))
    if bundle.portions:
        return _plan_portions(bundle, cut, cache, target)
    held = None if baseline is None else baseline.only(cut.baseline_variants)
    return JointPlan(plan_coding(cache.depot, choice.carried_part(own.whole(bundle), target), held))


def _plan_portions(bundle: Bundle, cut: FirstCut, cache: DigestCache, target: Release) -> JointPlan:
    """Plan the groups of a bundle for several enclaves, as its manifest tells them."""
    receivers, takers = [], [set[str]() for _ in bundle.files]
    for item in own.every(bundle):
        name = item.enclave or ""
        base = None if item.baseline is None else cache.depot.load_release(item.baseline.digest)
        held = None if base is None else base.only(cut.each_variants.get(name, ()))
        receivers.append(Receiver(name, base, OPERATOR, choice.carried_part(item, target), held))
        for number in item.file_numbers:
            takers[number].add(name)
    pairs = zip(map(frozenset, takers), bundle.files, strict=True)
    wanted = [(names, [file.sha512 for _, file in some]) for names, some in groupby(pairs, itemgetter(0))]
    return plan_groups(cache.depot, target, receivers, wanted)


def _code(
    joint: JointPlan,
    wanted: Sequence[FileDigest],
    folder: Path,
    *,
    cut: FirstCut,
    cache: DigestCache,
    workers: int,
    progress: Progress,
) -> tuple[StagedChunk, ...]:
    plan = joint.plan
    numbering, tally = Numbering(plan), Tally("encoding", plan.target_bytes, progress)
    coding, limits = Coding(workers, effort=cut.effort), chunks.block_limits(cut.chunk_limit)
    with closing(encode(plan, cache, limits, coding, read=tally.add)) as encoded:
        blocks = chunks.merge(numbering.number(item) for item in encoded)
        packed = chunks.pack_apart(blocks, cut.chunk_limit, joint.starts, [])
        return tuple(chunks.write_wanted(packed, folder, {item.sha512 for item in wanted}))


def _others(bundle: Bundle, lacking: set[str]) -> IncompleteError:
    release = bundle.target.label if bundle.target else "RELEASE"
    return IncompleteError(
        f"{len(lacking)} chunks of bundle {bundle.id} are on no volume at hand, and coding it again gives others",
        expected="the chunks that its manifest lists: the same versions of libraries, and the coding as it was",
        found=f"airlift {airlift.__version__}, zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
        hint="give volumes that hold them (--volumes DIR), or make a new bundle: "
        f"`airlift low bundle {release} {_baselines(bundle)}`",
        data={"missing": [item.sha512 for item in bundle.all_chunks if item.sha512 in lacking]},
    )


def _baselines(bundle: Bundle) -> str:
    """Return the options by which a new bundle is for the same enclaves, from the same baselines."""
    if not bundle.portions:
        return f"--from {_label(bundle.baseline)}"
    each = list(own.every(bundle))
    words = [f"--for {item.enclave}" for item in each]
    return " ".join([*words, *(f"--from {item.enclave}={_label(item.baseline)}" for item in each)])


def _label(baseline: ReleaseRef | None) -> str:
    return "none" if baseline is None else baseline.label
