"""The bundles that may still be imported, with their manifests (SPEC L1.1)."""

from dataclasses import dataclass

from airlift.bundle import manifest
from airlift.bundle.manifest import Bundle
from airlift.errors import NotHeldError
from airlift.low.depot.depot import Depot
from airlift.trust.tuf import bundling


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A bundle that is listed in the bundler's metadata under the TUF target name ``target``."""

    target: str
    bundle: Bundle


def load(depot: Depot) -> tuple[Outstanding, ...]:
    """Return all outstanding bundles by sequence.

    Raises:
        DigestError, UncheckedError: a bundle manifest in the depot is damaged or missing.
    """
    listed = bundling.outstanding(depot.store)
    found = [
        Outstanding(name, manifest.parse(depot.documents.load(target.sha512, manifest.MAX_BYTES)))
        for name, target in listed.items()
    ]
    return tuple(sorted(found, key=lambda item: item.bundle.sequence))


def find(depot: Depot, bundle: str) -> Outstanding:
    """Return the outstanding bundle with this id (``<enclave>-<sequence>``).

    Raises:
        NotHeldError: there is none.
    """
    known = load(depot)
    for item in known:
        if item.bundle.id == bundle:
            return item
    raise NotHeldError(
        f"bundle {bundle[:60]!a} is not outstanding",
        expected=", ".join(item.bundle.id for item in known[-8:]) or "none is",
        hint="see what there is: `airlift low list`",
    )
