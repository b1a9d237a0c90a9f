"""Renew: a bundle without chunks, for fresh metadata, roots and revocations (SPEC L4.11)."""

from datetime import datetime

from airlift.bundle.fields import Marking
from airlift.low.bundle.job import Destination, Job
from airlift.low.bundle.planning.coding_plan import CodingPlan
from airlift.low.bundle.publish import NONE, BundleResult, Coded, check_bundler, preview, publish
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.media.staging import staging
from airlift.trust.keys.public import Signer

LOWEST = Marking("UNCLASSIFIED")


def renew(
    depot: Depot, destination: Destination, *, signer: Signer, now: datetime, dry_run: bool = False
) -> BundleResult:
    """Write one volume of fresh metadata; ``signer`` is the bundler.

    Raises:
        KeyUnavailableError: the key is no bundler's.
        UnpublishedError, ExpiredError: root or targets metadata lack signatures, or have expired.
        ExistsError: a volume of that name stands in the output folder.
        VolumeTooSmallError: it does not fit.
    """
    if destination.enclave is not None:
        enclaves.check_name(destination.enclave)
    job = Job(None, None, NONE, LOWEST, destination, signer, now)
    check_bundler(depot, job)
    nothing = Coded(CodingPlan((), (), (), ()))
    if dry_run:
        return preview(depot, job, nothing)
    with staging(destination.output) as folder:
        return publish(depot, job, nothing, folder)
