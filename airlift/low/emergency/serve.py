"""Serve several enclaves, each with a baseline of its own, with as few bytes as can be (SPEC L4.16)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from airlift import progress as progress_module
from airlift.bundle.manifest import ReleaseRef
from airlift.low.bundle.job import BundleRequest
from airlift.low.bundle.make_bundle import make_bundle
from airlift.low.bundle.publish import NONE, BundleResult
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.media.volume_writer import VolumeInfo
from airlift.progress import Progress
from airlift.trust.keys.public import Signer

COMMON, COMPLETE, APART = "common", "complete", "apart"
"""What was cut: one bundle from a baseline that all hold, one without a baseline, or one for each baseline."""

Held = Mapping[str, str]
"""Releases (digest) that an enclave acknowledged, oldest first, and how each is known to be held."""


@dataclass(frozen=True, slots=True)
class EnclaveBundle:
    """A bundle and whom it is for; ``enclave`` is None if it is addressed to none.

    ``baseline_known_by`` says for each enclave that it serves how it is known to hold the baseline (SPEC L1.5).
    """

    bundle: str
    sequence: int
    enclave: str | None
    baseline: str | None
    baseline_known_by: Mapping[str, str]
    volumes: tuple[VolumeInfo, ...]
    chunk_bytes: int


@dataclass(frozen=True, slots=True)
class Served:
    """What was cut, and why: ``compared`` are the bytes of all chunks of each way that was coded to compare them."""

    chosen: str | None = None
    compared: Mapping[str, int] = field(default_factory=dict)
    bundles: tuple[EnclaveBundle, ...] = ()


@dataclass(frozen=True, slots=True)
class _Share:
    """One bundle to make: from which baseline (digest, or ``none``), for whom, and how that is known to be held."""

    baseline: str
    known_by: Mapping[str, str]

    def apart(self) -> "tuple[_Share, ...]":
        """Return one bundle for each enclave in the place of this one."""
        return tuple(replace(self, known_by={name: known_by}) for name, known_by in self.known_by.items())

    def request(self, request: BundleRequest, *, explain: bool) -> BundleRequest:
        """Return the request of this bundle: addressed if it is for a single enclave."""
        (first, *others) = self.known_by
        to = replace(request.destination, enclave=None if others else first)
        return replace(request, destination=to, from_=self.baseline, explain=explain)

    def result(self, made: BundleResult) -> EnclaveBundle:
        """Return what came of it."""
        return EnclaveBundle(
            made.bundle,
            made.sequence,
            made.enclave,
            made.baseline,
            dict(self.known_by),
            made.volumes,
            made.chunk_bytes,
        )


def serve(
    depot: Depot,
    names: Sequence[str],
    request: BundleRequest,
    *,
    signer: Signer,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> Served:
    """Bundle a published release for the enclaves ``names``; baseline and addressee of ``request`` do not count.

    A dry run codes everything, and writes nothing.

    Raises:
        NotHeldError: an enclave is not enrolled.
        AirliftError: as :func:`airlift.low.bundle.make_bundle.make_bundle`.
    """
    ways = _ways(depot, {name: _held(depot, name) for name in names})
    if enclaves.addressed_only(depot.load_release(depot.find_release(request.release).digest)):
        ways = {way: tuple(one for share in shares for one in share.apart()) for way, shares in ways.items()}
    make = partial(make_bundle, depot, signer=signer, now=now, progress=progress)
    measured = {
        way: _make(partial(make, dry_run=True), shares, request, explain=True)
        for way, shares in (ways.items() if dry_run or len(ways) > 1 else ())
    }
    compared = {way: sum(item.chunk_bytes for item in made) for way, made in measured.items()}
    chosen = min(ways, key=lambda way: compared.get(way, 0))
    made = measured[chosen] if dry_run else _make(make, ways[chosen], request, explain=False)
    return Served(chosen, compared if len(ways) > 1 else {}, made)


def _make(
    make: Callable[[BundleRequest], BundleResult],
    shares: Sequence[_Share],
    request: BundleRequest,
    *,
    explain: bool,
) -> tuple[EnclaveBundle, ...]:
    return tuple(share.result(make(share.request(request, explain=explain))) for share in shares)


def _ways(depot: Depot, held: Mapping[str, Held]) -> Mapping[str, tuple[_Share, ...]]:
    """Return the ways that are worth a comparison: the bundles of each."""
    common = [item.digest for item in _published(depot) if all(item.digest in has for has in held.values())]
    if common:
        return {COMMON: (_Share(common[-1], {name: has[common[-1]] for name, has in held.items()}),)}
    complete = {COMPLETE: (_Share(NONE, dict.fromkeys(held, NONE)),)}
    if not all(held.values()):
        return complete
    known_by: dict[str, dict[str, str]] = {}
    for name, has in held.items():
        newest = tuple(has)[-1]
        known_by.setdefault(newest, {})[name] = has[newest]
    return {**complete, APART: tuple(_Share(baseline, known) for baseline, known in known_by.items())}


def _held(depot: Depot, name: str) -> Held:
    """Return what an enclave acknowledged of the published releases of this depot, the last word on each last."""
    published = {item.digest for item in _published(depot)}
    found: dict[str, str] = {}
    for item in enclaves.load(depot, name).acknowledged:
        if item.release in published:
            found.pop(item.release, None)
            found[item.release] = item.known_by
    return found


def _published(depot: Depot) -> tuple[ReleaseRef, ...]:
    """Return the published releases, oldest first."""
    return tuple(item for item in depot.releases() if depot.is_published(item.digest))
