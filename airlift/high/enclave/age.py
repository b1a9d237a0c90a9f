"""How old what an enclave knows is: by the bundles of keys that the newest verified root still lists (SPEC 7.2-3)."""

from collections.abc import Collection, Mapping

from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State
from airlift.trust.tuf import metadata, roles


def trusted_bundlers(enclave: Enclave) -> frozenset[str]:
    """Return the ids of the bundler keys that the newest verified root lists."""
    kept = enclave.load_roots()
    newest = metadata.check(metadata.ROOT, kept[max(kept)])
    return frozenset(roles.of(newest, metadata.TIMESTAMP).by_id())


def issue_times(state: State, keys: Collection[str]) -> Mapping[int, str]:
    """Return when the committed bundles that one of ``keys`` signed were issued, by the entry that committed each."""
    return {b.index: b.issued for b in state.bundles if not set(keys).isdisjoint(b.bundler_keys)}
