"""Objections: what policy has against importing a bundle, or against activating a release.

Each rule gives a ruling, met or not; objections are the refusals among them. Times come in as arguments; errors are
returned, not raised. The caller has verified and counted the attestations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from airlift.bundle.component import source
from airlift.bundle.component.component import Component
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking, parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.bundle.remarks import names as names_of
from airlift.errors import (
    AcceptanceError,
    ExpiredError,
    ManifestError,
    MarkingError,
    RefusedError,
    RegistrationError,
    RequirementError,
    WaiverError,
    WrongEnclaveError,
)
from airlift.policy import floors
from airlift.policy.document import Policy, SubEnclave
from airlift.policy.freshness import Freshness, stale_rulings
from airlift.policy.revocation import Finding
from airlift.policy.ruling import (
    ADDRESS,
    AGE,
    MARKING,
    NOTHING,
    REGISTRATION,
    REQUIREMENT,
    REVOCATION,
    TEST,
    WAIVER,
    Ruling,
    refusals,
)
from airlift.policy.versions import check_specifier, check_version, satisfies


@dataclass(frozen=True, slots=True)
class Known:
    """What an enclave knows when it judges a release, beside its policy.

    ``quorums`` are the rulings of quorums and bars (:mod:`airlift.policy.quorum`); ``revoked`` is what is revoked of
    the release; ``floors`` are the recorded ones; ``imported`` are the releases that ever were, needed only where a
    floor is :func:`~airlift.policy.floors.unanswered`; ``fresh`` is None where age does not count: for a roll back;
    ``tests`` says of each test by name whether it was passed; ``variants`` are the rulings about variants
    (:mod:`airlift.policy.variants`).
    """

    quorums: Sequence[Ruling] = ()
    revoked: tuple[Finding, ...] = ()
    floors: Mapping[str, str] = field(default_factory=dict)
    imported: tuple[Release, ...] = ()
    fresh: Freshness | None = None
    tests: Mapping[str, bool] = field(default_factory=dict)
    variants: Sequence[Ruling] = ()


def import_rulings(
    bundle: Bundle, policy: Policy, reference_time: datetime, release: Release | None = None
) -> list[Ruling]:
    """Return what policy says of letting this bundle in, with its ``release``, beside its destination."""
    return [
        _marking(bundle.marking, policy, f"bundle {bundle.id}"),
        *content_rulings(release, policy),
        *_staleness(bundle, policy, reference_time),
    ]


def import_objections(
    bundle: Bundle, policy: Policy, reference_time: datetime, release: Release | None = None
) -> list[RefusedError]:
    """Return what policy has against letting this bundle in."""
    return refusals(import_rulings(bundle, policy, reference_time, release))


def destination_objection(bundle: Bundle, enclave: str) -> WrongEnclaveError | None:
    """Return the error if the bundle is addressed to another enclave, or to several others."""
    if bundle.is_for(enclave):
        return None
    other = "another enclave" if bundle.enclave else "other enclaves"
    return WrongEnclaveError(
        f"the bundle is for {other}", expected=enclave, found=ascii(", ".join(bundle.enclaves)).strip("'")
    )


def relay_rulings(
    bundle: Bundle, release: Release | None, policy: Policy, to: Sequence[SubEnclave]
) -> Iterator[Ruling]:
    """Yield what policy says of handing a bundle on to one of ``to``: its address, and all markings (SPEC 7.12-5).

    The ceilings are that of policy, and that of the one whom the bundle is for, or who is the only one.
    """
    expected = f"{', '.join(item.name for item in to) or 'nobody'}, or any"
    found = ", ".join(bundle.enclaves) or "any"
    own = [item for item in to if item.name in bundle.enclaves]
    refusal = None
    if bundle.enclaves and not own:
        refusal = WrongEnclaveError("the bundle is for another enclave", expected=expected, found=found)
    yield Ruling(ADDRESS, f"bundle {bundle.id}", expected, found, refusal)
    if not bundle.enclaves and len(to) == 1:
        own = list(to)
    for name, ceiling in ((policy.enclave, policy.ceiling), *((item.name, item.ceiling) for item in own)):
        judged = replace(policy, ceiling=ceiling)
        yield _marking(bundle.marking, judged, f"bundle {bundle.id}", f" (of {name})")
        for component in release.components if release else ():
            if component.marking is not None:
                yield _marking(component.marking, judged, f"component {component.name}", f" (of {name})")


def revocation_rulings(release: Release, found: Sequence[Finding]) -> list[Ruling]:
    """Return what is said of a release of which ``found`` is revoked."""
    return list(_revocation(release, found))


def activation_rulings(release: Release, policy: Policy, known: Known) -> list[Ruling]:
    """Return what policy says of running this release."""
    in_force = floors.higher(dict(policy.floors), known.floors)
    return [
        *_release_rulings(release, policy),
        *_revocation(release, known.revoked),
        *known.variants,
        *_rules(release, policy),
        *floors.floor_rulings(release, in_force, known.imported),
        *known.quorums,
        *(stale_rulings(known.fresh, policy) if known.fresh else ()),
        *(_test(release, name, passed=passed) for name, passed in known.tests.items()),
    ]


def release_objections(release: Release, policy: Policy) -> list[RefusedError]:
    """Return what policy has against a release as such: what is registered is judged by it."""
    return refusals(_release_rulings(release, policy))


def _release_rulings(release: Release, policy: Policy) -> Iterator[Ruling]:
    yield _marking(release.marking, policy, f"release {release.label}")
    yield from content_rulings(release, policy)
    yield from requirement_rulings(release)


def activation_objections(release: Release, policy: Policy, known: Known) -> list[RefusedError]:
    """Return what policy has against running this release."""
    return refusals(activation_rulings(release, policy, known))


def requirement_rulings(release: Release) -> Iterator[Ruling]:
    """Yield what the release's own requirements say."""
    names = {component.folder for component in release.components}
    for requirement in release.requires:
        if requirement.component in names:
            yield _needs(release, requirement.component, requirement.needs, requirement.version)


