"""Renew: a bundle without chunks, for fresh metadata, roots and revocations (SPEC L4.11)."""

from datetime import datetime
from pathlib import Path

from airlift.bundle.fields import Marking
from airlift.bundle.layout import Medium
from airlift.low.bundle.job import Job
from airlift.low.bundle.coding_plan import Plan
from airlift.low.bundle.publish import NONE, BundleResult, Coded, check_bundler, describe, publish
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.media.staging import staging
from airlift.trust.keys.key import Signer

LOWEST = Marking("UNCLASSIFIED")


def renew(
    depot: Depot,
    *,
    output: Path,
    signer: Signer,
    medium: Medium | None = None,
    for_: str | None = None,
    marking: Marking = LOWEST,
    now: datetime,
    dry_run: bool = False,
) -> BundleResult:
    """Write one volume of fresh metadata into ``output``, for any enclave or for ``for_`` alone.

    Raises:
        KeyUnavailableError: the key is no bundler's.
        UnpublishedError, ExpiredError: root or targets metadata lack signatures, or have expired.
        ExistsError: a volume of that name stands in ``output``.
        VolumeTooSmallError: it does not fit.
    """
    enclave = None if for_ is None else enclaves.check_name(for_)
    job = Job(None, None, NONE, enclave, marking, output, medium or Medium(), signer, now)
    check_bundler(depot, job)
    nothing = Coded(Plan((), (), (), ()))
    if dry_run:
        return describe(depot, job, nothing)
    with staging(output) as folder:
        return publish(depot, job, nothing, folder)
