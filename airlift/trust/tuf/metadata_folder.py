"""The ``metadata`` folder of a volume: whether it is complete.

A volume carries every root and one set of the rest (SPEC 6.4-2). That is judged by file names and by the version of
the timestamp, which has none in its name; no signature is verified here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable

from airlift.errors import InventoryError
from airlift.trust.tuf import metadata
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import BUNDLER


def check_complete(names: Collection[str], timestamp: bytes | None) -> None:
    """Check that files are the roots from 1 without a gap and one version of each other role.

    Bundler, snapshot and timestamp are signed together, so they have one version. ``timestamp`` is what
    ``timestamp.json`` holds, None if it is not there.

    Raises:
        InventoryError: one is missing, there is one too many, or they do not belong together.
        MalformedError, SignatureError: the timestamp is no acceptable metadata.
    """
    found = _versions(names)
    roots = found.pop(ROOT, set())
    gap = min(set(range(1, len(roots) + 2)) - roots)
    if not roots or max(roots) > gap:
        raise InventoryError(
            f"{gap}.{ROOT}.json is missing from the volume", expected="every root from the first"
        )
    for role in (SNAPSHOT, TARGETS, BUNDLER):
        if len(found[role]) != 1:
            raise InventoryError(f"the volume does not carry one N.{role}.json", found=str(len(found[role])))
    if timestamp is None:
        raise InventoryError(f"{metadata.NEWEST} is missing from the volume")
    version = metadata.version_of(metadata.check(TIMESTAMP, timestamp))
    if not found[SNAPSHOT] == found[BUNDLER] == {version}:
        raise InventoryError(
            "bundler, snapshot and timestamp on the volume are not of one version",
            found=f"timestamp {version}",
        )


def _versions(names: Iterable[str]) -> dict[str, set[int]]:
    """Return the versions of each role but timestamp."""
    found: dict[str, set[int]] = defaultdict(set)
    for name in names:
        known = metadata.parse_name(name)
        if known is None:
            raise InventoryError("the volume carries metadata that nothing needs", found=ascii(name[:100]))
        role, version = known
        if version is not None:
            found[role].add(version)
    return found
