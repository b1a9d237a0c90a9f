"""Bundle: pack what an enclave lacks of a release into volumes (SPEC L4)."""

from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

from airlift import progress as progress_module
from airlift.bundle import volume
from airlift.bundle.layout import Medium
from airlift.bundle.release import Release
from airlift.codec import Effort
from airlift.errors import UnpublishedError
from airlift.low.bundle import chunks
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.costs import Account
from airlift.low.bundle.encode import check_contents, encode
from airlift.low.bundle.job import Job
from airlift.low.bundle.coding_plan import Plan, plan
from airlift.low.bundle.publish import NONE, BundleResult, Coded, check_bundler, describe, publish
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import DigestCache, open_digest_cache
from airlift.media.staging import staging
from airlift.progress import Progress, Tally
from airlift.trust.keys.key import Signer

OPERATOR = "operator"


def bundle(
    depot: Depot,
    release: str,
    *,
    from_: str | None = None,
    for_: str | None = None,
    output: Path,
    signer: Signer,
    medium: Medium | None = None,
    workers: int = 2,
    check: bool = True,
    effort: Effort = Effort.NORMAL,
    explain: bool = False,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> BundleResult:
    """Pack ``release`` for whoever holds ``from_``: a release, ``none``, or None for what ``for_`` acknowledged.

    Nothing records what an enclave acknowledged yet, so that None is ``none`` today.

    With ``explain`` the result says what took the bytes; a dry run then codes everything, and writes nothing.

    Raises:
        UnpublishedError: the release still lacks signatures.
        NotHeldError: the depot does not know a release.
        KeyUnavailableError: the key is no bundler's.
        ExistsError: a volume of that name stands in ``output``.
        VolumeTooSmallError: it does not fit.
        DigestError: content of the depot has changed.
    """
    if not dry_run:
        with depot.lock():
            pass  # finishes what an interrupted command began; coding takes long and needs no lock
    target = _published(depot, release)
    baseline, known_by = _baseline(depot, from_, for_)
    job = Job(target, baseline, known_by, for_ and enclaves.check_name(for_), target.marking, output,
              medium or Medium(), signer, now, effort.name.lower())  # fmt: skip
    check_bundler(depot, job)
    found = plan(depot, target, baseline)
    if dry_run and not explain:
        return describe(depot, job, Coded(found))
    cache = open_digest_cache(depot, now)
    check_contents(depot, found, cache, workers, progress)
    code = partial(
        _code, found, cache, job, progress, workers=workers, check=check, effort=effort, explain=explain
    )
    if dry_run:
        return describe(depot, job, code(None))
    with staging(output) as folder:
        return publish(depot, job, code(folder / volume.CHUNKS), folder)


def _published(depot: Depot, name: str) -> Release:
    reference = depot.find_release(name)
    if not depot.is_published(reference.digest):
        raise UnpublishedError(f"release {reference.label} is not published: it lacks signatures")
    return depot.load_release(reference.digest)


def _baseline(depot: Depot, from_: str | None, for_: str | None) -> tuple[Release | None, str]:
    """Return the release to start from, and who says that it is held."""
    if from_ is not None and from_ != NONE:
        return _published(depot, from_), OPERATOR
    acknowledged = enclaves.newest_acknowledged(depot, for_) if from_ is None and for_ is not None else None
    if acknowledged is None:
        return None, NONE
    return depot.load_release(acknowledged.release), acknowledged.known_by


def _code(
    found: Plan,
    cache: DigestCache,
    job: Job,
    progress: Progress,
    folder: Path | None,
    *,
    workers: int,
    check: bool,
    effort: Effort,
    explain: bool,
) -> Coded:
    """Code every block and write the chunks into a folder, None: nowhere."""
    limit = job.medium.chunk_bytes
    numbering = Numbering(found)
    tally = Tally("encoding", found.target_bytes, progress)
    encoded = encode(
        cache.depot,
        found,
        cache,
        block_bytes=chunks.block_limit(limit),
        large_bytes=chunks.block_limit(limit, large=True),
        workers=workers,
        check=check,
        effort=effort,
        read=tally.add,
    )
    account = Account(found.files, found.spans) if explain else None
    with closing(encoded):  # its threads end here, also if the disk is full
        blocks = chunks.merge(numbering.number(item) for item in encoded)
        watched = blocks if account is None else account.watch(blocks)
        written = chunks.write_chunks(chunks.pack(watched, limit), folder)
    costs = None if account is None else account.summary()
    return Coded(found, written, tuple(numbering.bases), numbering.codecs, costs, cache)
