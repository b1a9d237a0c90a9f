"""What is in force, and what it says of a release (SPEC 5.4)."""

import pytest

from airlift.bundle.fields import Marking
from airlift.bundle.release import Component, FileEntry, Release
from airlift.bundle.revocations import Revocation, Subject
from airlift.policy.revocation import Revoked
from tests.support.bundle_values import sha512


def component(name: str, *contents: str) -> Component:
    files = tuple(
        FileEntry(f"{text}.bin", 1, sha512(text), sha512(f"256 {text}")[:64]) for text in sorted(contents)
    )
    return Component(name, "guard", "2.0", "", {"kind": "path", "path": "."}, files)


GUARD, BASE = component("guard", "rules", "words"), component("base", "weights")
RELEASE = Release("stack", "1", Marking("UNCLASSIFIED"), "", (BASE, GUARD), ())
KEY_ID = sha512("a vendor")[:64]
VENDORS = {"base": KEY_ID}


def found(*entries: Revocation, lifted: frozenset[Subject] = frozenset()) -> list[str]:
    return [item.text for item in Revoked.in_force(entries, lifted).of_release(RELEASE, VENDORS)]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Revocation("release", RELEASE.digest, "bad"), "release stack@1 is revoked: bad"),
        (Revocation("component", GUARD.digest, "a hole", 1), "component guard 2.0 is revoked: a hole"),
        (Revocation("file", sha512("words"), "x", 1), "file words.bin of component guard is revoked: x"),
        (
            Revocation("file", sha512("256 weights")[:64], "x", 1),
            "file weights.bin of component base is revoked: x",
        ),
        (Revocation("key", KEY_ID, "lost", 1), "the vendor's key of component base is revoked: lost"),
        (Revocation("release", RELEASE.digest, ""), "release stack@1 is revoked"),
    ],
)
def test_each_kind_is_found_where_it_is(entry: Revocation, text: str) -> None:
    assert found(entry) == [text]
    assert [item.revocation for item in Revoked((entry,)).of_release(RELEASE, VENDORS)] == [entry]


def test_other_things_are_not_found() -> None:
    strangers = (
        Revocation("release", sha512("another"), ""),
        Revocation("component", RELEASE.digest, "", 1),
        Revocation("release", GUARD.digest, "", 2),
        Revocation("file", GUARD.digest, "", 3),
        Revocation("key", sha512("256 weights")[:64], "", 4),
    )
    assert found(*strangers) == []
    assert found() == []
    assert Revoked((Revocation("key", KEY_ID, "", 1),)).of_release(RELEASE) == ()


def test_what_root_lifted_is_not_in_force_and_a_later_revocation_is() -> None:
    first, second = (Revocation("component", GUARD.digest, "r", serial) for serial in (3, 7))
    assert found(first, lifted=frozenset({first.subject})) == []
    assert found(first, lifted=frozenset({Subject("release", GUARD.digest, 3)})) == [
        "component guard 2.0 is revoked: r"
    ]
    assert len(found(first, second, lifted=frozenset({first.subject}))) == 1


def test_subjects_are_distinct_and_sorted() -> None:
    one = Revocation("component", GUARD.digest, "first", 3)
    again = Revocation("component", GUARD.digest, "put better", 3)
    key = Revocation("key", KEY_ID, "lost", 1)
    revoked = Revoked.in_force((key, one, again), frozenset())
    assert revoked.entries == (again, key)
    assert revoked.keys() == {KEY_ID}
    assert Revoked().keys() == frozenset()
