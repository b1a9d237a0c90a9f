"""Receivers: the enclaves that one bundle is for, and from which baseline each of them starts (SPEC L4.23)."""

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
    left = list(receivers)
    found: dict[str, str | None] = {}
    while left:
        choices = [_joining(one, left, known) for one in left]
        best = max(choices, key=len)
        digest = _digest(left[choices.index(best)])
        found |= dict.fromkeys((one.enclave for one in best), digest)
        left = [one for one in left if one.enclave not in found]
    return [(one, found[one.enclave]) for one in receivers]


def _joining(first: Receiver, left: Sequence[Receiver], known: Known) -> list[Receiver]:
    """Return those who can start from the baseline of the first one."""
    digest = _digest(first)
    if digest is None:
        return [one for one in left if one.baseline is None]
    return [
        one
        for one in left
        if _digest(one) == digest or (not one.stated and digest in known.get(one.enclave, {}))
    ]


def _digest(one: Receiver) -> str | None:
    return one.baseline.digest if one.baseline else None


def started(one: Receiver, baseline: Release | None, known: Known) -> Receiver:
    """Return a receiver that starts from ``baseline``."""
    if baseline is None or one.baseline == baseline:
        return one
    return replace(one, baseline=baseline, known_by=known[one.enclave][baseline.digest])
