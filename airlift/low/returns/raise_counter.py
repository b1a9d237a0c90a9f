"""Raise the counter of sequence numbers, if an enclave holds a bundle that this depot does not know (SPEC L6.4)."""

from airlift.bundle.returns.receipt import Receipt
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.trust.tuf import bundling, metadata
from airlift.trust.tuf.metadata import TIMESTAMP

MOST_RAISED = 1 << 16
"""By how much a receipt may raise it: more was used up by somebody who holds the bundler's key."""


def raise_counter(depot: Depot, stated: Receipt) -> tuple[int | None, tuple[str, ...]]:
    """Return up to where numbers are used up, if a receipt says more than this depot knows; and warnings.

    The depot was restored from an old copy; its next bundle gets a number above, and metadata of a higher version.
    """
    committed = depot.store.committed()
    version = metadata.version_of(committed[TIMESTAMP]) if committed else 0
    known = enclaves.counter(depot)
    used = max(bundling.sequence_of(depot.store), known)
    beyond = [
        number
        for number, above in ((stated.sequence, used), (stated.metadata or 0, max(version, known)))
        if number > above
    ]
    counter = max((number for number in beyond if number - used <= MOST_RAISED), default=None)
    warnings = [*warn_behind(depot, stated.sequence)]
    if stated.sequence and stated.sequence <= used and not depot.documents.path(stated.manifest).exists():
        warnings.append(f"bundle {stated.sequence}, which the enclave holds, is none that this depot knows")
    if any(number - used > MOST_RAISED for number in beyond):
        warnings.append("the enclave's numbers are far beyond this depot's: was the bundler's key stolen?")
    return counter, tuple(warnings)


def warn_behind(depot: Depot, sequence: int) -> tuple[str, ...]:
    """Return a warning if an enclave holds a bundle with a number that this depot has not used yet."""
    used = max(bundling.sequence_of(depot.store), enclaves.counter(depot))
    if sequence <= used:
        return ()
    numbers = f"the enclave holds bundle {sequence}, and this depot has used numbers up to {used}"
    return (f"{numbers}: was it restored from an old copy?",)
