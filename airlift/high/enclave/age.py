"""How old what an enclave knows is: by signed times, and the ledger's, whatever the clock says (SPEC 8.2-12)."""

from collections.abc import Collection, Mapping
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


def issue_times(state: State, keys: Collection[str]) -> Mapping[int, str]:
    """Return when the committed bundles that one of ``keys`` signed were issued, by the entry that committed each."""
    return {b.index: b.issued for b in state.bundles if not set(keys).isdisjoint(b.bundler_keys)}


def latest_moment(state: State, now: datetime, keys: Collection[str]) -> datetime:
    """Return the latest time that anything tells: the clock, bundles that ``keys`` signed, or the ledger."""
    told = reference_time(state, now, keys)
    return max(told, parse_time(state.moment)) if state.moment else told


def freshness(enclave: Enclave, state: State, release: Release | None, now: datetime) -> Freshness | None:
    """Return how old what the enclave knows is at ``now`` (aware, UTC), for ``release``; None before any bundle."""
    keys = trusted_bundlers(enclave)
    known = [bundle for bundle in state.bundles if not keys.isdisjoint(bundle.bundler_keys)] or state.bundles
    if not known:
        return None
    newest = max(known, key=lambda bundle: bundle.sequence)
    brought = enclave.registered().get(release.digest, release.digest) if release else None
    carried = [bundle.sequence for bundle in known if brought and bundle.release == brought]
    return Freshness(
        issued=parse_time(newest.issued),
        moment=latest_moment(state, now, keys),
        behind=newest.sequence - max(carried, default=newest.sequence),
    )
