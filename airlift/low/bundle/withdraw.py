"""Withdraw: take a bundle off the list of those that may still be imported (SPEC 4.3-5)."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from airlift.low.depot import outstanding
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import record
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import bundling


@dataclass(frozen=True, slots=True)
class WithdrawResult:
    """The bundle that was withdrawn, and the ids of those that are still outstanding.

    Enclaves learn of it with the next bundle or renewal.
    """

    bundle: str
    digest: str
    outstanding: tuple[str, ...]


def withdraw(
    depot: Depot, bundle: str, *, signer: Signer, now: datetime, dry_run: bool = False
) -> WithdrawResult:
    """Withdraw the bundle with this id.

    Raises:
        NotHeldError: it is not outstanding.
        KeyUnavailableError: the key is no bundler's.
    """
    with nullcontext() if dry_run else depot.lock():
        found = outstanding.find(depot, bundle)
        if not dry_run:
            bundling.withdraw(depot.store, found.target, signer, now)
            depot.refresh_root()
            record(depot, now, "withdraw", bundle=bundle, digest=found.bundle.digest)
        left = (item.bundle.id for item in outstanding.load(depot))
        return WithdrawResult(bundle, found.bundle.digest, tuple(name for name in left if name != bundle))
