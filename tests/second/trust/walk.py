"""The walk from a pinned root to a bundle (4.4): TUF's client workflow, without a library."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from tests.second.errors import Refused, demand
from tests.second.trust import metadata
from tests.second.trust.keys import Key
from tests.second.trust.metadata import Metadata, bad_signature


@dataclass(frozen=True, slots=True)
class Pinned:
    """What an enclave trusts: every verified root by version, and its own committed metadata by file name."""

    roots: Mapping[int, bytes]
    state: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the walk ends with. ``overtaken`` says that the enclave's own, newer metadata was used (4.4-4)."""

    root: Metadata
    targets: Metadata
    bundler: Metadata
    overtaken: bool
    roots: list[Metadata] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Set:
    """Metadata of one place by role, the root left out; parsed when it is asked for."""

    files: Mapping[str, tuple[bytes, int | None]]

    def get(self, role: str) -> Metadata:
        data, version = self.files[role]
        return metadata.parse(data, role, version)


def walk_roots(pinned: Pinned, medium: Mapping[str, bytes]) -> list[Metadata]:
    """Return the chain of roots from the pinned one on, each verified (4.4-1, 4.4-3).

    Raises:
        Refused: ``malformed``, ``signature-invalid``, or ``trust-state-mismatch`` for a kept root.
    """
    first = metadata.parse(pinned.roots[min(pinned.roots)], "root", min(pinned.roots))
    if not first.signed_by(first.roles["root"]):
        raise bad_signature("the pinned root")
    kept = [metadata.parse(data, "root", version) for version, data in sorted(pinned.roots.items())]
    for before, after in pairwise(kept):
        follows = after.version == before.version + 1 and _follows(before, after)
        demand(follows, "a kept root that does not verify", "trust-state-mismatch")
    chain = kept
    ends = max(int(name.split(".")[0]) for name in medium if name.endswith(".root.json"))
    for version in range(chain[-1].version + 1, ends + 1):
        following = metadata.parse(medium[f"{version}.root.json"], "root", version)
        if not _follows(chain[-1], following):
            raise bad_signature(f"root {version}")
        chain.append(following)
    return chain


def _follows(before: Metadata, after: Metadata) -> bool:
    """Tell whether a root is signed by the thresholds of the one before and of itself."""
    return after.signed_by(before.roles["root"]) and after.signed_by(after.roles["root"])


def keys_of(chain: list[Metadata]) -> list[Key]:
    """Return every key that some root names, kept or new: what an enclave knows without its policy (4.5-8)."""
    named = {key.id: key for root in chain for role in root.roles.values() for key in role.keys.values()}
    return list(named.values())


def walk(pinned: Pinned, chain: list[Metadata], medium: Mapping[str, bytes], now: datetime) -> Trusted:
    """Verify timestamp, snapshot, targets and bundler under the newest root.

    Args:
        pinned: What the enclave trusts.
        chain: What ``walk_roots`` returned.
        medium: The files of ``metadata/``.
        now: The reference time [7.2-3].

    Raises:
        Refused: ``malformed``, ``signature-invalid``, ``digest-mismatch``, ``replayed``, or ``expired``.
    """
    root = chain[-1]
    _not_expired(root, now)
    brought, own = _of_medium(medium), _of_state(pinned.state)
    newest = _own_timestamp(own, root)
    offered = brought.get("timestamp")
    overtaken = newest is not None and newest.version > offered.version
    used = own if newest is not None and newest.version >= offered.version and own else brought
    timestamp = _verified(used.get("timestamp"), root.roles["timestamp"], now)
    snapshot = used.get("snapshot")
    _matches(timestamp.signed["meta"]["snapshot.json"], snapshot)
    _verified(snapshot, root.roles["snapshot"], now)
    known = snapshot.signed["x-airlift-root-version"]
    demand(root.version >= known, "a chain of roots that ends early", "inventory-mismatch")
    if own and newest and used is brought:
        _not_older(own, root, timestamp, snapshot)
    targets = used.get("targets")
    _matches(snapshot.signed["meta"]["targets.json"], targets)
    _verified(targets, root.roles["targets"], now)
    bundler = used.get("bundler")
    _matches(snapshot.signed["meta"]["bundler.json"], bundler)
    _verified(bundler, targets.roles["bundler"], now)
    return Trusted(root, targets, bundler, overtaken, chain)


def _of_medium(medium: Mapping[str, bytes]) -> _Set:
    files: dict[str, tuple[bytes, int | None]] = {}
    for name, data in medium.items():
        found = re.fullmatch(r"([0-9]+)\.(snapshot|targets|bundler)\.json", name)
        if found:
            files[found[2]] = (data, int(found[1]))
    files["timestamp"] = (medium["timestamp.json"], None)
    return _Set(files)


def _of_state(state: Mapping[str, bytes]) -> _Set | None:
    if not state:
        return None
    return _Set({name.removesuffix(".json"): (data, None) for name, data in state.items()})


def _own_timestamp(own: _Set | None, root: Metadata) -> Metadata | None:
    """Return the enclave's own timestamp, unless it does not verify any more (4.4-4)."""
    if own is None:
        return None
    timestamp = own.get("timestamp")
    return timestamp if timestamp.signed_by(root.roles["timestamp"]) else None


def _verified(found: Metadata, role: metadata.Role, now: datetime) -> Metadata:
    if not found.signed_by(role):
        raise bad_signature(found.role)
    _not_expired(found, now)
    return found


def _not_expired(found: Metadata, now: datetime) -> None:
    demand(found.expires > now, f"{found.role} expired", "expired")


def _matches(entry: dict[str, object], found: Metadata) -> None:
    metadata.holds(entry, found.data)
    demand(entry["version"] == found.version, f"{found.role} of another version", "replayed")


def _not_older(own: _Set, root: Metadata, timestamp: Metadata, snapshot: Metadata) -> None:
    """Hold that nothing goes back to a version before the enclave's own (TUF 5.4 and 5.5)."""
    before = own.get("timestamp")
    older = (
        timestamp.signed["meta"]["snapshot.json"]["version"]
        < before.signed["meta"]["snapshot.json"]["version"]
    )
    demand(not older, "an older snapshot", "replayed")
    kept = own.get("snapshot")
    if not kept.signed_by(root.roles["snapshot"]):
        return
    for name, entry in kept.signed["meta"].items():
        demand(snapshot.signed["meta"][name]["version"] >= entry["version"], f"an older {name}", "replayed")


def bundle_target(trusted: Trusted, digest: str) -> dict[str, object]:
    """Return the entry of a bundle in the bundler's metadata.

    Raises:
        Refused: ``signature-invalid``, if it is not listed (any more).
    """
    entry = trusted.bundler.signed["targets"].get(f"bundle-{digest[:64]}")
    if entry is None:
        raise Refused("signature-invalid", "the bundle is not listed")
    found: dict[str, object] = entry
    return found
