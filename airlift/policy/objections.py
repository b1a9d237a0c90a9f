"""Objections: what policy has against importing a bundle, or against activating a release.

Times come in as arguments; errors are returned, not raised. The caller has verified and counted the attestations.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from airlift.bundle.fields import Marking, parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import KINDS, Component, Release
from airlift.bundle.remarks import names
from airlift.errors import (
    ExpiredError,
    FloorError,
    ManifestError,
    MarkingError,
    QuorumError,
    RefusedError,
    RequirementError,
    RevokedError,
    WaiverError,
    WrongEnclaveError,
)
from airlift.policy.document import Policy
from airlift.policy.versions import check_specifier, check_version, is_below, satisfies


def import_objections(
    bundle: Bundle, policy: Policy, reference_time: datetime, release: Release | None = None
) -> list[RefusedError]:
    """Return what policy has against letting this bundle in, with its ``release``, beside its destination."""
    return [
        *_marking(bundle.marking, policy),
        *content_objections(release, policy),
        *_staleness(bundle, policy, reference_time),
    ]


def destination_objection(bundle: Bundle, enclave: str) -> WrongEnclaveError | None:
    """Return the error if the bundle is addressed to another enclave."""
    if bundle.enclave in {None, enclave}:
        return None
    return WrongEnclaveError(
        "the bundle is for another enclave", expected=enclave, found=ascii(bundle.enclave).strip("'")
    )


def activation_objections(
    release: Release, policy: Policy, unmet: Sequence[QuorumError], revoked: frozenset[str]
) -> list[RefusedError]:
    """Return what policy has against running this release.

    ``unmet`` are the quorums and bars that are not met (:mod:`airlift.policy.quorum`); ``revoked`` are the digests of
    revoked releases and components.
    """
    return [
        *_marking(release.marking, policy),
        *content_objections(release, policy),
        *_revocation(release, revoked),
        *requirement_objections(release),
        *_rules(release, policy),
        *_floors(release, policy),
        *unmet,
    ]


def requirement_objections(release: Release) -> list[RefusedError]:
    """Return the release's own requirements that it does not meet."""
    objections: list[RefusedError] = []
    for requirement in release.requires:
        if any(component.name == requirement.component for component in release.components):
            objections += _needs(release, requirement.component, requirement.needs, requirement.version)
    return objections


def check_comparable(release: Release) -> None:
    """Check on the low side that every requirement names components and can be evaluated.

    Raises:
        ManifestError: an unknown component, a version that cannot be compared, or a bad range.
    """
    names = {component.name for component in release.components}
    for requirement in release.requires:
        check_specifier(requirement.version)
        if requirement.component not in names:
            raise ManifestError(f"requires: there is no component {requirement.component!r}")
        for component in _matching(release, requirement.needs):
            check_version(component.version)


def content_objections(release: Release | None, policy: Policy) -> Iterator[RefusedError]:
    """Yield what is against the components of a release as such: a marking of their own, a waiver (SPEC 8.2-5)."""
    for component in release.components if release else ():
        if component.marking is not None:
            yield from _marking(component.marking, policy, f" of component {component.name}")
        for waived in component.accept:
            if not policy.permits(waived.what, component.name):
                yield WaiverError(
                    f"component {component.name} comes with a waiver for {waived.what}",
                    expected=f"waivers: [{{what: {waived.what}, component: {component.name}}}] in the policy",
                    found=names(waived.files),
                )


def is_within_ceiling(marking: Marking, policy: Policy) -> bool:
    """Say whether a marking is one that may come in."""
    return not any(_marking(marking, policy))


def _marking(marking: Marking, policy: Policy, whose: str = "") -> Iterator[RefusedError]:
    if marking.level not in policy.levels:
        yield MarkingError(
            f"the level of the marking{whose} is unknown here",
            expected=" < ".join(policy.levels),
            found=str(marking),
        )
    elif policy.levels.index(marking.level) > policy.levels.index(policy.ceiling.level):
        yield MarkingError(
            f"the marking{whose} is above the ceiling", expected=str(policy.ceiling), found=str(marking)
        )
    elif set(marking.caveats) - set(policy.ceiling.caveats):
        yield MarkingError(
            f"the marking{whose} has caveats beyond the ceiling's",
            expected=str(policy.ceiling),
            found=str(marking),
        )


def _staleness(bundle: Bundle, policy: Policy, reference_time: datetime) -> Iterator[RefusedError]:
    if policy.refuse_new_after_days is None:
        return
    age = reference_time - parse_time(bundle.issued)
    if age > timedelta(days=policy.refuse_new_after_days):
        yield ExpiredError(
            "the bundle was issued too long ago for this policy",
            expected=f"at most {policy.refuse_new_after_days} days",
            found=f"{age.days} days (issued {bundle.issued})",
            hint="ask the low side for a new bundle; see `airlift high policy show`",
        )


def _revocation(release: Release, revoked: frozenset[str]) -> Iterator[RefusedError]:
    if release.digest in revoked:
        yield RevokedError(f"release {release.label} is revoked")
    for component in release.components:
        if component.digest in revoked:
            yield RevokedError(f"component {component.name} {component.version} is revoked")


def _rules(release: Release, policy: Policy) -> Iterator[RefusedError]:
    for rule in policy.requires:
        for component in release.components:
            if component.kind == rule.kind:
                yield from _needs(release, component.name, rule.needs, rule.version)


def _needs(release: Release, component: str, needs: str, version: str) -> Iterator[RefusedError]:
    found = _matching(release, needs)
    try:
        met = any(satisfies(candidate.version, version) for candidate in found)
    except ManifestError as error:
        yield RequirementError(f"component {component} needs {needs} {version}: {error.message}")
        return
    if not met:
        yield RequirementError(
            f"component {component} needs {needs} {version}",
            expected=f"{needs} {version}",
            found=", ".join(f"{c.name} {c.version}" for c in found) or "none",
        )


def _matching(release: Release, needs: str) -> list[Component]:
    """Return the components of the kind ``needs``; named so if it is no kind: data called guard is no guard."""
    by_kind = needs in KINDS
    return [c for c in release.components if needs == (c.kind if by_kind else c.name)]


def _floors(release: Release, policy: Policy) -> Iterator[RefusedError]:
    floors = dict(policy.floors)
    for component in release.components:
        floor = floors.get(component.name)
        if floor is None:
            continue
        try:
            below = is_below(component.version, floor)
        except ManifestError as error:
            yield FloorError(f"component {component.name} has a floor: {error.message}", expected=floor)
            continue
        if below:
            yield FloorError(
                f"component {component.name} is below its floor",
                expected=f">= {floor}",
                found=component.version,
            )
