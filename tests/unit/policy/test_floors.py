"""Floors: by name and by kind, of what was renamed, and the higher of two."""

from dataclasses import replace

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.variant import Variant
from airlift.bundle.release import Release
from airlift.errors import ManifestError, UsageError
from airlift.policy import floors
from airlift.policy.ruling import refusals
from tests.support.bundle_values import LOW, component

GUARD = component("guard", "2.1", "guard")
HELD = Release("assistant", "1", LOW, "", (component("base"), GUARD), ())


def said(*components: Component, floor: dict[str, str], known: tuple[Release, ...] = ()) -> list[str]:
    release = replace(HELD, components=components)
    return [error.message for error in refusals(floors.floor_rulings(release, floor, known))]


@pytest.mark.parametrize(("version", "met"), [("2.0", False), ("2.1", True), ("2.1.1", True), ("3rc1", True)])
def test_a_floor_by_name(version: str, met: bool) -> None:
    guard = replace(GUARD, version=version)
    found = said(component("base"), guard, floor={"guard": "2.1"})
    assert found == ([] if met else ["component guard is below its floor"])


def test_a_floor_by_kind_holds_for_every_component_of_the_kind() -> None:
    old, new = component("pii", "1.9", "guard"), component("toxic", "2.0", "guard")
    assert said(old, new, floor={"kind:guard": "2.0"}) == ["component pii is below the guards' floor"]
    assert said(new, component("guard", "0.1", "data"), floor={"kind:guard": "2.0"}) == []


def test_a_version_that_does_not_compare_is_below_every_floor() -> None:
    (found,) = said(replace(GUARD, version="final"), floor={"guard": "0"})
    assert "cannot be compared" in found


def test_a_name_that_was_given_up_keeps_its_floor() -> None:
    """THREATS, rules: a guard that was renamed to slip through a floor."""
    shield = replace(component("shield", "2.0", "guard"), replaces=("guard",))
    assert said(shield, floor={"guard": "2.1"}) == ["component shield is below the guard's floor"]
    assert said(replace(shield, version="2.1"), floor={"guard": "2.1"}) == []


def test_renaming_without_saying_so_is_refused() -> None:
    """THREATS, rules: a guard that was renamed to slip through a floor."""
    shield = component("shield", "9", "guard")
    (found,) = said(component("base"), shield, floor={"guard": "2.1"}, known=(HELD,))
    assert "guard has a floor and is not in the release, where shield of its kind is new" in found
    declared = replace(shield, replaces=("guard",))
    assert said(declared, floor={"guard": "2.1"}, known=(HELD,)) == []


def test_a_floor_is_not_slipped_in_two_steps() -> None:
    """The name was given up once; what took its place may neither be renamed again nor say so no more."""
    shield = replace(component("shield", "2.1", "guard"), replaces=("guard",))
    later = replace(HELD, components=(component("base"), shield))
    floor = {"guard": "2.1"}
    (found,) = said(component("buckler", "0.1", "guard"), floor=floor, known=(later,))
    assert "where buckler of its kind is new" in found
    (found,) = said(component("shield", "0.1", "guard"), floor=floor, known=(HELD, later))
    assert "where shield of its kind replaces it no more" in found
    pii = component("pii", "0.1", "guard")
    beside = replace(HELD, components=(shield, pii))
    assert said(pii, floor=floor, known=(beside,)) == []


def test_what_is_no_renaming_is_let_through() -> None:
    pii = component("pii", "0.1", "guard")
    beside = replace(HELD, components=(component("base"), GUARD, pii))
    assert said(component("base"), pii, floor={"guard": "2.1"}, known=(beside,)) == []  # dropped, not renamed
    assert said(component("other", "1", "model"), floor={"guard": "2.1"}, known=(HELD,)) == []
    assert said(pii, floor={"guard": "2.1"}) == []  # nothing here ever was called guard
    assert said(GUARD, pii, floor={"guard": "2.1"}, known=(HELD,)) == []


def test_of_two_floors_the_higher_holds() -> None:
    assert floors.higher({"a": "1.9", "b": "2"}, {"a": "1.10", "c": "1"}) == {"a": "1.10", "b": "2", "c": "1"}
    assert floors.higher({"a": "1.10"}, {"a": "1.9"}) == {"a": "1.10"}
    with pytest.raises(ManifestError):
        floors.higher({"a": "x"}, {"a": "1"})


def test_what_a_floor_can_be_for() -> None:
    assert floors.check_name("guard") == "guard"
    assert floors.check_name("kind:guard") == "kind:guard"
    with pytest.raises(UsageError, match="no such kind"):
        floors.check_name("kind:person")


def test_a_variant_does_not_slip_under_the_floor_of_its_own_name() -> None:
    """SPEC 5.7-3: renamed without saying so, while another form of the same component stays."""

    def form(name: str) -> Component:
        return replace(component(name), variant=Variant("base", (("form", name),)))

    half, int4, renamed = form("base-half"), form("base-int4"), form("base-q4")
    known = (replace(HELD, components=(half, int4)),)
    floor = {"base-int4": "2"}
    assert said(half, int4, floor=floor, known=known)
    assert said(half, renamed, floor=floor, known=known)
    assert not said(half, floor=floor, known=known), "it is only left out"
