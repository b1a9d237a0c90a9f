"""Receivers: the enclaves that one bundle is for, and from which baseline each of them starts (SPEC L4.23)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airlift.bundle.release import Release


@dataclass(frozen=True, slots=True)
class Receiver:
    """One of several enclaves that a bundle is for.

    ``known_by`` says who said that the baseline is held; ``stated``, that the operator named it. ``part`` is the
    target with the variants that go along for it, ``held`` the baseline with those that count as held.
    """

    enclave: str
    baseline: Release | None
    known_by: str
    part: Release
    held: Release | None = None
    stated: bool = False

    @property
    def label(self) -> str | None:
        """The name of its baseline, None without one."""
        return self.baseline.label if self.baseline else None


Known = Mapping[str, Mapping[str, str]]
"""Releases (digest) that each enclave acknowledged, and how each is known to be held."""


def join(receivers: Sequence[Receiver], known: Known) -> list[tuple[Receiver, str | None]]:
    """Return each receiver with the digest of the baseline that it starts from, fewer of these in all if possible.

    A receiver that holds the baseline of another one may start from it too: what that one lacks is coded anyway.
    """
    found = {one.enclave: _digest(one) for one in receivers}
    while moved := _without_one(receivers, found, known):
        found = moved
    return [(one, found[one.enclave]) for one in receivers]


def _without_one(
    receivers: Sequence[Receiver], found: Mapping[str, str | None], known: Known
) -> dict[str, str | None] | None:
    """Return from where each starts with one baseline less than ``found``; None if none can be done without.

    That with the fewest enclaves goes first; each of them moves to the one with the most. Nothing depends on the
    order of receivers.
    """
    users = Counter(digest for digest in found.values() if digest is not None)
    for leaving in sorted(users, key=lambda digest: (users[digest], digest)):
        moved = dict(found)
        for one in receivers:
            if found[one.enclave] != leaving:
                continue
            held = () if one.stated else known.get(one.enclave, {})
            places = [digest for digest in users if digest != leaving and digest in held]
            if not places:
                break
            moved[one.enclave] = max(places, key=lambda digest: (users[digest], digest))
        else:
            return moved
    return None


def _digest(one: Receiver) -> str | None:
    return one.baseline.digest if one.baseline else None


def started(one: Receiver, baseline: Release | None, known: Known) -> Receiver:
    """Return a receiver that starts from ``baseline``."""
    if baseline is None or one.baseline == baseline:
        return one
    return replace(one, baseline=baseline, known_by=known[one.enclave][baseline.digest])
