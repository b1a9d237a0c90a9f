"""How old what an enclave knows is: by signed times, and the ledger's, whatever the clock says (SPEC 8.2-12)."""

from datetime import datetime

from airlift.bundle.fields import parse_time
from airlift.bundle.release import Release
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.ledger.state import State
from airlift.policy.freshness import Freshness
from airlift.trust.tuf import metadata, roles


def trusted_bundlers(enclave: Enclave) -> frozenset[str]:
    """Return the ids of the bundler keys that the newest verified root lists."""
    kept = enclave.load_roots()
    newest = metadata.check(metadata.ROOT, kept[max(kept)])
    return frozenset(roles.of(newest, metadata.TIMESTAMP).by_id())


def freshness(enclave: Enclave, state: State, release: Release | None, now: datetime) -> Freshness | None:
    """Return how old what the enclave knows is at ``now`` (aware, UTC), for ``release``; None before any bundle."""
    keys = trusted_bundlers(enclave)
    known = [bundle for bundle in state.bundles if not keys.isdisjoint(bundle.bundler_keys)] or state.bundles
    if not known:
        return None
    newest = max(known, key=lambda bundle: bundle.sequence)
    carried = [bundle.sequence for bundle in known if release and bundle.release == release.digest]
    told = reference_time(state, now, keys)
    return Freshness(
        issued=parse_time(newest.issued),
        moment=max(told, parse_time(state.moment)) if state.moment else told,
        behind=newest.sequence - max(carried, default=newest.sequence),
    )
