"""What is in force of all that was ever revoked, and what of a release it hits."""

from dataclasses import replace
from typing import Any

import pytest

from airlift.bundle.component.parent import Parent
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.policy.revocation import Revoked
from tests.support.bundle_values import BASE, LOW, REGISTERED, TAKEN, TUNED, component, sha512

RELEASE = Release("assistant", "1", LOW, "", (component("base"), component("guard", "2.0", "guard")), ())
GUARD = RELEASE.components[1]
KEY = sha512("key")[:64]


def texts(*entries: Revocation, keys: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    return [found.text for found in Revoked(entries).of_release(RELEASE, keys or {})]


def test_a_release_is_hit_by_itself_its_components_files_and_keys() -> None:
    entry = GUARD.files[0]
    assert texts() == []
    assert texts(Revocation("release", RELEASE.digest, "", 1)) == ["release assistant@1"]
    assert texts(Revocation("component", GUARD.digest, "", 1)) == ["component guard 2.0"]
    for digest in (entry.sha512, entry.sha256):
        assert f"file {entry.path} of component guard" in texts(Revocation("file", digest, "", 1))
    assert texts(Revocation("key", KEY, "", 1)) == []
    vouched = texts(Revocation("key", KEY, "", 1), keys={"guard": (KEY,), "base": ("0" * 64,)})
    assert vouched == ["the key that vouches for the content of component guard"]


def test_a_digest_of_one_kind_is_not_one_of_another() -> None:
    assert texts(Revocation("component", RELEASE.digest, "", 1)) == []
    assert texts(Revocation("release", GUARD.digest, "", 1)) == []


def test_lists_only_add_and_only_root_takes_away() -> None:
    """THREATS, rules: a revocation list that shrinks."""
    one, two = Revocation("component", GUARD.digest, "a hole", 1), Revocation("key", KEY, "lost", 2)
    again = Revocation("component", GUARD.digest, "a hole after all", 3)
    assert Revoked.in_force((one, two, one), ()).entries == (one, two)
    assert Revoked.in_force((one, two), {one.subject}).entries == (two,)
    assert Revoked.in_force((one, two, again), {one.subject}).entries == (again, two)
    assert Revoked.in_force((one, two), {two.subject}).keys() == frozenset()
    assert Revoked.in_force((one, two), ()).keys() == {KEY}


def test_the_refusal_says_why() -> None:
    (found,) = Revoked(
        (Revocation("component", GUARD.digest, "a jailbreak", 1, "vulnerability"),)
    ).of_release(RELEASE)
    error = found.error()
    assert error.message == "component guard 2.0 is revoked: a jailbreak"
    assert error.found == f"vulnerability (component {GUARD.digest[:16]})"
    assert error.exit_code == 6


def made(**changes: Any) -> Release:
    """Return a release of one component, that was made of ``base``, which is not part of it."""
    return Release("assistant", "2", LOW, "", (replace(TUNED, **changes),), ())


@pytest.mark.parametrize("source", [REGISTERED, TAKEN])
def test_what_was_trained_inside_falls_with_what_it_was_made_of(source: dict[str, Any]) -> None:
    """SPEC 5.4-1: the authority that revokes a parent knows nothing of what was made of it in an enclave."""
    revoked = Revoked((Revocation("component", BASE.digest, "a back door", 1),))
    (found,) = revoked.of_release(made(source=source))
    assert found.text == "component base 1.0 (parent of tuned)"
    assert found.error().message == "component base 1.0 (parent of tuned) is revoked: a back door"


@pytest.mark.parametrize(
    "change",
    [
        {"source": BASE.source},
        {"source": REGISTERED, "parents": ()},
        {"source": REGISTERED, "parents": (Parent("tuned-from", "base", "1.0"),)},
        {"source": REGISTERED, "parents": (Parent("tuned-from", "base", "1.0", sha512("other")),)},
    ],
)
def test_nothing_else_falls_with_its_parents(change: dict[str, Any]) -> None:
    listed = (
        Revocation("component", BASE.digest, "a back door", 1),
        Revocation("file", sha512("other"), "", 2),
    )
    assert Revoked(listed).of_release(made(**change)) == ()
