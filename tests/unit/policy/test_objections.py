"""What policy objects to, in a bundle that would come in and in a release that would be activated."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking, parse_time
from airlift.bundle.release import Release, Requirement
from airlift.bundle.revocations import Revocation
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
from airlift.policy import objections
from airlift.policy.document import Permission, Policy, Rule
from airlift.policy.objections import Known
from airlift.policy.revocation import Revoked
from airlift.policy.ruling import QUORUM, Ruling
from tests.support.bundle_values import BUNDLE, ISSUED, LOW, RENEWAL, component

POLICY = Policy("alpha", ceiling=Marking("SECRET", ("NOFORN", "ORCON")))
NOW = parse_time(ISSUED) + timedelta(days=1)
PLAIN = Release(
    "assistant", "1", LOW, "", (component("base"), component("guard", "2.0", "guard")), requires=()
)


def released(*components: Component, requires: tuple[Requirement, ...] = ()) -> Release:
    return replace(PLAIN, components=components, requires=requires)


def activation(
    release: Release,
    policy: Policy = POLICY,
    unmet: Sequence[QuorumError] = (),
    revoked: tuple[Revocation, ...] = (),
) -> list[type[RefusedError]]:
    quorums = [Ruling.against(QUORUM, "x", error) for error in unmet]
    known = Known(quorums=quorums, revoked=Revoked(revoked).of_release(release))
    found = objections.activation_objections(release, policy, known)
    assert all(error.exit_code == 6 for error in found)
    return [type(error) for error in found]


def test_nothing_against_a_plain_release() -> None:
    assert activation(PLAIN) == []
    assert objections.import_objections(BUNDLE, POLICY, NOW) == []


# -- markings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marking", "reason"),
    [
        (Marking("UNCLASSIFIED"), None),
        (Marking("SECRET"), None),
        (Marking("SECRET", ("NOFORN",)), None),
        (Marking("CUI", ("NOFORN", "ORCON")), None),
        (Marking("TOP SECRET"), "above the ceiling"),
        (Marking("TOP SECRET", ("NOFORN",)), "above the ceiling"),
        (Marking("SECRET", ("NOFORN", "SI")), "caveats beyond"),
        (Marking("UNCLASSIFIED", ("SI",)), "caveats beyond"),
        (Marking("COSMIC"), "unknown here"),
        (Marking("secret"), "unknown here"),
    ],
)
def test_markings_stay_below_the_ceiling(marking: Marking, reason: str | None) -> None:
    for found in (
        objections.import_objections(replace(BUNDLE, marking=marking), POLICY, NOW),
        objections.activation_objections(replace(PLAIN, marking=marking), POLICY, Known()),
    ):
        assert [type(error) for error in found] == [MarkingError] * (reason is not None)
        assert all(reason in error.message for error in found if reason)


def test_levels_are_those_of_the_policy() -> None:
    own = replace(POLICY, levels=("LOW", "HIGH"), ceiling=Marking("LOW"))
    assert activation(replace(PLAIN, marking=Marking("LOW")), own) == []
    assert activation(replace(PLAIN, marking=Marking("HIGH")), own) == [MarkingError]
    assert activation(PLAIN, own) == [MarkingError]


# -- destination and age -------------------------------------------------------------------------------------------


def test_a_bundle_for_another_enclave_is_refused() -> None:
    """A bundle for another enclave."""
    assert objections.destination_objection(BUNDLE, "alpha") is None
    assert objections.destination_objection(RENEWAL, "alpha") is None
    error = objections.destination_objection(BUNDLE, "bravo")
    assert isinstance(error, WrongEnclaveError)
    assert (error.expected, error.found) == ("bravo", "alpha")


def test_old_bundles_are_refused_if_the_policy_says_so() -> None:
    limited = replace(POLICY, refuse_new_after_days=30)
    edge = parse_time(ISSUED) + timedelta(days=30)
    assert objections.import_objections(BUNDLE, limited, edge) == []
    (error,) = objections.import_objections(BUNDLE, limited, edge + timedelta(seconds=1))
    assert isinstance(error, ExpiredError)
    assert (error.expected, error.found) == ("at most 30 days", f"30 days (issued {ISSUED})")
    assert objections.import_objections(BUNDLE, POLICY, edge + timedelta(days=10_000)) == []


def test_a_bundle_from_the_future_is_not_too_old() -> None:
    """A clock at 1970 does not make a bundle stale; freshness is the business of the metadata."""
    limited = replace(POLICY, refuse_new_after_days=1)
    assert objections.import_objections(BUNDLE, limited, datetime(1970, 1, 1, tzinfo=UTC)) == []


# -- requirements --------------------------------------------------------------------------------------------------


GUARDED = Requirement("base", "guard", ">=2.0")


@pytest.mark.parametrize(
    ("others", "met"),
    [
        ([component("guard", "2.0", "guard")], True),
        ([component("shield", "2.1", "guard")], True),
        ([component("old", "1.0", "guard"), component("new", "2.0", "guard")], True),
        ([component("guard", "1.9", "guard")], False),
        ([component("guard", "2.0rc1", "guard")], False),
        ([component("guard", "9.0", "data")], False),
        ([component("guards", "9.0", "data")], False),
        ([], False),
        ([component("guard", "latest", "guard")], False),
    ],
)
def test_weights_need_the_guard_they_require(others: list[Component], met: bool) -> None:
    """Weights without the guard they require, by kind: something else that is called guard is none."""
    expected = [] if met else [RequirementError]
    assert activation(released(component("base"), *others, requires=(GUARDED,))) == expected
    rule = replace(POLICY, requires=(Rule("model", "guard", ">=2.0"),))
    assert activation(released(component("base"), *others), rule) == expected


@pytest.mark.parametrize(("version", "met"), [(">=1", True), (">=3", False), ("nonsense", False)])
def test_requirements_by_name(version: str, met: bool) -> None:
    one = released(component("base"), component("shield", "2.1", "guard"))
    release = replace(one, requires=(Requirement("base", "shield", version),))
    assert activation(release) == ([] if met else [RequirementError])


def test_a_requirement_says_what_it_found() -> None:
    release = released(component("base"), component("guard", "1.0", "guard"), requires=(GUARDED,))
    (error,) = objections.requirement_objections(release)
    assert (error.expected, error.found) == ("guard >=2.0", "guard 1.0")
    (error,) = objections.requirement_objections(released(component("base"), requires=(GUARDED,)))
    assert error.found == "none"


def test_rules_hold_for_every_component_of_the_kind() -> None:
    rule = replace(POLICY, requires=(Rule("model", "guard", ">=2.0"),))
    assert activation(released(component("a"), component("b")), rule) == [RequirementError] * 2
    assert activation(released(component("a", "1", "data")), rule) == []


def test_a_newer_kind_is_a_name_where_nothing_is_of_it() -> None:
    """A release that was made before there were images may have a component that is called so (SPEC 5.1-18)."""
    wanted = Requirement("base", "image", ">=2")
    older = released(component("base"), component("image", "2"), requires=(wanted,))
    assert activation(older) == []
    engine, named = component("engine", "1", "image"), component("image", "2")
    newer = released(component("base"), engine, named, requires=(wanted,))
    assert activation(newer) == [RequirementError]
    assert activation(replace(newer, components=(component("base"), replace(engine, version="2")))) == []


def test_a_requirement_of_an_absent_component_is_met() -> None:
    assert activation(released(component("other"), requires=(GUARDED,))) == []


@pytest.mark.parametrize("odd", ["a", "z"])
def test_a_version_that_does_not_compare_hides_none_that_does(odd: str) -> None:
    """Broke: a guard without a comparable version hid the one after it, and only that, from a requirement."""
    guards = (component(odd, "nightly", "guard"), component("guard", "2.1", "guard"))
    release = released(component("base"), *sorted(guards, key=lambda item: item.name), requires=(GUARDED,))
    assert activation(release) == []
    assert objections.meets(release, "guard", ">=2.0")
    (refused,) = objections.requirement_objections(
        replace(release, requires=(replace(GUARDED, version=">=3"),))
    )
    assert "'nightly' cannot be compared" in refused.message


def test_the_low_side_refuses_what_cannot_be_judged() -> None:
    objections.check_comparable(
        released(component("base"), component("guard", "2", "guard"), requires=(GUARDED,))
    )
    for release, reason in (
        (released(component("other"), requires=(GUARDED,)), "no component 'base'"),
        (released(component("base"), requires=(replace(GUARDED, version="2"),)), "not a version range"),
        (
            released(component("base"), component("g", "x", "guard"), requires=(GUARDED,)),
            "cannot be compared",
        ),
    ):
        with pytest.raises(ManifestError, match=reason):
            objections.check_comparable(release)


# -- floors, revocations, quorum -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "met"),
    [("2.1", True), ("2.1.post1", True), ("2.10", True), ("2.0", False), ("2.1rc1", False), ("x", False)],
)
def test_a_guard_older_than_the_floor_is_refused(version: str, met: bool) -> None:
    """A guard older than the floor; one whose age cannot be told is not let through."""
    floored = replace(POLICY, floors=(("guard", "2.1"),))
    release = released(component("base"), component("guard", version, "guard"))
    assert activation(release, floored) == ([] if met else [FloorError])


def test_floors_leave_other_names_alone() -> None:
    floored = replace(POLICY, floors=(("absent", "9"),))
    assert activation(released(component("base", "x")), floored) == []


def test_revoked_releases_and_components_are_refused() -> None:
    """A revoked component."""
    base = PLAIN.components[0]
    whole, part = Revocation("release", PLAIN.digest, "", 1), Revocation("component", base.digest, "", 2)
    assert activation(PLAIN, revoked=(whole,)) == [RevokedError]
    assert activation(PLAIN, revoked=(part,)) == [RevokedError]
    assert activation(PLAIN, revoked=(part, whole)) == [RevokedError] * 2
    assert activation(PLAIN, revoked=(replace(whole, digest="0" * 128),)) == []


def test_revocation_follows_the_files_under_any_name() -> None:
    base = PLAIN.components[0]
    renamed = released(replace(base, name="innocent", version="9.9"))
    assert activation(renamed, revoked=(Revocation("component", base.digest, "", 1),)) == [RevokedError]


def test_what_quorums_lack_stands_against_a_release() -> None:
    lacking = [QuorumError("the release lacks scan attestations"), QuorumError("too few different holders")]
    assert activation(PLAIN, unmet=lacking) == [QuorumError, QuorumError]


def test_all_objections_are_told_at_once() -> None:
    strict = replace(
        POLICY,
        ceiling=LOW,
        requires=(Rule("model", "guard", ">=3"),),
        floors=(("guard", "2.5"),),
    )
    release = replace(PLAIN, marking=Marking("SECRET"))
    lacking = [QuorumError("the release lacks scan attestations")]
    found = activation(release, strict, lacking, revoked=(Revocation("release", release.digest, "", 1),))
    assert found == [MarkingError, RevokedError, RequirementError, FloorError, QuorumError]


# -- what is in a release ------------------------------------------------------------------------------------------

REMOTE, PICKLED = Waiver("remote-code", "why", ("config.json",)), Waiver("pickle", "why", ("config.json",))


def content(release: Release, policy: Policy) -> list[type[RefusedError]]:
    """Return what is objected to at import; at activation it must be the same."""
    found = objections.import_objections(BUNDLE, policy, NOW, release)
    again = objections.activation_objections(release, policy, Known())
    assert [(type(e), e.message) for e in found] == [(type(e), e.message) for e in again]
    return [type(error) for error in found]


def test_a_waiver_is_refused_unless_it_is_permitted() -> None:
    """THREATS, content: a waiver that an enclave does not permit, or for more than it names."""
    waived = released(replace(component("base"), accept=(PICKLED, REMOTE)), component("other"))
    for permissions, refused in (
        ((), 2),
        ((Permission("remote-code", "base"),), 1),
        ((Permission("remote-code"), Permission("pickle", "base")), 0),
        ((Permission("remote-code", "other"), Permission("pickle", "other")), 2),
        ((Permission("code"),), 2),
    ):
        assert content(waived, replace(POLICY, waivers=permissions)) == [WaiverError] * refused
    (error, _) = objections.import_objections(BUNDLE, POLICY, NOW, waived)
    assert (error.code, error.exit_code) == ("waiver-refused", 6)
    assert error.message == "component base comes with a waiver for pickle"
    assert error.expected == "waivers: [{what: pickle, component: base}] in the policy"


def test_markings_of_components_stay_below_the_ceiling() -> None:
    """The enclave's order of levels may be another than everybody's."""
    release = released(replace(component("base"), marking=Marking("CUI", ("NOFORN",))))
    assert content(release, POLICY) == []
    odd = replace(POLICY, levels=("UNCLASSIFIED", "SECRET"))
    assert content(release, odd) == [MarkingError]
    other = replace(POLICY, levels=("UNCLASSIFIED", "SECRET", "CUI"))
    (error,) = objections.import_objections(BUNDLE, other, NOW, release)
    assert error.message == "the marking of component base is above the ceiling"
