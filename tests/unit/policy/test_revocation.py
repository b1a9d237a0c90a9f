"""What is in force of all that was ever revoked, and what of a release it hits."""

from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.policy.revocation import Revoked
from tests.support.bundle_values import LOW, component, sha512

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