def requirement_objections(release: Release) -> list[RefusedError]:
    """Return the release's own requirements that it does not meet."""
    return refusals(requirement_rulings(release))


def check_comparable(release: Release) -> None:
    """Check on the low side that every requirement names components and can be evaluated.

    Raises:
        ManifestError: an unknown component, a version that cannot be compared, or a bad range.
    """
    names = {component.folder for component in release.components}
    for requirement in release.requires:
        check_specifier(requirement.version)
        if requirement.component not in names:
            raise ManifestError(f"requires: there is no component {requirement.component!r}")
        for component in matching(release, requirement.needs):
            check_version(component.version)


def content_rulings(release: Release | None, policy: Policy) -> Iterator[Ruling]:
    """Yield what is said of the components of a release as such: a marking of their own, a waiver (SPEC 8.2-5).

    And whether what was trained inside may be of its kind (SPEC 8.6-2).
    """
    for component in release.components if release else ():
        if component.marking is not None:
            yield _marking(component.marking, policy, f"component {component.name}")
        if source.is_registered(component.source):
            yield _registration(component, policy)
        for waived in component.accept:
            expected = f"waivers: [{{what: {waived.what}, component: {component.name}}}] in the policy"
            permitted, files = _permits(policy, waived, component), names_of(waived.files)
            message = f"component {component.name} comes with a waiver for {waived.what}"
            refusal = None if permitted else WaiverError(message, expected=expected, found=files)
            yield Ruling(WAIVER, f"component {component.name}", expected, files, refusal)


def _permits(policy: Policy, waived: Waiver, component: Component) -> bool:
    """Say whether policy permits a waiver: for this variant, or for what it is a variant of."""
    return any(policy.permits(waived.what, name) for name in {component.name, component.folder})


def _registration(component: Component, policy: Policy) -> Ruling:
    expected, found = f"register: [{component.kind}] in the policy", ", ".join(policy.register) or NOTHING
    message = f"component {component.name} was trained inside, and is of kind {component.kind}"
    refusal = None
    if component.kind not in policy.register:
        refusal = RegistrationError(message, expected=expected, found=found)
    return Ruling(REGISTRATION, f"component {component.name}", expected, found, refusal)


