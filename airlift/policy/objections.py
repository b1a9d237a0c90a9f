"""Objections: what policy has against importing a bundle, or against activating a release.

Times come in as arguments; errors are returned, not raised. The caller has verified and counted the attestations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airlift.bundle.fields import Marking, parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import KINDS, Component, Release
from airlift.bundle.remarks import names
from airlift.errors import (
    AcceptanceError,
    ExpiredError,
    ManifestError,
    MarkingError,
    QuorumError,
    RefusedError,
    RequirementError,
    WaiverError,
    WrongEnclaveError,
)
from airlift.policy import floors
from airlift.policy.document import Policy
from airlift.policy.freshness import Freshness, stale_objections
from airlift.policy.revocation import Finding
from airlift.policy.versions import check_specifier, check_version, satisfies


@dataclass(frozen=True, slots=True)
class Known:
    """What an enclave knows when it judges a release, beside its policy.

    ``unmet`` are the quorums and bars that are not met (:mod:`airlift.policy.quorum`); ``revoked`` is what is revoked
    of the release; ``floors`` are the recorded ones; ``held`` are the releases that are installed; ``fresh`` is None
    where age does not count: for a roll back; ``untested`` names the tests that it has not passed.
    """

    unmet: Sequence[QuorumError] = ()
    revoked: tuple[Finding, ...] = ()
    floors: Mapping[str, str] = field(default_factory=dict)
    held: tuple[Release, ...] = ()
    fresh: Freshness | None = None
    untested: tuple[str, ...] = ()


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


def activation_objections(release: Release, policy: Policy, known: Known) -> list[RefusedError]:
    """Return what policy has against running this release."""
    in_force = floors.higher(dict(policy.floors), known.floors)
    return [
        *_marking(release.marking, policy),
        *content_objections(release, policy),
        *(found.error() for found in known.revoked),
        *requirement_objections(release),
        *_rules(release, policy),
        *floors.floor_objections(release, in_force, known.held),
        *known.unmet,
        *(stale_objections(known.fresh, policy) if known.fresh else ()),
        *(_untested(release, name) for name in known.untested),
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
        for component in matching(release, requirement.needs):
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
    reason = marking.beyond(policy.ceiling, policy.levels)
    if reason is not None:
        known = marking.level in policy.levels
        expected = str(policy.ceiling) if known else " < ".join(policy.levels)
        yield MarkingError(f"the marking{whose} {reason}", expected=expected, found=str(marking))


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


def _rules(release: Release, policy: Policy) -> Iterator[RefusedError]:
    for rule in policy.requires:
        for component in release.components:
            if component.kind == rule.kind:
                yield from _needs(release, component.name, rule.needs, rule.version)


def _needs(release: Release, component: str, needs: str, version: str) -> Iterator[RefusedError]:
    found = matching(release, needs)
    try:
        met = any(satisfies(candidate.version, version) for candidate in found)
    except ManifestError as error:
        yield RequirementError(
            f"component {component} needs {needs} {version}: {error.message}",
            data={"needs": {"name": needs, "version": version}},
        )
        return
    if not met:
        yield RequirementError(
            f"component {component} needs {needs} {version}",
            expected=f"{needs} {version}",
            found=", ".join(f"{c.name} {c.version}" for c in found) or "none",
            data={"needs": {"name": needs, "version": version}},
        )


def matching(release: Release, needs: str) -> list[Component]:
    """Return the components of the kind ``needs``, or those that answer to it if it is no kind.

    Data that is called guard is no guard.
    """
    if needs in KINDS:
        return [component for component in release.components if component.kind == needs]
    return [component for component in release.components if component.answers_to(needs)]


def meets(release: Release, needs: str, version: str) -> bool:
    """Say whether a release has a component ``needs`` within ``version``."""
    try:
        return any(satisfies(component.version, version) for component in matching(release, needs))
    except ManifestError:
        return False


def _untested(release: Release, name: str) -> AcceptanceError:
    return AcceptanceError(
        f"release {release.label} has not passed the test {name}",
        expected="exit 0",
        found="no result that counts",
        hint=f"it is run, before anything is switched, by `airlift high activate {release.label}`",
    )
