"""The bundles that tell the time: those of bundler keys that the newest verified root still lists (SPEC 7.2-3)."""

from collections.abc import Collection, Mapping

from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State
from airlift.trust.tuf import metadata, roles


def newest_root(enclave: Enclave) -> roles.Document:
    """Return the newest root that the enclave holds."""
    kept = enclave.load_roots()
    return metadata.check(metadata.ROOT, kept[max(kept)])


def bundler_keys(enclave: Enclave) -> tuple[str, ...]:
    """Return the ids of the bundler's keys, as far as the roots that are kept tell."""
    return tuple(roles.of(newest_root(enclave), metadata.TIMESTAMP).by_id())


def issue_times(state: State, keys: Collection[str]) -> Mapping[int, str]:
    """Return when the committed bundles that one of ``keys`` signed were issued, by the entry that committed each."""
    return {b.index: b.issued for b in state.bundles if not set(keys).isdisjoint(b.bundler_keys)}