def content_objections(release: Release | None, policy: Policy) -> list[RefusedError]:
    """Return what is against the components of a release as such."""
    return refusals(content_rulings(release, policy))


def is_within_ceiling(marking: Marking, policy: Policy) -> bool:
    """Say whether a marking is one that may come in."""
    return _marking(marking, policy, "").met


def _marking(marking: Marking, policy: Policy, subject: str, ceiling_of: str = "") -> Ruling:
    reason = marking.beyond(policy.ceiling, policy.levels)
    known = marking.level in policy.levels
    expected, found = str(policy.ceiling) if known else " < ".join(policy.levels), str(marking)
    whose = f" of {subject}" if subject.startswith("component ") else ""
    message = f"the marking{whose} {reason}{ceiling_of}"
    refusal = MarkingError(message, expected=expected, found=found) if reason is not None else None
    return Ruling(MARKING, subject, expected, found, refusal)


def _staleness(bundle: Bundle, policy: Policy, reference_time: datetime) -> Iterator[Ruling]:
    if policy.refuse_new_after_days is None:
        return
    age = reference_time - parse_time(bundle.issued)
    expected, found = (
        f"at most {policy.refuse_new_after_days} days",
        f"{age.days} days (issued {bundle.issued})",
    )
    refusal = None
    if age > timedelta(days=policy.refuse_new_after_days):
        refusal = ExpiredError(
            "the bundle was issued too long ago for this policy",
            expected=expected,
            found=found,
            hint="ask the low side for a new bundle; see `airlift high policy show`",
        )
    yield Ruling(AGE, f"bundle {bundle.id}", expected, found, refusal)


def _revocation(release: Release, found: Sequence[Finding]) -> Iterator[Ruling]:
    if not found:
        yield Ruling(REVOCATION, f"release {release.label}", f"{NOTHING} revoked", NOTHING)
    for finding in found:
        yield Ruling(REVOCATION, finding.text, f"{NOTHING} revoked", finding.short, finding.error())


def _rules(release: Release, policy: Policy) -> Iterator[Ruling]:
    for rule in policy.requires:
        for name in dict.fromkeys(c.folder for c in release.components if c.kind == rule.kind):
            yield _needs(release, name, rule.needs, rule.version)


def _needs(release: Release, component: str, needs: str, version: str) -> Ruling:
    candidates, met = matching(release, needs), meets(release, needs, version)
    expected = f"{needs} {version}"
    found = ", ".join(f"{c.name} {c.version}" for c in candidates) or "none"
    message = f"component {component} needs {needs} {version}{_incomparable(candidates, version)}"
    data = {"needs": {"name": needs, "version": version}}
    refusal = None if met else RequirementError(message, expected=expected, found=found, data=data)
    return Ruling(REQUIREMENT, f"component {component}", expected, found, refusal)


def matching(release: Release, needs: str) -> list[Component]:
    """Return the components of the kind ``needs``, or those that answer to it if it is no kind.

    Data that is called guard is no guard.
    """
    if release.names_kind(needs):
        return [component for component in release.components if component.kind == needs]
    return [component for component in release.components if component.answers_to(needs)]


def meets(release: Release, needs: str, version: str) -> bool:
    """Say whether a release has a component ``needs`` within ``version``; what does not compare lies in no range."""
    return any(_lies_within(component, version) for component in matching(release, needs))


def _lies_within(component: Component, version: str) -> bool:
    try:
        return satisfies(component.version, version)
    except ManifestError:
        return False


def _incomparable(candidates: Sequence[Component], version: str) -> str:
    """Return, to be added to a refusal, why not all of these can be held against a range."""
    try:
        for candidate in candidates:
            satisfies(candidate.version, version)
    except ManifestError as error:
        return f": {error.message}"
    return ""


def _test(release: Release, name: str, *, passed: bool) -> Ruling:
    refusal = AcceptanceError(
        f"release {release.label} has not passed the test {name}",
        expected="exit 0",
        found="no result that counts",
        hint=f"it is run, before anything is switched, by `airlift high activate {release.label}`",
    )
    found = "passed" if passed else "no result that counts"
    return Ruling(TEST, name, "exit 0", found, None if passed else refusal)
